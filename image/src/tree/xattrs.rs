//! Extended attributes, each set of them kept once.

use std::collections::HashMap;
use std::sync::Arc;

/// One extended attribute.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Xattr {
    /// With its namespace, such as `security.capability`: 1 to 255 bytes, none of them NUL.
    pub name: Box<[u8]>,
    /// Any bytes, at most 65 536.
    pub value: Box<[u8]>,
}

/// Names a set of extended attributes of one [`Tree`](super::Tree); equal sets have equal ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct XattrsId(u32);

impl XattrsId {
    /// No extended attributes.
    pub const NONE: Self = Self(0);
}

/// The sets: most files of a tree have none, and those that do mostly the same.
#[derive(Debug)]
pub(super) struct Interned {
    sets: Vec<Arc<[Xattr]>>,
    ids: HashMap<Arc<[Xattr]>, XattrsId>,
}

impl Default for Interned {
    fn default() -> Self {
        let none: Arc<[Xattr]> = [].into();
        Self { sets: vec![none.clone()], ids: HashMap::from([(none, XattrsId::NONE)]) }
    }
}

impl Interned {
    pub(super) fn get(&self, id: XattrsId) -> &[Xattr] {
        &self.sets[id.0 as usize]
    }

    pub(super) fn intern(&mut self, xattrs: Vec<Xattr>) -> XattrsId {
        let set: Arc<[Xattr]> = sorted(xattrs).into();
        if let Some(id) = self.ids.get(&set) {
            return *id;
        }
        let id = XattrsId(u32::try_from(self.sets.len()).expect("fewer sets than inodes"));
        self.sets.push(set.clone());
        self.ids.insert(set, id);
        id
    }
}

fn sorted(mut xattrs: Vec<Xattr>) -> Vec<Xattr> {
    // Reversed before the stable sort, the last of several equal names comes first, and that one is
    // kept.
    xattrs.reverse();
    xattrs.sort_by(|a, b| a.name.cmp(&b.name));
    xattrs.dedup_by(|later, kept| later.name == kept.name);
    xattrs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xattr(name: &str, value: &str) -> Xattr {
        Xattr { name: name.as_bytes().into(), value: value.as_bytes().into() }
    }

    #[test]
    fn equal_sets_share_an_id_whatever_their_order() {
        let mut interned = Interned::default();
        let one = interned.intern(vec![xattr("user.b", "2"), xattr("user.a", "1")]);
        let two = interned.intern(vec![xattr("user.a", "1"), xattr("user.b", "2")]);
        assert_eq!(one, two);
        assert_eq!(interned.get(one), [xattr("user.a", "1"), xattr("user.b", "2")]);
    }

    #[test]
    fn of_one_name_the_last_value_counts() {
        let mut interned = Interned::default();
        let id = interned.intern(vec![xattr("user.a", "old"), xattr("user.a", "new")]);
        assert_eq!(interned.get(id), [xattr("user.a", "new")]);
    }

    #[test]
    fn no_attributes_are_the_none_id() {
        assert_eq!(Interned::default().intern(Vec::new()), XattrsId::NONE);
    }
}
