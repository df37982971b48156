use std::collections::BTreeMap;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pintle_config::ModuleName;

use super::builtin::Builtin;
use super::store::{Loadable, Store};
use crate::error::Attempt;
use crate::{Error, Result, deb};

/// Where modules are below the root of a package or of a system.
const MODULES: [&str; 2] = ["lib/modules", "usr/lib/modules"];
/// The lists of what is built in have 60 KiB.
const MAX_LIST: u64 = 16 << 20;
/// The module tree of Linux is seven directories deep.
const MAX_DEPTH: usize = 32;

/// The modules of one kernel: the files that it can load, and what is built in.
#[derive(Debug)]
pub struct Catalogue {
    release: String,
    store: Store,
    builtin: Builtin,
    providers: OnceLock<BTreeMap<String, Vec<ModuleName>>>,
}

/// What a kernel knows of a module's name.
pub(super) enum Found {
    File,
    Builtin,
    Nothing,
}

impl Catalogue {
    /// Reads a Debian kernel package, a modules directory (`/lib/modules/<release>`), or a
    /// directory that has `lib/modules` in it with one release.
    ///
    /// Modules of a package wait in an unnamed file in `scratch`.
    pub fn open(source: &Path, scratch: &Path) -> Result<Self> {
        let mut catalogue = Self {
            release: String::new(),
            store: Store::new(scratch)?,
            builtin: Builtin::default(),
            providers: OnceLock::new(),
        };
        let read = match source.is_dir() {
            true => catalogue.read_directory(source),
            false => catalogue.read_package(source),
        };
        read.and_then(|()| catalogue.check())
            .map_err(|cause| Error::input(format!("use kernel {}", source.display()), cause))?;
        Ok(catalogue)
    }

    /// The kernel's release, as `uname -r` prints it.
    pub fn release(&self) -> &str {
        &self.release
    }

    pub(super) fn find(&self, name: &ModuleName) -> Found {
        match (self.store.has(name), self.builtin.has(name)) {
            (true, _) => Found::File,
            (false, true) => Found::Builtin,
            (false, false) => Found::Nothing,
        }
    }

    /// The module, which was built for this kernel.
    pub(super) fn read(&self, name: &ModuleName) -> Result<Loadable> {
        let module = self.store.read(name)?;
        let built_for = module.modinfo.release();
        match built_for == self.release {
            true => Ok(module),
            false => {
                let cause = format!("it was built for {built_for:?}, not for {}", self.release);
                Err(Error::input(format!("use module {}", module.path), cause))
            }
        }
    }

    /// Whether something built in answers to `alias`.
    pub(super) fn is_built_in(&self, alias: &str) -> bool {
        self.builtin.answers_to(alias)
    }

    /// The modules that answer to exactly `alias`, by name. The first call reads every module.
    pub(super) fn providers(&self, alias: &str) -> Result<&[ModuleName]> {
        if self.providers.get().is_none() {
            let aliases = self.store.aliases()?;
            self.providers.get_or_init(|| aliases);
        }
        let providers = self.providers.get().and_then(|all| all.get(alias));
        Ok(providers.map(Vec::as_slice).unwrap_or_default())
    }

    /// The name that is most like `name` of those that the kernel knows, if one is like it.
    pub(super) fn nearest(&self, name: &ModuleName) -> Option<&ModuleName> {
        let likeness = |other: &ModuleName| strsim::jaro_winkler(name.as_str(), other.as_str());
        let known = self.store.names().chain(self.builtin.names());
        let nearest = known.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        // Below this, suggestions are noise; clap has the same threshold.
        (likeness(nearest) > 0.7).then_some(nearest)
    }

    fn check(&self) -> Result<()> {
        // A directory has been refused before, if it has none.
        if self.release.is_empty() {
            return Err(deb::lacks("lib/modules/<release>"));
        }
        match self.builtin.names().next() {
            Some(_) => Ok(()),
            None => Err(Error::input("find a list modules.builtin", "there is none in it")),
        }
    }

