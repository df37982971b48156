//! Debian's docker-registry, in a network that only its story is in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

use crate::cache::Recipe;
use crate::host::{program, run};

/// The host as a machine sees it through QEMU's user network.
const HOST: &str = "10.0.2.2";

/// Where the registry listens; in a network of its own nobody else does.
const PORT: u16 = 5000;

/// How long a registry may take until it listens.
const START: Duration = Duration::from_secs(60);

/// A network of this thread's and of the programs that it starts, with nothing in it but 127.0.0.1. Stories that run side
/// by side can use the same ports then.
#[derive(Debug)]
pub struct Network(());

impl Network {
    /// Moves this thread into a new one, for as long as the thread lives. What comes from elsewhere, such as kernels, must be
    /// here before.
    ///
    /// # Errors
    /// When the kernel refuses: it takes root.
    pub fn enter() -> Result<Network> {
        unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
        run(program("/bin/busybox").args(["ip", "link", "set", "lo", "up"]))?;
        Ok(Network(()))
    }
}

/// A registry that speaks TLS with a certificate of its own authority's. It runs until it is dropped.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    folder: TempDir,
    tls: PathBuf,
}

impl Registry {
    /// Starts it with nothing in it.
    ///
    /// # Errors
    /// When it does not listen.
    pub fn start(_network: &Network) -> Result<Registry> {
        let (folder, tls) = (TempDir::with_prefix("pintle-registry-")?, tls()?);
        let child = serve(folder.path(), &tls)?;
        let mut registry = Registry { child, folder, tls };
        registry.wait_until_it_listens()?;
        Ok(registry)
    }

    /// A repository and tag in it, as the host names it.
    pub fn reference(&self, name: &str) -> String {
        format!("127.0.0.1:{PORT}/{name}")
    }

    /// The same as a machine names it.
    pub fn reference_of_machines(name: &str) -> String {
        format!("{HOST}:{PORT}/{name}")
    }

    /// Copies all that a tag names to another one, as those do who pass images on.
    ///
    /// # Errors
    /// When skopeo fails.
    pub fn copy(&self, from: &str, to: &str) -> Result<()> {
        self.put(&format!("docker://{}", self.reference(from)), to)
    }

    /// Copies what skopeo finds at `source` to a tag.
    ///
    /// # Errors
    /// When skopeo fails.
    pub fn put(&self, source: &str, name: &str) -> Result<()> {
        let to = format!("docker://{}", self.reference(name));
        let ca = self.tls.join("ca.pem");
        let mut command = program("skopeo");
        command.env("SSL_CERT_FILE", ca).args(["copy", "--quiet", "--all", source, &to]);
        run(&mut command).map(drop)
    }

    /// The certificate of its authority, as PEM.
    ///
    /// # Errors
    /// When openssl fails.
    pub fn authority() -> Result<PathBuf> {
        Ok(tls()?.join("ca.pem"))
    }

    /// How many bytes of blobs it has sent until now, as its log says.
    ///
    /// # Errors
    /// When the log cannot be read, or a line of it.
    pub fn blob_bytes_sent(&self) -> Result<u64> {
        let log = fs::read_to_string(log(self.folder.path()))?;
        let of_blobs = |line: &&str| line.contains("\"GET /v2/") && line.contains("/blobs/sha256:");
        log.lines().filter(of_blobs).map(bytes_sent).sum()
    }

    /// It does so soon; a connection that is refused costs nothing.
    fn wait_until_it_listens(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        while std::net::TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("docker-registry ended ({status}): {}", self.said());
            }
            if Instant::now() > deadline {
                bail!("docker-registry does not listen: {}", self.said());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn said(&self) -> String {
        fs::read_to_string(log(self.folder.path())).unwrap_or_default()
    }

    /// The folder of its key and certificates.
    pub fn tls(&self) -> &Path {
        &self.tls
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It fails only if it has ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn serve(folder: &Path, tls: &Path) -> Result<Child> {
    let (storage, config) = (folder.join("storage"), folder.join("config.yml"));
    let (certificate, key) = (tls.join("registry.pem"), tls.join("registry.key"));
    let tls = format!("tls: {{ certificate: {certificate:?}, key: {key:?} }}");
    let text = format!(
        "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: {storage:?} }} }}\n\
         http: {{ addr: '127.0.0.1:{PORT}', {tls} }}\n"
    );
    fs::write(&config, text)?;
    let log = File::create(log(folder))?;
    let mut command = program("docker-registry");
    command.arg("serve").arg(&config).stdin(Stdio::null());
    command.stdout(log.try_clone()?).stderr(log).spawn().context("cannot start docker-registry")
}

/// The second number behind the request, as in the log of every web server.
fn bytes_sent(line: &str) -> Result<u64> {
    let behind = line.split_once("HTTP/1.1\" ").context("a line without a request")?.1;
    let bytes = behind.split(' ').nth(1).with_context(|| line.to_owned())?;
    bytes.parse().with_context(|| line.to_owned())
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// An authority, and a key and a certificate of it for the host by both its addresses.
fn tls() -> Result<PathBuf> {
    let names = format!("subjectAltName=IP:{HOST},IP:127.0.0.1");
    Recipe::new("registry-tls").with(&names).folder(|folder| {
        let openssl = |words: &[&str]| run(program("openssl").args(words).current_dir(folder));
        let key =
            ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9000"];
        let ca = ["req", "-x509", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"];
        openssl(&[ca.as_slice(), &key].concat())?;
        let of = ["req", "-x509", "-subj", "/CN=registry", "-CA", "ca.pem", "-CAkey", "ca.key"];
        let end = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", &names];
        let out = ["-keyout", "registry.key", "-out", "registry.pem"];
        openssl(&[of.as_slice(), &key, &end, &out].concat()).map(drop)
    })
}
