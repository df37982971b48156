use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::Attempt;
use crate::{Error, Result, deb};

/// Far more than any kernel image; the largest have 100 MiB.
const MAX_FILE: u64 = 512 << 20;
/// What a kernel image's name begins with; `vmlinux` is what some architectures boot.
const NAMES: [&str; 2] = ["boot/vmlinuz-", "boot/vmlinux-"];

/// The kernel image in a Debian package, in a directory with one `boot/vmlinuz-*`, or the one that
/// belongs to a modules directory (`/lib/modules/<release>`).
pub fn read_kernel(source: &Path) -> Result<Vec<u8>> {
    let read = match source.is_dir() {
        true => find_file(source).and_then(|file| read_file(&file)),
        false => read_package(source),
    };
    read.map_err(|cause| Error::input(format!("use kernel {}", source.display()), cause))
}

fn read_package(package: &Path) -> Result<Vec<u8>> {
    let package = File::open(package).attempt(|| "open it".to_owned())?;
    let mut kernels = Vec::new();
    deb::read_files(package, &mut |file| {
        if NAMES.iter().any(|name| file.path.starts_with(name)) {
            kernels.push(read_all(file.data).attempt(|| format!("read {}", file.path))?);
        }
        Ok(())
    })?;
    match kernels.is_empty() {
        true => Err(deb::lacks("boot/vmlinuz-*")),
        false => only(kernels),
    }
}

fn find_file(directory: &Path) -> Result<PathBuf> {
    let own = directory.join("vmlinuz");
    match (own.exists(), directory.join("modules.builtin").exists()) {
        (true, _) => Ok(own),
        (false, true) => beside_modules(directory),
        (false, false) => only(kernels_below(directory)?),
    }
}

/// `/boot/vmlinuz-<release>` for `/lib/modules/<release>`.
fn beside_modules(modules: &Path) -> Result<PathBuf> {
    let modules = modules.canonicalize().attempt(|| format!("find {}", modules.display()))?;
    let release = modules.file_name().unwrap_or_default().to_string_lossy();
    let files = modules.ancestors().map(|above| above.join(format!("boot/vmlinuz-{release}")));
    only(files.filter(|file| file.exists()).take(1).collect())
}

fn kernels_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let boot = directory.join("boot");
    let entries = fs::read_dir(&boot).and_then(|all| all.collect::<io::Result<Vec<_>>>());
    let paths = entries.attempt(|| format!("list {}", boot.display()))?.into_iter();
    let is_kernel = |path: &PathBuf| {
        let below = path.strip_prefix(directory).unwrap_or(path).to_string_lossy();
        NAMES.iter().any(|name| below.starts_with(name))
    };
    Ok(paths.map(|entry| entry.path()).filter(is_kernel).collect())
}

fn only<T>(mut kernels: Vec<T>) -> Result<T> {
    match (kernels.pop(), kernels.len()) {
        (Some(kernel), 0) => Ok(kernel),
        (Some(_), more) => {
            Err(Error::input("choose a kernel", format!("there are {} in boot/", more + 1)))
        }
        (None, _) => Err(Error::input("find boot/vmlinuz-*", "there is none in it")),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    File::open(path).and_then(read_all).attempt(|| format!("read {}", path.display()))
}

fn read_all(data: impl Read) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    data.take(MAX_FILE).read_to_end(&mut all)?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(files: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            let path = home.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        home
    }

    #[test]
    fn a_kernel_is_found_in_boot_and_from_its_modules() {
        let home =
            home(&["boot/vmlinuz-6.1", "boot/config-6.1", "lib/modules/6.1/modules.builtin"]);
        for source in [home.path().to_owned(), home.path().join("lib/modules/6.1")] {
            assert_eq!(read_kernel(&source).unwrap(), b"boot/vmlinuz-6.1");
        }
    }

    #[test]
    fn a_modules_directory_may_hold_its_kernel() {
        let home = home(&["usr/lib/modules/6.1/vmlinuz", "usr/lib/modules/6.1/modules.builtin"]);
        let kernel = read_kernel(&home.path().join("usr/lib/modules/6.1")).unwrap();
        assert_eq!(kernel, b"usr/lib/modules/6.1/vmlinuz");
    }

    #[test]
    fn two_kernels_and_none_are_refused() {
        let refusal = |files: &[&str]| read_kernel(home(files).path()).unwrap_err().to_string();
        assert!(refusal(&["boot/vmlinuz-6.1", "boot/vmlinuz-6.2"]).contains("there are 2"));
        assert!(refusal(&["boot/config"]).contains("cannot find boot/vmlinuz-*"));
        assert!(refusal(&["etc/passwd"]).contains("cannot list"));
    }
}
