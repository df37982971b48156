//! Container images made on the spot with the tools that others use: umoci, mmdebstrap, tar.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::Recipe;
use crate::cargo::Binary;
use crate::host::{program, run};
use crate::layer::Layer;
use crate::walk::{Node, walk};

/// When the images were made (RFC 3339), so that they are functions of their recipes.
const CREATED: &str = "2024-01-01T00:00:00Z";

/// The same in seconds, for mmdebstrap.
const SOURCE_DATE_EPOCH: &str = "1704067200";

/// The service that lets a story ask the machine; a machine without the agent's port does well without it.
const AGENT_SERVICE: &str = r#"
[service.agent]
description = "Answers the test rig"
command = ["/usr/libexec/agent"]
"#;

/// How a guest that follows a tag gets onto the network: QEMU's, always the same.
const NETWORK: &str = r#"
[service.network]
type = "oneshot"
command = ["/bin/sh", "-c", "ip link set eth0 up && ip address add 10.0.2.15/24 dev eth0"]

[service.pintle-update]
after = ["network"]
"#;

/// What an image is made on top of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// The host's static busybox and nothing else.
    Busybox,
    /// Debian 12 minbase, with layers on top that do everything that a layer can do.
    Debian,
    /// Debian 12 minbase with systemd.
    Systemd,
}

/// A container image: a base and a layer that makes a machine of it.
#[derive(Clone, Debug)]
pub struct ContainerImage {
    base: Base,
    id: String,
    version: String,
    architecture: String,
    files: Vec<(String, u32, Vec<u8>)>,
}

impl ContainerImage {
    /// An image with the rig's agent as its only service.
    pub fn of(base: Base, version: &str) -> ContainerImage {
        ContainerImage::with_nothing(base, version).service("agent", AGENT_SERVICE)
    }

    /// An image without services, for another init.
    pub fn with_nothing(base: Base, version: &str) -> ContainerImage {
        let (id, architecture) = ("demo".into(), "amd64".into());
        ContainerImage { base, id, version: version.into(), architecture, files: vec![] }
    }

    /// With another image id than `demo`.
    #[must_use]
    pub fn id(mut self, id: &str) -> ContainerImage {
        self.id = id.into();
        self
    }

    /// For machines of another architecture than amd64, by its OCI name. What is in it stays as it is.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> ContainerImage {
        self.architecture = architecture.into();
        self
    }

    /// The architecture that it says it is for.
    pub(crate) fn made_for(&self) -> &str {
        &self.architecture
    }

    /// With a file more; its directory is there or is made.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> ContainerImage {
        self.files.push((path.into(), mode, content.as_ref().into()));
        self
    }

    /// With a document of configuration more: `/usr/lib/pintle/NAME.toml`.
    #[must_use]
    pub fn service(self, name: &str, toml: &str) -> ContainerImage {
        self.file(&format!("usr/lib/pintle/{name}.toml"), 0o644, toml)
    }

    /// With what brings it onto the network before the updater starts.
    #[must_use]
    pub fn networked(self) -> ContainerImage {
        self.service("network", NETWORK)
    }

    /// With what makes it follow a tag: the table `[update]`, the worker, and these authorities' certificates as PEM.
    ///
    /// # Errors
    /// When the worker does not build.
    pub fn following(self, update: &str, authorities: &[u8]) -> Result<ContainerImage> {
        let worker = fs::read(Binary::Fetch.build()?)?;
        let image = self.file("usr/lib/pintle/pintle-fetch", 0o755, worker);
        Ok(image.file("etc/registry-ca.pem", 0o644, authorities).service("update", update))
    }

    /// Makes it, and says where as `pintle build` and skopeo want it: `oci:FOLDER:TAG`.
    ///
    /// # Errors
    /// When one of the host's tools fails.
    pub fn oci(&self) -> Result<String> {
        let layer = self.layer()?;
        let base = self.base.layout()?;
        let recipe = Recipe::new(&format!("image-{}", self.version)).with(&layer);
        let recipe = recipe.with(base.to_string_lossy().as_bytes()).with(&self.architecture);
        let folder = recipe.folder(|folder| {
            let layout = folder.join("oci");
            run(program("cp").arg("-a").arg(&base).arg(&layout))?;
            add_layer(&layout, &layer)?;
            describe(&layout, &self.architecture)
        })?;
        Ok(format!("oci:{}:latest", folder.join("oci").display()))
    }

    /// Its tree as umoci unpacks it, which knows nothing of pintle. As root, or ids and devices are lost.
    ///
    /// # Errors
    /// When umoci fails.
    pub fn unpacked(&self) -> Result<Vec<Node>> {
        let bundle = tempfile::tempdir()?;
        let source = self.oci()?;
        let image = source.strip_prefix("oci:").unwrap_or(&source);
        let to = bundle.path().join("bundle");
        run(program("umoci").args(["unpack", "--image", image]).arg(&to))?;
        walk(&to.join("rootfs"))
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut layer = Layer::default();
        // A directory that is only implied has no time of its own, and tools make up different ones.
        layer.directory("usr/lib/pintle", 0o755)?;
        layer.directory("usr/libexec", 0o755)?;
        layer.file("usr/lib/os-release", 0o644, self.os_release().as_bytes())?;
        layer.file("usr/libexec/agent", 0o755, &fs::read(Binary::Agent.build()?)?)?;
        layer.file("usr/bin/pintlectl", 0o755, &fs::read(Binary::Init.build()?)?)?;
        for (path, mode, content) in &self.files {
            layer.file(path, *mode, content)?;
        }
        layer.finish()
    }

    fn os_release(&self) -> String {
        let Self { id, version, .. } = self;
        format!(
            "ID=linux\nPRETTY_NAME=\"{id} {version}\"\nIMAGE_ID={id}\nIMAGE_VERSION={version}\n"
        )
    }
}

