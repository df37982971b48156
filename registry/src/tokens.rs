use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::{Cause, json};

/// What token servers gave out, and which registries want a password instead, so that the next
/// process need not ask again.
///
/// It holds secrets, which its `Debug` does not show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Of the registry: `https://example.com`.
    origin: String,
    /// What it is good for: `repository:os:pull`.
    scope: String,
    pass: Pass,
}

/// How a registry lets us in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Pass {
    /// By the password that the settings have for it.
    Basic,
    /// By a token that is good until then, in seconds since 1970.
    Bearer { token: String, until: u64 },
}

/// A registry, its mirrors, and a few repositories.
const MAX_TOKENS: usize = 32;
/// Servers take header lines of 8 KiB.
const MAX_TOKEN: usize = 8 << 10;
/// Distribution's token specification: without `expires_in`.
const SHORTEST: u64 = 60;
/// Nobody hands out more.
const LONGEST: u64 = 24 * 3600;
/// A token that dies on its way costs two requests.
const MARGIN: u64 = 5;

impl Tokens {
    /// How to get in, if that is known and still good.
    pub(crate) fn find(&self, origin: &str, scope: &str) -> Option<&Pass> {
        let entry = self.0.iter().find(|entry| entry.origin == origin && entry.scope == scope)?;
        match &entry.pass {
            Pass::Bearer { until, .. } if *until <= now() + MARGIN => None,
            pass => Some(pass),
        }
    }

    pub(crate) fn keep(&mut self, origin: &str, scope: &str, pass: Pass) {
        self.forget(origin, scope);
        if self.0.len() >= MAX_TOKENS {
            self.0.remove(0);
        }
        self.0.push(Entry { origin: origin.to_owned(), scope: scope.to_owned(), pass });
    }

    pub(crate) fn forget(&mut self, origin: &str, scope: &str) {
        self.0.retain(|entry| entry.origin != origin || entry.scope != scope);
    }
}

/// A token server's answer.
#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Pass {
    /// Reads a token server's answer.
    pub(crate) fn from_answer(bytes: &[u8]) -> Result<Self, Cause> {
        let bad = |cause: &str| Cause::Unauthorized(format!("the token server's answer {cause}"));
        let given: Given = json::object(bytes).ok_or_else(|| bad("is not understood"))?;
        let token = given.token.or(given.access_token).ok_or_else(|| bad("has no token"))?;
        if !(1..=MAX_TOKEN).contains(&token.len()) || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(bad("has no token that can be sent"));
        }
        let lives = given.expires_in.unwrap_or(SHORTEST).min(LONGEST);
        Ok(Self::Bearer { token, until: now().saturating_add(lives) })
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic => f.write_str("Basic"),
            Self::Bearer { until, .. } => write!(f, "Bearer(until {until})"),
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(until: u64) -> Pass {
        Pass::Bearer { token: "secret".to_owned(), until }
    }

    #[test]
    fn a_token_is_found_until_it_expires() {
        let mut tokens = Tokens::default();
        tokens.keep("https://example.com", "repository:os:pull", bearer(now() + 60));
        let find = |tokens: &Tokens, scope| tokens.find("https://example.com", scope).is_some();
        assert!(find(&tokens, "repository:os:pull"));
        assert!(!find(&tokens, "repository:os:pull,push"));
        tokens.keep("https://example.com", "repository:os:pull", bearer(now() + MARGIN - 1));
        assert!(!find(&tokens, "repository:os:pull"));
        (0..100).for_each(|n| tokens.keep(&n.to_string(), "", Pass::Basic));
        assert_eq!(tokens.0.len(), MAX_TOKENS);
        assert!(!format!("{tokens:?}").contains("secret"));
    }

    #[test]
    fn token_answers_are_read() {
        let until = |text: &str| match Pass::from_answer(text.as_bytes()).unwrap() {
            Pass::Bearer { token, until } if token == "t" => until.saturating_sub(now()),
            pass => panic!("{pass:?}"),
        };
        assert!((299..=300).contains(&until(r#"{"token": "t", "expires_in": 300}"#)));
        assert!((59..=60).contains(&until(r#"{"access_token": "t", "issued_at": "x"}"#)));
        assert!(until(r#"{"token": "t", "expires_in": 18446744073709551615}"#) <= LONGEST);
    }

    #[test]
    fn other_token_answers_are_refused_and_not_quoted() {
        let long = format!(r#"{{"token": "{}"}}"#, "a".repeat(9000));
        for text in [
            "",
            "[]",
            "{}",
            r#"{"token": ""}"#,
            r#"{"token": "secret\r\nX: y"}"#,
            r#"{"token": ["secret"]}"#,
            r#"{"token": "t", "expires_in": -1}"#,
            r#"{"token": "t", "expires_in": 1e99}"#,
            &long,
        ] {
            let error = Pass::from_answer(text.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("secret") && error.len() < 200, "{error}");
        }
    }
}
