//! A machine with 128 MiB of memory and a tag that it follows: what its builder publishes, and what becomes of it.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use pintle_rootfs_test::{
    Base, Board, ContainerImage, Ext4, Initrd, Kernel, Keys, Machine, Network, Registry, Release,
    Series, State, Vm,
};
use pintle_verify::verity::{LeafHasher, Tree};
use pintle_verify::{SigningKey, Uuid, peek};
use serde_json::Value;
use tempfile::TempDir;

/// The tag.
const TAG: &str = "os/tiny:stable";

/// Where another builder publishes, for others to copy from.
const UPSTREAM: &str = "upstream/tiny:4";

/// More than some checks read, each a seal, and less than any release has.
const CHECKS: u64 = 32 << 10;

/// What each image says about itself: its first check after a boot comes within 13 s, and a health that does not
/// come is soon given up.
const SYSTEM: &str = "[system]\nhealth-timeout = \"20s\"\n";

/// Ends before it is ever ready.
const DIES: &str = r#"
[service.dies]
command = ["/bin/sh", "-c", "exit 3"]
essential = true
start-limit-burst = 2
"#;

/// Runs, and says that it is not well.
const UNWELL: &str = r#"
[service.unwell]
command = ["/bin/sleep", "infinity"]
essential = true
health-command = ["/bin/false"]
"#;

/// Another init, which ends at once: the kernel panics.
const CRASHES: &str = "[system]\ninit = \"/bin/false\"\n";

#[test]
fn a_machine_follows_its_tag_and_comes_back_from_whatever_it_leads_to() -> Result<()> {
    let mut life = Life::begin()?;
    for (number, broken) in broken_releases(&life.keys)?.iter().enumerate() {
        life.leaves(broken, 31 + number as u64).with_context(|| format!("release {number}"))?;
    }
    life.takes_the_fourth()?;
    life.rolls_back()?;
    life.forgets_local_changes()?;
    life.takes_the_fifth_from_a_disk()
}

/// A machine, its builder's registry, and what the two have in common.
struct Life {
    machine: Machine,
    registry: Registry,
    keys: Keys,
    _state: Ext4,
    _stick: Ext4,
}

impl Life {
    /// Version 1 runs, and the tag names version 2.
    fn begin() -> Result<Life> {
        let keys = Keys::of("builder")?;
        let vm = vm(&keys)?;
        let registry = Registry::start(&Network::enter()?)?;
        let window = Window::in_some_hours();
        let first = Release::build(&image("1.0.0", &window.key())?, 10, &keys)?;
        let second = Release::build(&image("2.0.0", "")?, 20, &keys)?;
        let state = State::new()?.with("10_1.0.0", &first)?.disk()?;
        let stick = stick(&Release::build(&image("5.0.0", "")?, 50, &keys)?)?;
        second.push(&registry.reference(TAG), &Registry::authority()?)?;
        let machine = vm.disk(state.disk()).late_disk(stick.disk()).boot()?;
        let mut life = Life { machine, registry, keys, _state: state, _stick: stick };
        life.takes_the_second_in(&window)?;
        Ok(life)
    }

    fn takes_the_second_in(&mut self, window: &Window) -> Result<()> {
        self.machine.wait_for("update-found")?;
        let way = self.machine.wait_for("update-way")?;
        ensure!(way.text("way").starts_with("by blocks: "), "{}", way.line());
        self.machine.wait_for("update-installed")?;
        let waits = self.status()?;
        ensure!(waits["staged"] == "20_2.0.0+1-0", "{waits}");
        ensure!(waits["waits"].as_str().is_some_and(|text| text.contains("window")), "{waits}");
        self.machine.run(&["/bin/date", "-u", "-s", &format!("@{}", window.almost_over())])?;
        self.machine.wait_for("update-reboot")?;
        self.is_blessed("20_2.0.0")
    }