impl Base {
    /// The base's OCI layout.
    fn layout(self) -> Result<PathBuf> {
        let folder = match self {
            Base::Busybox => busybox(),
            Base::Debian => debian(),
            Base::Systemd => systemd(),
        }?;
        Ok(folder.join("oci"))
    }
}

fn busybox() -> Result<PathBuf> {
    let applets = run(program("/bin/busybox").arg("--list"))?;
    let mut layer = Layer::default();
    for directory in
        ["dev", "etc", "mnt", "proc", "root", "run", "sys", "usr", "usr/bin", "usr/lib", "var"]
    {
        layer.directory(directory, 0o755)?;
    }
    layer.directory("tmp", 0o1777)?;
    for (path, target) in
        [("bin", "usr/bin"), ("sbin", "usr/bin"), ("usr/sbin", "bin"), ("lib", "usr/lib")]
    {
        layer.symlink(path, target)?;
    }
    layer.file("usr/bin/busybox", 0o755, &fs::read("/bin/busybox")?)?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        layer.symlink(&format!("usr/bin/{applet}"), "busybox")?;
    }
    layer.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    )?;
    layer.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n")?;
    layer.symlink("etc/os-release", "../usr/lib/os-release")?;
    let tar = layer.finish()?;
    Recipe::new("busybox").with(&tar).folder(|folder| {
        let layout = new_layout(folder)?;
        add_layer(&layout, &tar)
    })
}

/// Debian with two layers on top, so that a whole image has four.
fn debian() -> Result<PathBuf> {
    let (changes, specials) = (changes()?, specials()?);
    Recipe::new("debian").with(&changes).with(&specials).folder(|folder| {
        let layout = minbase(folder, &[])?;
        add_layer(&layout, &changes)?;
        add_layer(&layout, &specials)?;
        add_layer_file(&layout, &sparse_layer(folder)?)
    })
}

fn systemd() -> Result<PathBuf> {
    Recipe::new("systemd").folder(|folder| minbase(folder, &["systemd-sysv"]).map(drop))
}

