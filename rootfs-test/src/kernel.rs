//! Debian's kernels: fetched as packages and unpacked beside each other, never installed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::cache::Recipe;
use crate::host::{program, run};

/// A kernel series that Debian 12 carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Series {
    /// Debian 12's own kernel: no EROFS straight from a file, virtio as modules.
    Linux6_1,
    /// The newer kernel: mounts EROFS straight from a file, virtio-pci built in.
    Linux6_12,
}

/// The packages that meta packages stand for now.
static NEWEST: Mutex<BTreeMap<&str, String>> = Mutex::new(BTreeMap::new());

/// A kernel on the host's disk, with its modules.
#[derive(Clone, Debug)]
pub struct Kernel {
    folder: PathBuf,
    release: String,
}

impl Kernel {
    /// Fetches the series' newest package, unless it is in the cache.
    ///
    /// # Errors
    /// When apt does not know the package or cannot download it.
    pub fn fetch(series: Series) -> Result<Kernel> {
        let package = series.newest_package()?;
        let folder = Recipe::new(&package).folder(|folder| unpack(&package, folder))?;
        let release = package.trim_start_matches("linux-image-").to_owned();
        Ok(Kernel { folder, release })
    }

    /// What `uname -r` says in it.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The Debian package.
    pub fn package(&self) -> PathBuf {
        self.folder.join("package.deb")
    }

    /// The uncompressed ELF file: an emulated machine takes a second and a half to decompress it itself.
    pub fn vmlinux(&self) -> PathBuf {
        self.folder.join("vmlinux")
    }

    /// The folder of the modules, the one named for the release.
    pub fn modules(&self) -> PathBuf {
        self.folder.join("root/lib/modules").join(&self.release)
    }
}

impl Series {
    fn package(self) -> &'static str {
        match self {
            Series::Linux6_1 => "linux-image-cloud-amd64",
            Series::Linux6_12 => "linux-image-6.12-cloud-amd64",
        }
    }

    /// Asked once a process: apt takes a second for it.
    fn newest_package(self) -> Result<String> {
        let mut known = NEWEST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(package) = known.get(self.package()) {
            return Ok(package.clone());
        }
        let package = concrete_package(self.package())?;
        known.insert(self.package(), package.clone());
        Ok(package)
    }
}

/// The package that a meta package stands for, such as `linux-image-6.1.0-42-cloud-amd64`.
fn concrete_package(meta: &str) -> Result<String> {
    let known = run(program("apt-cache").args(["depends", "--important", meta]));
    let listing = known.or_else(|_| {
        run(program("apt-get").args(["update", "--quiet"]))?;
        run(program("apt-cache").args(["depends", "--important", meta]))
    })?;
    first_dependency(&listing).with_context(|| format!("cannot find the kernel behind {meta}"))
}

fn first_dependency(listing: &str) -> Option<String> {
    let mut names = listing.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.find(|name| name.starts_with("linux-image-")).map(Into::into)
}

fn unpack(package: &str, folder: &Path) -> Result<()> {
    download(package, folder)?;
    run(program("dpkg-deb").arg("-x").arg(folder.join("package.deb")).arg(folder.join("root")))?;
    let release = package.trim_start_matches("linux-image-");
    let bzimage = fs::read(folder.join("root/boot").join(format!("vmlinuz-{release}")))?;
    decompress(&bzimage, &folder.join("vmlinux"))
}

fn download(package: &str, folder: &Path) -> Result<()> {
    // Root's apt drops to a user that may not write here, and warns; the sandbox guards nothing of ours.
    run(program("apt-get")
        .args(["download", "--quiet", "-o", "APT::Sandbox::User=root", package])
        .current_dir(folder))?;
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths = entries.iter().map(fs::DirEntry::path);
    let deb = paths.find(|path| path.extension() == Some(OsStr::new("deb")));
    let deb = deb.with_context(|| format!("apt-get downloaded no package for {package}"))?;
    Ok(fs::rename(deb, folder.join("package.deb"))?)
}

/// Writes the ELF file that a bzImage carries (Documentation/arch/x86/boot.rst, `payload_offset`).
fn decompress(bzimage: &[u8], vmlinux: &Path) -> Result<()> {
    let payload = payload(bzimage).context("cannot find the payload of the kernel image")?;
    let magic = payload.first_chunk().context("the kernel image's payload is empty")?;
    let mut decompressor = match *magic {
        [0xfd, b'7', b'z', b'X'] => program("xz"),
        [0x02, 0x21, 0x4c, 0x18] => program("lz4"),
        _ => program("zstd"),
    };
    let compressed = vmlinux.with_extension("compressed");
    fs::write(&compressed, payload)?;
    run(decompressor
        .args(["--decompress", "--stdout", "--quiet"])
        .stdin(File::open(&compressed)?)
        .stdout(File::create(vmlinux)?))?;
    Ok(fs::remove_file(compressed)?)
}

/// The compressed kernel inside a bzImage, without the four bytes of its size that follow it.
fn payload(bzimage: &[u8]) -> Option<&[u8]> {
    let setup_sectors = usize::from(*bzimage.get(0x1f1)?);
    let start = (setup_sectors + 1) * 512 + field(bzimage, 0x248)?;
    let length = field(bzimage, 0x24c)?.checked_sub(4)?;
    bzimage.get(start..start.checked_add(length)?)
}

fn field(bzimage: &[u8], offset: usize) -> Option<usize> {
    let bytes = bzimage.get(offset..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::first_dependency;

    #[test]
    fn a_meta_package_leads_to_the_kernel() {
        let listing = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-42-cloud-amd64\n";
        assert_eq!(first_dependency(listing).unwrap(), "linux-image-6.1.0-42-cloud-amd64");
    }
}
