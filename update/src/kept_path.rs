use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A path in `/etc` or `/var` that outlives a factory reset, as the store has it below `data/`.
///
/// It has no `.`, `..` or empty part, and no newline.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct KeptPath(String);

/// The longest path that the kernel takes.
const PATH_MAX: usize = 4095;

impl KeptPath {
    /// The path's parts below `data/`: the first is `etc` or `var`.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Reads it as it stands in the wish for a reset.
    pub(crate) fn from_stored(text: &str) -> Option<Self> {
        let is_good = text.starts_with("etc/upper/") || text.starts_with("var/");
        (is_good && is_plain(text)).then(|| Self(text.to_owned()))
    }

    pub(crate) fn stored(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeptPath {
    type Err = Error;

    /// Reads an absolute path of the running machine.
    fn from_str(text: &str) -> Result<Self, Error> {
        let trimmed = text.trim_end_matches('/');
        let stored = match (trimmed.strip_prefix("/etc/"), trimmed.strip_prefix("/var/")) {
            (Some(below), _) => format!("etc/upper/{below}"),
            (_, Some(below)) => format!("var/{below}"),
            (None, None) => return Err(Error::Kept(text.to_owned())),
        };
        Self::from_stored(&stored).ok_or_else(|| Error::Kept(text.to_owned()))
    }
}

/// The path as it is on the running machine.
impl fmt::Display for KeptPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.strip_prefix("etc/upper/") {
            Some(below) => write!(f, "/etc/{below}"),
            None => write!(f, "/{}", self.0),
        }
    }
}

fn is_plain(text: &str) -> bool {
    text.len() <= PATH_MAX
        && !text.contains(['\n', '\0'])
        && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_etc_and_var_are_kept() {
        for (path, stored) in [
            ("/etc/ssh", "etc/upper/ssh"),
            ("/etc/ssh/", "etc/upper/ssh"),
            ("/var/lib/app/db", "var/lib/app/db"),
        ] {
            let kept: KeptPath = path.parse().unwrap();
            assert_eq!(kept.stored(), stored);
            assert_eq!(kept.to_string(), path.trim_end_matches('/'));
        }
        let bad =
            ["", "/", "/etc", "/var/", "etc/ssh", "/usr/x", "/etc/../var", "/etc//x", "/var/a\nb"];
        for path in bad {
            assert!(path.parse::<KeptPath>().is_err(), "{path:?}");
        }
    }
}
