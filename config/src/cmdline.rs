//! The kernel command line: the table of `pintle.*` options, and how they are read.

use std::borrow::Cow;
use std::fmt;

use crate::Value;
use crate::boot::{
    EtcPolicy, Lock, LogLevel, OnCorruption, Recovery, StateTimeout, VerityWay, Watchdog,
};
use crate::device::DeviceSpec;
use crate::name::{EntryId, PortName};

/// The longest command line of any architecture (`COMMAND_LINE_SIZE` of s390 is 4096).
pub const BYTES_MAX: usize = 4096;

/// What the options of the kernel command line begin with.
pub const PREFIX: &str = "pintle.";

/// One option of the kernel command line.
#[derive(Clone, Copy, Debug)]
pub struct CmdlineOption {
    /// The name after [`PREFIX`].
    pub name: &'static str,
    /// The key of the boot configuration that it stands in for, if any.
    pub replaces: Option<&'static str>,
    /// Whether a locked machine ignores it.
    pub weakens: Weakens,
    /// What it does, a line an element.
    pub doc: &'static [&'static str],
    /// Completes the sentence "expected …".
    pub expected: fn() -> String,
    /// The values with a name.
    pub choices: fn() -> &'static [crate::Choice],
    set: fn(&mut Overrides, &str) -> bool,
}

/// Whether an option can make a machine less strict than it was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakens {
    /// A locked machine ignores the option and reports it.
    Yes,
    /// It holds on every machine.
    No,
}

/// Declares the options: the struct of their values and the table.
macro_rules! options {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])+
               $option:literal, replaces $key:expr, weakens $weakens:ident => $field:ident: $type:ty, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: Option<$type>, )+
        }

        /// All options, in the order of the reference page.
        pub const OPTIONS: &[CmdlineOption] = &[
            $( CmdlineOption {
                name: $option,
                replaces: $key,
                weakens: Weakens::$weakens,
                doc: &[$($doc),+],
                expected: <$type as Value>::expected,
                choices: <$type as Value>::choices,
                set: |overrides, text| match <$type as Value>::from_text(text) {
                    Some(value) => { overrides.$field = Some(value); true }
                    None => false,
                },
            }, )+
        ];
    };
}

options! {
    /// What the kernel command line says in place of the boot configuration.
    pub struct Overrides {
        /// What checks the image's blocks.
        ///
        /// Every way checks all of them, against the same root hash.
        "verity", replaces Some("verity"), weakens No => verity: VerityWay,

        /// The device with the state partition.
        ///
        /// It weakens a machine because the lowest version that may still boot, and what is known
        /// to be bad, stand on the state partition.
        "state", replaces Some("state"), weakens Yes => state: DeviceSpec,

        /// How long to wait for the state device to appear.
        "state_timeout", replaces Some("state-timeout"), weakens No => state_timeout: StateTimeout,

        /// The installed image to boot, by its name without boot counters.
        ///
        /// It must still be signed, and not be below the floor. It weakens a machine because it can
        /// choose an image that is older than the newest good one, or that was rejected.
        "entry", replaces None, weakens Yes => entry: EntryId,

        /// Where changes in `/etc` are kept.
        "etc", replaces Some("etc"), weakens Yes => etc: EtcPolicy,

        /// What happens when no image boots.
        "recovery", replaces Some("recovery"), weakens Yes => recovery: Recovery,

        /// What happens when a block of the running image turns out to be changed.
        "corruption", replaces Some("on-corruption"), weakens Yes => on_corruption: OnCorruption,

        /// The hardware watchdog's time, or `off`.
        "watchdog", replaces Some("watchdog"), weakens Yes => watchdog: Watchdog,

        /// The virtio port that the machine's report is also written to.
        "report", replaces Some("report"), weakens No => report: PortName,

        /// How much of the report the kernel log gets too, and with it the console.
        "log", replaces Some("log"), weakens No => log: LogLevel,

        /// A root shell on the console.
        "shell", replaces None, weakens Yes => shell: Shell,
    }
}

