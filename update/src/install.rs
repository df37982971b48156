//! How a release becomes an entry: whether it may, and the steps.

use pintle_verify::Seal;
use pintle_verify::verity::Geometry;

use crate::{EntryName, EntryState, Piece, Place, Refused, Step, Tries, Trust};

/// Whether a seal that is remembered as bad is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadSeals {
    /// It is, as always when nobody asked for this very release.
    Refuse,
    /// It is not: the operator insists.
    Install,
}

/// What became of a release.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Installed {
    /// It is an entry now, on trial.
    New(EntryName),
    /// The image was there already; its seal is the newer one now.
    Resealed(EntryName),
    /// It was there already, with this very seal.
    Already(EntryName),
    /// It was there already, and has all its tries again.
    Retried(EntryName),
    /// Its files are new; those that were damaged are gone.
    Mended(EntryName),
}

/// One step of an installation. As with [`Step`]s, the first error is the end of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InstallStep {
    /// A change of names.
    Names(Step),
    /// Copies a file of the release into `incoming/<sequence>/`; of the image, each block is
    /// checked against its leaf first.
    Write(Piece),
    /// Makes a copied file's bytes durable (fdatasync).
    SyncFile(Piece),
    /// Drops a copied file from the page cache, reads it from the disk and compares it.
    ReadBack(Piece),
}

impl std::fmt::Display for InstallStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Names(step) => step.fmt(f),
            Self::Write(piece) => write!(f, "copy {}", piece.file_name()),
            Self::SyncFile(piece) => write!(f, "sync {}", piece.file_name()),
            Self::ReadBack(piece) => write!(f, "read back {}", piece.file_name()),
        }
    }
}

/// A new entry: everything that it needs is durable, and was read back from the disk, before the
/// one rename that makes it visible.
pub fn steps(seal: &Seal, tries: Tries) -> (EntryName, Vec<InstallStep>) {
    let mut steps = copy(seal.sequence, &Piece::ALL);
    let (name, publish) = publish(seal, tries);
    steps.extend(publish);
    (name, steps)
}

/// The one rename that makes an entry visible.
fn publish(seal: &Seal, tries: Tries) -> (EntryName, Vec<InstallStep>) {
    let state = EntryState::on_trial(tries);
    let name = EntryName::new(seal.sequence, seal.version.clone(), state);
    let steps = names([
        Step::SyncDir(Place::incoming()),
        Step::Move { from: Place::fetched(seal.sequence), to: Place::entry(&name) },
        Step::SyncDir(Place::images()),
    ]);
    (name, steps)
}

/// A new entry of files that were fetched into `incoming/<sequence>/`: the same care, without the
/// copying.
pub fn fetched_steps(seal: &Seal, tries: Tries) -> (EntryName, Vec<InstallStep>) {
    const PIECES: [Piece; 4] = [Piece::Image, Piece::Tree, Piece::Seal, Piece::Origin];
    let mut steps = vec![InstallStep::Write(Piece::Seal), InstallStep::Write(Piece::Origin)];
    steps.extend(PIECES.map(InstallStep::SyncFile));
    steps.extend(names([Step::SyncDir(Place::fetched(seal.sequence))]));
    steps.extend(PIECES.map(InstallStep::ReadBack));
    let (name, publish) = publish(seal, tries);
    steps.extend(publish);
    (name, steps)
}

/// New files for an entry some of whose blocks are damaged. Each file is replaced by one rename, and
/// either is right beside the other's old or new one: both are the seal's.
pub fn repair_steps(seal: &Seal, entry: &EntryName) -> Vec<InstallStep> {
    let incoming = Place::fetched(seal.sequence);
    let pieces = [Piece::Image, Piece::Tree];
    let mut steps: Vec<_> = pieces.iter().copied().map(InstallStep::SyncFile).collect();
    steps.extend(names([Step::SyncDir(incoming.clone())]));
    steps.extend(pieces.iter().copied().map(InstallStep::ReadBack));
    steps.extend(names(pieces.map(|piece| Step::Replace {
        from: incoming.piece(piece),
        to: Place::entry(entry).piece(piece),
    })));
    steps.extend(names([
        Step::SyncDir(Place::entry(entry)),
        Step::Discard(incoming),
        Step::SyncDir(Place::incoming()),
    ]));
    steps
}

