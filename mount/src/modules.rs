//! Kernel modules: loaded in order, by position or by the devices that are there.
//!
//! Source: finit_module(2); kernel documentation ABI/testing/sysfs-bus (`modalias`).

use crate::modalias;
use pintle_sys::uevent::Uevent;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::system::finit_module;
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fmt;
use std::path::Path;

/// A module in the initramfs.
#[derive(Clone, Copy, Debug)]
pub struct Module<'a> {
    /// Its name, as in `dm_verity`.
    pub name: &'a str,
    /// Its file, uncompressed.
    pub path: &'a str,
    /// Positions of the modules that it needs; all below its own.
    pub depends: &'a [u16],
    /// Positions of the modules that it wants but can do without; all below its own.
    pub softdeps: &'a [u16],
    /// Patterns of the devices that it drives.
    pub aliases: &'a [String],
}

/// A module that could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub name: String,
    /// The kernel's answer.
    pub errno: Errno,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.name, self.errno)
    }
}

/// Loads each module once, after those that it depends on, and remembers what failed.
#[derive(Debug)]
pub struct Loader<'a> {
    modules: Vec<Module<'a>>,
    seen: Vec<Seen>,
    failures: Vec<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    No,
    Yes,
}

impl<'a> Loader<'a> {
    /// A loader that has loaded nothing.
    pub fn new(modules: Vec<Module<'a>>) -> Loader<'a> {
        let seen = vec![Seen::No; modules.len()];
        Loader { modules, seen, failures: Vec::new() }
    }

    /// Loads the module at `position`. What fails is kept in [`Loader::failures`], and does not
    /// stop others: whether it matters shows when the device or file system is wanted.
    pub fn load(&mut self, position: u16) {
        for position in self.order(position) {
            self.load_one(position);
        }
    }

    /// Loads the module called `name`. One that is not in the table is taken to be built into the
    /// kernel.
    pub fn load_named(&mut self, name: &str) {
        let position = self.modules.iter().position(|module| module.name == name);
        if let Some(position) = position.and_then(|position| u16::try_from(position).ok()) {
            self.load(position);
        }
    }

    /// Loads the modules for the devices that are there already. Reads the devices of only those
    /// buses that a module is for.
    pub fn load_for_present(&mut self) {
        for bus in self.buses() {
            for modalias in modaliases(&bus) {
                self.load_for(&modalias);
            }
        }
    }

    /// Loads the modules for a device that a uevent announces.
    pub fn load_for_event(&mut self, event: &Uevent<'_>) {
        if let (Some("add"), Some(modalias)) = (event.text("ACTION"), event.text("MODALIAS")) {
            self.load_for(modalias);
        }
    }

    /// The modules that could not be loaded.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    fn load_for(&mut self, modalias: &str) {
        let fits = |module: &Module<'_>| {
            module.aliases.iter().any(|pattern| modalias::matches(pattern, modalias))
        };
        let fitting: Vec<u16> =
            (0..).zip(&self.modules).filter(|(_, module)| fits(module)).map(|(i, _)| i).collect();
        fitting.into_iter().for_each(|position| self.load(position));
    }

    /// `position` and all it depends on that has not been seen yet. Dependencies stand before
    /// their dependents in the table, so that ascending positions are a right order.
    fn order(&self, position: u16) -> BTreeSet<u16> {
        let mut order = BTreeSet::new();
        let mut open = vec![position];
        while let Some(position) = open.pop() {
            let unseen = self.seen.get(usize::from(position)) == Some(&Seen::No);
            if unseen && order.insert(position) {
                open.extend(self.needs(position));
            }
        }
        order
    }

    fn needs(&self, position: u16) -> impl Iterator<Item = u16> {
        let module = self.modules.get(usize::from(position));
        let needs = module.map(|module| (module.depends, module.softdeps)).unwrap_or_default();
        let before = move |need: &u16| *need < position;
        needs.0.iter().chain(needs.1).copied().filter(before)
    }

    fn load_one(&mut self, position: u16) {
        let index = usize::from(position);
        let (Some(module), Some(seen)) = (self.modules.get(index), self.seen.get_mut(index)) else {
            return;
        };
        *seen = Seen::Yes;
        match insert(module) {
            // It was there before.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => self.failures.push(Failure { name: module.name.to_owned(), errno }),
        }
    }

    fn buses(&self) -> BTreeSet<String> {
        let aliases = self.modules.iter().flat_map(|module| module.aliases);
        aliases.flat_map(|alias| directories(modalias::bus(alias))).collect()
    }
}

