//! What a machine and the worker that fetches for it say to each other, in postcard.
//!
//! The machine hands the worker one [`Job`] as a file at descriptor 0, and reads frames of [`Said`] from descriptor 1: four bytes of
//! length, little-endian, then the bytes. The worker parses what strangers have written; so nothing that
//! it says is believed: seals are verified by the machine, and what was fetched is read back and compared with its
//! leaves.
//!
//! From descriptor 3 on the worker has files, in this order: the directory or the archive, if the source is one; then, for a
//! [`Task::Fetch`], the image, the tree and the delta that it writes, and for each of its sources an image and a tree that it
//! only reads.

use std::fmt;
use std::io::{self, Read};

use pintle_verify::{Architecture, Digest};
use serde::{Deserialize, Serialize};

/// A list of certificates is the largest part of a job; distributions' have about 220 KiB.
pub const JOB_MAX: usize = 4 << 20;

/// A seal, tokens of a registry, an error's text.
pub const SAID_MAX: usize = 64 << 10;

/// What the worker shall do.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Job {
    /// Where the release is.
    pub source: Source,
    /// What to do with it.
    pub task: Task,
}

/// Where releases come from.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Source {
    /// An OCI registry.
    Registry(Box<Registry>),
    /// A directory with an OCI layout, and a tag in it if it has several.
    Directory(Option<String>),
    /// A tar file of one.
    Archive(Option<String>),
}

/// How to reach a registry: all that the worker, which can open no file, must be told.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Registry {
    /// `HOST[:PORT]/REPOSITORY:TAG`, or with a digest.
    pub reference: String,
    /// `HOST[:PORT][/PATH]`, tried in order before the host itself; the repository is below the path there.
    pub mirrors: Vec<String>,
    /// The content of a docker `config.json`.
    pub credentials: Option<Vec<u8>>,
    /// PEM: the certificates of the authorities that are trusted for TLS.
    pub authorities: Vec<u8>,
    /// The content of `/etc/resolv.conf`.
    pub resolv_conf: Vec<u8>,
    /// The content of `/etc/hosts`.
    pub hosts: Vec<u8>,
    /// `http://HOST:PORT`.
    pub proxy: Option<String>,
    /// Whether the hosts are spoken to without TLS.
    pub transport: Transport,
    /// The longest silence, in milliseconds.
    pub stall_limit: u64,
    /// The longest that all of it may take, in milliseconds.
    pub total_limit: u64,
    /// Spreads what is tried again; another number on each machine.
    pub seed: u64,
    /// What [`Said::Checked`] gave the last time, so that no new token is asked for.
    pub tokens: Vec<u8>,
}

/// How hosts are spoken to.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// HTTPS.
    Tls,
    /// HTTP. The seal protects the image all the same, but others can see what is fetched.
    Plain,
}

/// What the worker does.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Task {
    /// Finds out what the tag names now.
    Check {
        /// The machine's.
        architecture: Architecture,
        /// What the last check gave as `known`; if that still holds, one small request is all.
        known: Option<Vec<u8>>,
    },
    /// Fills the files of a release.
    Fetch {
        /// The digest of the release's manifest.
        manifest: Digest,
        /// The content of its seal file, which the machine has verified.
        seal: Vec<u8>,
        /// The keys that the machine trusts, as their file has them.
        keys: Vec<u8>,
        /// The root hash of each image that is here to copy from.
        sources: Vec<Digest>,
        /// The most bytes that may be received; what is there by then stays for the next job.
        budget: Option<u64>,
    },
}

/// What the worker says.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Said {
    /// Nothing has changed since the last check. The end.
    Unchanged {
        /// For the next job.
        tokens: Vec<u8>,
        /// What it took.
        traffic: Traffic,
    },
    /// What the tag names. The end.
    Checked(Checked),
    /// How the bytes come, and what the other ways would have cost: for people.
    Way(String),
    /// How far it is.
    Progress {
        /// Blocks of the image that are there.
        blocks: u64,
        /// Of so many.
        of: u64,
        /// What was received so far, in bytes.
        received: u64,
    },
    /// All files are whole. The end.
    Fetched {
        /// What it took.
        traffic: Traffic,
    },
    /// All that may be received was, and more is needed. The end.
    Spent {
        /// What it took.
        traffic: Traffic,
    },
    /// It cannot be done. The end.
    Failed(Failed),
}

/// What a tag names.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Checked {
    /// The release for the machine's architecture; `None` where the tag has none.
    pub release: Option<Found>,
    /// For the next check: what the registry called this answer.
    pub known: Option<Vec<u8>>,
    /// For the next job.
    pub tokens: Vec<u8>,
    /// What it took.
    pub traffic: Traffic,
}

