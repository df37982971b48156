//! What was not signed is not run: it is refused before it is used, or the machine reacts when it is read.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use pintle_rootfs_test::{
    Base, Board, ContainerImage, End, Ext4, Initrd, Kernel, Keys, Machine, Release, Series, State,
    Vm, initramfs,
};
use sha2::{Digest, Sha256};

/// Where an EROFS image has its superblock.
const SUPERBLOCK: u64 = 1024;

/// A file of the image that nothing reads until a story does.
const LATER: &str = "/usr/share/later";

/// What somebody did to a release, the newest entry first, and words of which one is in the reason that the machine gives.
type Crime = (&'static str, fn(&Path, &Release) -> Result<()>, &'static str);

const CRIMES: [Crime; 9] = [
    (
        "flipped bit in the EROFS superblock",
        |entry, _| flip(entry, "root.img", SUPERBLOCK),
        "corrupted|fs-verity digest",
    ),
    (
        "flipped bit in the root inode",
        |entry, _| flip(entry, "root.img", root_inode(entry)?),
        "corrupted|fs-verity digest",
    ),
    ("flipped bit in the hash tree's root", |entry, _| flip(entry, "root.tree", 4096), "corrupted"),
    ("flipped bit in the seal's statement", |entry, _| flip(entry, "seal", 12), "signature by key"),
    ("flipped bit in the signature", |entry, _| flip_last(entry, "seal"), "signature by key"),
    ("another release's seal", |entry, other| copy(other, entry, "seal"), "another entry"),
    ("truncated image", |entry, _| resize(entry, -4096), "trust the image: it has"),
    ("grown image", |entry, _| resize(entry, 4096), "trust the image: it has"),
    ("missing hash tree", |entry, _| Ok(fs::remove_file(entry.join("root.tree"))?), "root.tree"),
];

#[test]
fn dm_verity_refuses_every_crime_and_the_good_entry_boots() -> Result<()> {
    refuses("dm")
}

#[test]
fn fs_verity_refuses_every_crime_and_the_good_entry_boots() -> Result<()> {
    refuses("fs")
}

/// All crimes stand in one machine, above the good entry: one boot has to get past each of them.
fn refuses(verity: &str) -> Result<()> {
    // fs-verity reads no `root.tree`: the kernel has made a tree of its own, whose root the seal names.
    let matters = |(crime, _, _): &Crime| verity == "dm" || !crime.contains("tree's root");
    let crimes: Vec<Crime> = CRIMES.into_iter().filter(matters).collect();
    let (keys, kernel) = (Keys::of("builder")?, Kernel::fetch(Series::Linux6_12)?);
    let good = Release::build(&ContainerImage::of(Base::Busybox, "1.0.0"), 1, &keys)?;
    let stranger = Keys::of("stranger")?;
    let strange = Release::build(&ContainerImage::of(Base::Busybox, "2.0.0"), 2, &stranger)?;
    let other_id = ContainerImage::of(Base::Busybox, "3.0.0").id("other");
    let other_id = Release::build(&other_id, 3, &keys)?;
    let other_machine = ContainerImage::of(Base::Busybox, "5.0.0").architecture("arm64");
    let other_machine = Release::build(&other_machine, 5, &keys)?;
    let weakly_signed = Release::build(&ContainerImage::of(Base::Busybox, "6.0.0"), 6, &keys)?;
    let mut state = State::new()?
        .with("1_1.0.0", &good)?
        .with("2_2.0.0", &strange)?
        .with("3_3.0.0", &other_id)?
        // An old image under a name that looks new.
        .with("4_4.0.0", &good)?
        .with("5_5.0.0", &other_machine)?
        .with("6_6.0.0", &weakly_signed)?;
    sign_weakly(&state.entry("6_6.0.0"))?;
    for (sequence, &(crime, commit, _)) in (10..).zip(&crimes) {
        let version = format!("{sequence}.0.0");
        let image = ContainerImage::of(Base::Busybox, &version);
        let release = Release::build(&image, sequence, &keys)?;
        let entry = format!("{sequence}_{version}");
        state = state.with(&entry, &release)?;
        commit(&state.entry(&entry), &good).context(crime)?;
    }
    let disk = state.disk()?;
    let initrd = Initrd::of(&kernel, &keys).set(&format!("verity={verity}")).make()?;
    let vm = Vm::on(Board::Q35, &kernel).initrd(&initrd).cmdline("quiet").disk(disk.disk());
    let mut machine = vm.boot()?;
    machine.wait_for("healthy")?;
    for (sequence, &(crime, _, word)) in (10..).zip(&crimes) {
        refused(&machine, &format!("{sequence}_{sequence}.0.0"), word).context(crime)?;
    }
    let status = machine.run(&["/bin/pintlectl", "status"])?;
    ensure!(status.contains("refused   17_17.0.0: "), "{status}");
    refused(&machine, "2_2.0.0", "trusted keys").context("a stranger's key")?;
    refused(&machine, "3_3.0.0", "another image").context("another image id")?;
    refused(&machine, "4_4.0.0", "another entry").context("an old image under a new name")?;
    refused(&machine, "5_5.0.0", "arm64").context("another architecture")?;
    refused(&machine, "6_6.0.0", "trusted keys").context("a weak key's signature")?;
    let mounted: Vec<_> =
        machine.reports().iter().filter(|report| report.event() == "root-mounted").collect();
    ensure!(mounted.last().is_some_and(|report| report.text("entry") == "1_1.0.0"), "{mounted:?}");
    Ok(())
}

