//! A directory's names.

use std::collections::{BTreeMap, btree_map};
use std::slice;

use super::InodeId;

/// Up to here a sorted array is smaller than a B-tree and as quick; past it, names that come in
/// descending order would make filling an array quadratic.
const FEW: usize = 64;

/// A directory's children. Names are 1 to 255 bytes, neither `.` nor `..`, without slash and NUL.
#[derive(Clone, Default, Debug)]
pub struct Directory(Names);

#[derive(Clone, Debug)]
enum Names {
    Few(Vec<(Box<[u8]>, InodeId)>),
    Many(BTreeMap<Box<[u8]>, InodeId>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Directory {
    /// The child of that name.
    pub fn get(&self, name: &[u8]) -> Option<InodeId> {
        match &self.0 {
            Names::Few(few) => position(few, name).ok().map(|at| few[at].1),
            Names::Many(many) => many.get(name).copied(),
        }
    }

    /// All children, in the order of their names' bytes.
    pub fn iter(&self) -> Children<'_> {
        match &self.0 {
            Names::Few(few) => Children::Few(few.iter()),
            Names::Many(many) => Children::Many(many.iter()),
        }
    }

    /// How many children there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Names::Few(few) => few.len(),
            Names::Many(many) => many.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn insert(&mut self, name: &[u8], id: InodeId) {
        if self.len() == FEW {
            self.grow();
        }
        match &mut self.0 {
            Names::Few(few) => insert_sorted(few, name, id),
            Names::Many(many) => drop(many.insert(name.into(), id)),
        }
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<InodeId> {
        match &mut self.0 {
            Names::Few(few) => position(few, name).ok().map(|at| few.remove(at).1),
            Names::Many(many) => many.remove(name),
        }
    }

    fn grow(&mut self) {
        if let Names::Few(few) = &mut self.0 {
            self.0 = Names::Many(few.drain(..).collect());
        }
    }
}

fn insert_sorted(few: &mut Vec<(Box<[u8]>, InodeId)>, name: &[u8], id: InodeId) {
    match position(few, name) {
        Ok(at) => few[at].1 = id,
        Err(at) => few.insert(at, (name.into(), id)),
    }
}

fn position(few: &[(Box<[u8]>, InodeId)], name: &[u8]) -> Result<usize, usize> {
    few.binary_search_by(|(other, _)| (**other).cmp(name))
}

/// A directory's children, in order.
#[derive(Clone, Debug)]
pub enum Children<'d> {
    /// Of a small directory.
    #[doc(hidden)]
    Few(slice::Iter<'d, (Box<[u8]>, InodeId)>),
    /// Of a large one.
    #[doc(hidden)]
    Many(btree_map::Iter<'d, Box<[u8]>, InodeId>),
}

impl<'d> Iterator for Children<'d> {
    type Item = (&'d [u8], InodeId);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Few(few) => few.next().map(|(name, id)| (&**name, *id)),
            Self::Many(many) => many.next().map(|(name, id)| (&**name, *id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_sorted_at_every_size() {
        let mut directory = Directory::default();
        for i in (0..2 * FEW as u32).rev() {
            directory.insert(format!("{i:03}").as_bytes(), InodeId(i));
            let ids: Vec<_> = directory.iter().map(|(_, id)| id.0).collect();
            assert_eq!(ids, (i..2 * FEW as u32).collect::<Vec<_>>());
        }
        assert_eq!(directory.get(b"007"), Some(InodeId(7)));
        assert_eq!(directory.remove(b"007"), Some(InodeId(7)));
        assert_eq!((directory.get(b"007"), directory.len()), (None, 2 * FEW - 1));
    }

    #[test]
    fn the_last_of_two_equal_names_stays() {
        let mut directory = Directory::default();
        directory.insert(b"a", InodeId(1));
        directory.insert(b"a", InodeId(2));
        assert_eq!((directory.get(b"a"), directory.len()), (Some(InodeId(2)), 1));
    }
}