    /// The machine takes it, has its try, and does not take it again.
    fn leaves(&mut self, broken: &Release, sequence: u64) -> Result<()> {
        self.publish(broken)?;
        self.machine.order(&["/bin/pintlectl", "update", "--apply"])?;
        self.machine.wait_until("the try", |report| {
            report.event() == "entry-chosen"
                && report.text("entry").starts_with(&sequence.to_string())
        })?;
        self.machine.wait_until("the entry before", |report| {
            report.event() == "healthy" && report.text("entry") == "20_2.0.0"
        })?;
        self.machine.wait_for("bad-remembered")?;
        let fetched = self.registry.blob_bytes_sent()?;
        let again = self.machine.try_run(&["/bin/pintlectl", "update"])?;
        let said = String::from_utf8_lossy(&again.stderr).into_owned();
        ensure!(again.status == 1 && said.contains("turned out bad"), "{said}");
        ensure!(self.registry.blob_bytes_sent()? < fetched + CHECKS, "it was fetched again");
        Ok(())
    }

    /// It comes as a copy of what was published elsewhere, with the container that stands before it.
    fn takes_the_fourth(&mut self) -> Result<()> {
        let image = image("4.0.0", "")?;
        self.registry.put(&image.oci()?, UPSTREAM)?;
        let release = Release::build(&image, 40, &self.keys)?;
        release.push(&self.registry.reference(UPSTREAM), &Registry::authority()?)?;
        self.registry.copy(UPSTREAM, TAG)?;
        self.machine.order(&["/bin/pintlectl", "update", "--apply"])?;
        self.is_blessed("40_4.0.0")
    }

    fn rolls_back(&mut self) -> Result<()> {
        let said = self.machine.run(&["/bin/pintlectl", "rollback"])?;
        ensure!(said.starts_with("20_2.0.0 boots next"), "{said}");
        self.machine.order(&["/bin/pintlectl", "reboot"])?;
        self.boots("20_2.0.0")?;
        // What was rejected is not news.
        self.machine.wait_until("a check", |report| report.event() == "healthy")?;
        Ok(())
    }

    fn forgets_local_changes(&mut self) -> Result<()> {
        for file in ["/etc/kept", "/etc/lost", "/var/lost"] {
            self.machine.run(&["/bin/touch", file])?;
        }
        self.machine.run(&["/bin/pintlectl", "factory-reset", "--keep", "/etc/kept"])?;
        self.machine.order(&["/bin/pintlectl", "reboot"])?;
        self.boots("20_2.0.0")?;
        self.machine.wait_for("healthy")?;
        self.machine.run(&["/bin/test", "-e", "/etc/kept"])?;
        let lost = "! test -e /etc/lost && ! test -e /var/lost";
        self.machine.run(&["/bin/sh", "-c", lost]).map(drop)
    }

    fn takes_the_fifth_from_a_disk(&mut self) -> Result<()> {
        self.machine.plug_in()?;
        let wait = "until test -b /dev/vdb; do sleep 0.1; done; mount -o ro /dev/vdb /mnt";
        self.machine.run(&["/bin/sh", "-c", wait])?;
        let fetched = self.registry.blob_bytes_sent()?;
        let update = ["/bin/pintlectl", "update", "--from", "/mnt/layout"];
        self.machine.run(&update)?;
        self.machine.order(&["/bin/pintlectl", "reboot"])?;
        self.is_blessed("50_5.0.0")?;
        ensure!(self.registry.blob_bytes_sent()? < fetched + CHECKS, "the registry was asked");
        Ok(())
    }

    fn publish(&self, release: &Release) -> Result<()> {
        release.push(&self.registry.reference(TAG), &Registry::authority()?)
    }

    fn boots(&mut self, entry: &str) -> Result<()> {
        self.machine
            .wait_until(entry, |r| r.event() == "entry-chosen" && r.text("entry") == entry)
            .map(drop)
    }

    fn is_blessed(&mut self, entry: &str) -> Result<()> {
        self.machine
            .wait_until(entry, |r| r.event() == "blessed" && r.text("entry") == entry)
            .map(drop)
    }

    fn status(&mut self) -> Result<Value> {
        let text = self.machine.run(&["/bin/cat", "/run/pintle/update.json"])?;
        serde_json::from_str(&text).with_context(|| text)
    }
}

