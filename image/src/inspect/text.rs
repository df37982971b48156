//! The account as text, a line a file.

use super::{FileReport, ImageReport, Report, SealReport};
use crate::erofs::format::FileType;
use std::fmt::{self, Display, Formatter};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(seal) = &self.seal {
            write!(f, "{seal}")?;
        }
        self.image.iter().try_for_each(|image| write!(f, "{image}"))
    }
}

impl Display for SealReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seal = &self.statement;
        writeln!(f, "seal {} (NOT VERIFIED)", self.digest)?;
        self.signers.iter().try_for_each(|signer| line(f, "signed by", signer))?;
        line(f, "image id", &seal.image_id)?;
        line(f, "version", &seal.version)?;
        line(f, "architecture", &seal.architecture)?;
        line(f, "sequence", &seal.sequence)?;
        line(f, "floor", &seal.floor)?;
        line(f, "created", &time(seal.created.cast_signed(), 0))?;
        option(f, "best before", seal.best_before.map(|at| time(at.cast_signed(), 0)))?;
        line(f, "rollout", &seal.rollout)?;
        line(f, "image size", &seal.image_size)?;
        line(f, "salt", &seal.salt.hex())?;
        line(f, "root hash", &seal.root_hash)?;
        option(f, "source", seal.source)?;
        option(f, "kernel", seal.kernel)?;
        option(f, "next keys", seal.next_keys.as_ref().map(|keys| keys.keys().len()))
    }
}

impl Display for ImageReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "image of {} bytes, {} inodes, UUID {}", self.size, self.inodes, self.uuid)?;
        self.files.iter().try_for_each(|file| write!(f, "{file}"))
    }
}

impl Display for FileReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let letter = letter(self.file_type);
        write!(f, "{letter}{} {:>3} {}:{}", self.mode, self.links, self.uid, self.gid)?;
        match self.device {
            Some((major, minor)) => write!(f, " {major},{minor}")?,
            None => write!(f, " {}", self.size)?,
        }
        write!(f, " {} {}", time(self.mtime, self.mtime_nanos), self.path)?;
        if let Some(target) = &self.target {
            write!(f, " -> {target}")?;
        }
        self.xattrs.iter().try_for_each(|(name, value)| write!(f, " {name}=0x{value}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, " {digest}"))?;
        writeln!(f)
    }
}

/// As `ls -l` shows it.
fn letter(file_type: FileType) -> char {
    match file_type {
        FileType::File => '-',
        FileType::Directory => 'd',
        FileType::CharDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::Symlink => 'l',
    }
}

fn line(f: &mut Formatter<'_>, name: &str, value: &impl Display) -> fmt::Result {
    writeln!(f, "  {name:<13} {value}")
}

fn option(f: &mut Formatter<'_>, name: &str, value: Option<impl Display>) -> fmt::Result {
    value.iter().try_for_each(|value| line(f, name, value))
}

/// A time in UTC; seconds since 1970 where the calendar does not reach.
fn time(seconds: i64, nanos: u32) -> String {
    let whole = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    OffsetDateTime::from_unix_timestamp_nanos(whole)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("@{seconds}.{nanos:09}"))
}
