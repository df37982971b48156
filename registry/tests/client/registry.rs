//! Debian's docker-registry on a free port, with a directory of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

/// Runs until it is dropped.
pub(crate) struct Registry {
    child: Child,
    port: u16,
    _directory: TempDir,
}

/// How it lets people in.
pub(crate) enum Door<'d> {
    Open,
    /// alice, with the password `sec:ret`.
    Password,
    /// Tokens that the owner of this certificate signed, from this server.
    Token {
        realm: &'d str,
        root: &'d str,
    },
}

/// bcrypt, as `htpasswd -B` writes it.
const HTPASSWD: &str = "alice:$2y$05$Tao53MZigNdG2Hu.cZUHm.YQZEnJWFxql.xuXHYglVK0sKMTr0XXe\n";

impl Registry {
    pub(crate) fn start(door: &Door) -> Self {
        Self::start_with(door, None)
    }

    /// With a certificate and its key, both PEM, it speaks TLS.
    pub(crate) fn start_with(door: &Door, tls: Option<(&str, &str)>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let config = path.join("config.yml");
        fs::write(&config, format!("{}{}{}", general(path), http(path, tls), auth(path, door)))
            .unwrap();
        let mut child = Command::new("docker-registry")
            .args(["serve".as_ref(), config.as_os_str()])
            .env_clear()
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let port = port(BufReader::new(child.stderr.take().unwrap()));
        Self { child, port, _directory: directory }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn general(path: &Path) -> String {
    let root = path.join("storage");
    format!("version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: {root:?} }} }}\n")
}

fn http(path: &Path, tls: Option<(&str, &str)>) -> String {
    let Some((certificate, key)) = tls else {
        return "http: { addr: '127.0.0.1:0' }\n".to_owned();
    };
    let [certificate, key] =
        [("certificate", certificate), ("key", key)].map(|(name, pem)| write(path, name, pem));
    format!(
        "http: {{ addr: '127.0.0.1:0', tls: {{ certificate: {certificate:?}, key: {key:?} }} }}\n"
    )
}

fn auth(path: &Path, door: &Door) -> String {
    match door {
        Door::Open => String::new(),
        Door::Password => {
            let file = write(path, "htpasswd", HTPASSWD);
            format!("auth: {{ htpasswd: {{ realm: x, path: {file:?} }} }}\n")
        }
        Door::Token { realm, root } => {
            let root = write(path, "root", root);
            format!(
                "auth: {{ token: {{ realm: '{realm}', service: 'the registry', issuer: test, rootcertbundle: {root:?} }} }}\n"
            )
        }
    }
}

fn write(path: &Path, name: &str, text: &str) -> String {
    let file = path.join(name);
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// It says where it listens; after that, nobody needs to read what it says.
fn port(mut log: impl BufRead + Send + 'static) -> u16 {
    let mut said = String::new();
    loop {
        let before = said.len();
        assert!(log.read_line(&mut said).unwrap() > 0, "{said}");
        if let Some((_, rest)) = said[before..].split_once("listening on 127.0.0.1:") {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
            let port = rest[..digits].parse().unwrap();
            thread::spawn(move || log.read_to_end(&mut Vec::new()));
            return port;
        }
    }
}