/// A layout with Debian 12 minbase and these packages as its only layer.
fn minbase(folder: &Path, packages: &[&str]) -> Result<PathBuf> {
    let root = folder.join("root.tar");
    run(program("mmdebstrap")
        .env("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH)
        .args(["--quiet", "--variant=minbase"])
        .args(packages.iter().map(|package| format!("--include={package}")))
        .arg("bookworm")
        .arg(&root))?;
    let layout = new_layout(folder)?;
    add_layer_file(&layout, &root)?;
    fs::remove_file(root)?;
    Ok(layout)
}

/// What a layer can do to the layers below it.
fn changes() -> Result<Vec<u8>> {
    let mut layer = Layer::default();
    layer.whiteout("usr/share", "info")?;
    layer.whiteout("usr/bin", "perl")?;
    layer.file("usr/share/doc/before", 0o644, b"of the same layer, so it stays\n")?;
    layer.opaque("usr/share/doc")?;
    layer.file("usr/share/doc/after", 0o644, b"of the same layer, so it stays\n")?;
    layer.directory("var/lib/dpkg", 0o700)?;
    layer.file("etc/issue", 0o600, b"replaced\n")?;
    layer.whiteout("var/cache", "apt")?;
    layer.symlink("usr/share/man", "doc")?;
    layer.file("usr/share/locale", 0o644, b"a file where a directory was\n")?;
    layer.finish()
}

/// What an entry can be.
fn specials() -> Result<Vec<u8>> {
    let mut layer = Layer::default();
    layer.directory("opt/specials", 0o2755)?;
    layer.file("opt/specials/file", 0o640, b"three names, one file\n")?;
    layer.hard_link("opt/specials/second-name", "opt/specials/file")?;
    layer.hard_link("opt/specials/third-name", "opt/specials/file")?;
    layer.hard_link("opt/specials/name-of-a-lower-layer", "usr/bin/env")?;
    layer.file_with_xattr("opt/specials/capable", "security.capability", &NET_BIND_SERVICE)?;
    layer.file_with_xattr("opt/specials/noted", "user.note", b"two\nlines")?;
    layer.file_of("opt/specials/large-ids", 2_000_000, 3_000_000)?;
    layer.fifo("opt/specials/fifo")?;
    layer.char_device("opt/specials/null", 1, 3)?;
    layer.block_device("opt/specials/loop", 7, 0)?;
    layer.symlink("opt/specials/long-target", &["t"; 150].join("/"))?;
    add_deep_file(&mut layer)?;
    layer.file("opt/specials/empty", 0o000, b"")?;
    layer.finish()
}

/// A path that needs a PAX record.
fn add_deep_file(layer: &mut Layer) -> Result<()> {
    let mut path = "opt/specials".to_owned();
    for _ in 0..5 {
        path = format!("{path}/{}", "d".repeat(60));
        layer.directory(&path, 0o750)?;
    }
    layer.file(&format!("{path}/file"), 0o644, b"deep\n")
}

/// `cap_net_bind_service=ep` as the kernel stores it (`struct vfs_cap_data`, revision 2).
const NET_BIND_SERVICE: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A layer with a sparse file, as GNU tar writes it.
fn sparse_layer(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("sparse");
    fs::create_dir_all(root.join("opt"))?;
    let file = File::create(root.join("opt/sparse"))?;
    std::os::unix::fs::FileExt::write_all_at(&file, b"in the middle", 5 << 20)?;
    file.set_len(9 << 20)?;
    let tar = folder.join("sparse.tar");
    let mtime = format!("--mtime=@{SOURCE_DATE_EPOCH}");
    run(program("tar")
        .args(["--create", "--sparse", "--format=pax", "--owner=0", "--group=0", &mtime])
        .arg("--file")
        .arg(&tar)
        .arg("--directory")
        .arg(&root)
        .arg("opt/sparse"))?;
    Ok(tar)
}

fn new_layout(folder: &Path) -> Result<PathBuf> {
    let layout = folder.join("oci");
    run(program("umoci").args(["init", "--layout"]).arg(&layout))?;
    run(program("umoci").args(["new", "--image"]).arg(image(&layout)))?;
    Ok(layout)
}

fn add_layer(layout: &Path, tar: &[u8]) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), tar)?;
    add_layer_file(layout, file.path())
}

fn add_layer_file(layout: &Path, tar: &Path) -> Result<()> {
    run(program("umoci").args(["raw", "add-layer", "--image"]).arg(image(layout)).arg(tar))
        .map(drop)
        .context("cannot add a layer")
}

fn describe(layout: &Path, architecture: &str) -> Result<()> {
    let arguments =
        ["--no-history", "--created", CREATED, "--architecture", architecture, "--image"];
    run(program("umoci").arg("config").args(arguments).arg(image(layout))).map(drop)
}

fn image(layout: &Path) -> String {
    format!("{}:latest", layout.display())
}
