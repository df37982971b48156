//! What the host tool makes: keys, releases and initramfs, cached by what goes into them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::Recipe;
use crate::cargo::Binary;
use crate::container::ContainerImage;
use crate::host::{program, run};
use crate::kernel::Kernel;

/// What all machines of the rig have in common. A second is enough for what fails at once, and stories are many.
const BOOT: &str = "image-id = \"demo\"\nreport = \"org.pintle.report\"\nmin-ready = \"1s\"\n";

/// A key pair in PEM files.
#[derive(Clone, Debug)]
pub struct Keys {
    folder: PathBuf,
}

/// An image with its hash tree and seal: `root.img`, `root.tree` and `seal` in a folder.
#[derive(Clone, Debug)]
pub struct Release {
    folder: PathBuf,
    summary: String,
}

/// What `pintle initrd` is told.
#[derive(Clone, Debug)]
pub struct Initrd {
    kernel: PathBuf,
    keys: Keys,
    settings: Vec<String>,
    modules: Vec<String>,
    repairs: Repairs,
    shell: Option<PathBuf>,
}

/// Whether an initramfs carries e2fsck.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Repairs {
    ByE2fsck,
    Without,
}

impl Keys {
    /// The key pair of somebody; the same name is the same person.
    pub fn of(name: &str) -> Result<Keys> {
        let folder = Recipe::new("keys").with(name).folder(|folder| {
            run(pintle()?.arg("keygen").arg("--output").arg(folder.join("key"))).map(drop)
        })?;
        Ok(Keys { folder })
    }

    /// The private key.
    pub fn private(&self) -> PathBuf {
        self.folder.join("key.key")
    }

    /// The public key.
    pub fn public(&self) -> PathBuf {
        self.folder.join("key.pub")
    }
}

impl Release {
    /// Builds and signs an image.
    ///
    /// # Errors
    /// When `pintle build` fails, or the image cannot be made.
    pub fn build(image: &ContainerImage, sequence: u64, keys: &Keys) -> Result<Release> {
        let source = image.oci()?;
        let sequence = sequence.to_string();
        let recipe = Recipe::new("release").with_file(&Binary::Pintle.build()?)?;
        let recipe = recipe.with(&source).with(&sequence).with_file(&keys.private())?;
        let folder = recipe.folder(|folder| {
            let release = folder.join("release");
            let mut command = pintle()?;
            command.args(["build", "--quiet", &source, "--arch", image.made_for()]);
            command.args(["--sequence", &sequence, "--key"]).arg(keys.private());
            let said = run(command.arg("--output").arg(release))?;
            Ok(fs::write(folder.join("summary"), said.trim())?)
        })?;
        let summary = fs::read_to_string(folder.join("summary"))?;
        Ok(Release { folder: folder.join("release"), summary })
    }

    /// What `pintle build` says about it.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Publishes it: `reference` as `pintle push` takes it. `authorities` have signed the registry's certificate.
    ///
    /// # Errors
    /// When `pintle push` fails.
    pub fn push(&self, reference: &str, authorities: &Path) -> Result<()> {
        run(&mut self.pushing(reference, authorities)?).map(drop)
    }

    /// Publishes it, whatever is there.
    ///
    /// # Errors
    /// When `pintle push` fails.
    pub fn push_over(&self, reference: &str, authorities: &Path) -> Result<()> {
        run(self.pushing(reference, authorities)?.arg("--force")).map(drop)
    }

    fn pushing(&self, reference: &str, authorities: &Path) -> Result<Command> {
        let mut command = pintle()?;
        command.args(["push", "--quiet", "--fast", "--ca"]).arg(authorities);
        command.arg(&self.folder).arg(reference);
        Ok(command)
    }

    /// Another release: a copy that `change` has changed in its folder. `how` tells this change from all others.
    ///
    /// # Errors
    /// When it cannot be copied or changed.
    pub fn changed(&self, how: &str, change: impl FnOnce(&Path) -> Result<()>) -> Result<Release> {
        let recipe = Recipe::new("changed").with(how).with_file(&self.folder.join("seal"))?;
        let folder = recipe.folder(|folder| {
            let release = folder.join("release");
            self.copy_to(&release)?;
            change(&release)
        })?;
        Ok(Release { folder: folder.join("release"), summary: self.summary.clone() })
    }

    /// Puts a copy of it into a new folder.
    pub fn copy_to(&self, to: &Path) -> Result<()> {
        run(program("cp").args(["--recursive", "--reflink=auto"]).arg(&self.folder).arg(to))
            .map(drop)
    }

    /// The folder of its files. It is shared: copy it before changing anything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Initrd {
    /// For a machine with this kernel that trusts these keys, locked, and boots images with the id `demo`.
    pub fn of(kernel: &Kernel, keys: &Keys) -> Initrd {
        let (kernel, keys) = (kernel.package(), keys.clone());
        let (settings, modules) = (Vec::new(), Vec::new());
        Initrd { kernel, keys, settings, modules, repairs: Repairs::ByE2fsck, shell: None }
    }

    /// With a key of the boot configuration, as in `tries=2`.
    #[must_use]
    pub fn set(mut self, setting: &str) -> Initrd {
        self.settings.push(setting.into());
        self
    }

    /// With one more kernel module.
    #[must_use]
    pub fn module(mut self, name: &str) -> Initrd {
        self.modules.push(name.into());
        self
    }

    /// Without e2fsck.
    #[must_use]
    pub fn without_e2fsck(mut self) -> Initrd {
        self.repairs = Repairs::Without;
        self
    }

    /// With this program for a shell.
    #[must_use]
    pub fn shell(mut self, program: &Path) -> Initrd {
        self.shell = Some(program.to_owned());
        self
    }

    /// Makes the initramfs.
    ///
    /// # Errors
    /// When `pintle initrd` fails.
    pub fn make(&self) -> Result<PathBuf> {
        let init = Binary::Init.build()?;
        let mut recipe =
            Recipe::new("initrd").with_file(&Binary::Pintle.build()?)?.with_file(&init)?;
        recipe =
            recipe.with(self.kernel.to_string_lossy().as_bytes()).with_file(&self.keys.public())?;
        recipe = recipe.with(BOOT);
        recipe = recipe.with(self.settings.join("\n")).with(self.modules.join("\n"));
        recipe = recipe.with(format!("{:?} {:?}", self.repairs, self.shell));
        if let Some(shell) = &self.shell {
            recipe = recipe.with_file(shell)?;
        }
        let folder = recipe.folder(|folder| {
            let config = folder.join("boot.toml");
            fs::write(&config, BOOT)?;
            run(self
                .command(&init)?
                .arg("--config")
                .arg(config)
                .arg("--output")
                .arg(folder.join("initrd")))
            .map(drop)
        })?;
        Ok(folder.join("initrd"))
    }

    fn command(&self, init: &Path) -> Result<Command> {
        let mut command = pintle()?;
        command.arg("initrd").arg("--init").arg(init).arg("--kernel").arg(&self.kernel);
        command.arg("--keys").arg(self.keys.public());
        if self.repairs == Repairs::ByE2fsck {
            command.args(["--e2fsck", "/sbin/e2fsck.static"]);
        }
        if let Some(shell) = &self.shell {
            command.arg("--shell").arg(shell);
        }
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        for module in &self.modules {
            command.args(["--module", module]);
        }
        Ok(command)
    }
}

fn pintle() -> Result<Command> {
    Binary::Pintle.build().map(Command::new).context("cannot build the host tool")
}