/// An hour in which the first image may reboot, far enough from now for a story to be told before.
struct Window {
    /// In seconds since 1970.
    opens: u64,
}

impl Window {
    fn in_some_hours() -> Window {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Window { opens: (now / HOUR + 6) * HOUR }
    }

    fn key(&self) -> String {
        let hour = self.opens / HOUR % 24;
        format!("window = [\"{hour:02}:00-{:02}:00\"]\n", hour + 1)
    }

    /// Each machine's turn has begun then.
    fn almost_over(&self) -> u64 {
        self.opens + 50 * 60
    }
}

const HOUR: u64 = 3600;

/// Five ways of being no good, with sequences from 31 on.
fn broken_releases(keys: &Keys) -> Result<[Release; 5]> {
    let image = || image("3.0.0", "");
    let crashing = ContainerImage::with_nothing(Base::Busybox, "3.0.0").service("system", CRASHES);
    let unconnected = ContainerImage::of(Base::Busybox, "3.0.0").service("system", SYSTEM);
    Ok([
        unmountable(&Release::build(&image()?, 31, keys)?, keys)?,
        Release::build(&crashing, 32, keys)?,
        Release::build(&image()?.service("dies", DIES), 33, keys)?,
        Release::build(&image()?.service("unwell", UNWELL), 34, keys)?,
        Release::build(&unconnected.following(&update(""), &authority()?)?, 35, keys)?,
    ])
}

/// The busybox image, following the tag.
fn image(version: &str, more: &str) -> Result<ContainerImage> {
    let image = ContainerImage::of(Base::Busybox, version);
    let image = image.service("system", SYSTEM).networked();
    image.following(&update(more), &authority()?)
}

fn authority() -> Result<Vec<u8>> {
    Ok(fs::read(Registry::authority()?)?)
}

fn update(more: &str) -> String {
    let from = Registry::reference_of_machines(TAG);
    format!(
        "[update]\nfrom = \"{from}\"\nca = \"/etc/registry-ca.pem\"\ninterval = \"5min\"\n\
         grace = \"0s\"\n{more}"
    )
}

/// Signed as it should be, and no file system: its magic number is another one.
fn unmountable(release: &Release, keys: &Keys) -> Result<Release> {
    const SUPERBLOCK: u64 = 1024;
    let spoiled = release.changed("unmountable", |folder| {
        let image = fs::File::options().write(true).open(folder.join("root.img"))?;
        image.write_all_at(b"none", SUPERBLOCK)?;
        sign_anew(folder, keys)
    });
    spoiled.context("cannot spoil the release")
}

fn sign_anew(folder: &Path, keys: &Keys) -> Result<()> {
    let mut seal = peek(&fs::read(folder.join("seal"))?)?;
    let image = fs::read(folder.join("root.img"))?;
    let hasher = LeafHasher::new(&seal.salt);
    let leaves = image.as_chunks().0.iter().map(|block| hasher.leaf(block)).collect();
    let tree = Tree::from_leaves(seal.salt, leaves)?;
    let mut file = fs::File::create(folder.join("root.tree"))?;
    tree.write(&mut file, Uuid::of_image_id(&seal.image_id))?;
    seal.root_hash = tree.root();
    let key = SigningKey::from_pem(&fs::read_to_string(keys.private())?)?;
    Ok(fs::write(folder.join("seal"), seal.sign(&[key])?)?)
}

/// A disk with a release in an OCI layout on it.
fn stick(release: &Release) -> Result<Ext4> {
    let folder = TempDir::with_prefix("pintle-stick-")?;
    let layout = format!("oci:{}:stable", folder.path().join("layout").display());
    release.push(&layout, &Registry::authority()?)?;
    Ext4::of(folder.path(), "stick")
}

fn vm(keys: &Keys) -> Result<Vm> {
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let initrd = Initrd::of(&kernel, keys).module("virtio_net").set("tries=1");
    let initrd = initrd.set("panic-timeout=1s").make()?;
    let vm = Vm::on(Board::Q35, &kernel).initrd(&initrd).cmdline("quiet");
    Ok(vm.memory_mib(128).network())
}
