use std::fmt;

use crate::name::parse_decimal;
use crate::{EntryName, EntryState};

/// After as many boots in a row without a clean shutdown a good entry is on trial again.
pub(crate) const UNCLEAN_BOOTS: u8 = 3;

/// As many failures that the machine saw itself, with neither a clean shutdown nor a long healthy
/// time between them, make a good entry bad: without a limit, an entry that is blessed after each
/// restart and fails after each blessing would run for ever.
pub(crate) const LAPSES: u8 = 3;

/// Which entry runs, or that the last one was shut down cleanly: the name of one empty file in
/// `trust/`, renamed at each boot and each shutdown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Mark {
    /// `clean`: the last shutdown was a clean one; or nothing ran yet.
    #[default]
    Clean,
    /// `running-<sequence>-<boots>-<lapses>`: this entry runs, or ran when the machine stopped.
    Running {
        /// The entry's.
        sequence: u64,
        /// How many boots in a row it began as a good entry, without a clean shutdown; 3
        /// stands for more.
        boots: u8,
        /// How many failures were seen while it ran as a good entry; 3 stands for more.
        lapses: u8,
    },
}

impl Mark {
    /// The mark while `entry` runs. What another entry did counts for nothing.
    pub fn started(self, entry: &EntryName) -> Self {
        let (boots, lapses) = self.counts_of(entry.sequence());
        let boots = match entry.state() {
            EntryState::Good => one_more(boots, UNCLEAN_BOOTS),
            // The name counts these.
            EntryState::Trial { .. } | EntryState::Bad { .. } | EntryState::Rejected => 0,
        };
        Self::Running { sequence: entry.sequence(), boots, lapses }
    }

    /// The mark after a failure of the entry with this sequence.
    pub fn lapsed(self, sequence: u64) -> Self {
        let (_, lapses) = self.counts_of(sequence);
        Self::Running { sequence, boots: 0, lapses: one_more(lapses, LAPSES) }
    }

    /// The mark once the running entry has been healthy for long.
    pub fn settled(self) -> Self {
        match self {
            Self::Clean => Self::Clean,
            Self::Running { sequence, .. } => Self::Running { sequence, boots: 0, lapses: 0 },
        }
    }

    /// Boots and lapses, if they are this entry's.
    pub(crate) fn counts_of(self, wanted: u64) -> (u8, u8) {
        match self {
            Self::Running { sequence, boots, lapses } if sequence == wanted => (boots, lapses),
            Self::Running { .. } | Self::Clean => (0, 0),
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        if name == CLEAN {
            return Some(Self::Clean);
        }
        let mut parts = name.strip_prefix(RUNNING)?.split('-');
        let sequence = parse_decimal(parts.next()?)?;
        let boots = parse_count(parts.next()?)?;
        let lapses = parse_count(parts.next()?)?;
        parts.next().is_none().then_some(Self::Running { sequence, boots, lapses })
    }
}

const CLEAN: &str = "clean";
const RUNNING: &str = "running-";

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str(CLEAN),
            Self::Running { sequence, boots, lapses } => {
                write!(f, "{RUNNING}{sequence}-{boots}-{lapses}")
            }
        }
    }
}

fn one_more(count: u8, limit: u8) -> u8 {
    count.saturating_add(1).min(limit)
}

fn parse_count(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        _ => None,
    }
}
