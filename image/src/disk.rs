//! The disk that a machine keeps its state on: ext4 with the directories of the store, and releases
//! installed in it. Made by e2fsprogs in a file, without root and without mounting anything.
//!
//! Equal input gives equal bytes, with one version of e2fsprogs.

mod entry;
mod ext4;
mod partition;
mod sealed;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use pintle_verify::{Digest, Uuid};

pub use entry::{Entry, State};

use crate::error::Attempt;
use crate::release::{IMAGE, SEAL, TREE};
use crate::scratch::Guard;
use crate::{Error, Result};
use ext4::{FileSystem, Script};

/// Of the file system; a disk may be a few sectors longer.
const BLOCK: u64 = 4096;
/// Below this, ext4 has no room for its journal beside anything else.
const MIN_SIZE: u64 = 16 << 20;
/// The directories of the store, and those of the machine's own changes.
const DIRECTORIES: [&str; 7] =
    ["images", "incoming", "trash", "trust", "data", "data/etc", "data/var"];

/// What a disk shall be.
pub struct Recipe {
    /// Bytes of the whole disk.
    pub size: u64,
    /// The label of the file system, and of its partition.
    pub label: String,
    /// Whether the file system has the disk for itself.
    pub partitions: Partitions,
    /// What is installed.
    pub entries: Vec<Entry>,
    /// Whether the images are sealed already.
    pub fs_verity: FsVerity,
}

/// How a disk is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitions {
    /// Not at all: the file system begins at the first byte.
    None,
    /// A GPT with one partition, which the file system fills.
    Gpt,
}

/// Whether fs-verity is in force on the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsVerity {
    /// It is not; a machine that wants it reads the whole image at its first boot.
    Later,
    /// It is, and kernels without fs-verity cannot open the images.
    Enabled,
}

/// Makes the disk in the file at `output`, in place of what is there.
pub fn make(recipe: &Recipe, output: &Path) -> Result<()> {
    check(recipe)?;
    let scratch = scratch_beside(output)?;
    let _guard = Guard::tree(&scratch);
    let disk = scratch.join("disk");
    let file = File::create_new(&disk).attempt(|| "make the disk".to_owned())?;
    file.set_len(recipe.size).attempt(|| "make the disk".to_owned())?;
    let identity = identity(recipe);
    let range = match recipe.partitions {
        Partitions::None => 0..recipe.size / BLOCK * BLOCK,
        Partitions::Gpt => partition::write(file, &recipe.label, identity)?,
    };
    let file_system = FileSystem { folder: &scratch, range, time: newest(recipe) };
    file_system.format(&recipe.label, identity)?;
    file_system.carry_out(&script(recipe, &scratch)?)?;
    file_system.check()?;
    fs::rename(&disk, output).attempt(|| format!("write {}", output.display()))
}

/// A folder from which a file can be renamed to `output`.
fn scratch_beside(output: &Path) -> Result<PathBuf> {
    let folder = output.parent().filter(|parent| *parent != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let made = tempfile::tempdir_in(folder);
    let made = made.attempt(|| format!("make a folder in {}", folder.display()))?;
    Ok(made.keep())
}

fn check(recipe: &Recipe) -> Result<()> {
    let refuse = |cause: String| Err(Error::input("make the disk", cause));
    if recipe.size < MIN_SIZE {
        return refuse(format!("it has {} bytes, and needs {MIN_SIZE} at least", recipe.size));
    }
    // The length of `s_volume_name`.
    if recipe.label.is_empty() || recipe.label.len() > 16 {
        return refuse(format!("{:?} is no label of 1 to 16 bytes", recipe.label));
    }
    let mut sequences: Vec<_> = recipe.entries.iter().map(|entry| entry.seal.sequence).collect();
    sequences.sort_unstable();
    match sequences.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => refuse(format!("two releases have the sequence {}", twice[0])),
        None => Ok(()),
    }
}

/// Names the disk by what it is made of.
fn identity(recipe: &Recipe) -> Uuid {
    let mut made_of = format!("pintle disk v1\0{}\0{}\0", recipe.size, recipe.label).into_bytes();
    made_of.push(recipe.partitions as u8);
    made_of.push(recipe.fs_verity as u8);
    for entry in &recipe.entries {
        made_of.extend(entry.name().as_bytes());
        made_of.extend(entry.digest.as_bytes());
    }
    Uuid::of_digest(&Digest::of(&made_of))
}

/// The time that all files are of: no later than the first boot.
fn newest(recipe: &Recipe) -> u64 {
    // e2fsprogs takes zero for the present time.
    recipe.entries.iter().map(|entry| entry.seal.created).max().unwrap_or_default().max(1)
}

fn script(recipe: &Recipe, scratch: &Path) -> Result<Script> {
    let mut script = Script::default();
    DIRECTORIES.iter().for_each(|directory| script.make_directory(directory));
    for entry in &recipe.entries {
        let folder = format!("images/{}", entry.name());
        script.make_directory(&folder);
        for name in [SEAL, TREE] {
            script.write(&entry.file(name)?, &format!("{folder}/{name}"));
        }
        let image = format!("{folder}/{IMAGE}");
        match recipe.fs_verity {
            FsVerity::Later => script.write(&entry.file(IMAGE)?, &image),
            FsVerity::Enabled => {
                script.write(&sealed::write(entry, scratch)?, &image);
                script.enable_verity(&image, entry.seal.image_size);
            }
        }
    }
    if let Some(entry) = shipped(&recipe.entries) {
        let empty = scratch.join("empty");
        File::create_new(&empty).attempt(|| format!("make {}", empty.display()))?;
        script.write(&empty, &format!("trust/shipped-{}", entry.seal.sequence));
    }
    Ok(script)
}

/// The image that the machine is shipped with, to which it can go back: what boots first, and a trial only if there is nothing
/// else.
fn shipped(entries: &[Entry]) -> Option<&Entry> {
    entries.iter().max_by_key(|entry| (entry.state == State::Good, entry.seal.sequence))
}
