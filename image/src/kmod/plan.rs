use std::collections::{BTreeMap, BTreeSet};

use pintle_config::{AbsolutePath, Line, Module, ModuleName, ModuleTable, Purpose, Root, Value};

use super::catalogue::{Catalogue, Found};
use super::modinfo::Modinfo;
use crate::{Error, Result};

/// Ten times what a machine loads before its root is mounted; the search for dependencies is
/// recursive and goes no deeper.
const MAX_MODULES: usize = 512;

/// A module that an initramfs shall have.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which one.
    pub module: ModuleName,
    /// What it is for; if that is open, [`Purpose::Hardware`] where it names devices, else
    /// [`Purpose::Base`].
    pub purpose: Option<Purpose>,
    /// What to do where the kernel does not have it.
    pub need: Need,
}

/// What to do where a kernel does not have a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It is an error.
    Required,
    /// Nothing.
    IfPresent,
}

/// The modules for an initramfs, dependencies included, each after all that it needs.
#[derive(Debug, Default)]
pub struct Plan {
    /// The kernel that they belong to, as `uname -r` prints it; none where no module is needed.
    pub release: Option<String>,
    /// In load order.
    pub modules: Vec<Planned>,
    /// Which of them are loaded for their own sake.
    pub roots: Vec<Root>,
    /// What was wanted and needs no module.
    pub builtin: Vec<ModuleName>,
    /// What was wanted if present, and is not.
    pub absent: Vec<ModuleName>,
}

/// A module with its file.
#[derive(Debug)]
pub struct Planned {
    /// Its name as in `/proc/modules`.
    pub name: ModuleName,
    /// From the root of the initramfs: `lib/modules/6.1.0/kernel/fs/erofs/erofs.ko`.
    pub path: String,
    /// The file, decompressed: many kernels cannot do that themselves (`MODULE_DECOMPRESS`).
    pub elf: Vec<u8>,
    /// Positions of the modules that must be loaded before it.
    pub depends: Vec<u16>,
    /// Positions of those that should be.
    pub softdeps: Vec<u16>,
    /// The patterns of its devices.
    pub devices: Vec<String>,
}

impl Catalogue {
    /// Finds what is wanted and all that it needs.
    pub fn plan(&self, wanted: &[Wanted]) -> Result<Plan> {
        let mut planner = Planner::new(self);
        for wanted in wanted {
            planner.want(wanted)?;
        }
        Ok(planner.plan)
    }
}

impl Plan {
    /// What stage 1 reads. Devices are listed only where a device is what the module is loaded for.
    pub fn table(&self) -> Result<ModuleTable> {
        let release = self.release.as_deref().and_then(Line::from_text);
        let modules = (0..).zip(&self.modules);
        let modules = modules.map(|(position, module)| module.row(self.is_for_hardware(position)));
        Ok(ModuleTable {
            release,
            modules: modules.collect::<Result<_>>()?,
            roots: self.roots.clone(),
        })
    }

    /// What the module is loaded for, and the modules that need it.
    pub fn reasons(&self, position: usize) -> Vec<String> {
        let is_it = |other: &u16| usize::from(*other) == position;
        let roots = self.roots.iter().filter(|root| is_it(&root.module));
        let purposes = roots.map(|root| format!("{:?}", root.purpose).to_lowercase());
        let needs_it = |other: &&Planned| other.depends.iter().chain(&other.softdeps).any(is_it);
        let dependents = self.modules.iter().filter(needs_it).map(|other| other.name.to_string());
        purposes.chain(dependents).collect()
    }

    fn is_for_hardware(&self, module: u16) -> bool {
        self.roots.contains(&Root { purpose: Purpose::Hardware, module })
    }
}

impl Planned {
    fn row(&self, for_hardware: bool) -> Result<Module> {
        let path = AbsolutePath::from_text(&format!("/{}", self.path))
            .ok_or_else(|| Error::input(format!("use module {}", self.path), "its path is odd"))?;
        let aliases = if for_hardware { self.devices.clone() } else { Vec::new() };
        let (depends, softdeps) = (self.depends.clone(), self.softdeps.clone());
        Ok(Module { name: self.name.clone(), path, depends, softdeps, aliases })
    }
}

struct Planner<'a> {
    catalogue: &'a Catalogue,
    plan: Plan,
    positions: BTreeMap<ModuleName, u16>,
    /// From a wanted module down to the one whose dependencies are being found.
    branch: Vec<ModuleName>,
}

