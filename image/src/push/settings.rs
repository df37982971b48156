//! How registries are reached, and what to do when they are not.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use pintle_registry::{Cause, Credentials, Names, Proxy, Reference, Settings};

use crate::error::{Attempt, Error, Result};

/// What the command line says about the way to a registry.
#[derive(Clone, Default, Debug)]
pub struct Connection {
    /// Certificates of the authorities to trust, PEM; the system's where there is none.
    pub ca: Option<PathBuf>,
    /// What registries know us by, as docker's config.json; where podman and docker keep theirs, else.
    pub authfile: Option<PathBuf>,
    /// Whether there is no TLS.
    pub transport: Transport,
}

/// What bytes go through.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Transport {
    /// HTTPS.
    #[default]
    Tls,
    /// HTTP: whoever listens sees it all.
    Plain,
}

/// Where systems keep the certificates of authorities: Debian, Fedora, Alpine.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// What a client needs to know to reach a registry.
///
/// # Errors
/// When a file cannot be read, or is not what it should be.
pub fn settings(reference: Option<&Reference>, connection: &Connection) -> Result<Settings> {
    let Some(reference) = reference else { return Ok(Settings::default()) };
    let plain = match connection.transport {
        Transport::Tls => Vec::new(),
        Transport::Plain => vec![reference.host().to_owned()],
    };
    let [resolv_conf, hosts] =
        ["/etc/resolv.conf", "/etc/hosts"].map(|file| fs::read(file).unwrap_or_default());
    Ok(Settings {
        credentials: credentials(connection)?,
        roots: roots(connection)?,
        proxy: proxy(connection.transport),
        names: Names::from_files(&resolv_conf, &hosts),
        plain: plain.into_iter().collect(),
        ..Settings::default()
    })
}

fn roots(connection: &Connection) -> Result<Vec<u8>> {
    match &connection.ca {
        Some(file) => read(file),
        None => Ok(AUTHORITIES.iter().find_map(|file| fs::read(file).ok()).unwrap_or_default()),
    }
}

fn credentials(connection: &Connection) -> Result<Credentials> {
    let file = match &connection.authfile {
        Some(file) => Some(file.clone()),
        None => usual_authfiles().into_iter().find(|file| file.exists()),
    };
    let Some(file) = file else { return Ok(Credentials::default()) };
    Credentials::from_docker_config(&read(&file)?)
        .map_err(|cause| Error::input(format!("use {}", file.display()), cause))
}

/// In the order in which podman and skopeo look (containers-auth.json(5)).
fn usual_authfiles() -> Vec<PathBuf> {
    let below = |variable, path| env::var_os(variable).map(|base| Path::new(&base).join(path));
    let files = [
        env::var_os("REGISTRY_AUTH_FILE").map(PathBuf::from),
        below("XDG_RUNTIME_DIR", "containers/auth.json"),
        below("XDG_CONFIG_HOME", "containers/auth.json"),
        below("HOME", ".config/containers/auth.json"),
        below("DOCKER_CONFIG", "config.json"),
        below("HOME", ".docker/config.json"),
    ];
    files.into_iter().flatten().collect()
}

/// As curl has it: the variables in lower case go first.
fn proxy(transport: Transport) -> Option<Proxy> {
    let names = match transport {
        Transport::Tls => ["https_proxy", "HTTPS_PROXY"],
        Transport::Plain => ["http_proxy", "HTTP_PROXY"],
    };
    let value = |names: [&str; 2]| names.iter().find_map(|name| env::var(name).ok());
    let url = value(names).filter(|url| !url.is_empty())?;
    let except = value(["no_proxy", "NO_PROXY"]).unwrap_or_default();
    let except = except.split(',').map(str::trim).filter(|one| !one.is_empty());
    Some(Proxy { url, except: except.map(Into::into).collect() })
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).attempt(|| format!("read {}", file.display()))
}

/// What to do about it, where that is known.
pub(super) fn explain(error: &pintle_registry::Error) -> Error {
    let advice = match error.cause() {
        Some(Cause::Unauthorized(_) | Cause::Status { code: 401 | 403, .. }) => {
            "; podman login HOST writes the file that --authfile names"
        }
        Some(Cause::Tls(_)) => {
            "; --ca FILE trusts another authority, --plain-http does without TLS"
        }
        Some(Cause::Protocol(_)) => "; --plain-http is for registries that speak TLS, or do not",
        _ => "",
    };
    let text = format!("{error}{advice}");
    let (action, cause) = split(&text);
    Error::input(action, cause)
}

/// An error of the crate that knows the documents.
pub(super) fn of_transfer(error: pintle_transfer::Error) -> Error {
    let text = error.to_string();
    let (action, cause) = split(&text);
    Error::input(action, cause)
}

/// `cannot VERB OBJECT: CAUSE` into its two halves.
fn split(text: &str) -> (String, String) {
    let (action, cause) = text.split_once(": ").unwrap_or((text, "it failed"));
    (action.trim_start_matches("cannot ").to_owned(), cause.to_owned())
}
