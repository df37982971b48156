//! What `pintle initrd` put beside this binary: the boot configuration, the keys, the modules.

use std::fmt;
use std::fs;
use std::io::{self, Read};

use pintle_config::{Boot, ModuleTable};
use pintle_verify::KeySet;

const BOOT: &str = "/pintle/boot.bin";
const KEYS: &str = "/pintle/keys.bin";
const MODULES: &str = "/pintle/modules.bin";

/// The initramfs is as trustworthy as this binary; the limit is for what was packed by mistake.
const BYTES_MAX: u64 = 8 << 20;

/// The parts of an initramfs.
pub(crate) struct Initramfs {
    pub(crate) boot: Boot,
    pub(crate) keys: KeySet,
    /// As they were packed: stage 2's children read them again.
    pub(crate) key_bytes: Vec<u8>,
    pub(crate) modules: ModuleTable,
}

/// Why an initramfs is not one of ours.
#[derive(Debug)]
pub(crate) enum Error {
    File { path: &'static str, cause: io::Error },
    Config(pintle_config::Error),
    Keys(pintle_verify::Error),
}

impl Initramfs {
    /// Reads all its parts.
    pub(crate) fn read() -> Result<Self, Error> {
        let key_bytes = read(KEYS)?;
        Ok(Self {
            boot: Boot::from_bytes(&read(BOOT)?)?,
            keys: KeySet::from_bytes(&key_bytes)?,
            key_bytes,
            modules: ModuleTable::from_bytes(&read(MODULES)?)?,
        })
    }
}

fn read(path: &'static str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|cause| Error::File { path, cause })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, cause } => {
                write!(
                    f,
                    "cannot read {path} of the initramfs: {cause}; was it made by pintle initrd?"
                )
            }
            Self::Config(cause) => cause.fmt(f),
            Self::Keys(cause) => cause.fmt(f),
        }
    }
}

impl From<pintle_config::Error> for Error {
    fn from(cause: pintle_config::Error) -> Self {
        Self::Config(cause)
    }
}

impl From<pintle_verify::Error> for Error {
    fn from(cause: pintle_verify::Error) -> Self {
        Self::Keys(cause)
    }
}