fn insert(module: &Module<'_>) -> rustix::io::Result<()> {
    let file = open(module.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    finit_module(file, parameters(module.name), 0)
}

/// Parameters that a module is loaded with.
fn parameters(name: &str) -> &'static CStr {
    match name {
        // By default it makes eight devices, of which a boot uses two; the control device makes
        // more when they are asked for.
        "loop" => c"max_loop=1",
        _ => c"",
    }
}

/// The directories below `/sys/bus` where devices with aliases of this prefix are found: devices
/// that firmware describes carry its alias on whatever bus they are.
fn directories(prefix: &str) -> Vec<String> {
    match prefix {
        "of" | "acpi*" | "acpi" => ["platform", "acpi"].map(str::to_owned).to_vec(),
        bus => vec![bus.to_owned()],
    }
}

/// The modaliases of the devices on a bus; none where the bus is not there.
fn modaliases(bus: &str) -> Vec<String> {
    if bus == "cpu" {
        // All processors share one, which tells their features.
        return modalias(Path::new("/sys/devices/system/cpu")).into_iter().collect();
    }
    let devices = Path::new("/sys/bus").join(bus).join("devices");
    let Ok(entries) = std::fs::read_dir(devices) else { return Vec::new() };
    entries.flatten().filter_map(|entry| modalias(&entry.path())).collect()
}

fn modalias(device: &Path) -> Option<String> {
    let text = std::fs::read_to_string(device.join("modalias")).ok()?;
    Some(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module<'a>(name: &'a str, depends: &'a [u16], softdeps: &'a [u16]) -> Module<'a> {
        Module { name, path: "/does/not/exist", depends, softdeps, aliases: &[] }
    }

    #[test]
    fn dependencies_come_first_and_once() {
        let modules = vec![
            module("a", &[], &[]),
            module("b", &[0], &[]),
            module("x", &[], &[]),
            module("c", &[0, 1], &[2]),
        ];
        let mut loader = Loader::new(modules);
        loader.load(1);
        loader.load_named("c");
        loader.load_named("built-in");
        let names: Vec<_> = loader.failures().iter().map(|failure| failure.name.clone()).collect();
        assert_eq!(names, ["a", "b", "x", "c"]);
    }

    #[test]
    fn circles_and_wild_positions_end() {
        let mut loader = Loader::new(vec![module("a", &[0, 7, 1], &[]), module("b", &[0], &[1])]);
        loader.load(1);
        loader.load(500);
        assert_eq!(loader.failures().len(), 2);
    }

    #[test]
    fn aliases_choose_the_modules() {
        let virtio = ["virtio:d00000002v*".to_owned()];
        let modules = vec![
            module("other", &[], &[]),
            Module { aliases: &virtio, ..module("virtio_blk", &[], &[]) },
        ];
        let mut loader = Loader::new(modules);
        loader.load_for("virtio:d00000003v00001AF4");
        assert_eq!(loader.failures(), []);
        loader.load_for("virtio:d00000002v00001AF4");
        let failure = Failure { name: "virtio_blk".to_owned(), errno: Errno::NOENT };
        assert_eq!(loader.failures(), std::slice::from_ref(&failure));
        assert_eq!(failure.to_string(), "virtio_blk (No such file or directory (os error 2))");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_processor_is_a_device_too() {
        let aliases = ["cpu:type:x86,ven*fam*mod*:feature:*".to_owned()];
        let mut loader = Loader::new(vec![Module { aliases: &aliases, ..module("sha", &[], &[]) }]);
        loader.load_for_present();
        assert_eq!(loader.failures().len(), 1);
    }
}
