//! Why an entry is not booted.

use std::fmt;

/// One reason; the next entry is tried.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is on trial and its try cannot be counted.
    Uncounted(pintle_update::Error),
    /// Its files are not there, or not readable.
    Files(pintle_update::Error),
    /// Its seal is not believed.
    Seal(pintle_verify::Refusal),
    /// Its seal is believed, but it is another entry's.
    OtherSeal { sequence: u64 },
    /// The boot configuration names an image id that is none.
    ImageId(pintle_verify::Error),
    /// Its image is not what was sealed, or cannot be mounted.
    Mount(pintle_mount::Error),
    /// Its descriptors cannot be used.
    Descriptors(std::io::Error),
    /// Nothing here can verify an image.
    NoWay,
    /// What it wants to run cannot be read.
    System(String),
    /// Its own pintle-init cannot be read.
    Init(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uncounted(cause) => write!(f, "cannot count its try: {cause}"),
            Self::Files(cause) => cause.fmt(f),
            Self::Seal(cause) => cause.fmt(f),
            Self::OtherSeal { sequence } => {
                write!(f, "its seal is that of another entry, with sequence {sequence}")
            }
            Self::ImageId(cause) => cause.fmt(f),
            Self::Mount(cause) => cause.fmt(f),
            Self::Descriptors(cause) => write!(f, "cannot use its files: {cause}"),
            Self::NoWay => f.write_str("there is no way to verify it"),
            Self::System(cause) => f.write_str(cause),
            Self::Init(cause) => write!(f, "cannot use its pintle-init: {cause}"),
        }
    }
}

macro_rules! from {
    ($($variant:ident($type:ty)),+) => { $(
        impl From<$type> for Refusal {
            fn from(cause: $type) -> Self {
                Self::$variant(cause)
            }
        }
    )+ };
}

from!(
    Files(pintle_update::Error),
    Seal(pintle_verify::Refusal),
    ImageId(pintle_verify::Error),
    Mount(pintle_mount::Error),
    Descriptors(std::io::Error)
);
