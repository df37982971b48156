use std::collections::BTreeMap;

use super::modinfo::Modinfo;
use super::module_file;
use crate::error::Attempt;
use crate::spool::Spool;
use crate::tree::{Body, Content, InodeId, Tree};
use crate::vmlinuz::BzImage;
use crate::{Error, Result};

/// Where a system's modules are; one may be the other, by a symlink.
const MODULES: [&str; 2] = ["usr/lib/modules", "lib/modules"];
/// What the names of kernel images begin with.
const KERNEL: &str = "vmlinuz";
/// The largest module files have 30 MiB, with debug information 200 MiB.
const MAX_MODULE: u64 = 256 << 20;
/// The version stands within 64 KiB and 512 bytes of the image's begin, and is a line.
const KERNEL_HEADER: u64 = 72 << 10;

/// Refuses an image whose kernel modules cannot be loaded by the kernel that is in it.
///
/// The kernels of an image are the files `boot/vmlinuz*` and `lib/modules/*/vmlinuz`; their release
/// is what the header of a bzImage says, else what their name or directory says. Of the modules in
/// `lib/modules/<release>` and `usr/lib/modules/<release>` it demands that
///
/// * a kernel of that release is in the image, if any kernel is. An image without a kernel is
///   started by one from outside, which stage 1 compares with the modules;
/// * the first of them by path was built for that release. One stands for all, because they are
///   built together, and reading thousands would take longer than the rest of the build.
pub fn check_modules(tree: &Tree, spool: &Spool) -> Result<()> {
    let image = Image { tree, spool };
    let directories = image.module_directories();
    let kernels = image.kernels(&directories)?;
    for (release, directory) in &directories {
        let Some((path, module)) = image.first_module(*directory) else { continue };
        check_kernel(release, &kernels)?;
        image.check_module(&format!("lib/modules/{release}{path}"), module, release)?;
    }
    Ok(())
}

struct Image<'a> {
    tree: &'a Tree,
    spool: &'a Spool,
}

impl<'a> Image<'a> {
    /// The directories of modules by the release that they are named for.
    fn module_directories(&self) -> BTreeMap<String, InodeId> {
        let roots = MODULES.iter().filter_map(|path| self.tree.resolve(path).ok());
        let entries = roots.flat_map(|root| self.tree.children(root));
        let directories = entries.filter(|(_, id)| self.tree.inode(*id).is_directory());
        directories.map(|(name, id)| (String::from_utf8_lossy(name).into_owned(), id)).collect()
    }

    /// The releases of the kernels.
    fn kernels(&self, directories: &BTreeMap<String, InodeId>) -> Result<Vec<String>> {
        let mut releases = Vec::new();
        let boot = self.tree.resolve("boot").into_iter().flat_map(|boot| self.tree.children(boot));
        for (name, id) in boot {
            let name = String::from_utf8_lossy(name);
            if let Some(end) = name.strip_prefix(KERNEL) {
                releases.extend(self.release(id, end.trim_start_matches('-'))?);
            }
        }
        for (release, directory) in directories {
            if let Some(id) = self.tree.child(*directory, KERNEL.as_bytes()) {
                releases.extend(self.release(id, release)?);
            }
        }
        Ok(releases)
    }

    /// The release of a kernel image; none if that is no file.
    fn release(&self, kernel: InodeId, named: &str) -> Result<Option<String>> {
        let Body::File(content) = &self.tree.inode(kernel).body else { return Ok(None) };
        let header = self.read(content, content.size.min(KERNEL_HEADER))?;
        let release = BzImage::new(&header).and_then(|image| image.release().map(str::to_owned));
        Ok(Some(release.unwrap_or_else(|| named.to_owned())))
    }

    /// The first module by path, and its path from there on.
    fn first_module(&self, directory: InodeId) -> Option<(String, &'a Content)> {
        let mut left = vec![(String::new(), directory)];
        while let Some((path, id)) = left.pop() {
            match &self.tree.inode(id).body {
                Body::File(content) if module_file::stem(&path).is_some() => {
                    return Some((path, content));
                }
                Body::Directory(entries) => {
                    let below = entries.iter().map(|(name, id)| {
                        (format!("{path}/{}", String::from_utf8_lossy(name)), id)
                    });
                    let at = left.len();
                    left.extend(below);
                    left[at..].reverse();
                }
                _ => {}
            }
        }
        None
    }

    fn check_module(&self, path: &str, module: &Content, release: &str) -> Result<()> {
        if module.size > MAX_MODULE {
            return Err(refuse(format!("{path} is larger than {} MiB", MAX_MODULE >> 20)));
        }
        let elf = module_file::decompress(path, self.read(module, module.size)?)?;
        let modinfo = Modinfo::parse(path, &elf)?;
        match modinfo.release() == release {
            true => Ok(()),
            false => Err(refuse(format!("{path} was built for {:?}", modinfo.release()))),
        }
    }

