use crate::target::{Scheme, Target};

/// Whether a registry's token server may learn what the registry knows us by.
///
/// It may if it is the registry's own host, on whatever port; or if both are names under one domain:
/// the one below the other, or side by side. A domain under which strangers live side by side does not
/// count, as far as that can be told without a list of them. TLS may not end there.
pub(crate) fn is_trusted(registry: &Target, realm: &Target) -> bool {
    let secure = realm.scheme == Scheme::Https || registry.scheme == Scheme::Http;
    secure && are_related(registry, realm)
}

fn are_related(registry: &Target, realm: &Target) -> bool {
    if registry.host() == realm.host() {
        return true;
    }
    if registry.address().is_some() || realm.address().is_some() {
        return false;
    }
    let parent = |host: &'_ str| host.split_once('.').map(|(_, parent)| parent.to_owned());
    let is_below =
        |host: &str, domain: &str| host.strip_suffix(domain).is_some_and(|h| h.ends_with('.'));
    let (ours, theirs) = (registry.host(), realm.host());
    let siblings = parent(ours) == parent(theirs) && parent(ours).is_some_and(|p| is_private(&p));
    siblings
        || is_below(ours, theirs) && is_private(theirs)
        || is_below(theirs, ours) && is_private(ours)
}

/// Whether one owner has the domain: two labels, or three where a country sells the third
/// (`example.co.uk`).
fn is_private(domain: &str) -> bool {
    let labels: Vec<_> = domain.rsplit('.').collect();
    match labels.as_slice() {
        [top, second] => !(top.len() == 2 && second.len() <= 3),
        [_, _, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(registry: &str, realm: &str) -> bool {
        is_trusted(&Target::parse(registry).unwrap(), &Target::parse(realm).unwrap())
    }

    #[test]
    fn token_servers_of_the_same_house_are_trusted() {
        for (registry, realm) in [
            ("https://example.com/", "https://example.com/token"),
            ("https://example.com/", "https://example.com:8443/token"),
            ("https://registry-1.example.com/", "https://auth.example.com/token"),
            ("https://registry.example.com/", "https://example.com/jwt/auth"),
            ("https://example.com/", "https://auth.example.com/"),
            ("https://registry.example.co.uk/", "https://auth.example.co.uk/"),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/token"),
            ("http://127.0.0.1:5000/", "https://127.0.0.1:5001/token"),
        ] {
            assert!(trusted(registry, realm), "{registry} {realm}");
        }
    }

    #[test]
    fn all_others_are_strangers() {
        for (registry, realm) in [
            ("https://example.com/", "https://example.org/token"),
            ("https://example.com/", "https://badexample.com/token"),
            ("https://example.com/", "http://example.com/token"),
            ("https://a.example.com/", "https://b.c.example.com/"),
            ("https://example.com/", "https://example.com.evil.example/"),
            ("https://a.com/", "https://b.com/"),
            ("https://a.com/", "https://com/"),
            ("https://a.co.uk/", "https://b.co.uk/"),
            ("https://a.co.uk/", "https://co.uk/"),
            ("https://a/", "https://b/"),
            ("http://127.0.0.1/", "http://127.0.0.2/"),
            ("http://1.2.3.4/", "http://2.3.4.1/"),
            ("http://[::1]/", "http://127.0.0.1/"),
        ] {
            assert!(!trusted(registry, realm), "{registry} {realm}");
        }
    }
}
