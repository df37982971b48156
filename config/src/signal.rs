//! Signals by name.

use std::fmt;

use crate::Value;

/// A signal by its Linux number, as on every architecture but MIPS, SPARC, Alpha and PA-RISC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// The first real-time signal that the C library leaves to programs (`SIGRTMIN` of glibc and musl).
const RTMIN: u8 = 34;
/// The last real-time signal (`_NSIG`).
const RTMAX: u8 = 64;

/// The signals of `signal(7)` that a service may be stopped with.
///
/// Those that the kernel raises for a fault, and those that stop or continue a process, are no
/// request to end.
const NAMES: [(&str, u8); 9] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGTERM", 15),
    ("SIGWINCH", 28),
    ("SIGPWR", 30),
];

impl Signal {
    /// The signal with this number, if a service may be stopped with it.
    pub fn new(number: u8) -> Option<Self> {
        let named = NAMES.iter().any(|(_, known)| *known == number);
        (named || (RTMIN..=RTMAX).contains(&number)).then_some(Self(number))
    }

    /// The signal's number, for `kill(2)`.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "SIGRTMIN+{}", self.0.saturating_sub(RTMIN)),
        }
    }
}

impl Value for Signal {
    fn expected() -> String {
        let names: Vec<String> = NAMES.iter().map(|(name, _)| format!("{name:?}")).collect();
        format!("a signal: {} or \"SIGRTMIN+0\" to \"SIGRTMIN+30\"", names.join(", "))
    }

    fn from_text(text: &str) -> Option<Self> {
        match text.strip_prefix("SIGRTMIN+") {
            Some(offset) => Self::new(RTMIN.checked_add(real_time_offset(offset)?)?),
            None => NAMES.iter().find(|(name, _)| *name == text).map(|(_, n)| Self(*n)),
        }
    }
}

number_on_the_wire!(Signal[], u8);

fn real_time_offset(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_real_time_signals_are_read_back() {
        for (text, number) in [("SIGTERM", 15), ("SIGRTMIN+0", 34), ("SIGRTMIN+30", 64)] {
            let signal = Signal::from_text(text).unwrap();
            assert_eq!((signal.number(), signal.to_string().as_str()), (number, text));
        }
    }

    #[test]
    fn faults_numbers_and_typos_are_refused() {
        for text in
            ["", "TERM", "15", "SIGSEGV", "SIGSTOP", "sigterm", "SIGRTMIN+31", "SIGRTMIN+-1"]
        {
            assert_eq!(Signal::from_text(text), None, "{text:?}");
        }
        assert_eq!([Signal::new(0), Signal::new(11), Signal::new(65)], [None; 3]);
    }
}
