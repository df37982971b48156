//! The inodes of a tree in the order of the image, and whether EROFS can hold them.

use super::xattr;
use crate::erofs::format::{PATH_MAX, encode_device};
use crate::tree::{Body, InodeId, Tree};
use crate::{Error, Result};

/// All inodes by their first path, component by component; the root is the first.
pub(super) fn by_path(tree: &Tree) -> Result<Vec<InodeId>> {
    let mut order = Vec::with_capacity(tree.files());
    let mut known = vec![false; tree.capacity()];
    let root = (Vec::new(), tree.root());
    for (path, id) in std::iter::once(root).chain(tree.walk()) {
        if !std::mem::replace(&mut known[id.index()], true) {
            check(tree, &path, id).map_err(|cause| refuse(&path, cause))?;
            order.push(id);
        }
    }
    Ok(order)
}

/// The directory above each directory, by [`InodeId::index`]; the root is above itself.
pub(super) fn parents(tree: &Tree, order: &[InodeId]) -> Vec<InodeId> {
    let mut parents = vec![tree.root(); tree.capacity()];
    for directory in order {
        tree.children(*directory).for_each(|(_, child)| parents[child.index()] = *directory);
    }
    parents
}

fn check(tree: &Tree, path: &[u8], id: InodeId) -> std::result::Result<(), String> {
    let inode = tree.inode(id);
    if path.len() >= PATH_MAX {
        return Err(format!("its path has more than {PATH_MAX} bytes, nothing could open it"));
    }
    if let Body::CharDevice(device) | Body::BlockDevice(device) = &inode.body
        && encode_device(device.major, device.minor).is_none()
    {
        return Err(format!("Linux has no device {}:{}", device.major, device.minor));
    }
    xattr::check(tree.xattrs(inode.xattrs))
}

fn refuse(path: &[u8], cause: String) -> Error {
    let start = &path[..path.len().min(PATH_MAX)];
    Error::input(format!("store /{}", start.escape_ascii()), cause)
}
