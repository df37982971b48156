//! What a machine does not install, whoever offers it under the tag that it follows.

use std::fs;

use anyhow::{Context, Result, ensure};
use pintle_rootfs_test::{
    Base, Board, ContainerImage, Initrd, Kernel, Keys, Machine, Network, Registry, Release, Series,
    State, Vm,
};
use pintle_verify::{Architecture, Digest, Seal, SigningKey, peek};

const TAG: &str = "os/tiny:stable";

/// The installed release, and one that would be newer.
const INSTALLED: u64 = 10;
const NEWER: u64 = 20;

/// The first look at the tag comes within seconds.
const SYSTEM: &str = "[system]\nhealth-timeout = \"20s\"\n";

/// An offer: what is different from a good release, who signs it, and why it is refused.
struct Offer {
    name: &'static str,
    change: fn(&mut Seal),
    signer: &'static str,
    reason: &'static str,
}

/// The first stays in the tag: a release for another architecture makes room for none of this one.
const OFFERS: [Offer; 7] = [
    Offer {
        name: "another architecture",
        change: |seal| seal.architecture = Architecture::Aarch64,
        signer: "builder",
        reason: "it has no release for amd64",
    },
    Offer {
        name: "past its time",
        change: |seal| seal.best_before = Some(1_700_000_000),
        signer: "builder",
        reason: "it was to be installed before 1700000000",
    },
    Offer {
        name: "an older sequence",
        change: |seal| seal.sequence = INSTALLED - 1,
        signer: "builder",
        reason: "10 is installed and newer",
    },
    Offer {
        name: "an older sequence, by a floor above it",
        change: |seal| (seal.sequence, seal.floor) = (INSTALLED - 2, INSTALLED - 2),
        signer: "builder",
        reason: "10 is installed and newer",
    },
    Offer {
        name: "the installed sequence with another image",
        change: |seal| seal.sequence = INSTALLED,
        signer: "builder",
        reason: "another image has its sequence",
    },
    Offer {
        name: "another machine's image id",
        change: |seal| seal.image_id = "other".parse().unwrap_or_else(|_| seal.image_id.clone()),
        signer: "builder",
        reason: "another image",
    },
    Offer {
        name: "a stranger's signature",
        change: |_| (),
        signer: "stranger",
        reason: "seal is signed by 0 trusted keys, needed 1",
    },
];

#[test]
fn what_must_not_be_installed_is_refused_for_its_reason_and_changes_nothing() -> Result<()> {
    let registry = Registry::start(&Network::enter()?)?;
    let keys = Keys::of("builder")?;
    let installed = Release::build(&image("1.0.0")?, INSTALLED, &keys)?;
    let good = Release::build(&image("2.0.0")?, NEWER, &keys)?;
    let state = State::new()?.with("10_1.0.0", &installed)?.disk()?;
    publish(&registry, &OFFERS[0].of(&good)?)?;
    let mut machine = vm(&keys)?.disk(state.disk()).boot()?;
    machine.wait_until("an alert", |report| {
        report.event() == "alert" && report.text("cause").contains(OFFERS[0].reason)
    })?;
    let before = stored(&mut machine)?;
    for offer in &OFFERS {
        publish(&registry, &offer.of(&good)?).context(offer.name)?;
        offer.is_refused(&mut machine).context(offer.name)?;
        ensure!(stored(&mut machine)? == before, "{}: something changed", offer.name);
    }
    // It was none of the other reasons: the release that they all were is installed.
    publish(&registry, &good)?;
    let said = machine.run(&["/bin/pintlectl", "update"])?;
    ensure!(said.contains("20_2.0.0"), "{said}");
    Ok(())
}

impl Offer {
    fn of(&self, good: &Release) -> Result<Release> {
        let key = fs::read_to_string(Keys::of(self.signer)?.private())?;
        let key = SigningKey::from_pem(&key)?;
        let mut seal = peek(&fs::read(good.folder().join("seal"))?)?;
        (self.change)(&mut seal);
        let file = seal.sign(&[key])?;
        let how = Digest::of(&file).to_string();
        good.changed(&how, |folder| Ok(fs::write(folder.join("seal"), &file)?))
    }

    fn is_refused(&self, machine: &mut Machine) -> Result<()> {
        let ended = machine.try_run(&["/bin/pintlectl", "update"])?;
        let said = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status == 1 && said.contains(self.reason), "{} {said}", ended.status);
        Ok(())
    }
}

fn publish(registry: &Registry, release: &Release) -> Result<()> {
    release.push_over(&registry.reference(TAG), &Registry::authority()?)
}

/// All that an update may change, byte for byte.
fn stored(machine: &mut Machine) -> Result<String> {
    let find = "cd /run/pintle/state && find images trust -type f | sort | xargs sha256sum";
    machine.run(&["/bin/sh", "-c", find])
}

fn image(version: &str) -> Result<ContainerImage> {
    let update = format!(
        "[update]\nfrom = \"{}\"\nca = \"/etc/registry-ca.pem\"\ninterval = \"5min\"\n",
        Registry::reference_of_machines(TAG)
    );
    let image = ContainerImage::of(Base::Busybox, version);
    let image = image.service("system", SYSTEM).networked();
    image.following(&update, &fs::read(Registry::authority()?)?)
}

fn vm(keys: &Keys) -> Result<Vm> {
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let initrd = Initrd::of(&kernel, keys).module("virtio_net").make()?;
    Ok(Vm::on(Board::Q35, &kernel).initrd(&initrd).cmdline("quiet").memory_mib(128).network())
}
