//! Since when the machine knows a release, over reboots: a delay goes by that.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::store::STATE;

/// The sequence of the newest release that was seen, and when that was, in seconds since 1970. Nothing depends on it but
/// the delay, so that it need not be durable.
const FILE: &str = "first-seen";

/// How long a release has been known; from now on, where it was not.
pub(crate) fn known_for(sequence: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    known_since(&Path::new(STATE).join(FILE), sequence, now)
}

fn known_since(file: &Path, sequence: u64, now: Duration) -> Duration {
    let text = fs::read_to_string(file).unwrap_or_default();
    match read(&text) {
        Some((known, since)) if known == sequence => now.saturating_sub(since),
        Some(_) | None => {
            fs::write(file, format!("{sequence} {}\n", now.as_secs())).unwrap_or_default();
            Duration::ZERO
        }
    }
}

fn read(text: &str) -> Option<(u64, Duration)> {
    let (sequence, since) = text.trim_end().split_once(' ')?;
    Some((sequence.parse().ok()?, Duration::from_secs(since.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_known_since_it_was_first_seen() {
        let file = std::env::temp_dir().join(format!("pintle-seen-{}", std::process::id()));
        let at = |sequence, seconds| known_since(&file, sequence, Duration::from_secs(seconds));
        assert_eq!(
            [at(7, 100), at(7, 130), at(8, 140), at(8, 139)].map(|it| it.as_secs()),
            [0, 30, 0, 0]
        );
        // The file's form is frozen; what another one says counts as nothing, and the delay begins anew.
        assert_eq!(fs::read_to_string(&file).unwrap(), "8 140\n");
        for newer in ["8 x\n", "8 140 1\n", "2:8 140\n", ""] {
            fs::write(&file, newer).unwrap();
            assert_eq!(at(8, 200).as_secs(), 0, "{newer}");
            assert_eq!(at(8, 230).as_secs(), 30, "{newer}");
        }
        fs::remove_file(file).unwrap();
    }
}
