//! What was probably meant.

use super::key::Key;

/// Longer words are not compared: no name that could be meant is longer.
const WORD_MAX: usize = 64;

/// What other service managers call a key, in lower case and without `-` and `_`.
const ELSEWHERE: [(&str, &str); 17] = [
    ("exec", "command"),
    ("execstart", "command"),
    ("run", "command"),
    ("dependson", "requires"),
    ("waitsfor", "wants"),
    ("kind", "type"),
    ("restartsec", "restart-delay"),
    ("restartmaxdelaysec", "restart-delay-max"),
    ("startlimitintervalsec", "start-limit-interval"),
    ("timeoutstartsec", "start-timeout"),
    ("timeoutstopsec", "stop-timeout"),
    ("killsignal", "stop-signal"),
    ("cpuquota", "cpu-max"),
    ("tasksmax", "pids-max"),
    ("memorylimit", "memory-max"),
    ("ttypath", "tty"),
    ("workingdir", "working-directory"),
];

/// The candidate with the fewest mistyped letters, in quotes, if that can be a typing mistake.
pub(super) fn nearest<'w>(
    word: &str,
    candidates: impl IntoIterator<Item = &'w str>,
) -> Option<String> {
    let near = |candidate: &&str| candidate.len() <= WORD_MAX && word.len() <= WORD_MAX;
    candidates
        .into_iter()
        .filter(near)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed(candidate))
        .min()
        .map(|(_, candidate)| format!("{candidate:?}"))
}

/// The key that was meant, by this project's name or by another's.
pub(super) fn key(word: &str, keys: &[Key]) -> Option<String> {
    let folded = fold(word);
    let same = keys.iter().find(|key| fold(key.name) == folded);
    let elsewhere = ELSEWHERE.iter().find(|(theirs, _)| *theirs == folded).map(|(_, ours)| *ours);
    let known = |name: &&str| keys.iter().any(|key| key.name == *name);
    same.map(|key| key.name)
        .or(elsewhere.filter(known))
        .map(|name| format!("{name:?}"))
        .or_else(|| nearest(word, keys.iter().map(|key| key.name)))
}

/// One mistyped letter in three is a typing mistake.
fn allowed(candidate: &str) -> usize {
    candidate.chars().count() / 3
}

fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;

    #[test]
    fn typing_mistakes_have_a_nearest_word() {
        let words = ["requires", "restart", "restart-delay"];
        assert_eq!(nearest("requries", words).as_deref(), Some("\"requires\""));
        assert_eq!(nearest("restrat", words).as_deref(), Some("\"restart\""));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest(&"x".repeat(65), words), None);
    }

    #[test]
    fn keys_are_known_by_the_names_of_other_service_managers() {
        for (theirs, ours) in ELSEWHERE {
            assert_eq!(key(theirs, Service::KEYS), Some(format!("{ours:?}")), "{theirs}");
        }
        for theirs in ["WorkingDirectory", "OOMScoreAdjust", "start_timeout", "Requires"] {
            let ours = key(theirs, Service::KEYS).unwrap();
            assert_eq!(fold(theirs), fold(ours.trim_matches('"')));
        }
    }

    #[test]
    fn a_key_of_another_table_is_not_suggested() {
        assert_eq!(key("killsignal", &[]), None);
    }
}
