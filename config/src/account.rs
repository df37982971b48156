//! Users and groups, as numbers: the machine looks no name up.

use serde::{Deserialize, Serialize};

use crate::name::{AbsolutePath, Line};

/// The number of a user or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u32);

impl Id {
    /// The user and the group that may do everything.
    pub const ROOT: Self = Self(0);

    /// The id with this number; the highest one means "no id" to the kernel (`INVALID_UID`).
    pub const fn new(number: u32) -> Option<Self> {
        if number == u32::MAX { None } else { Some(Self(number)) }
    }

    /// The number, for `setuid(2)` and `setgid(2)`.
    pub const fn get(self) -> u32 {
        self.0
    }
}

number_on_the_wire!(Id[], u32);

/// A group of the image's `/etc/group`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Group(
    /// Its number.
    pub Id,
);

/// A user of the image's `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's number.
    pub uid: Id,
    /// The number of the user's primary group.
    pub gid: Id,
    /// The groups of `/etc/group` that list the user, sorted, without the primary one.
    pub groups: Vec<Id>,
    /// For `USER` and `LOGNAME`.
    pub name: Line,
    /// For `HOME`.
    pub home: AbsolutePath,
}