choice! {
    /// A root shell on the console.
    pub enum Shell as String {
        /// None.
        No = "no",
        /// Before the image is mounted; the boot goes on when the shell ends.
        Stage1 = "stage1",
        /// Beside the services.
        Stage2 = "stage2",
    }
}

/// An option that does not hold, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// There is no option with this name.
    Unknown {
        /// The name after `pintle.`.
        name: String,
    },
    /// The option's value is none of its values.
    Wrong {
        /// The option.
        option: &'static str,
        /// The value as it stands on the command line, if there is one.
        found: Option<String>,
        /// Completes the sentence "expected …".
        expected: String,
    },
    /// The machine is locked, and the option would weaken it.
    Locked {
        /// The option.
        option: &'static str,
    },
    /// The command line is longer than any kernel's; what follows the limit was not read.
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => {
                write!(f, "ignoring {PREFIX}{}: there is no such option", name.escape_debug())
            }
            Self::Wrong { option, found: Some(found), expected } => {
                write!(f, "ignoring {PREFIX}{option}: found {found:?}, expected {expected}")
            }
            Self::Wrong { option, found: None, expected } => {
                write!(f, "ignoring {PREFIX}{option}: found no value, expected {expected}")
            }
            Self::Locked { option } => {
                write!(f, "ignoring {PREFIX}{option}: it would weaken a locked machine")
            }
            Self::TooLong { length } => write!(
                f,
                "ignoring the end of the kernel command line: it has {length} bytes, of which \
                 {BYTES_MAX} are read"
            ),
        }
    }
}

/// Reads the `pintle.*` options of a command line, as `/proc/cmdline` shows it.
///
/// Options are separated and quoted as the kernel does it (`next_arg` in `lib/cmdline.c`); `-` and
/// `_` in a name are the same; the last of several holds; those after `--` are not ours. An option
/// that does not hold leaves a complaint.
pub fn parse(cmdline: &[u8], lock: Lock) -> (Overrides, Vec<Complaint>) {
    let mut overrides = Overrides::default();
    let mut complaints = Vec::new();
    let within = cmdline.get(..BYTES_MAX).unwrap_or(cmdline);
    if within.len() < cmdline.len() {
        complaints.push(Complaint::TooLong { length: cmdline.len() });
    }
    for parameter in parameters(within) {
        complaints.extend(parameter.apply(lock, &mut overrides).err());
    }
    (overrides, complaints)
}

/// One `name=value` of the command line, unquoted.
#[derive(Debug, PartialEq, Eq)]
struct Parameter<'a> {
    name: &'a [u8],
    value: Option<&'a [u8]>,
}

impl Parameter<'_> {
    fn apply(&self, lock: Lock, overrides: &mut Overrides) -> Result<(), Complaint> {
        let name = String::from_utf8_lossy(self.name).replace('-', "_");
        let Some(name) = name.strip_prefix(PREFIX) else { return Ok(()) };
        let option = OPTIONS
            .iter()
            .find(|option| option.name == name)
            .ok_or_else(|| Complaint::Unknown { name: name.to_owned() })?;
        if (lock, option.weakens) == (Lock::Locked, Weakens::Yes) {
            return Err(Complaint::Locked { option: option.name });
        }
        self.assign(option, overrides)
    }

    fn assign(&self, option: &CmdlineOption, overrides: &mut Overrides) -> Result<(), Complaint> {
        let found = self.value.map(String::from_utf8_lossy);
        let good = matches!(&found, Some(Cow::Borrowed(text)) if (option.set)(overrides, text));
        good.then_some(()).ok_or_else(|| Complaint::Wrong {
            option: option.name,
            found: found.map(Cow::into_owned),
            expected: (option.expected)(),
        })
    }
}