    fn read(&self, content: &Content, length: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length as usize];
        content.read_at(self.spool, &mut bytes, 0).attempt(|| "read the spool".to_owned())?;
        Ok(bytes)
    }
}

fn check_kernel(release: &str, kernels: &[String]) -> Result<()> {
    match kernels.is_empty() || kernels.iter().any(|kernel| kernel == release) {
        true => Ok(()),
        false => Err(refuse(format!(
            "those in lib/modules/{release} fit no kernel in it, which has {}; install the modules \
             of that kernel, or remove one of the two",
            kernels.join(", ")
        ))),
    }
}

fn refuse(cause: String) -> Error {
    Error::input("use the image's kernel modules", cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kmod::modinfo::tests::module;
    use crate::tree::Inode;
    use crate::vmlinuz::tests::bzimage;

    fn module_of(release: &str) -> Vec<u8> {
        module(&[&format!("vermagic={release} SMP ")])
    }

    /// The verdict on an image with these files.
    fn verdict(files: &[(&str, &[u8])]) -> std::result::Result<(), String> {
        let spool = Spool::within(&std::env::temp_dir()).unwrap();
        let mut tree = Tree::new();
        for (path, content) in files {
            tree.write_file(path, 0o644, content, &spool).unwrap();
        }
        check_modules(&tree, &spool).map_err(|error| error.to_string())
    }

    #[test]
    fn modules_need_a_kernel_of_their_release_if_there_is_any() {
        let module = module_of("6.1.0");
        let modules = ("usr/lib/modules/6.1.0/kernel/a.ko", module.as_slice());
        let (own, other) = (bzimage("6.1.0", b""), bzimage("6.2.0", b""));
        assert_eq!(verdict(&[modules]), Ok(()));
        assert_eq!(verdict(&[modules, ("boot/vmlinuz-6.1.0", &own)]), Ok(()));
        assert_eq!(
            verdict(&[modules, ("boot/vmlinuz", &other), ("boot/vmlinuz-old", &own)]),
            Ok(())
        );
        assert_eq!(verdict(&[modules, ("usr/lib/modules/6.1.0/vmlinuz", &own)]), Ok(()));
        assert_eq!(
            verdict(&[modules, ("boot/vmlinuz-6.1.0", &other)]).unwrap_err(),
            "cannot use the image's kernel modules: those in lib/modules/6.1.0 fit no kernel in it, \
             which has 6.2.0; install the modules of that kernel, or remove one of the two"
        );
        assert!(verdict(&[modules, ("usr/lib/modules/6.2.0/vmlinuz", &other)]).is_err());
    }

    #[test]
    fn a_kernel_that_is_no_bzimage_has_the_release_of_its_name() {
        let module = module_of("6.1.0");
        let modules = ("lib/modules/6.1.0/a.ko", module.as_slice());
        assert_eq!(verdict(&[modules, ("boot/vmlinuz-6.1.0", b"ARM")]), Ok(()));
        assert!(verdict(&[modules, ("boot/vmlinuz-6.1.1", b"ARM")]).is_err());
    }

    #[test]
    fn a_kernel_without_modules_and_a_directory_without_any_are_fine() {
        let kernel = bzimage("6.2.0", b"");
        let empty = ("lib/modules/6.1.0/modules.order", b"".as_slice());
        assert_eq!(verdict(&[("boot/vmlinuz", &kernel), empty]), Ok(()));
    }

    #[test]
    fn a_module_must_be_built_for_the_release_that_its_directory_is_named_for() {
        let (good, bad) = (module_of("6.1.0"), module_of("5.10.0"));
        let refused =
            verdict(&[("lib/modules/6.1.0/a/b.ko", &bad), ("lib/modules/6.1.0/c.ko", &good)]);
        let expected = "cannot use the image's kernel modules: \
                        lib/modules/6.1.0/a/b.ko was built for \"5.10.0\"";
        assert_eq!(refused.unwrap_err(), expected);
        assert!(verdict(&[("lib/modules/6.1.0/a.ko", b"no ELF")]).is_err());
    }

    #[test]
    fn a_merged_lib_is_looked_at_once_and_a_symlinked_kernel_is_no_file() {
        let spool = Spool::within(&std::env::temp_dir()).unwrap();
        let mut tree = Tree::new();
        let link = |to: &[u8]| Inode::new(0o777, Body::Symlink(to.into()));
        tree.write_file("usr/lib/modules/6.1.0/a.ko", 0o644, &module_of("6.1.0"), &spool).unwrap();
        tree.insert(tree.root(), b"lib", link(b"usr/lib")).unwrap();
        let boot = tree.make_directories(b"boot").unwrap();
        tree.insert(boot, b"vmlinuz-6.2.0", link(b"/outside")).unwrap();
        assert!(check_modules(&tree, &spool).is_ok());
    }
}
