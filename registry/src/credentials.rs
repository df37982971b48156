use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use crate::{Error, json};

/// What registries know us by, from docker's `config.json` or podman's `auth.json`.
///
/// The keys are hosts with their ports, and may go on with the beginning of a repository, as podman
/// writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials(BTreeMap<String, Credential>);

/// What one registry knows us by. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// For Basic authentication, and for token servers.
    Password {
        /// The account; it has no colon.
        user: String,
        /// Its secret.
        password: String,
    },
    /// An OAuth refresh token, which token servers exchange for one that lives shortly.
    Identity(String),
}

/// A config.json with a hundred registries is 20 KiB.
const MAX_CONFIG: usize = 256 << 10;
/// Registries with credentials.
const MAX_CREDENTIALS: usize = 256;
/// Identity tokens are JWTs of one or two KiB; header lines end at 8 KiB in most servers.
const MAX_SECRET: usize = 8 << 10;

/// Docker writes padding, others leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

/// What credential helpers keep stands in the file as an empty entry.
#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
}

impl Credentials {
    /// Reads the `auths` of docker's
    /// [config.json](https://docs.docker.com/reference/cli/docker/login/#credential-stores). Entries
    /// that only a credential helper could fill are left out.
    ///
    /// # Errors
    /// [`Error::Settings`] if it is not such a file.
    pub fn from_docker_config(bytes: &[u8]) -> Result<Self, Error> {
        let config = (bytes.len() <= MAX_CONFIG)
            .then(|| json::object::<Config>(bytes))
            .flatten()
            .filter(|config| config.auths.len() <= MAX_CREDENTIALS)
            .ok_or_else(|| bad("expected JSON with \"auths\""))?;
        let mut credentials = BTreeMap::new();
        for (key, auth) in config.auths {
            if let Some(credential) =
                credential(&auth).map_err(|cause| bad(&format!("{cause} for {key:?}")))?
            {
                credentials.insert(normal(&key).to_owned(), credential);
            }
        }
        Ok(Self(credentials))
    }

    /// Adds `credential` for `host`, as in [`Reference::host`](crate::Reference::host).
    pub fn insert(&mut self, host: &str, credential: Credential) {
        self.0.insert(host.to_owned(), credential);
    }

    /// Those of the longest key that `host/repository` is, or is below of.
    pub(crate) fn find(&self, host: &str, repository: &str) -> Option<&Credential> {
        let name = format!("{host}/{repository}");
        let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
        let keys = ends.filter_map(|end| name.get(..end)).collect::<Vec<_>>();
        keys.into_iter().rev().find_map(|key| self.0.get(key))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user:?})"),
            Self::Identity(_) => f.write_str("Identity"),
        }
    }
}

/// The value of `Authorization` in Basic authentication (RFC 7617).
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
}

/// Docker's older keys are URLs: `https://example.com/v1/`.
fn normal(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key)
}

fn credential(auth: &Auth) -> Result<Option<Credential>, &'static str> {
    if auth.identitytoken.len() > MAX_SECRET || auth.auth.len() > MAX_SECRET {
        return Err("too long a secret");
    }
    if !auth.identitytoken.is_empty() {
        return Ok(Some(Credential::Identity(auth.identitytoken.clone())));
    }
    if auth.auth.is_empty() {
        return Ok(None);
    }
    let text = BASE64.decode(auth.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or("no base64 text")?;
    // Docker pads old entries with zero bytes.
    let (user, password) = text.trim_end_matches('\0').split_once(':').ok_or("no user:password")?;
    if text.trim_end_matches('\0').contains(char::is_control) {
        return Err("control characters");
    }
    Ok(Some(Credential::Password { user: user.to_owned(), password: password.to_owned() }))
}

fn bad(cause: &str) -> Error {
    Error::Settings { what: "credentials", cause: cause.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Credentials, Error> {
        Credentials::from_docker_config(text.as_bytes())
    }

    fn password(user: &str, password: &str) -> Credential {
        Credential::Password { user: user.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn docker_config_is_read() {
        let credentials = read(
            r#"{"auths": {
                "example.com": {"auth": "YWxpY2U6c2VjOnJldA=="},
                "https://example.org/v1/": {"auth": "Ym9iOng"},
                "localhost:5000": {"auth": "Og==", "identitytoken": "abc"},
                "helped.example": {}
            }, "credsStore": "desktop", "HttpHeaders": {"a": "b"}}"#,
        )
        .unwrap();
        let find = |host| credentials.find(host, "os");
        assert_eq!(find("example.com"), Some(&password("alice", "sec:ret")));
        assert_eq!(find("example.org"), Some(&password("bob", "x")));
        assert_eq!(find("localhost:5000"), Some(&Credential::Identity("abc".to_owned())));
        assert_eq!(find("helped.example"), None);
        assert_eq!(find("localhost"), None);
        assert_eq!(find("a.example.com"), None);
    }

    #[test]
    fn the_longest_key_counts_and_ends_at_a_slash() {
        let mut credentials = Credentials::default();
        for key in ["example.com", "example.com/team", "example.com/team/os"] {
            credentials.insert(key, password(key, ""));
        }
        for (repository, key) in [
            ("os", "example.com"),
            ("team/kiosk", "example.com/team"),
            ("team/os", "example.com/team/os"),
            ("teams/os", "example.com"),
        ] {
            assert_eq!(credentials.find("example.com", repository), Some(&password(key, "")));
        }
    }

    #[test]
    fn what_is_not_a_docker_config_is_refused_and_not_quoted() {
        for text in [
            "",
            "[]",
            r#"{"auths": []}"#,
            r#"{"auths": {"example.com": {"auth": "S3cret!"}}}"#,
            r#"{"auths": {"example.com": {"auth": "c2VjcmV0"}}}"#,
            r#"{"auths": {"example.com": {"auth": "YTpiCmM="}}}"#,
            r#"{"auths": {"example.com": {"auth": "YTpi"}"#,
            r#"{"auths": {"example.com": {"auth": 7}}}"#,
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(!error.contains("S3cret") && !error.contains("YTpi"), "{error}");
        }
        assert!(read(&" ".repeat(MAX_CONFIG + 1)).is_err());
        let long =
            format!(r#"{{"auths": {{"a.b": {{"identitytoken": "{}"}}}}}}"#, "a".repeat(9 << 10));
        assert!(read(&long).is_err());
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!(
            "{:?} {:?}",
            password("alice", "secret"),
            Credential::Identity("secret".into())
        );
        assert_eq!(shown, r#"Password("alice") Identity"#);
        assert_eq!(basic("alice", "sec:ret"), "Basic YWxpY2U6c2VjOnJldA==");
    }
}