fn refused(machine: &Machine, entry: &str, word: &str) -> Result<()> {
    let refusal = machine
        .reports()
        .iter()
        .find(|report| report.event() == "entry-refused" && report.text("entry") == entry)
        .with_context(|| format!("{entry} was not refused: {:#?}", machine.reports()))?;
    let reason = refusal.text("reason");
    ensure!(
        word.split('|').any(|word| reason.contains(word)),
        "{entry} was refused for another reason: {reason}"
    );
    Ok(())
}

/// The neutral element of the curve, of order 1: under it anything verifies for who multiplies by the cofactor.
const WEAK_KEY: [u8; 32] = {
    let mut key = [0; 32];
    key[0] = 1;
    key
};

/// Puts into the place of the one signature another one, which holds under [`WEAK_KEY`] by the lax rules: R is the neutral
/// element, and S is 0.
fn sign_weakly(entry: &Path) -> Result<()> {
    let mut seal = fs::read(entry.join("seal"))?;
    let start = seal.len().checked_sub(8 + 64).context("a seal without a signature")?;
    let id = Sha256::digest(WEAK_KEY);
    let signature = [&id[..8], &WEAK_KEY[..], &[0; 32][..]].concat();
    seal[start..].copy_from_slice(&signature);
    Ok(fs::write(entry.join("seal"), seal)?)
}

/// `pintle initrd` takes no such key; this initramfs got it in another way.
#[test]
fn a_machine_that_is_made_to_trust_a_weak_key_runs_nothing() -> Result<()> {
    let (keys, kernel) = (Keys::of("builder")?, Kernel::fetch(Series::Linux6_12)?);
    let release = Release::build(&ContainerImage::of(Base::Busybox, "6.0.0"), 6, &keys)?;
    let state = State::new()?.with("6_6.0.0", &release)?;
    sign_weakly(&state.entry("6_6.0.0"))?;
    let disk = state.disk()?;
    let initrd = Initrd::of(&kernel, &keys).set("recovery-delay=1s").make()?;
    let folder = tempfile::tempdir()?;
    let keys = [&[1, 1, 1], &WEAK_KEY[..]].concat();
    let forged = initramfs::with_more(&initrd, "pintle/keys.bin", &keys, folder.path())?;
    let vm = Vm::on(Board::Q35, &kernel).initrd(&forged).cmdline("quiet").disk(disk.disk());
    let mut machine = vm.ending_on_reset().boot()?;
    ensure!(machine.wait_for_end()? == End::Reset);
    let booted = machine.reports().iter().any(|report| report.event() == "root-mounted");
    ensure!(!booted && disk.names_in("/trust")?.is_empty(), "it has run");
    Ok(())
}

/// Each reaction by both ways of checking.
macro_rules! reacts {
    ($($by_dm:ident $by_fs:ident: $reacts:ident;)+) => { $(
        #[test]
        fn $by_dm() -> Result<()> {
            $reacts("dm")
        }

        #[test]
        fn $by_fs() -> Result<()> {
            $reacts("fs")
        }
    )+ };
}

reacts! {
    a_changed_block_by_dm_is_an_alert a_changed_block_by_fs_is_an_alert: alerts;
    a_changed_block_by_dm_restarts a_changed_block_by_fs_restarts: restarts;
    a_changed_block_by_dm_reboots a_changed_block_by_fs_reboots: reboots;
    a_changed_block_by_dm_stops a_changed_block_by_fs_stops: stops;
}

fn alerts(verity: &str) -> Result<()> {
    let (mut machine, _disk) = machine_with_a_changed_block(verity, "alert")?;
    let read = machine.try_run(&["/bin/cat", LATER])?;
    ensure!(read.status != 0, "a changed block was read");
    let corruption = machine.wait_for("corruption")?;
    ensure!(corruption.text("reaction") == "alert", "{}", corruption.line());
    machine.run(&["/bin/true"])?;
    Ok(())
}

fn restarts(verity: &str) -> Result<()> {
    let (mut machine, _disk) = machine_with_a_changed_block(verity, "restart-service")?;
    // The agent is among what is restarted, and does not answer.
    machine.order(&["/bin/cat", LATER])?;
    machine.wait_for("corruption")?;
    machine.wait_until("the agent is up again", |report| {
        report.event() == "service"
            && report.text("name") == "agent"
            && report.text("state") == "up"
    })?;
    Ok(())
}

