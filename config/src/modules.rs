//! The kernel modules in the initramfs, with what `depmod` would say of them.

use serde::{Deserialize, Serialize};

use crate::name::{AbsolutePath, ModuleName};
use crate::wire::{self, Error, Format};

/// The modules of an initramfs, each after all that it depends on: loading them in this order works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleTable {
    /// At most [`ModuleTable::MODULES_MAX`].
    pub modules: Vec<Module>,
}

/// One kernel module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its name as in `/proc/modules`.
    pub name: ModuleName,
    /// Its file in the initramfs.
    pub path: AbsolutePath,
    /// Positions in the table of the modules that must be loaded before it, all below its own.
    pub depends: Vec<u16>,
    /// The patterns of its devices, as `modinfo -F alias` prints them: `virtio:d00000002v*`.
    pub aliases: Vec<String>,
}

impl ModuleTable {
    /// A distribution's whole kernel has about 4000 modules; an initramfs wants few of them.
    pub const MODULES_MAX: usize = 8192;

    /// All aliases of a distribution's kernel together have about 1.5 MB.
    pub const BYTES_MAX: usize = 4 << 20;

    /// The bytes of `modules.bin`.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        wire::encode(&FORMAT, self)
    }

    /// The table in `bytes`; whatever the bytes are, this ends and does not panic.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let table: Self = wire::decode(&FORMAT, bytes)?;
        table.check()?;
        Ok(table)
    }

    fn check(&self) -> Result<(), Error> {
        if self.modules.len() > Self::MODULES_MAX {
            return Err(FORMAT.contradiction("more modules than a kernel has"));
        }
        if !self.refers_backwards() {
            return Err(
                FORMAT.contradiction("a module depends on one that does not stand before it")
            );
        }
        Ok(())
    }

    fn refers_backwards(&self) -> bool {
        self.modules.iter().enumerate().all(|(position, module)| {
            module.depends.iter().all(|dependency| usize::from(*dependency) < position)
        })
    }
}

const FORMAT: Format =
    Format { what: "modules.bin", version: 1, bytes_max: ModuleTable::BYTES_MAX };
