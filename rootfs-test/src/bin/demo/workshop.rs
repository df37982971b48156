//! Where the demo's images are made.

use std::path::PathBuf;

use anyhow::Result;
use pintle_rootfs_test::{Base, ContainerImage, Initrd, Kernel, Keys, Release, Series};

/// Says hello, and stays.
const GREETER: &str = r#"
[service.greeter]
description = "Says which version it is"
command = ["/bin/sh", "-c", "echo hello from VERSION > /run/greeting; exec sleep infinity"]
essential = true
health-command = ["/bin/grep", "hello", "/run/greeting"]
"#;

/// Ends as soon as it is started, each time.
const BROKEN_GREETER: &str = r#"
[service.greeter]
description = "Has a mistake"
command = ["/bin/sh", "-c", "echo cannot say hello >&2; exit 1"]
essential = true
start-limit-burst = 2
"#;

/// What the demo boots and installs.
pub(crate) struct Workshop {
    pub(crate) kernel: Kernel,
    pub(crate) initrd: PathBuf,
    pub(crate) first: Release,
    pub(crate) second: Release,
    pub(crate) broken: Release,
    pub(crate) strange: Release,
}

impl Workshop {
    pub(crate) fn open() -> Result<Workshop> {
        let (builder, stranger) = (Keys::of("builder")?, Keys::of("stranger")?);
        let kernel = Kernel::fetch(Series::Linux6_12)?;
        Ok(Workshop {
            initrd: Initrd::of(&kernel, &builder).make()?,
            first: Release::build(&greeter("1.0.0"), 1, &builder)?,
            second: Release::build(&greeter("1.1.0"), 2, &builder)?,
            broken: Release::build(&broken_greeter("1.2.0"), 3, &builder)?,
            strange: Release::build(&greeter("1.3.0"), 4, &stranger)?,
            kernel,
        })
    }
}

pub(crate) fn greeter(version: &str) -> ContainerImage {
    let toml = GREETER.replace("VERSION", version);
    ContainerImage::of(Base::Busybox, version).service("greeter", &toml)
}

fn broken_greeter(version: &str) -> ContainerImage {
    ContainerImage::of(Base::Busybox, version).service("greeter", BROKEN_GREETER)
}
