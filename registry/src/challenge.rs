/// How a registry wants to be told who asks: what `WWW-Authenticate` holds (RFC 9110, 11.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A user and a password with each request (RFC 7617).
    Basic,
    /// A token from a server of its own, as in docker's
    /// [token authentication](https://distribution.github.io/distribution/spec/auth/token/).
    Bearer {
        /// The URL of the token server; whatever the registry wrote.
        realm: String,
        /// What the token server calls the registry.
        service: Option<String>,
    },
}

/// One line of it. A realm, a service and a scope are a few hundred bytes.
const MAX_HEADER: usize = 4096;
/// Challenges in one line.
const MAX_CHALLENGES: usize = 8;

impl Challenge {
    /// Reads one line; challenges of other schemes are left out.
    ///
    /// # Errors
    /// Says what is wrong with the line.
    pub fn parse(header: &str) -> Result<Vec<Self>, &'static str> {
        if header.len() > MAX_HEADER {
            return Err("too long");
        }
        let mut found = Vec::new();
        let mut rest = skip(header);
        while !rest.is_empty() {
            let (challenge, after) = challenge(rest)?;
            found.extend(challenge);
            rest = after;
            if found.len() > MAX_CHALLENGES {
                return Err("too many challenges");
            }
        }
        Ok(found)
    }
}

/// The parameters that mean something here.
#[derive(Default)]
struct Parameters {
    realm: Option<String>,
    service: Option<String>,
}

fn challenge(text: &str) -> Result<(Option<Challenge>, &str), &'static str> {
    let (scheme, rest) = token(text).ok_or("no scheme where one is due")?;
    let mut parameters = Parameters::default();
    let mut rest = skip(rest);
    while let Some((name, value)) = parameter(rest) {
        let (value, after) = quoted_or_token(value)?;
        parameters.set(name, value)?;
        rest = skip(after);
    }
    Ok((parameters.challenge(scheme)?, rest))
}

impl Parameters {
    fn set(&mut self, name: &str, value: String) -> Result<(), &'static str> {
        let slot = match name.to_ascii_lowercase().as_str() {
            "realm" => &mut self.realm,
            "service" => &mut self.service,
            _ => return Ok(()),
        };
        // Whoever reads the other one would go elsewhere.
        if slot.replace(value).is_some() {
            return Err("a parameter twice");
        }
        Ok(())
    }

    fn challenge(self, scheme: &str) -> Result<Option<Challenge>, &'static str> {
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => Ok(Some(Challenge::Basic)),
            "bearer" => {
                let realm = self.realm.ok_or("a Bearer challenge without a realm")?;
                Ok(Some(Challenge::Bearer { realm, service: self.service }))
            }
            _ => Ok(None),
        }
    }
}

/// `name=` and what follows; of the padding of a token68 too, which then has no value.
fn parameter(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = token(text)?;
    let value = rest.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    Some((name, value.trim_start_matches([' ', '\t', '='])))
}

fn quoted_or_token(text: &str) -> Result<(String, &str), &'static str> {
    match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => {
            Ok(token(text).map_or((String::new(), text), |(value, rest)| (value.to_owned(), rest)))
        }
    }
}

/// RFC 9110, 5.6.4.
fn unquote(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next().ok_or("a quote without an end")? {
            '"' => return Ok((value, chars.as_str())),
            '\\' => value.extend(chars.next()),
            c if c.is_control() => return Err("a control character"),
            c => value.push(c),
        }
    }
}

/// RFC 9110, 5.6.2, and the rest of token68's characters, which come only behind other schemes.
fn token(text: &str) -> Option<(&str, &str)> {
    let within = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
    let end = text.find(|c| !within(c)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(token, _)| !token.is_empty())
}

fn skip(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', ','])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(ToOwned::to_owned) }
    }

    #[test]
    fn challenges_are_read() {
        let realm = "https://auth.example.com/token";
        for (header, expected) in [
            ("Basic realm=\"a, b\"", vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                "Bearer realm=\"https://auth.example.com/token\",service=\"a b\",scope=\"x:y:z\"",
                vec![bearer(realm, Some("a b"))],
            ),
            (
                "BEARER  Realm = \"https://auth.example.com/token\" , error=invalid_token",
                vec![bearer(realm, None)],
            ),
            ("Negotiate YWJj==, Basic realm=x", vec![Challenge::Basic]),
            ("Negotiate, Basic realm=x, Bearer realm=r", vec![Challenge::Basic, bearer("r", None)]),
            ("Bearer realm=\"a\\\"b\"", vec![bearer("a\"b", None)]),
            ("Digest realm=\"r\", qop=\"auth, auth-int\"", vec![]),
            ("", vec![]),
            (" , ,", vec![]),
        ] {
            assert_eq!(Challenge::parse(header), Ok(expected), "{header}");
        }
    }

    #[test]
    fn what_is_no_challenge_is_refused() {
        let long = format!("Basic realm=\"{}\"", "a".repeat(5000));
        let many = "Basic ".repeat(100);
        for header in [
            "Bearer",
            "Bearer service=\"s\"",
            "Bearer realm=\"a",
            "Bearer realm=\"a\", realm=\"b\"",
            "=",
            "\"Bearer\" realm=r",
            "Bearer realm=\"a\nb\"",
            "Bearer realm=a;b",
            &long,
            &many,
        ] {
            assert!(Challenge::parse(header).is_err(), "{header}");
        }
    }
}
