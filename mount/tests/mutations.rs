//! The invariants of the fuzz targets, on a fixed number of mutations of good inputs.

#[path = "../../verify/tests/mutation/change.rs"]
mod change;
mod invariants;

use change::{Random, mutate};
use invariants::{
    globs_agree_with_trying_everything, lines_tell_of_corruption_or_not,
    messages_are_events_or_not, partitions_have_uuids_or_not, plans_end_and_spare_what_is_needed,
    superblocks_are_known_or_not,
};

/// Each kind of input gets so many mutations; they are the same in every run.
const MUTATIONS: usize = 20_000;

#[test]
fn superblocks() {
    let mut ext4 = vec![0; 4096];
    ext4[1024 + 0x18] = 2;
    ext4[1024 + 0x38..][..2].copy_from_slice(&[0x53, 0xEF]);
    ext4[1024 + 0x64..][..2].copy_from_slice(&[0, 0x84]);
    ext4[1024 + 0x78..][..6].copy_from_slice(b"pintle");
    let mut xfs = vec![0; 4096];
    xfs[..4].copy_from_slice(b"XFSB");
    let mut f2fs = vec![0; 4096];
    f2fs[1024..1028].copy_from_slice(&0xF2F5_2010_u32.to_le_bytes());
    let mut btrfs = vec![0; 4096];
    btrfs[64..72].copy_from_slice(b"_BHRfS_M");
    run(&[ext4, xfs, f2fs, btrfs], superblocks_are_known_or_not);
}

#[test]
fn partition_tables() {
    let mut mbr = vec![0; 512];
    mbr[510..].copy_from_slice(&[0x55, 0xAA]);
    mbr[0x1B8] = 7;
    let mut gpt = [mbr.clone(), vec![0; 3 * 512]].concat();
    gpt[0x1C2] = 0xEE;
    gpt[512..520].copy_from_slice(b"EFI PART");
    gpt[512 + 72] = 2;
    gpt[512 + 80] = 4;
    gpt[512 + 84] = 128;
    gpt[1024 + 16..][..16].fill(9);
    run(&[mbr, gpt], |disk| partitions_have_uuids_or_not(disk, 1));
}

#[test]
fn mountinfo() {
    let old = "\
        31 1 0:24 / / rw - tmpfs tmpfs rw\n\
        22 31 0:22 / /proc rw - proc proc rw\n\
        33 31 253:0 / /pintle/exit/old ro shared:1 - erofs /dev/dm-0 ro\n\
        34 33 0:30 / /pintle/exit/old/etc\\040x rw - overlay overlay rw\n\
        36 31 0:40 / /user/1000 rw - tmpfs tmpfs rw\n";
    run(&[old.into(), b"2 31 0:1 / /a rw\n".to_vec()], |bytes| {
        plans_end_and_spare_what_is_needed(&String::from_utf8_lossy(bytes))
    });
}

#[test]
fn globs() {
    let pairs: [&[u8]; 4] = [
        b"virtio:d00000002v*\nvirtio:d00000002v00001AF4",
        b"usb:v0BDApF1[0-9A-F]*d*\nusb:v0BDApF1A2d0100",
        b"a*b?c[!x-z]*\na-b-cq-",
        b"*a*\\*\nbab*",
    ];
    run(&pairs.map(<[u8]>::to_vec), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let (pattern, modalias) = text.split_once('\n').unwrap_or_default();
        globs_agree_with_trying_everything(pattern, modalias)
    });
}

#[test]
fn uevents() {
    let corrupt = b"change@/d/dm-0\0ACTION=change\0DEVPATH=/d/dm-0\0SUBSYSTEM=block\0\
        DM_VERITY_ERR_BLOCK_NR=1,3\0DEVNAME=dm-0\0SEQNUM=9\0";
    run(&[corrupt.to_vec()], messages_are_events_or_not);
}

#[test]
fn kernel_lines() {
    let lines: [&[u8]; 3] = [
        b"fs-verity (vda2, inode 12): FILE CORRUPTED! pos=8192, level=-1, want_hash=sha256:0",
        b"fs-verity (vda2, inode 12): FILE CORRUPTED! index=2, level=0, want_hash=sha256:0",
        b"device-mapper: verity: 7:0: metadata block 17 is corrupted",
    ];
    run(&lines.map(<[u8]>::to_vec), |bytes| {
        lines_tell_of_corruption_or_not(&String::from_utf8_lossy(bytes))
    });
}

/// Bytes that mean something to one parser or another.
const ODD: &[u8] = b"*?[]!-\\ /=@,:0123\n\0\xff";

/// Inputs that are taken and inputs that are not must both occur, else the mutations would show
/// little.
fn run(seeds: &[Vec<u8>], invariant: impl Fn(&[u8]) -> bool) {
    for seed in seeds {
        assert!(invariant(seed), "{}", String::from_utf8_lossy(seed));
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let taken = (0..MUTATIONS).filter(|_| invariant(&mutation(seeds, &mut random))).count();
    assert!((MUTATIONS / 100..MUTATIONS - MUTATIONS / 100).contains(&taken), "{taken}");
}

/// A good input with one to four changes.
fn mutation(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    (0..=random.below(4)).for_each(|_| mutate(&mut bytes, ODD, random));
    bytes
}