/// A new seal for an entry: as careful, since without a seal the entry does not boot.
pub fn reseal_steps(seal: &Seal, entry: &EntryName) -> Vec<InstallStep> {
    let incoming = Place::fetched(seal.sequence);
    let mut steps = copy(seal.sequence, &[Piece::Seal]);
    steps.extend(names([
        Step::Replace {
            from: incoming.piece(Piece::Seal),
            to: Place::entry(entry).piece(Piece::Seal),
        },
        Step::SyncDir(Place::entry(entry)),
        Step::Discard(incoming),
        Step::SyncDir(Place::incoming()),
    ]));
    steps
}

/// What is left of an earlier attempt.
pub fn clear_steps(sequence: u64) -> Vec<Step> {
    vec![Step::Discard(Place::fetched(sequence)), Step::SyncDir(Place::incoming())]
}

/// Bytes that an installation writes at most, on a file system with blocks of `block` bytes: the
/// three files, the tree once more for fs-verity, and what the file system itself needs for them.
pub fn space(seal: &Seal, block: u64) -> Result<u64, pintle_verify::Error> {
    let tree = Geometry::of_image(seal.image_size)?.tree_size();
    let files = [seal.image_size, tree, tree, SEAL_FILE];
    let rounded: u64 = files.iter().map(|bytes| bytes.next_multiple_of(block.max(1))).sum();
    Ok(rounded + seal.image_size / METADATA_SHARE + METADATA)
}

/// Directories, inodes and the first extents.
const METADATA: u64 = 256 << 10;

/// Extents of a fragmented file, and checksums where a file system keeps them: under 1/512 on ext4
/// (12 bytes for a run of blocks), btrfs (4 bytes a block) and xfs.
const METADATA_SHARE: u64 = 512;

const SEAL_FILE: u64 = 4096;

/// Whether a release may be installed, by what the machine remembers.
pub fn admit(trust: &Trust, seal: &Seal, bad: BadSeals) -> Result<(), Refused> {
    if seal.sequence < trust.floor {
        return Err(Refused::BelowFloor);
    }
    if bad == BadSeals::Refuse && trust.is_bad(seal) {
        return Err(Refused::RememberedBad);
    }
    Ok(())
}

/// What to do with a new seal for an image that is here with an old one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reseal {
    /// It is the same seal.
    Keep,
    /// It takes the old one's place.
    Replace,
}

/// Whether `new` may replace `old`: made later, and different in rollout, best-before and floor
/// alone.
pub fn reseal(old: &Seal, new: &Seal) -> Result<Reseal, Refused> {
    if old == new {
        return Ok(Reseal::Keep);
    }
    let allowed = Seal {
        created: new.created,
        rollout: new.rollout,
        best_before: new.best_before,
        floor: new.floor,
        ..old.clone()
    };
    if allowed != *new {
        return Err(Refused::SequenceTaken);
    }
    if new.created <= old.created {
        return Err(Refused::SealNotNewer);
    }
    Ok(Reseal::Replace)
}

fn copy(sequence: u64, pieces: &[Piece]) -> Vec<InstallStep> {
    let incoming = Place::fetched(sequence);
    let mut steps = names([Step::MakeDir(incoming.clone())]);
    steps.extend(pieces.iter().copied().map(InstallStep::Write));
    steps.extend(pieces.iter().copied().map(InstallStep::SyncFile));
    steps.extend(names([Step::SyncDir(incoming)]));
    steps.extend(pieces.iter().copied().map(InstallStep::ReadBack));
    steps
}

fn names<const N: usize>(steps: [Step; N]) -> Vec<InstallStep> {
    steps.map(InstallStep::Names).into()
}