impl<'a> Planner<'a> {
    fn new(catalogue: &'a Catalogue) -> Self {
        let plan = Plan { release: Some(catalogue.release().to_owned()), ..Plan::default() };
        Self { catalogue, plan, positions: BTreeMap::new(), branch: Vec::new() }
    }

    fn want(&mut self, Wanted { module, purpose, need }: &Wanted) -> Result<()> {
        match (self.catalogue.find(module), need) {
            (Found::File, _) => self.add_root(module, *purpose)?,
            (Found::Builtin, _) => self.plan.builtin.push(module.clone()),
            (Found::Nothing, Need::IfPresent) => self.plan.absent.push(module.clone()),
            (Found::Nothing, Need::Required) => return Err(self.unknown(module)),
        }
        Ok(())
    }

    fn add_root(&mut self, name: &ModuleName, purpose: Option<Purpose>) -> Result<()> {
        let module = self.place(name)?;
        let names_devices =
            self.plan.modules.get(usize::from(module)).is_some_and(|m| !m.devices.is_empty());
        let natural = if names_devices { Purpose::Hardware } else { Purpose::Base };
        let root = Root { purpose: purpose.unwrap_or(natural), module };
        if !self.plan.roots.contains(&root) {
            self.plan.roots.push(root);
        }
        Ok(())
    }

    /// The module's position in the plan, into which it comes after all that it needs.
    fn place(&mut self, name: &ModuleName) -> Result<u16> {
        if let Some(position) = self.positions.get(name) {
            return Ok(*position);
        }
        self.check_branch(name)?;
        self.branch.push(name.clone());
        let module = self.catalogue.read(name)?;
        let depends = self.place_needed(&module.modinfo)?;
        let softdeps = self.place_preferred(&module.modinfo)?;
        self.branch.pop();
        let devices = module.modinfo.aliases.into_iter().filter(|alias| is_device(alias));
        Ok(self.append(Planned {
            name: name.clone(),
            path: format!("lib/modules/{}/{}", self.catalogue.release(), module.path),
            elf: module.elf,
            depends,
            softdeps,
            devices: devices.collect(),
        }))
    }

    fn check_branch(&self, name: &ModuleName) -> Result<()> {
        if self.branch.contains(name) {
            let circle: Vec<_> = self.branch.iter().chain([name]).map(ModuleName::as_str).collect();
            let cause = format!("it needs itself: {}", circle.join(" → "));
            return Err(Error::input(format!("load module {name}"), cause));
        }
        if self.branch.len() + self.plan.modules.len() >= MAX_MODULES {
            let cause = format!("with it there are more than {MAX_MODULES}");
            return Err(Error::input(format!("add module {name}"), cause));
        }
        Ok(())
    }

    fn append(&mut self, module: Planned) -> u16 {
        // Below MAX_MODULES.
        let position = self.plan.modules.len() as u16;
        self.positions.insert(module.name.clone(), position);
        self.plan.modules.push(module);
        position
    }

    fn place_needed(&mut self, modinfo: &Modinfo) -> Result<Vec<u16>> {
        let mut positions = Vec::new();
        for name in &modinfo.depends {
            match self.catalogue.find(name) {
                Found::File => positions.push(self.place(name)?),
                Found::Builtin => {}
                Found::Nothing => return Err(self.unknown(name)),
            }
        }
        Ok(positions)
    }

    /// A soft dependency that nothing meets is none, as for modprobe, and so is one in a circle.
    fn place_preferred(&mut self, modinfo: &Modinfo) -> Result<Vec<u16>> {
        let mut positions = BTreeSet::new();
        for wish in &modinfo.softdeps {
            for name in self.meet(wish)? {
                if !self.branch.contains(&name) {
                    positions.insert(self.place(&name)?);
                }
            }
        }
        Ok(positions.into_iter().collect())
    }

    /// The modules that meet a soft dependency, which is a module's name or an alias.
    ///
    /// Where several modules answer to an alias and one is the portable implementation, that one is
    /// taken: the others need a processor that only the machine can know.
    fn meet(&self, wish: &str) -> Result<Vec<ModuleName>> {
        let name = ModuleName::from_text(wish);
        match name.as_ref().map(|name| self.catalogue.find(name)) {
            Some(Found::File) => return Ok(name.into_iter().collect()),
            Some(Found::Builtin) => return Ok(Vec::new()),
            _ if self.catalogue.is_built_in(wish) => return Ok(Vec::new()),
            _ => {}
        }
        let providers = self.catalogue.providers(wish)?;
        let portable = providers.iter().find(|name| name.as_str().ends_with("_generic"));
        Ok(portable.map_or_else(|| providers.to_vec(), |portable| vec![portable.clone()]))
    }