    fn read_package(&mut self, package: &Path) -> Result<()> {
        let package = File::open(package).attempt(|| "open it".to_owned())?;
        deb::read_files(package, &mut |file| self.take_in(file))
    }

    fn take_in(&mut self, file: deb::File<'_>) -> Result<()> {
        let below = |modules| file.path.strip_prefix(modules)?.strip_prefix('/');
        let Some((release, path)) =
            MODULES.into_iter().find_map(below).and_then(|below| below.split_once('/'))
        else {
            return Ok(());
        };
        self.expect_release(release)?;
        self.take_in_module_file(path, file.data)
    }

    fn take_in_module_file(&mut self, path: &str, data: &mut dyn Read) -> Result<()> {
        match path {
            "modules.builtin" => self.builtin.read_names(&read_list(path, data)?),
            "modules.builtin.modinfo" => self.builtin.read_modinfo(&read_list(path, data)?),
            _ if super::module_file::stem(path).is_some() => self.store.add_data(path, data)?,
            _ => {}
        }
        Ok(())
    }

    fn expect_release(&mut self, release: &str) -> Result<()> {
        if self.release.is_empty() {
            self.release = release.to_owned();
        }
        match self.release == release {
            true => Ok(()),
            false => Err(several(&self.release, release)),
        }
    }

    fn read_directory(&mut self, source: &Path) -> Result<()> {
        let modules = modules_directory(source)?;
        self.release = name_of(&modules);
        for list in ["modules.builtin", "modules.builtin.modinfo"] {
            if let Ok(mut file) = File::open(modules.join(list)) {
                self.take_in_module_file(list, &mut file)?;
            }
        }
        self.add_files_below(&modules, "", MAX_DEPTH)
    }

    fn add_files_below(&mut self, directory: &Path, path: &str, depth: usize) -> Result<()> {
        if depth == 0 {
            return Err(Error::input(format!("read {path}"), "it is too many directories deep"));
        }
        for entry in entries(directory)? {
            let path = format!("{path}{}", entry.file_name().to_string_lossy());
            // A link to a directory is `build` or `source`, or leads in a circle.
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => self.add_files_below(&entry.path(), &format!("{path}/"), depth - 1)?,
                false => self.store.add_file(path, entry.path()),
            }
        }
        Ok(())
    }
}

/// `source` itself where it is `/lib/modules/<release>`, else the one below its `lib/modules`.
fn modules_directory(source: &Path) -> Result<PathBuf> {
    if source.join("modules.builtin").exists() {
        return source.canonicalize().attempt(|| format!("find {}", source.display()));
    }
    let roots = MODULES.map(|modules| source.join(modules));
    let Some(root) = roots.iter().find(|root| root.is_dir()) else {
        return Err(Error::input("find lib/modules", "there is none in it"));
    };
    match entries(root)?.as_slice() {
        [only] => Ok(only.path()),
        [] => Err(Error::input("find a release", format!("{} is empty", root.display()))),
        [one, another, ..] => Err(several(&name_of(&one.path()), &name_of(&another.path()))),
    }
}

fn entries(directory: &Path) -> Result<Vec<DirEntry>> {
    let entries = fs::read_dir(directory).and_then(|all| all.collect::<io::Result<_>>());
    entries.attempt(|| format!("list {}", directory.display()))
}

fn read_list(path: &str, data: &mut dyn Read) -> Result<Vec<u8>> {
    let mut list = Vec::new();
    data.take(MAX_LIST).read_to_end(&mut list).attempt(|| format!("read {path}"))?;
    Ok(list)
}

fn name_of(directory: &Path) -> String {
    directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn several(one: &str, another: &str) -> Error {
    Error::input("choose a kernel", format!("modules of {one} and of {another} are in it"))
}
