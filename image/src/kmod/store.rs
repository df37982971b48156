use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use pintle_config::{ModuleName, Value};

use super::modinfo::Modinfo;
use super::module_file;
use crate::error::Attempt;
use crate::spool::Spool;
use crate::{Error, Result};

/// The largest module files have 30 MiB, with debug information 200 MiB.
const MAX_FILE: u64 = 256 << 20;

/// Module files by the module's name: where they are, and not what is in them.
#[derive(Debug)]
pub(super) struct Store {
    files: BTreeMap<ModuleName, ModuleFile>,
    spool: Spool,
}

#[derive(Debug)]
struct ModuleFile {
    /// Below the modules directory: `kernel/fs/erofs/erofs.ko.xz`.
    path: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Disk(PathBuf),
    Spool { at: u64, length: usize },
}

impl Store {
    /// An empty one, which keeps what is added as data in an unnamed file in `scratch`.
    pub(super) fn new(scratch: &Path) -> Result<Self> {
        Ok(Self { files: BTreeMap::new(), spool: Spool::within(scratch)? })
    }

    /// Adds a file of the host; what is no module is left out. `path` is below the modules
    /// directory.
    pub(super) fn add_file(&mut self, path: String, file: PathBuf) {
        self.add(ModuleFile { path, place: Place::Disk(file) });
    }

    /// Adds a file whose content is only here now.
    pub(super) fn add_data(&mut self, path: &str, data: impl Read) -> Result<()> {
        let data = read_limited(data).attempt(|| format!("read module {path}"))?;
        let at = self.spool.append(&data).attempt(|| self.spool.write_action())?;
        let place = Place::Spool { at, length: data.len() };
        self.add(ModuleFile { path: path.to_owned(), place });
        Ok(())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &ModuleName> {
        self.files.keys()
    }

    pub(super) fn has(&self, name: &ModuleName) -> bool {
        self.files.contains_key(name)
    }

    /// The module as the kernel loads it.
    pub(super) fn read(&self, name: &ModuleName) -> Result<Loadable> {
        match self.files.get(name) {
            Some(file) => self.read_file(file),
            None => Err(Error::input(format!("read module {name}"), "there is no such file")),
        }
    }

    /// Every alias of every module with the modules that have it, by name. Uses all cores.
    pub(super) fn aliases(&self) -> Result<BTreeMap<String, Vec<ModuleName>>> {
        let files: Vec<_> = self.files.iter().collect();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let shares = files.chunks(files.len().div_ceil(cores).max(1));
        let mut all = BTreeMap::<_, Vec<_>>::new();
        for (alias, name) in self.read_shares(shares)? {
            all.entry(alias).or_default().push(name);
        }
        Ok(all)
    }

    /// Of two files of one name the one in `updates` counts, as for depmod, else the first by path.
    fn add(&mut self, file: ModuleFile) {
        let rank = |path: &str| (!path.starts_with("updates/"), path.to_owned());
        let Some(name) = module_name(&file.path) else { return };
        let there = self.files.get(&name);
        if there.is_none_or(|there| rank(&file.path) < rank(&there.path)) {
            self.files.insert(name, file);
        }
    }

    fn read_file(&self, file: &ModuleFile) -> Result<Loadable> {
        let data = self.read_data(file).attempt(|| format!("read module {}", file.path))?;
        let elf = module_file::decompress(&file.path, data)?;
        let modinfo = Modinfo::parse(&file.path, &elf)?;
        let stem = module_file::stem(&file.path).unwrap_or(&file.path);
        Ok(Loadable { path: format!("{stem}.ko"), elf, modinfo })
    }

    fn read_data(&self, file: &ModuleFile) -> io::Result<Vec<u8>> {
        match &file.place {
            Place::Disk(path) => read_limited(File::open(path)?),
            Place::Spool { at, length } => {
                let mut data = vec![0; *length];
                self.spool.read_at(&mut data, *at)?;
                Ok(data)
            }
        }
    }

    fn read_shares<'a>(&self, shares: impl Iterator<Item = Share<'a>>) -> Result<Vec<Alias>> {
        thread::scope(|scope| {
            let readers: Vec<_> =
                shares.map(|share| scope.spawn(move || self.read_share(share))).collect();
            let mut all = Vec::new();
            for reader in readers {
                all.extend(reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok(all)
        })
    }

    fn read_share(&self, share: Share<'_>) -> Result<Vec<Alias>> {
        let mut all = Vec::new();
        for (name, file) in share {
            let aliases = self.read_file(file)?.modinfo.aliases;
            all.extend(aliases.into_iter().map(|alias| (alias, (*name).clone())));
        }
        Ok(all)
    }
}

/// A module as the kernel loads it.
pub(super) struct Loadable {
    /// Below the modules directory, not compressed: `kernel/fs/erofs/erofs.ko`.
    pub(super) path: String,
    /// The file's content, not compressed.
    pub(super) elf: Vec<u8>,
    /// What it says about itself.
    pub(super) modinfo: Modinfo,
}

type Share<'a> = &'a [(&'a ModuleName, &'a ModuleFile)];
type Alias = (String, ModuleName);

/// The module's name in the path of its file; none if that is not a module's.
pub(super) fn module_name(path: &str) -> Option<ModuleName> {
    let stem = module_file::stem(path)?;
    ModuleName::from_text(stem.rsplit('/').next().unwrap_or(stem))
}

fn read_limited(data: impl Read) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    data.take(MAX_FILE + 1).read_to_end(&mut all)?;
    match all.len() as u64 > MAX_FILE {
        true => Err(io::Error::other(format!("it is larger than {} MiB", MAX_FILE >> 20))),
        false => Ok(all),
    }
}
