//! How often, since the registry was last reached, an entry that had not reached it was given another chance; over reboots.
//!
//! Each chance is a few reboots. A registry that is away for days must not have its machines do nothing else.

use std::fs;
use std::io;
use std::path::Path;

use crate::store::STATE;

/// A number and a newline. It need not be durable: without it a chance comes sooner.
const FILE: &str = "chances";

/// So many checks in a row must have failed before the first one.
const FAILURES: u32 = 3;

/// How many checks in a row must have failed before the next one: one more each time. The waits between them double, up to the interval.
pub(crate) fn failures_needed() -> u32 {
    FAILURES.saturating_add(given(&Path::new(STATE).join(FILE)))
}

/// Counts one, before it is given.
pub(crate) fn count() -> io::Result<()> {
    count_in(&Path::new(STATE).join(FILE))
}

/// The registry was reached.
pub(crate) fn forget() {
    // Mostly there is none.
    fs::remove_file(Path::new(STATE).join(FILE)).unwrap_or_default();
}

fn count_in(file: &Path) -> io::Result<()> {
    fs::write(file, format!("{}\n", given(file).saturating_add(1)))
}

fn given(file: &Path) -> u32 {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.strip_suffix('\n').and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_counted_over_reboots() {
        let file = std::env::temp_dir().join(format!("pintle-chances-{}", std::process::id()));
        assert_eq!(given(&file), 0);
        count_in(&file).unwrap();
        count_in(&file).unwrap();
        assert_eq!(given(&file), 2);
        // The file's form is frozen; what another one says counts as nothing.
        assert_eq!(fs::read_to_string(&file).unwrap(), "2\n");
        for other in ["", "2", "two\n", "-1\n", "2 3\n", "4294967296\n"] {
            fs::write(&file, other).unwrap();
            assert_eq!(given(&file), 0, "{other}");
        }
        fs::write(&file, "4294967295\n").unwrap();
        count_in(&file).unwrap();
        assert_eq!(given(&file), u32::MAX);
        fs::remove_file(file).unwrap();
    }

    /// One that cannot be counted is not given: else it would be given without end.
    #[test]
    fn what_cannot_be_counted_is_an_error() {
        assert!(count_in(Path::new("/proc/none/chances")).is_err());
    }
}
