//! Extended attributes.

use super::{Error, Image, Inode, ReadAt};
use crate::erofs::format::{BLOCK, XATTR_PREFIXES, XattrEntry, XattrHeader};
use zerocopy::FromBytes;

/// An extended attribute.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Xattr {
    /// The whole name, prefix included.
    pub name: Vec<u8>,
    /// At most 65535 bytes.
    pub value: Vec<u8>,
}

impl<S: ReadAt> Image<S> {
    /// The extended attributes of an inode by name.
    pub fn xattrs(&self, inode: &Inode) -> Result<Vec<Xattr>, Error> {
        let corrupt = |what| Error::Corrupt { nid: inode.nid, what };
        let mut bytes = vec![0; inode.xattr_bytes as usize];
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        self.bytes(inode.xattrs_at, &mut bytes)?;
        let (ids, inline) = split_header(&bytes).map_err(corrupt)?;
        let mut xattrs = parse_inline(inline).map_err(corrupt)?;
        for id in ids.as_chunks().0 {
            xattrs.push(self.shared(inode, u32::from_le_bytes(*id))?);
        }
        xattrs.sort_unstable();
        Ok(xattrs)
    }

    fn shared(&self, inode: &Inode, id: u32) -> Result<Xattr, Error> {
        let at = u64::from(self.superblock.xattr_block.get()) * BLOCK + 4 * u64::from(id);
        let head: XattrEntry = self.object(at)?;
        let mut bytes = vec![0; name_and_value(&head)];
        self.bytes(at + size_of::<XattrEntry>() as u64, &mut bytes)?;
        assemble(&head, &bytes).map_err(|what| Error::Corrupt { nid: inode.nid, what })
    }
}

/// The ids of shared xattrs, and the entries behind them.
fn split_header(bytes: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let (header, rest) =
        XattrHeader::ref_from_prefix(bytes).map_err(|_| "has xattrs without a header")?;
    rest.split_at_checked(4 * usize::from(header.shared_count))
        .ok_or("has more shared xattrs than room for them")
}

fn parse_inline(mut bytes: &[u8]) -> Result<Vec<Xattr>, &'static str> {
    let mut xattrs = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) =
            XattrEntry::ref_from_prefix(bytes).map_err(|_| "has half an xattr entry")?;
        let length = name_and_value(head);
        let padded = length.next_multiple_of(4);
        let (body, rest) = rest.split_at_checked(padded).ok_or("has an xattr past its room")?;
        xattrs.push(assemble(head, &body[..length])?);
        bytes = rest;
    }
    Ok(xattrs)
}

fn name_and_value(head: &XattrEntry) -> usize {
    usize::from(head.name_length) + usize::from(head.value_size.get())
}

fn assemble(head: &XattrEntry, body: &[u8]) -> Result<Xattr, &'static str> {
    let (_, prefix) = XATTR_PREFIXES
        .iter()
        .find(|(index, _)| *index == head.name_index)
        .ok_or("has an xattr of an unknown namespace")?;
    let (suffix, value) = body.split_at(head.name_length.into());
    if suffix.contains(&0) || suffix.is_empty() == prefix.ends_with(b".") {
        return Err("has an xattr with an impossible name");
    }
    Ok(Xattr { name: [prefix, suffix].concat(), value: value.to_vec() })
}
