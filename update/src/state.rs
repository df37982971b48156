use crate::Error;

/// A number of tries, 1 to 9: one digit of an entry's name, so that the name keeps its length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tries(u8);

impl Tries {
    /// What a new entry gets where nobody said otherwise.
    pub const DEFAULT: Self = Self(3);
    pub(crate) const ONE: Self = Self(1);
    pub(crate) const MAX: Self = Self(9);

    /// The number, 1 to 9.
    pub const fn get(self) -> u8 {
        self.0
    }

    fn one_less(self) -> Option<Self> {
        Self::try_from(self.0 - 1).ok()
    }

    pub(crate) fn one_more(self) -> Self {
        Self::try_from(self.0 + 1).unwrap_or(Self::MAX)
    }
}

impl TryFrom<u8> for Tries {
    type Error = Error;

    fn try_from(number: u8) -> Result<Self, Error> {
        if (Self::ONE.0..=Self::MAX.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(Error::Tries(number))
        }
    }
}

/// Where an entry stands in boot counting, by the UAPI Group's Boot Loader Specification.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EntryState {
    /// It booted and was blessed.
    Good,
    /// On trial.
    Trial {
        /// Tries that it still has.
        left: Tries,
        /// Tries that it had; `None` before the first.
        done: Option<Tries>,
    },
    /// Out of tries: the last one runs at this moment, or it failed.
    Bad {
        /// Tries that it had, those as a last resort too; 9 stands for more.
        done: Tries,
    },
    /// Rejected by the operator.
    Rejected,
}

/// What happens to an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// It is about to be booted.
    Try,
    /// It runs, and is healthy.
    Bless,
    /// It failed while it ran.
    Demote,
    /// It failed once too often.
    Condemn,
    /// The operator does not want it.
    Reject,
    /// It shall have all its tries again.
    Retry,
}

impl EntryState {
    /// Every state that a name can tell: 101.
    pub fn all() -> impl Iterator<Item = Self> {
        let digits = || (0..=9).map(|digit| Tries::try_from(digit).ok());
        let counted = digits().flat_map(move |left| digits().map(move |done| (left, done)));
        std::iter::once(Self::Good)
            .chain(counted.map(|(left, done)| Self::from_counters(left, done)))
    }

    /// What a new entry, and one that gets another chance, starts with.
    pub const fn on_trial(tries: Tries) -> Self {
        Self::Trial { left: tries, done: None }
    }

    /// The state that follows on `event`; `tries` is what the machine gives to a new trial.
    ///
    /// Total: where an event changes nothing, the state is the same. The table of all of them is
    /// `update/tests/golden/states.txt`.
    pub fn after(self, event: Event, tries: Tries) -> Self {
        match (event, self) {
            (Event::Try, _) => self.counted(),
            // What the operator said stands, even where the entry runs and is well.
            (Event::Bless, Self::Rejected) => Self::Rejected,
            (Event::Bless, Self::Good | Self::Trial { .. } | Self::Bad { .. }) => Self::Good,
            (Event::Demote, Self::Good) => Self::on_trial(tries),
            (Event::Demote, Self::Trial { .. } | Self::Bad { .. } | Self::Rejected) => self,
            (Event::Condemn, Self::Good) => Self::Bad { done: tries },
            (Event::Condemn, Self::Trial { done, .. }) => {
                Self::Bad { done: done.unwrap_or(Tries::ONE) }
            }
            (Event::Condemn, Self::Bad { .. } | Self::Rejected) => self,
            (Event::Reject, _) => Self::Rejected,
            (Event::Retry, Self::Good) => Self::Good,
            (Event::Retry, Self::Trial { .. } | Self::Bad { .. } | Self::Rejected) => {
                Self::on_trial(tries)
            }
        }
    }

    fn counted(self) -> Self {
        match self {
            Self::Good | Self::Rejected => self,
            Self::Trial { left, done } => {
                let done = done.map_or(Tries::ONE, Tries::one_more);
                match left.one_less() {
                    Some(left) => Self::Trial { left, done: Some(done) },
                    None => Self::Bad { done },
                }
            }
            Self::Bad { done } => Self::Bad { done: done.one_more() },
        }
    }

    pub(crate) fn from_counters(left: Option<Tries>, done: Option<Tries>) -> Self {
        match (left, done) {
            (Some(left), done) => Self::Trial { left, done },
            (None, Some(done)) => Self::Bad { done },
            (None, None) => Self::Rejected,
        }
    }

    /// The digits behind the plus, tries left and done; `None` for a good entry, which has none.
    pub(crate) fn counters(self) -> Option<(u8, u8)> {
        match self {
            Self::Good => None,
            Self::Trial { left, done } => Some((left.get(), done.map_or(0, Tries::get))),
            Self::Bad { done } => Some((0, done.get())),
            Self::Rejected => Some((0, 0)),
        }
    }
}