fn reboots(verity: &str) -> Result<()> {
    let (mut machine, _disk) = machine_with_a_changed_block(verity, "reboot")?;
    machine.order(&["/bin/cat", LATER])?;
    machine.wait_for("corruption")?;
    machine.wait_for("entry-demoted")?;
    machine.wait_for("last-report")?;
    let tried = machine.wait_for("entry-chosen")?;
    ensure!(tried.text("entry") == "2_2.0.0+2-1", "{}", tried.line());
    machine.wait_for("healthy")?;
    let kept = machine.run(&["/bin/cat", "/run/pintle/state/last-report.jsonl"])?;
    ensure!(kept.contains("\"event\":\"corruption\""), "the alert is lost: {kept}");
    Ok(())
}

fn stops(verity: &str) -> Result<()> {
    let (mut machine, disk) = machine_with_a_changed_block(verity, "stop")?;
    machine.order(&["/bin/cat", LATER])?;
    machine.wait_for("corruption")?;
    ensure!(machine.wait_for_end()? == End::PowerOff);
    disk.check()
}

/// A service that meets the block at each start has the machine leave the image in the end. It goes on reading, for the
/// kernel logs no more than ten corrupt reads in five seconds.
#[test]
fn services_are_not_restarted_for_ever() -> Result<()> {
    const READER: &str = r#"
[service.reader]
command = ["/bin/sh", "-c", "until test -e /run/read; do sleep 1; done; while :; do cat /usr/share/later; sleep 1; done"]
"#;
    let (mut machine, _disk) = machine_with("fs", "restart-service", READER)?;
    machine.order(&["/bin/touch", "/run/read"])?;
    let last = machine.wait_until("the other reaction", |report| {
        report.event() == "corruption" && report.text("reaction") == "reboot"
    })?;
    machine.wait_for("entry-demoted")?;
    let before = machine.reports().iter().filter(|report| {
        report.event() == "corruption" && report.text("reaction") == "restart-service"
    });
    ensure!(before.count() >= 5, "{}", last.line());
    Ok(())
}

/// A machine that is well, and a block of its running image changed below it that nobody has read since.
fn machine_with_a_changed_block(verity: &str, policy: &str) -> Result<(Machine, Ext4)> {
    machine_with(verity, policy, "")
}

fn machine_with(verity: &str, policy: &str, services: &str) -> Result<(Machine, Ext4)> {
    let (keys, kernel) = (Keys::of("builder")?, Kernel::fetch(Series::Linux6_12)?);
    let content = "what nobody has read yet\n".repeat(4096);
    let image = |version| ContainerImage::of(Base::Busybox, version);
    let older = Release::build(&image("1.0.0"), 1, &keys)?;
    let later = image("2.0.0").file(&LATER[1..], 0o644, &content).service("more", services);
    let release = Release::build(&later, 2, &keys)?;
    let disk = State::new()?.with("1_1.0.0", &older)?.with("2_2.0.0", &release)?.disk()?;
    let initrd = Initrd::of(&kernel, &keys).set(&format!("verity={verity}"));
    let initrd = initrd.set(&format!("on-corruption={policy}")).make()?;
    let vm = Vm::on(Board::Q35, &kernel).initrd(&initrd).cmdline("quiet").disk(disk.disk());
    let mut machine = vm.boot()?;
    machine.wait_for("blessed")?;
    let root = fs::read(release.folder().join("root.img"))?;
    let start = find(&root, content.as_bytes()).context("the file is not in the image")?;
    disk.flip("/images/2_2.0.0/root.img", start + 40_960)?;
    // Blocks that were verified before stay verified in the page cache.
    machine.run(&["/bin/sh", "-c", "echo 3 > /proc/sys/vm/drop_caches"])?;
    Ok((machine, disk))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<u64> {
    let mut blocks = bytes.chunks(4096).zip((0..).step_by(4096));
    blocks.find(|(block, _)| wanted.starts_with(&block[..64.min(block.len())])).map(|(_, at)| at)
}

fn flip(entry: &Path, name: &str, offset: u64) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(entry.join(name))?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    Ok(file.write_all_at(&[byte[0] ^ 1], offset)?)
}

fn flip_last(entry: &Path, name: &str) -> Result<()> {
    let length = fs::metadata(entry.join(name))?.len();
    flip(entry, name, length - 1)
}

/// By `struct erofs_super_block`: the root's nid at 14, the first metadata block at 40.
fn root_inode(entry: &Path) -> Result<u64> {
    let image = fs::read(entry.join("root.img"))?;
    let superblock = image.get(1024..1152).context("no superblock")?;
    let nid = u16::from_le_bytes(superblock[14..16].try_into()?);
    let block = u32::from_le_bytes(superblock[40..44].try_into()?);
    Ok(u64::from(block) * 4096 + u64::from(nid) * 32)
}

fn resize(entry: &Path, by: i64) -> Result<()> {
    let file = OpenOptions::new().write(true).open(entry.join("root.img"))?;
    let length = file.metadata()?.len();
    Ok(file.set_len(length.checked_add_signed(by).context("no such length")?)?)
}

fn copy(from: &Release, entry: &Path, name: &str) -> Result<()> {
    fs::copy(from.folder().join(name), entry.join(name))?;
    Ok(())
}
