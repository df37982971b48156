//! Every name of a tree, in order.

use super::directory::Children;
use super::{Directory, InodeId, Tree};

/// Yields `(path, inode)`, the path from where the walk began, without a leading slash.
#[derive(Debug)]
pub struct Walk<'t> {
    tree: &'t Tree,
    path: Vec<u8>,
    /// The directories that we are in, each with the length of its path.
    stack: Vec<(Children<'t>, usize)>,
}

impl<'t> Walk<'t> {
    pub(super) fn below(tree: &'t Tree, top: InodeId) -> Self {
        let mut walk = Self { tree, path: Vec::new(), stack: Vec::new() };
        walk.enter(top);
        walk
    }

    fn enter(&mut self, id: InodeId) {
        let children = self.tree.directory(id).map(Directory::iter);
        self.stack.extend(children.map(|children| (children, self.path.len())));
    }
}

impl Iterator for Walk<'_> {
    type Item = (Vec<u8>, InodeId);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (children, length) = self.stack.last_mut()?;
            self.path.truncate(*length);
            let Some((name, id)) = children.next() else {
                self.stack.pop();
                continue;
            };
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name);
            self.enter(id);
            return Some((self.path.clone(), id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_siblings_in_byte_order() {
        let mut tree = Tree::new();
        for path in ["b/c", "a", "a/z", "a-b", "B"] {
            tree.make_directories(path.as_bytes()).unwrap();
        }
        let paths: Vec<_> = tree.walk().map(|(path, _)| String::from_utf8(path).unwrap()).collect();
        assert_eq!(paths, ["B", "a", "a/z", "a-b", "b", "b/c"]);
    }

    #[test]
    fn a_walk_below_a_directory_stays_there() {
        let mut tree = Tree::new();
        tree.make_directories(b"a/b/c").unwrap();
        tree.make_directories(b"d").unwrap();
        let below = tree.walk_below(tree.lookup("a").unwrap());
        assert!(below.map(|(path, _)| path).eq([b"b".to_vec(), b"b/c".to_vec()]));
    }
}
