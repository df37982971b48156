//! `pintle disk` from the outside, held against e2fsprogs, util-linux and the kernel's format.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pintle_verify::verity::{self, BLOCK};
use pintle_verify::{Architecture, Digest, Percent, Salt, Seal, SigningKey, Uuid};

/// Two levels of hashes, and zeros that a sparse copy leaves out.
const BLOCKS: usize = 300;

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A release of this sequence in the folder of that name.
    fn release(&self, sequence: u64) -> &Self {
        let folder = self.path(&sequence.to_string());
        fs::create_dir(&folder).unwrap();
        write_release(&folder, sequence);
        self
    }

    fn pintle(&self, args: &str) -> Output {
        let mut pintle = Command::new(env!("CARGO_BIN_EXE_pintle"));
        pintle.arg("disk").args(args.split_whitespace()).current_dir(&self.0);
        pintle.output().unwrap()
    }

    fn make(&self, args: &str) -> String {
        let output = self.pintle(args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refusal(&self, args: &str) -> String {
        let output = self.pintle(args);
        assert!(!output.status.success() && !self.path("d").exists(), "{args}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn sh(&self, script: &str) -> String {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TZ", "UTC");
        let output = shell.current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn image() -> Vec<u8> {
    let byte = |n: usize| if (n / BLOCK).is_multiple_of(7) { 0 } else { ((n * n) >> 9) as u8 };
    (0..BLOCKS * BLOCK).map(byte).collect()
}

fn write_release(folder: &Path, sequence: u64) {
    let image = image();
    let image_id = "org.example.test".parse().unwrap();
    let salt = Salt::of_image_id(&image_id);
    let leaves = image.as_chunks().0.iter().map(|block| verity::leaf(&salt, block)).collect();
    let tree = verity::Tree::from_leaves(salt, leaves).unwrap();
    let mut tree_file = Vec::new();
    tree.write(&mut tree_file, Uuid::of_image_id(&image_id)).unwrap();
    let seal = Seal {
        image_id,
        architecture: Architecture::X86_64,
        version: "1.0~rc1^2".parse().unwrap(),
        sequence,
        floor: 0,
        created: 1_700_000_000,
        best_before: None,
        rollout: Percent::try_from(100).unwrap(),
        image_size: image.len() as u64,
        salt,
        root_hash: tree.root(),
        source: None,
        kernel: None,
        next_keys: None,
    };
    fs::write(folder.join("root.img"), image).unwrap();
    fs::write(folder.join("root.tree"), tree_file).unwrap();
    fs::write(folder.join("seal"), seal.sign(&[SigningKey::generate(&[1; 32])]).unwrap()).unwrap();
}

#[test]
fn the_store_is_on_it_with_every_release() {
    let bench = Bench::new();
    bench.release(41).release(42);
    let said = bench.make("-o d --size 64MiB --release 41 --trial 42");
    assert_eq!(said, "d: 41_1.0~rc1^2, 42_1.0~rc1^2+3-0\n");
    assert_eq!(fs::metadata(bench.path("d")).unwrap().len(), 64 << 20);
    let root = bench.sh("debugfs -R 'ls -p /' d | cut -d/ -f3-6 | sort");
    for directory in ["images", "incoming", "trash", "trust", "data"] {
        assert!(root.contains(&format!("040755/0/0/{directory}\n")), "{directory}: {root}");
    }
    let entry = bench.sh("debugfs -R 'ls -p /images/42_1.0~rc1^2+3-0' d | cut -d/ -f3-7 | sort");
    assert!(entry.contains("100644/0/0/root.img/1228800\n"), "{entry}");
    for name in ["root.img", "root.tree", "seal"] {
        bench.sh(&format!("debugfs -R 'cat /images/41_1.0~rc1^2/{name}' d | cmp - 41/{name}"));
    }
}

#[test]
fn the_image_that_a_machine_is_shipped_with_is_noted() {
    let bench = Bench::new();
    bench.release(41).release(42).release(43);
    for (releases, noted) in [
        ("--release 42 --release 41 --trial 43", "shipped-42/0"),
        ("--trial 43 --trial 42", "shipped-43/0"),
        ("", ""),
    ] {
        bench.make(&format!("-o d --size 64MiB {releases}"));
        let trust = bench.sh("debugfs -R 'ls -p /trust' d | cut -d/ -f6,7 | sed /^[.]/d");
        assert_eq!(trust.trim(), noted, "{releases}");
    }
}

#[test]
fn the_file_system_is_the_one_that_machines_expect() {
    let bench = Bench::new();
    bench.make("-o d --size 32MiB --label other");
    bench.sh("e2fsck -fn d");
    let superblock = bench.sh("dumpe2fs -h d");
    for line in ["Filesystem volume name:   other", "Block size:               4096", " verity\n"] {
        assert!(superblock.contains(line), "{line}: {superblock}");
    }
    let blkid = bench.sh("blkid -p -o export d");
    assert!(blkid.contains("TYPE=ext4") && blkid.contains("LABEL=other"), "{blkid}");
}

#[test]
fn a_partition_table_names_the_partition() {
    let bench = Bench::new();
    bench.release(7).make("-o d --size 64MiB --gpt --release 7");
    let verdict = bench.sh("sfdisk --verify d; sfdisk --dump d");
    assert!(verdict.contains("No errors detected."), "{verdict}");
    assert!(verdict.contains("start=        2048, size=      126976"), "{verdict}");
    assert!(verdict.contains("name=\"pintle-state\""), "{verdict}");
    bench.sh("e2fsck -fn d?offset=1048576");
    let seal = "debugfs -R 'cat /images/7_1.0~rc1^2/seal' d?offset=1048576 | cmp - 7/seal";
    bench.sh(seal);
    // The second table is whole too.
    bench.sh("dd if=/dev/zero of=d bs=512 count=1 seek=1 conv=notrunc; sfdisk --dump d");
}

#[test]
fn equal_input_gives_equal_bytes_at_another_time_and_place() {
    for options in ["", "--gpt --fs-verity"] {
        let [first, second] =
            ["umask 022", "umask 077; sleep 1.1; export TZ=Asia/Tokyo"].map(|host| {
                let bench = Bench::new();
                let pintle = env!("CARGO_BIN_EXE_pintle");
                bench.release(9);
                bench.sh(&format!("{host}; {pintle} disk -o d --size 64MiB --trial 9 {options}"));
                fs::read(bench.path("d")).unwrap()
            });
        assert!(first == second, "with {options:?}");
    }
}

#[test]
fn another_release_or_label_gives_another_uuid() {
    let bench = Bench::new();
    bench.release(9);
    let uuids = ["", "--release 9", "--trial 9", "--label other"].map(|options| {
        bench.make(&format!("-o d --size 32MiB {options}"));
        bench.sh("blkid -p -s UUID -o value d")
    });
    let different: std::collections::BTreeSet<_> = uuids.iter().collect();
    assert_eq!(different.len(), uuids.len(), "{uuids:?}");
}

/// Kernel, fs/ext4/verity.c: the tree at the next 64 KiB, then the descriptor, and its length in
/// the last four bytes of the last block.
#[test]
fn a_sealed_image_stands_on_disk_as_the_kernel_writes_it() {
    let bench = Bench::new();
    bench.release(9).make("-o d --size 64MiB --release 9 --fs-verity");
    let inode = bench.sh("debugfs -R 'stat /images/9_1.0~rc1^2/root.img' d");
    assert!(inode.contains("Flags: 0x180000") && inode.contains("Size: 1228800"), "{inode}");
    // Beyond the size that it has now nothing can be read, so the test takes the seal off again.
    bench.sh("debugfs -w -R 'sif /images/9_1.0~rc1^2/root.img flags 0x80000' d");
    bench.sh("debugfs -w -R 'sif /images/9_1.0~rc1^2/root.img size 1265664' d");
    bench.sh("debugfs -R 'dump /images/9_1.0~rc1^2/root.img whole' d");
    let whole = fs::read(bench.path("whole")).unwrap();
    let metadata = (BLOCKS * BLOCK).next_multiple_of(65536);
    let tree = fs::read(bench.path("9/root.tree")).unwrap();
    let levels = &tree[BLOCK..];
    assert!(whole[..BLOCKS * BLOCK] == image());
    assert!(&whole[metadata..metadata + levels.len()] == levels);
    let last = whole.last_chunk::<BLOCK>().unwrap();
    assert_eq!(whole.len(), metadata + levels.len() + BLOCK);
    assert_eq!(last[BLOCK - 4..], 256u32.to_le_bytes());
    assert_eq!(fsverity_says(&bench), format!("sha256:{}", Digest::of(&last[..256]).hex()));
}

/// The digest by fsverity-utils.
fn fsverity_says(bench: &Bench) -> String {
    let salt = Salt::of_image_id(&"org.example.test".parse().unwrap()).fsverity();
    let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
    bench
        .sh(&format!("fsverity digest --compact --salt={salt} 9/root.img | sed s/^/sha256:/"))
        .trim_end()
        .to_owned()
}

#[test]
fn a_disk_says_what_is_on_it() {
    let bench = Bench::new();
    bench.release(3).release(4);
    let said = bench.make("-o d --size 32MiB --release 3 --trial 4");
    assert_eq!(said, "d: 3_1.0~rc1^2, 4_1.0~rc1^2+3-0\n");
    assert_eq!(bench.make("-o d --size 32MiB"), "d: no image is on it\n");
}

#[test]
fn what_cannot_be_installed_is_refused_and_nothing_is_written() {
    let bench = Bench::new();
    bench.release(1).release(2).release(3).release(4);
    fs::write(bench.path("1/root.img"), [0; 4096]).unwrap();
    fs::write(bench.path("2/seal"), "no seal").unwrap();
    let mut tree = fs::read(bench.path("3/root.tree")).unwrap();
    *tree.last_mut().unwrap() ^= 1;
    tree[2 * BLOCK] ^= 1;
    fs::write(bench.path("3/root.tree"), tree).unwrap();
    for (args, cause) in [
        ("--size 64MiB --release 1", "it has 4096 bytes, and 1228800 by its seal"),
        ("--size 64MiB --release 2", "cannot read 2/seal"),
        ("--size 64MiB --release 3 --fs-verity", "root hash is not the seal's"),
        ("--size 64MiB --release 4 --trial 4", "two releases have the sequence 4"),
        ("--size 64MiB --release 5", "cannot read 5/seal"),
        ("--size 16MiB --release 4 --label much-longer-than-16", "no label"),
        ("--size 1MiB", "16777216 at least"),
        ("--size 64M", "expected a size"),
        ("--size 4GB", "units are B, KiB, MiB, GiB and TiB"),
    ] {
        let refusal = bench.refusal(&format!("-o d {args}"));
        assert!(refusal.contains(cause), "{args}: {refusal}");
    }
}

/// In the place of mke2fs stands a program that interrupts who called it.
#[test]
fn an_interrupted_disk_leaves_nothing() {
    let bench = Bench::new();
    for signal in ["INT", "TERM"] {
        bench.sh(&format!("printf '#!/bin/sh\\nkill -s {signal} $PPID; sleep 1' > mke2fs"));
        bench.sh("chmod +x mke2fs");
        let mut pintle = Command::new(env!("CARGO_BIN_EXE_pintle"));
        pintle.args("disk -o d --size 32MiB".split(' ')).current_dir(&bench.0);
        let path = format!("{}:/usr/bin:/bin", bench.0.path().display());
        let output = pintle.env("PATH", path).output().unwrap();
        assert!(!output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert_eq!(bench.sh("ls -A"), "mke2fs\n");
    }
}

#[test]
fn a_disk_that_is_too_small_is_an_error_and_not_half_a_disk() {
    let bench = Bench::new();
    for sequence in 1..=12 {
        bench.release(sequence);
    }
    let releases: String = (1..=12).map(|sequence| format!(" --release {sequence}")).collect();
    let refusal = bench.refusal(&format!("-o d --size 16MiB{releases}"));
    assert!(refusal.contains("Could not allocate block"), "{refusal}");
}
