//! Where releases come from: what the worker must be told, since it can open nothing itself.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use pintle_config::{Insecure, Update};
use pintle_update::worker::{Registry, Source, Transport};

/// Bytes of one of the files that are read for the worker; a list of authorities has about 220 KiB.
const FILE_MAX: u64 = 1 << 20;

/// Where the operator wants the release from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// A reference in a registry.
    Registry(String),
    /// An OCI layout, in a directory or a tar file: `PATH[:TAG]`.
    File(String),
}

/// A source with the descriptor that goes with it.
pub(crate) struct Opened {
    pub(crate) source: Source,
    pub(crate) file: Option<OwnedFd>,
}

/// A file that cannot be read.
#[derive(Debug)]
pub(crate) struct Error {
    path: String,
    cause: io::Error,
}

/// What is remembered from one job to the next.
pub(crate) struct Session<'a> {
    pub(crate) tokens: &'a [u8],
    pub(crate) seed: u64,
}

impl Origin {
    /// Opens it.
    pub(crate) fn open(
        &self,
        settings: Option<&Update>,
        session: &Session<'_>,
    ) -> Result<Opened, Error> {
        match self {
            Self::Registry(reference) => Ok(Opened {
                source: Source::Registry(Box::new(registry(reference, settings, session)?)),
                file: None,
            }),
            Self::File(path) => {
                let (path, tag) = without_tag(path);
                let file = File::open(path).map_err(unreadable(path))?;
                let directory = file.metadata().map_err(unreadable(path))?.is_dir();
                let tag = tag.map(str::to_owned);
                let source = if directory { Source::Directory(tag) } else { Source::Archive(tag) };
                Ok(Opened { source, file: Some(file.into()) })
            }
        }
    }
}

/// What is there under the whole name has no tag in it.
fn without_tag(path: &str) -> (&str, Option<&str>) {
    match path.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') && !Path::new(path).exists() => {
            (before, Some(tag))
        }
        Some(_) | None => (path, None),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(text) | Self::File(text) => f.write_str(text),
        }
    }
}

/// A machine without a table `[update]` has the usual places for all of it.
fn registry(
    reference: &str,
    settings: Option<&Update>,
    session: &Session<'_>,
) -> Result<Registry, Error> {
    const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
    let credentials = settings.and_then(|settings| settings.credentials.as_ref());
    let insecure = settings.is_some_and(|settings| settings.insecure == Insecure::Yes);
    let authorities = settings.map_or(AUTHORITIES, |settings| settings.ca.as_str());
    Ok(Registry {
        reference: reference.to_owned(),
        mirrors: settings.map_or_else(Vec::new, mirrors),
        credentials: match credentials {
            Some(path) => read_if_there(path.as_str())?,
            None => None,
        },
        authorities: read_if_there(authorities)?.unwrap_or_default(),
        resolv_conf: read_if_there("/etc/resolv.conf")?.unwrap_or_default(),
        hosts: read_if_there("/etc/hosts")?.unwrap_or_default(),
        proxy: settings.and_then(|settings| settings.proxy.as_ref().map(ToString::to_string)),
        transport: if insecure { Transport::Plain } else { Transport::Tls },
        stall_limit: settings.map_or(30_000, |settings| settings.stall_timeout.get()),
        total_limit: settings.map_or(TOTAL, |settings| settings.total_timeout.get()),
        seed: session.seed,
        tokens: session.tokens.to_vec(),
    })
}

/// As the table `[update]` has it by default.
pub(crate) const TOTAL: u64 = 12 * 3_600_000;

fn mirrors(settings: &Update) -> Vec<String> {
    settings.mirrors.iter().map(ToString::to_string).collect()
}

fn read_if_there(path: &str) -> Result<Option<Vec<u8>>, Error> {
    match read_bounded(Path::new(path)) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(unreadable(path)),
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

fn unreadable(path: &str) -> impl Fn(io::Error) -> Error {
    move |cause| Error { path: path.to_owned(), cause }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}: {}", self.path, self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_what_no_path_has() {
        let with_colon = std::env::temp_dir().join(format!("pintle-a:b-{}", std::process::id()));
        fs::write(&with_colon, "").unwrap();
        let with_colon = with_colon.to_str().unwrap();
        let tagged = format!("{with_colon}:v2");
        for (path, expected) in [
            ("/mnt/layout", ("/mnt/layout", None)),
            ("/mnt/layout:v2", ("/mnt/layout", Some("v2"))),
            ("/mnt/a:b/layout", ("/mnt/a:b/layout", None)),
            (with_colon, (with_colon, None)),
            (&tagged, (with_colon, Some("v2"))),
        ] {
            assert_eq!(without_tag(path), expected);
        }
        fs::remove_file(with_colon).unwrap();
    }
}
