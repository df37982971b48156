//! What stage 1 tells stage 2: a postcard file in `/run`, because the two may be different programs.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use pintle_config::Boot;
use pintle_mount::Root;

/// Written by stage 1, read once by stage 2.
const PATH: &str = "/run/pintle/handover.bin";

/// The boot configuration's limit, some names, and the reasons of refusals.
const BYTES_MAX: u64 = (Boot::BYTES_MAX + 16 * 1024) as u64;

/// The version of the format: stage 2 comes from the image and may be older or newer than stage 1.
const VERSION: u8 = 2;

/// What stage 1 knows and stage 2 needs.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Handover {
    /// The entry's directory in `images/`, after its try was counted.
    pub(crate) entry: String,
    /// The version in its seal.
    pub(crate) version: String,
    /// The root hash in its seal, in hexadecimal.
    pub(crate) root_hash: String,
    /// What checks its blocks, and how the kernel calls them when they are wrong.
    pub(crate) root: Checked,
    /// The entries that would have been booted before this one.
    pub(crate) refused: Vec<Refused>,
    /// Whether the command line of an unlocked machine asks for a shell beside the services.
    pub(crate) shell: WantsShell,
    /// How much of the report the virtio port has.
    pub(crate) report_sent: u64,
    /// The boot configuration with the command line applied, as `boot.bin` has it.
    pub(crate) boot: Vec<u8>,
}

/// An entry that was passed over.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Refused {
    pub(crate) entry: String,
    pub(crate) reason: String,
}

/// [`Root`], as it is written.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) enum Checked {
    Dm { minor: u32 },
    Fs { device: String, inode: u64 },
}

impl From<Root> for Checked {
    fn from(root: Root) -> Self {
        match root {
            Root::Dm { minor } => Self::Dm { minor },
            Root::Fs { device, inode } => Self::Fs { device, inode },
        }
    }
}

impl From<Checked> for Root {
    fn from(checked: Checked) -> Self {
        match checked {
            Checked::Dm { minor } => Self::Dm { minor },
            Checked::Fs { device, inode } => Self::Fs { device, inode },
        }
    }
}

/// Whether there is to be a shell.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
pub(crate) enum WantsShell {
    Yes,
    No,
}

/// Why stage 2 does not know what stage 1 did.
#[derive(Debug)]
pub(crate) enum Error {
    /// The file cannot be written or read.
    File(std::io::Error),
    /// The bytes are of another version of the format.
    Version(Option<u8>),
    /// The bytes are not a handover.
    Malformed(postcard::Error),
}

impl Handover {
    /// Leaves it in `/run`, for root alone.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let bytes = postcard::to_extend(self, vec![VERSION])?;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(PATH)?;
        Ok(std::io::Write::write_all(&mut file, &bytes)?)
    }

    /// Finds it there again.
    pub(crate) fn read() -> Result<Self, Error> {
        let mut bytes = Vec::new();
        std::fs::File::open(PATH)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
        Self::from_bytes(&bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.split_first() {
            Some((&VERSION, body)) => Ok(postcard::from_bytes(body)?),
            other => Err(Error::Version(other.map(|(version, _)| *version))),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(cause) => write!(f, "cannot use {PATH}: {cause}"),
            Self::Version(Some(found)) => {
                write!(f, "cannot read {PATH}: it has version {found}, expected {VERSION}")
            }
            Self::Version(None) => write!(f, "cannot read {PATH}: it is empty"),
            Self::Malformed(cause) => write!(f, "cannot read {PATH}: {cause}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(cause: std::io::Error) -> Self {
        Self::File(cause)
    }
}

impl From<postcard::Error> for Error {
    fn from(cause: postcard::Error) -> Self {
        Self::Malformed(cause)
    }
}
