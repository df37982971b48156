//! Extended attributes: the area of those that several inodes have, and what stands behind an
//! inode.

use crate::erofs::format::{BLOCK, NAME_MAX, XATTR_PREFIXES, XattrEntry, XattrHeader};
use crate::tree::Xattr;
use std::collections::BTreeMap;
use zerocopy::IntoBytes;

/// Most shared xattrs of one inode: their count is a byte.
const MAX_SHARED: usize = 255;
/// Bytes behind an inode's header: a 16-bit count of words, of which one stands for the header.
const MAX_BODY: usize = 4 * (u16::MAX as usize - 1);

/// The xattrs that more than one inode has, each stored once.
pub(super) struct SharedXattrs<'t> {
    ids: BTreeMap<&'t Xattr, u32>,
    area: Vec<u8>,
}

impl<'t> SharedXattrs<'t> {
    /// Finds them among the xattrs of all inodes.
    pub(super) fn among(xattrs: impl Iterator<Item = &'t Xattr>) -> Self {
        let mut uses = BTreeMap::<_, usize>::new();
        xattrs.for_each(|xattr| *uses.entry(xattr).or_default() += 1);
        let mut shared = Self { ids: BTreeMap::new(), area: Vec::new() };
        for (xattr, _) in uses.into_iter().filter(|(_, uses)| *uses > 1) {
            shared.ids.insert(xattr, (shared.area.len() / 4) as u32);
            encode_entry(xattr, &mut shared.area);
        }
        shared
    }

    /// The area's bytes.
    pub(super) fn area(&self) -> &[u8] {
        &self.area
    }

    /// How many blocks it takes.
    pub(super) fn blocks(&self) -> u64 {
        (self.area.len() as u64).div_ceil(BLOCK)
    }

    /// What stands behind an inode that has these `xattrs`; nothing if it has none.
    pub(super) fn encode(&self, xattrs: &[Xattr]) -> Vec<u8> {
        let (mut ids, mut inline) = (Vec::new(), Vec::new());
        for xattr in xattrs {
            match self.ids.get(xattr) {
                Some(id) if ids.len() < MAX_SHARED => ids.push(*id),
                _ => encode_entry(xattr, &mut inline),
            }
        }
        if ids.is_empty() && inline.is_empty() {
            return Vec::new();
        }
        let header =
            XattrHeader { name_filter: 0.into(), shared_count: ids.len() as u8, reserved: [0; 7] };
        let ids: Vec<u8> = ids.into_iter().flat_map(u32::to_le_bytes).collect();
        [header.as_bytes(), &ids, &inline].concat()
    }
}

/// Says why an inode with these `xattrs` cannot be stored, if so.
pub(super) fn check(xattrs: &[Xattr]) -> Result<(), String> {
    let mut total = 0;
    for Xattr { name, value } in xattrs {
        let shown = name.escape_ascii();
        let (_, suffix) = split(name).ok_or_else(|| {
            format!(
                "EROFS has no namespace for extended attribute {shown}; remove it from the layer"
            )
        })?;
        if suffix.len() > NAME_MAX || value.len() > u16::MAX.into() {
            return Err(format!("extended attribute {shown} is longer than Linux allows"));
        }
        total += entry_size(suffix, value);
    }
    if total > MAX_BODY {
        return Err(format!("its extended attributes take {total} bytes, at most {MAX_BODY} fit"));
    }
    Ok(())
}

/// A namespace's number, and what of the name is left.
fn split(name: &[u8]) -> Option<(u8, &[u8])> {
    XATTR_PREFIXES.iter().find_map(|(index, prefix)| {
        let suffix = name.strip_prefix(*prefix)?;
        (suffix.is_empty() != prefix.ends_with(b".")).then_some((*index, suffix))
    })
}

fn encode_entry(Xattr { name, value }: &Xattr, out: &mut Vec<u8>) {
    let Some((name_index, suffix)) = split(name) else { return };
    let entry = XattrEntry {
        name_length: suffix.len() as u8,
        name_index,
        value_size: (value.len() as u16).into(),
    };
    out.extend_from_slice(entry.as_bytes());
    out.extend_from_slice(suffix);
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn entry_size(suffix: &[u8], value: &[u8]) -> usize {
    (size_of::<XattrEntry>() + suffix.len() + value.len()).next_multiple_of(4)
}
