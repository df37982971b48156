use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// What machine an image runs on. Text is OCI's name (Go's `GOARCH`).
///
/// The order of the variants is the seal's encoding: append, never reorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Architecture {
    /// `amd64`
    #[serde(rename = "amd64")]
    X86_64,
    /// `arm64`
    #[serde(rename = "arm64")]
    Aarch64,
    /// `arm`
    #[serde(rename = "arm")]
    Arm,
    /// `386`
    #[serde(rename = "386")]
    X86,
    /// `riscv64`
    #[serde(rename = "riscv64")]
    Riscv64,
    /// `loong64`
    #[serde(rename = "loong64")]
    LoongArch64,
}

impl Architecture {
    /// All of them, in the order of their encoding.
    pub const ALL: [Self; 6] =
        [Self::X86_64, Self::Aarch64, Self::Arm, Self::X86, Self::Riscv64, Self::LoongArch64];

    /// The one that this program was compiled for.
    pub const fn running() -> Self {
        RUNNING
    }

    /// OCI's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
            Self::X86 => "386",
            Self::Riscv64 => "riscv64",
            Self::LoongArch64 => "loong64",
        }
    }
}

// No fallback: a target without a name here does not compile, rather than taking any image for its
// own.
#[cfg(target_arch = "x86_64")]
const RUNNING: Architecture = Architecture::X86_64;
#[cfg(target_arch = "aarch64")]
const RUNNING: Architecture = Architecture::Aarch64;
#[cfg(target_arch = "arm")]
const RUNNING: Architecture = Architecture::Arm;
#[cfg(target_arch = "x86")]
const RUNNING: Architecture = Architecture::X86;
#[cfg(target_arch = "riscv64")]
const RUNNING: Architecture = Architecture::Riscv64;
#[cfg(target_arch = "loongarch64")]
const RUNNING: Architecture = Architecture::LoongArch64;

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| Error::Text {
            what: "architecture",
            found: text.to_owned(),
            expected: "an OCI name: amd64, arm64, arm, 386, riscv64 or loong64",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ocis_and_numbers_are_frozen() {
        let names = ["amd64", "arm64", "arm", "386", "riscv64", "loong64"];
        for (number, name) in names.into_iter().enumerate() {
            let architecture: Architecture = name.parse().unwrap();
            assert_eq!(architecture.to_string(), name);
            assert_eq!(postcard::to_allocvec(&architecture).unwrap(), [number as u8]);
        }
        assert_eq!(names.len(), Architecture::ALL.len());
        assert!("x86_64".parse::<Architecture>().is_err());
    }
}
