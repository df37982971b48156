//! The kernel modules in the initramfs, with what `depmod` would say of them.

use serde::{Deserialize, Serialize};

use crate::name::{AbsolutePath, Line, ModuleName};
use crate::wire::{self, Error, Format};

/// The modules of an initramfs, each after all that it depends on: loading them in this order works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleTable {
    /// The kernel that they were built for, as `uname -r` prints it; none if there are no modules.
    pub release: Option<Line>,
    /// At most [`ModuleTable::MODULES_MAX`].
    pub modules: Vec<Module>,
    /// Which of them are loaded, and what for; the others are only there because these need them.
    pub roots: Vec<Root>,
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
    /// Positions of those that it wants loaded before it (`softdep pre`) but can do without, all
    /// below its own.
    pub softdeps: Vec<u16>,
    /// The patterns of its devices, as `modinfo -F alias` prints them: `virtio:d00000002v*`.
    pub aliases: Vec<String>,
}

/// A module that is loaded for its own sake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Root {
    /// What it is loaded for.
    pub purpose: Purpose,
    /// Its position in the table.
    pub module: u16,
}

/// What a module is loaded for; a boot loads only those that its way needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// Every boot.
    Base,
    /// Images that dm-verity checks.
    Dm,
    /// Images that fs-verity checks.
    Fs,
    /// Overlays, as on `/etc`.
    Overlay,
    /// A device that one of the module's aliases matches.
    Hardware,
}

impl ModuleTable {
    /// A distribution's whole kernel has about 4000 modules; an initramfs wants few of them.
    pub const MODULES_MAX: usize = 8192;

    /// All aliases of a distribution's kernel together have about 1.5 MB.
    pub const BYTES_MAX: usize = 4 << 20;

    /// The modules that are loaded for `purpose`, as positions in the table.
    pub fn roots(&self, purpose: Purpose) -> impl Iterator<Item = u16> {
        self.roots.iter().filter(move |root| root.purpose == purpose).map(|root| root.module)
    }

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
        if !self.roots.iter().all(|root| usize::from(root.module) < self.modules.len()) {
            return Err(FORMAT.contradiction("a root is not in the table"));
        }
        Ok(())
    }

    fn refers_backwards(&self) -> bool {
        self.modules.iter().enumerate().all(|(position, module)| {
            let mut before = module.depends.iter().chain(&module.softdeps);
            before.all(|dependency| usize::from(*dependency) < position)
        })
    }
}

const FORMAT: Format =
    Format { what: "modules.bin", version: 1, bytes_max: ModuleTable::BYTES_MAX };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn module(name: &str, depends: &[u16], softdeps: &[u16]) -> Module {
        Module {
            name: ModuleName::from_text(name).unwrap(),
            path: AbsolutePath::from_text("/lib/modules/6.1/a.ko").unwrap(),
            depends: depends.to_vec(),
            softdeps: softdeps.to_vec(),
            aliases: Vec::new(),
        }
    }

    fn table(modules: Vec<Module>, roots: Vec<Root>) -> ModuleTable {
        ModuleTable { release: Line::from_text("6.1"), modules, roots }
    }

    #[test]
    fn a_table_is_read_back_and_gives_the_roots_of_a_purpose() {
        let roots = vec![
            Root { purpose: Purpose::Base, module: 0 },
            Root { purpose: Purpose::Dm, module: 1 },
        ];
        let table = table(vec![module("a", &[], &[]), module("b", &[0], &[0])], roots);
        let read = ModuleTable::from_bytes(&table.to_bytes().unwrap()).unwrap();
        assert_eq!(read, table);
        assert_eq!(read.roots(Purpose::Dm).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_refers_forwards_or_outside_is_refused() {
        let root = |module| Root { purpose: Purpose::Base, module };
        let bad = [
            table(vec![module("a", &[0], &[])], vec![]),
            table(vec![module("a", &[], &[0])], vec![]),
            table(vec![module("a", &[], &[1]), module("b", &[], &[])], vec![]),
            table(vec![module("a", &[], &[])], vec![root(1)]),
        ];
        for table in bad {
            assert!(table.to_bytes().is_err(), "{table:?}");
            let bytes = wire::encode(&FORMAT, &table).unwrap();
            assert!(ModuleTable::from_bytes(&bytes).is_err(), "{table:?}");
        }
    }
}