/// A release that was found.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Found {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The content of its seal file.
    pub seal: Vec<u8>,
    /// Its deltas: the root hash of the image that each starts from, and its size in bytes.
    pub deltas: Vec<(Digest, u64)>,
}

/// Requests and bytes on the wire.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// How many requests.
    pub requests: u64,
    /// Bytes that were sent, headers and all.
    pub sent: u64,
    /// Bytes that were received, headers and all.
    pub received: u64,
}

/// Why the worker could not do its job.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    /// For people. May hold anything that a stranger wrote.
    pub text: String,
    /// Whether it may go well another time.
    pub outlook: Outlook,
    /// What the registry asked for, in seconds.
    pub retry_after: Option<u32>,
}

/// Whether trying again makes sense.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outlook {
    /// The network or the registry has a bad time.
    MayPass,
    /// What is there is wrong, and stays so until somebody changes it.
    WillNot,
}

/// Why a message is none.
#[derive(Debug)]
pub enum Error {
    /// It cannot be read or written.
    Io(io::Error),
    /// It is longer than any; this many bytes.
    TooLong(usize),
    /// It is none.
    Malformed,
}

impl Job {
    /// Its bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let bytes = postcard::to_allocvec(self).map_err(|_| Error::Malformed)?;
        if bytes.len() > JOB_MAX { Err(Error::TooLong(bytes.len())) } else { Ok(bytes) }
    }

    /// Reads it from all that is in a file.
    pub fn read(from: &mut impl Read) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        from.take(JOB_MAX as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > JOB_MAX {
            return Err(Error::TooLong(bytes.len()));
        }
        postcard::from_bytes(&bytes).map_err(|_| Error::Malformed)
    }
}

impl Said {
    /// A frame.
    pub fn to_frame(&self) -> Result<Vec<u8>, Error> {
        let body = postcard::to_allocvec(self).map_err(|_| Error::Malformed)?;
        if body.len() > SAID_MAX {
            return Err(Error::TooLong(body.len()));
        }
        Ok([&(body.len() as u32).to_le_bytes(), body.as_slice()].concat())
    }

    /// Takes the first frame off what was received; `None` while it is not whole.
    pub fn take(received: &mut Vec<u8>) -> Result<Option<Self>, Error> {
        let Some((length, rest)) = received.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > SAID_MAX {
            return Err(Error::TooLong(length));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let said = postcard::from_bytes(body).map_err(|_| Error::Malformed)?;
        received.drain(..length + 4);
        Ok(Some(said))
    }

    /// Whether the worker has nothing more to say.
    pub fn is_the_end(&self) -> bool {
        match self {
            Self::Unchanged { .. }
            | Self::Checked(_)
            | Self::Fetched { .. }
            | Self::Spent { .. }
            | Self::Failed(_) => true,
            Self::Way(_) | Self::Progress { .. } => false,
        }
    }
}

/// A stranger's text as it may be shown: one line, of bounded length, without control characters.
pub fn printable(text: &str) -> String {
    const SHOWN: usize = 500;
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect()
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, sent, received } = self;
        write!(f, "{requests} requests, {sent} bytes sent, {received} bytes received")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(cause) => write!(f, "cannot exchange messages with the worker: {cause}"),
            Self::TooLong(length) => {
                write!(f, "cannot read the worker's message: {length} bytes are too many")
            }
            Self::Malformed => f.write_str("cannot read the worker's message: it is malformed"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> Said {
        Said::Failed(Failed { text: text.into(), outlook: Outlook::MayPass, retry_after: Some(7) })
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let said = [Said::Way("by blocks".into()), failed("no route")];
        let bytes: Vec<u8> = said.iter().flat_map(|said| said.to_frame().unwrap()).collect();
        let (mut received, mut heard) = (Vec::new(), Vec::new());
        for byte in bytes {
            received.push(byte);
            heard.extend(Said::take(&mut received).unwrap());
        }
        assert_eq!(heard, said);
        assert!(received.is_empty());
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_is_there() {
        let mut received = (SAID_MAX as u32 + 1).to_le_bytes().to_vec();
        assert!(matches!(Said::take(&mut received), Err(Error::TooLong(_))));
        assert!(matches!(failed(&"x".repeat(SAID_MAX)).to_frame(), Err(Error::TooLong(_))));
    }

    #[test]
    fn whatever_the_bytes_are_reading_them_ends() {
        let frame = failed("no route").to_frame().unwrap();
        for position in 0..frame.len() {
            for bit in 0..8 {
                let mut damaged = frame.clone();
                damaged[position] ^= 1 << bit;
                drop(Said::take(&mut damaged));
            }
        }
    }

    #[test]
    fn what_a_stranger_wrote_is_one_harmless_line() {
        assert_eq!(printable("a\x1b[31m\nb"), "a [31m b");
        assert_eq!(printable(&"x".repeat(1000)).len(), 500);
    }
}