    fn unknown(&self, name: &ModuleName) -> Error {
        let release = self.catalogue.release();
        let wanted_by =
            self.branch.last().map(|by| format!(", which {by} needs")).unwrap_or_default();
        let nearest = self.catalogue.nearest(name);
        let hint = nearest.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let cause = format!("kernel {release} has no such module, and it is not built in{hint}");
        Error::input(format!("find module {name}{wanted_by}"), cause)
    }
}

/// A device's pattern begins with its bus (`pci:`); `fs-ext4` is none, and `devname:` is for udev.
fn is_device(alias: &str) -> bool {
    alias.contains(':') && !alias.starts_with("devname:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kmod::modinfo::tests::module;
    use std::fs;
    use std::path::Path;

    const VERMAGIC: &str = "vermagic=6.1.0-test SMP mod_unload ";

    /// A modules directory of a kernel with `built` built in and a module for each (path, entries).
    fn kernel(modules: &[(&str, &[&str])]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("lib/modules/6.1.0-test");
        fs::create_dir_all(&root).unwrap();
        for (path, entries) in modules {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, module(&[entries, &[VERMAGIC][..]].concat())).unwrap();
        }
        fs::write(root.join("modules.builtin"), "kernel/fs/ext4/ext4.ko\n").unwrap();
        fs::write(root.join("modules.builtin.modinfo"), b"crc32.alias=crypto-crc32\0").unwrap();
        home
    }

    fn open(home: &tempfile::TempDir) -> Catalogue {
        Catalogue::open(home.path(), home.path()).unwrap()
    }

    fn wanted(text: &str) -> Wanted {
        let module = ModuleName::from_text(text).unwrap();
        Wanted { module, purpose: None, need: Need::Required }
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.modules.iter().map(|module| module.name.as_str()).collect()
    }

    fn refusal(home: &tempfile::TempDir, name: &str) -> String {
        open(home).plan(&[wanted(name)]).unwrap_err().to_string()
    }

    #[test]
    fn a_module_comes_after_all_that_it_needs_and_once() {
        let home = kernel(&[
            ("kernel/md/dm-verity.ko", &["depends=dm-bufio,dm-mod,reed_solomon"]),
            ("kernel/md/dm-bufio.ko", &["depends=dm-mod"]),
            ("kernel/md/dm-mod.ko", &["depends=", "alias=devname:mapper/control"]),
            ("kernel/lib/reed_solomon.ko", &["depends="]),
        ]);
        let plan = open(&home).plan(&[wanted("dm-verity"), wanted("dm_mod")]).unwrap();
        assert_eq!(names(&plan), ["dm_mod", "dm_bufio", "reed_solomon", "dm_verity"]);
        assert_eq!(plan.modules[3].depends, [1, 0, 2]);
        let roots = [3, 0].map(|module| Root { purpose: Purpose::Base, module });
        assert_eq!(plan.roots, roots);
        assert_eq!(plan.modules[0].path, "lib/modules/6.1.0-test/kernel/md/dm-mod.ko");
    }

    #[test]
    fn a_soft_dependency_comes_first_by_name_or_by_alias() {
        let home = kernel(&[
            ("a.ko", &["softdep=pre: b crypto-c crypto-crc32 ext4 missing post: d"]),
            ("b.ko", &[]),
            ("c.ko", &["alias=crypto-c"]),
            ("d.ko", &[]),
        ]);
        let plan = open(&home).plan(&[wanted("a")]).unwrap();
        assert_eq!(names(&plan), ["b", "c", "a"]);
        assert_eq!(
            (&plan.modules[2].depends[..], &plan.modules[2].softdeps[..]),
            (&[][..], &[0, 1][..])
        );
    }

    #[test]
    fn of_several_implementations_the_portable_one_is_taken() {
        let home = kernel(&[
            ("libcrc32c.ko", &["softdep=pre: crc32c"]),
            ("crc32c-intel.ko", &["alias=crc32c"]),
            ("crc32c_generic.ko", &["alias=crc32c"]),
        ]);
        let plan = open(&home).plan(&[wanted("libcrc32c")]).unwrap();
        assert_eq!(names(&plan), ["crc32c_generic", "libcrc32c"]);
    }

    #[test]
    fn what_is_built_in_is_fine_and_what_is_unknown_is_an_error_with_a_hint() {
        let home = kernel(&[("virtio_blk.ko", &[])]);
        let plan = open(&home).plan(&[wanted("ext4")]).unwrap();
        assert_eq!((plan.modules.len(), plan.builtin.len()), (0, 1));
        assert_eq!(
            refusal(&home, "virtio_bkl"),
            "cannot find module virtio_bkl: kernel 6.1.0-test has no such module, \
             and it is not built in; did you mean virtio_blk?"
        );
        let maybe = Wanted { need: Need::IfPresent, ..wanted("virtio_bkl") };
        assert_eq!(open(&home).plan(&[maybe]).unwrap().absent.len(), 1);
    }

    #[test]
    fn a_missing_dependency_names_who_needs_it() {
        let home = kernel(&[("a.ko", &["depends=bee"])]);
        let refusal = refusal(&home, "a");
        assert!(refusal.starts_with("cannot find module bee, which a needs: "), "{refusal}");
    }

    #[test]
    fn a_circle_is_an_error_but_not_a_soft_one() {
        let hard = kernel(&[("a.ko", &["depends=b"]), ("b.ko", &["depends=a"])]);
        assert_eq!(refusal(&hard, "a"), "cannot load module a: it needs itself: a → b → a");
        let soft = kernel(&[("a.ko", &["softdep=pre: b"]), ("b.ko", &["softdep=pre: a"])]);
        assert_eq!(names(&open(&soft).plan(&[wanted("a")]).unwrap()), ["b", "a"]);
    }

    #[test]
    fn a_chain_of_dependencies_has_an_end() {
        let names: Vec<_> = (0..=MAX_MODULES)
            .map(|n| (format!("m{n}.ko"), format!("depends=m{}", n + 1)))
            .collect();
        let entries: Vec<_> = names.iter().map(|(_, depends)| [depends.as_str()]).collect();
        let modules: Vec<_> =
            names.iter().zip(&entries).map(|((path, _), e)| (path.as_str(), &e[..])).collect();
        assert!(refusal(&kernel(&modules), "m0").contains("more than 512"));
    }

    #[test]
    fn only_modules_that_wait_for_a_device_list_their_devices() {
        let home = kernel(&[
            ("virtio_blk.ko", &["alias=virtio:d00000002v*", "alias=fs-none"]),
            ("loop.ko", &["alias=devname:loop-control"]),
        ]);
        let dm = Wanted { purpose: Some(Purpose::Dm), ..wanted("loop") };
        let plan = open(&home).plan(&[wanted("virtio_blk"), dm]).unwrap();
        let table = plan.table().unwrap();
        assert_eq!(table.modules[0].aliases, ["virtio:d00000002v*"]);
        assert_eq!(table.roots(Purpose::Hardware).collect::<Vec<_>>(), [0]);
        assert_eq!(table.roots(Purpose::Dm).collect::<Vec<_>>(), [1]);
        assert_eq!(ModuleTable::from_bytes(&table.to_bytes().unwrap()).unwrap(), table);
        let base = Wanted { purpose: Some(Purpose::Base), ..wanted("virtio_blk") };
        let table = open(&home).plan(&[base]).unwrap().table().unwrap();
        assert!(table.modules[0].aliases.is_empty());
    }

    #[test]
    fn a_module_of_another_kernel_is_refused() {
        let home = kernel(&[]);
        let stray = home.path().join("lib/modules/6.1.0-test/stray.ko");
        fs::write(stray, module(&["vermagic=5.10.0 SMP "])).unwrap();
        let refusal = refusal(&home, "stray");
        assert!(refusal.ends_with("it was built for \"5.10.0\", not for 6.1.0-test"), "{refusal}");
    }

    #[test]
    fn an_updated_module_is_taken_instead_of_the_kernels_own() {
        let home = kernel(&[("updates/dkms/a.ko", &[]), ("kernel/a.ko", &[]), ("extra/a.ko", &[])]);
        let plan = open(&home).plan(&[wanted("a")]).unwrap();
        assert_eq!(plan.modules[0].path, "lib/modules/6.1.0-test/updates/dkms/a.ko");
    }

    #[test]
    fn a_modules_directory_is_found_from_above_and_from_within() {
        let home = kernel(&[("a.ko", &[])]);
        let within = home.path().join("lib/modules/6.1.0-test");
        assert_eq!(Catalogue::open(&within, home.path()).unwrap().release(), "6.1.0-test");
        fs::create_dir(home.path().join("lib/modules/6.2.0")).unwrap();
        assert!(refused_kernel(home.path()).contains("6.1.0-test"));
        assert!(refused_kernel(Path::new("/proc/self/fd")).contains("find lib/modules"));
    }

    fn refused_kernel(source: &Path) -> String {
        Catalogue::open(source, Path::new("/tmp")).unwrap_err().to_string()
    }
}