/// The parameters up to `--`, whose followers are init's arguments.
fn parameters(cmdline: &[u8]) -> impl Iterator<Item = Parameter<'_>> {
    let mut rest = cmdline;
    std::iter::from_fn(move || next_word(&mut rest)).take_while(|word| *word != b"--").map(split)
}

/// The next run of bytes without white space outside of double quotes.
fn next_word<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let start = rest.iter().position(|b| !is_space(*b))?;
    let (_, from_start) = rest.split_at_checked(start)?;
    let mut quoted = false;
    let ends = |b: &u8| {
        quoted ^= *b == b'"';
        is_space(*b) && !quoted
    };
    let end = from_start.iter().position(ends).unwrap_or(from_start.len());
    let (word, after) = from_start.split_at_checked(end)?;
    *rest = after;
    Some(word)
}

/// Quotes are dropped around the whole word or around the value, and stay anywhere else.
fn split(word: &[u8]) -> Parameter<'_> {
    let word = match word.strip_prefix(b"\"") {
        Some(quoted) => quoted.strip_suffix(b"\"").unwrap_or(quoted),
        None => word,
    };
    // A word that begins with '=' has no name that ends there: the kernel looks from the second byte.
    match word.iter().skip(1).position(|b| *b == b'=').map(|at| at + 1) {
        Some(equals) => Parameter {
            name: word.get(..equals).unwrap_or_default(),
            value: word.get(equals + 1..).map(unquote_value),
        },
        None => Parameter { name: word, value: None },
    }
}

fn unquote_value(value: &[u8]) -> &[u8] {
    match value.strip_prefix(b"\"") {
        Some(quoted) => quoted.strip_suffix(b"\"").unwrap_or(quoted),
        None => value,
    }
}

