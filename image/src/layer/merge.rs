//! One layer onto those below it: image-spec layer.md, "Applying Changesets" and "Whiteouts".
//!
//! First the whiteouts, while only lower layers are in the tree: so they cannot hide what their own
//! layer brings, wherever in the tar they stand. Then the entries, in the order of the tar; of one
//! name the last stays.
//!
//! A parent that is a symlink is followed inside the tree: layers made by copying have `lib/x`
//! where a lower layer has `lib -> usr/lib`. An entry's own name is never followed.

use std::collections::HashSet;

use super::journal::records;
use super::record::{Record, RecordKind, Removal, Stored};
use super::tar::Run;
use super::unpack::Changes;
use super::{Fault, Limits, Located};
use crate::spool::Spool;
use crate::tree::{
    Body, Content, Device, Directory, Extent, Inode, InodeId, PathError, Tree, Xattr, split,
};

/// Changes `tree`, which holds all lower layers, as the layer says.
pub(super) fn apply(
    changes: &Changes,
    tree: &mut Tree,
    spool: &Spool,
    limits: Limits,
) -> Result<(), Located> {
    if !changes.removals.is_empty() {
        remove_all(changes, tree, spool)?;
    }
    for chunk in changes.entries.chunks(spool) {
        let chunk = chunk.map_err(Located::whole)?;
        for record in records::<Record<'_>>(&chunk) {
            let record = record.map_err(Located::whole)?;
            put(tree, &record)
                .and_then(|()| check_count(tree, limits))
                .map_err(|fault| located(record.at, record.path, fault))?;
        }
    }
    Ok(())
}

fn located(at: u64, path: &[u8], fault: Fault) -> Located {
    Located { at: Some(at), entry: Some(path.into()), fault }
}

/// One entry may imply two thousand directories.
fn check_count(tree: &Tree, limits: Limits) -> Result<(), Fault> {
    match tree.files() as u64 <= limits.entries {
        true => Ok(()),
        false => Err(Fault::Limit { what: "files", limit: limits.entries }),
    }
}

fn remove_all(changes: &Changes, tree: &mut Tree, spool: &Spool) -> Result<(), Located> {
    let replaced = replaced_symlinks(changes, tree, spool)?;
    for chunk in changes.removals.chunks(spool) {
        let chunk = chunk.map_err(Located::whole)?;
        for removal in records::<Removal<'_>>(&chunk) {
            let removal = removal.map_err(Located::whole)?;
            remove(tree, &removal, &replaced)
                .map_err(|cause| located(removal.at, removal.directory, cause.into()))?;
        }
    }
    Ok(())
}

/// Symlinks of lower layers that the layer puts something else in the place of. A whiteout below
/// such a path means what the layer has there, not what the symlink led to: a layer that makes a
/// directory of `/lib -> usr/lib` carries an opaque `lib/.wh..wh..opq`, and `/usr/lib` must stay as
/// it is.
fn replaced_symlinks(
    changes: &Changes,
    tree: &Tree,
    spool: &Spool,
) -> Result<HashSet<InodeId>, Located> {
    let mut replaced = HashSet::new();
    for chunk in changes.entries.chunks(spool) {
        let chunk = chunk.map_err(Located::whole)?;
        for record in records::<Record<'_>>(&chunk) {
            let record = record.map_err(Located::whole)?;
            replaced.extend(symlink_at(tree, record.path));
        }
    }
    Ok(replaced)
}

fn symlink_at(tree: &Tree, path: &[u8]) -> Option<InodeId> {
    let (directory, name) = split(path);
    let id = tree.child(tree.resolve(directory).ok()?, name)?;
    matches!(tree.inode(id).body, Body::Symlink(_)).then_some(id)
}

/// What is not there needs not be hidden.
fn remove(
    tree: &mut Tree,
    removal: &Removal<'_>,
    replaced: &HashSet<InodeId>,
) -> Result<(), PathError> {
    let directory = match tree.resolve_without(removal.directory, replaced) {
        Ok(id) if tree.inode(id).is_directory() => id,
        _ => return Ok(()),
    };
    match removal.name {
        Some(name) => tree.remove(directory, name).map(drop),
        None => tree.clear(directory),
    }
}

fn put(tree: &mut Tree, record: &Record<'_>) -> Result<(), Fault> {
    if record.path.is_empty() {
        let root = inode(tree, record, Body::Directory(Directory::default()));
        tree.set_attributes(tree.root(), &root);
        return Ok(());
    }
    let (directory, name) = split(record.path);
    let parent = tree.make_directories(directory)?;
    let body = match &record.kind {
        RecordKind::Hardlink(target) => return link(tree, parent, name, target),
        RecordKind::Directory => Body::Directory(Directory::default()),
        RecordKind::File(stored) => Body::File(content(stored)),
        RecordKind::Symlink(target) => Body::Symlink((*target).into()),
        RecordKind::CharDevice(major, minor) => Body::CharDevice(device(*major, *minor)),
        RecordKind::BlockDevice(major, minor) => Body::BlockDevice(device(*major, *minor)),
        RecordKind::Fifo => Body::Fifo,
    };
    let inode = inode(tree, record, body);
    match existing_directory(tree, parent, name).filter(|_| inode.is_directory()) {
        Some(existing) => tree.set_attributes(existing, &inode),
        None => drop(tree.insert(parent, name, inode)?),
    }
    Ok(())
}

fn existing_directory(tree: &Tree, parent: InodeId, name: &[u8]) -> Option<InodeId> {
    tree.child(parent, name).filter(|id| tree.inode(*id).is_directory())
}

/// The target's parents may be symlinks; the target itself may be one too, and is then what gets
/// the name.
fn link(tree: &mut Tree, parent: InodeId, name: &[u8], target: &[u8]) -> Result<(), Fault> {
    let (directory, last) = split(target);
    tree.resolve(directory)
        .and_then(|directory| tree.child(directory, last).ok_or(PathError::NotFound))
        .and_then(|file| tree.link(parent, name, file))
        .map_err(|cause| Fault::Hardlink { target: target.into(), cause })
}

fn inode(tree: &mut Tree, record: &Record<'_>, body: Body) -> Inode {
    let xattr =
        |(name, value): &(&[u8], &[u8])| Xattr { name: (*name).into(), value: (*value).into() };
    let xattrs = tree.intern(record.xattrs.iter().map(xattr).collect());
    let Record { mode, uid, gid, mtime, mtime_nanos, .. } = *record;
    Inode { mode, uid, gid, mtime, mtime_nanos, xattrs, body }
}

fn content(stored: &Stored) -> Content {
    let mut spool = stored.spool;
    let extent = |run: &Run| {
        let extent = Extent { offset: run.offset, length: run.length, spool };
        spool += run.length;
        extent
    };
    Content { size: stored.size, extents: stored.runs.iter().map(extent).collect() }
}

fn device(major: u32, minor: u32) -> Device {
    Device { major, minor }
}