/// White space by the kernel's `ctype.c`, which is that of Latin-1.
fn is_space(b: u8) -> bool {
    matches!(b, b'\t'..=b'\r' | b' ' | 0xa0)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Word = (&'static str, Option<&'static str>);

    fn words(cmdline: &[u8]) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        parameters(cmdline).map(|p| (text(p.name), p.value.map(text))).collect()
    }

    /// What `next_arg` of Linux 6.12 makes of the same bytes.
    #[test]
    fn words_are_split_and_quoted_as_the_kernel_does_it() {
        let cases: [(&str, &[Word]); 16] = [
            ("", &[]),
            (" \t\n ", &[]),
            ("quiet a=1  b=2\n", &[("quiet", None), ("a", Some("1")), ("b", Some("2"))]),
            ("a=\"x y\" b", &[("a", Some("x y")), ("b", None)]),
            ("\"a=x y\" b", &[("a", Some("x y")), ("b", None)]),
            ("a=x\" \"y", &[("a", Some("x\" \"y"))]),
            ("a=\"x\"y", &[("a", Some("x\"y"))]),
            ("a=\"x y", &[("a", Some("x y"))]),
            ("a=\"", &[("a", Some(""))]),
            ("\"a b\"", &[("a b", None)]),
            ("a=", &[("a", Some(""))]),
            ("a==b=c", &[("a", Some("=b=c"))]),
            ("=a=b", &[("=a", Some("b"))]),
            ("a -- b=1", &[("a", None)]),
            ("a--b --c", &[("a--b", None), ("--c", None)]),
            ("a\"b=c d\"e", &[("a\"b", Some("c d\"e"))]),
        ];
        for (cmdline, expected) in cases {
            let expected: Vec<_> =
                expected.iter().map(|(n, v)| ((*n).to_owned(), v.map(str::to_owned))).collect();
            assert_eq!(words(cmdline.as_bytes()), expected, "{cmdline:?}");
        }
        assert_eq!(words(b"a\xa0b"), [("a".to_owned(), None), ("b".to_owned(), None)]);
    }

    fn complaints(cmdline: &str, lock: Lock) -> Vec<String> {
        parse(cmdline.as_bytes(), lock).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn foreign_parameters_are_not_looked_at() {
        let cmdline = b"root=/dev/vda pintle pintl.verity=dm \xff=1 quiet pintleverity=dm";
        assert_eq!(parse(cmdline, Lock::Unlocked), (Overrides::default(), vec![]));
    }

    #[test]
    fn dashes_are_underscores_and_the_last_of_several_holds() {
        let cmdline = b"pintle.state-timeout=5s pintle.state_timeout=7s pintle.state_timeout=x";
        let (overrides, complaints) = parse(cmdline, Lock::Locked);
        assert_eq!(overrides.state_timeout, StateTimeout::new(7000));
        assert_eq!(complaints.len(), 1);
    }

    #[test]
    fn what_does_not_hold_is_reported() {
        let cases = [
            ("pintle.colour=1", "ignoring pintle.colour: there is no such option"),
            ("pintle.=1", "ignoring pintle.: there is no such option"),
            ("pintle.\x1b[2J=1", "ignoring pintle.\\u{1b}[2J: there is no such option"),
            (
                "pintle.verity=none",
                "ignoring pintle.verity: found \"none\", expected \"auto\", \"dm\" or \"fs\"",
            ),
            (
                "pintle.verity",
                "ignoring pintle.verity: found no value, expected \"auto\", \"dm\" or \"fs\"",
            ),
        ];
        for (cmdline, complaint) in cases {
            assert_eq!(complaints(cmdline, Lock::Unlocked), [complaint]);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_a_wrong_value() {
        let (overrides, complaints) = parse(b"pintle.state=LABEL=\xff", Lock::Unlocked);
        assert_eq!(overrides, Overrides::default());
        assert!(matches!(&complaints[..], [Complaint::Wrong { option: "state", .. }]));
    }

    /// A value that each option accepts.
    const SAMPLES: [(&str, &str); 11] = [
        ("verity", "dm"),
        ("state", "LABEL=other"),
        ("state_timeout", "1s"),
        ("entry", "42_1.4.0"),
        ("etc", "transient"),
        ("recovery", "shell"),
        ("corruption", "alert"),
        ("watchdog", "off"),
        ("report", "other.port"),
        ("log", "error"),
        ("shell", "stage1"),
    ];

    #[test]
    fn a_locked_machine_ignores_and_reports_each_option_that_weakens() {
        assert!(OPTIONS.iter().map(|option| option.name).eq(SAMPLES.map(|(name, _)| name)));
        for (option, (name, value)) in OPTIONS.iter().zip(SAMPLES) {
            let cmdline = format!("{PREFIX}{name}={value}");
            let (unlocked, none) = parse(cmdline.as_bytes(), Lock::Unlocked);
            assert_eq!((unlocked == Overrides::default(), none), (false, vec![]), "{name}");
            let locked = match option.weakens {
                Weakens::Yes => (Overrides::default(), vec![Complaint::Locked { option: name }]),
                Weakens::No => (unlocked, vec![]),
            };
            assert_eq!(parse(cmdline.as_bytes(), Lock::Locked), locked, "{name}");
        }
    }

    /// The golden list: an option may leave it only with a reason in its documentation.
    #[test]
    fn these_options_weaken() {
        let weakens = OPTIONS.iter().filter(|option| option.weakens == Weakens::Yes);
        let expected = ["state", "entry", "etc", "recovery", "corruption", "watchdog", "shell"];
        assert!(weakens.map(|option| option.name).eq(expected));
    }

    #[test]
    fn a_line_that_is_too_long_is_read_up_to_the_limit() {
        let filler = "x".repeat(BYTES_MAX);
        let (overrides, complaints) =
            parse(format!("pintle.log=warn {filler} pintle.verity=dm").as_bytes(), Lock::Locked);
        assert_eq!((overrides.log, overrides.verity), (Some(LogLevel::Warn), None));
        assert!(matches!(complaints[..], [Complaint::TooLong { .. }]));
    }
}
