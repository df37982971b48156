//! The file system that an image will hold, in memory: what the layers merge into and what the
//! EROFS writer lays out.
//!
//! File data is not here. It stands once in a [`Spool`], an unnamed temporary file, and a
//! [`Content`] says where; so memory grows with the number of files (about 160 bytes each) and not
//! with their size.

mod content;
mod directory;
mod path;
mod walk;
mod xattrs;
mod zeros;

pub use content::{Content, Extent};
pub use directory::Directory;
pub use path::{Found, NAME_MAX, PATH_MAX, PathError};
pub(crate) use path::{display, split};
pub use walk::Walk;
pub use xattrs::{Xattr, XattrsId};

use crate::error::{Attempt, Error};
use crate::spool::Spool;
use xattrs::Interned;

/// Names an inode of one [`Tree`], for as long as a name leads to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InodeId(u32);

impl InodeId {
    /// A small number of its own for each inode, below [`Tree::capacity`]: an index for tables
    /// beside the tree.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A file of any type, without its names.
#[derive(Clone, Debug)]
pub struct Inode {
    /// Permissions with set-id and sticky bits: within `0o7777`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of last modification in whole seconds since 1970, rounded down.
    pub mtime: i64,
    /// Nanoseconds after `mtime`, below 1 000 000 000.
    pub mtime_nanos: u32,
    /// Extended attributes: see [`Tree::xattrs`].
    pub xattrs: XattrsId,
    /// Type, and what that type holds.
    pub body: Body,
}

impl Inode {
    /// Owned by root, of 1970, without extended attributes.
    pub fn new(mode: u16, body: Body) -> Self {
        let xattrs = XattrsId::NONE;
        Self { mode, uid: 0, gid: 0, mtime: 0, mtime_nanos: 0, xattrs, body }
    }

    /// An empty directory as a path implies it that no entry declares: `0755`, root's, of 1970.
    pub fn implied_directory() -> Self {
        Self::new(0o755, Body::Directory(Directory::default()))
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory(_))
    }
}

/// What an inode is, beyond its attributes.
#[derive(Clone, Debug)]
pub enum Body {
    /// Its children by name.
    Directory(Directory),
    /// A regular file and where its data is.
    File(Content),
    /// The link's target: 1 to 4095 bytes, none of them NUL.
    Symlink(Box<[u8]>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket (`dir:` sources may hold one; tar cannot).
    Socket,
}

/// A device number as the tar header and the kernel give it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    /// The driver: 12 bits in Linux.
    pub major: u32,
    /// The driver's instance: 20 bits in Linux.
    pub minor: u32,
}

/// A whole file system. Every inode has at least one name, except the root, which has none.
#[derive(Debug)]
pub struct Tree {
    inodes: Vec<Inode>,
    /// Beside `inodes`, because in it the count would cost eight bytes a file.
    links: Vec<u32>,
    free: Vec<u32>,
    xattrs: Interned,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// Nothing but a root directory: `0755`, root's, of 1970.
    pub fn new() -> Self {
        let inodes = vec![Inode::implied_directory()];
        Self { inodes, links: vec![2], free: Vec::new(), xattrs: Interned::default() }
    }

    /// The root directory.
    pub const fn root(&self) -> InodeId {
        InodeId(0)
    }

    /// # Panics
    /// If `id` is another tree's.
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.index()]
    }

    /// The link count as `stat` shows it: names of a file; two and the number of subdirectories of
    /// a directory.
    pub fn links(&self, id: InodeId) -> u32 {
        self.links[id.index()]
    }

    /// How many inodes there are; a file with several names counts once.
    pub fn files(&self) -> usize {
        self.inodes.len() - self.free.len()
    }

    /// One more than the largest [`InodeId::index`].
    pub fn capacity(&self) -> usize {
        self.inodes.len()
    }

    /// The directory's entries in the order of their names' bytes; nothing for what is no
    /// directory.
    pub fn children(&self, id: InodeId) -> impl Iterator<Item = (&[u8], InodeId)> {
        self.directory(id).into_iter().flat_map(Directory::iter)
    }

    /// The entry `name` of the directory `id`.
    pub fn child(&self, id: InodeId, name: &[u8]) -> Option<InodeId> {
        self.directory(id)?.get(name)
    }

    /// The extended attributes behind an inode's `xattrs`, sorted by name, each name once.
    pub fn xattrs(&self, id: XattrsId) -> &[Xattr] {
        self.xattrs.get(id)
    }

    /// The id that inodes with these attributes share. Sorts them; of one name the last counts.
    pub fn intern(&mut self, xattrs: Vec<Xattr>) -> XattrsId {
        self.xattrs.intern(xattrs)
    }

    /// Every name below the root, depth first, siblings in the order of their names' bytes, parents
    /// first.
    pub fn walk(&self) -> Walk<'_> {
        self.walk_below(self.root())
    }

    /// The same for the names below `top`; nothing for what is no directory.
    pub fn walk_below(&self, top: InodeId) -> Walk<'_> {
        Walk::below(self, top)
    }

    fn directory(&self, id: InodeId) -> Option<&Directory> {
        match &self.inode(id).body {
            Body::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    fn directory_mut(&mut self, id: InodeId) -> Result<&mut Directory, PathError> {
        match &mut self.inodes[id.index()].body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(PathError::NotADirectory),
        }
    }
}

/// Changes by inode.
impl Tree {
    /// Gives `inode` the name `name` in `parent`, in place of whatever had it, with all below that.
    pub fn insert(
        &mut self,
        parent: InodeId,
        name: &[u8],
        inode: Inode,
    ) -> Result<InodeId, PathError> {
        path::check_name(name)?;
        self.remove(parent, name)?;
        let links = if inode.is_directory() { 1 } else { 0 };
        let id = self.store(inode, links);
        self.attach(parent, name, id)?;
        Ok(id)
    }

    /// Gives `file` one more name, in place of whatever had it. Directories have one name only.
    pub fn link(&mut self, parent: InodeId, name: &[u8], file: InodeId) -> Result<(), PathError> {
        path::check_name(name)?;
        if self.inode(file).is_directory() {
            return Err(PathError::IsADirectory);
        }
        if self.child(parent, name) == Some(file) {
            return Ok(());
        }
        self.remove(parent, name)?;
        if self.links(file) == 0 {
            // What had the name was a directory with the file in it.
            return Err(PathError::NotFound);
        }
        self.attach(parent, name, file)
    }

    /// Takes `name` out of `parent`, with all below it. Says whether it was there.
    pub fn remove(&mut self, parent: InodeId, name: &[u8]) -> Result<Presence, PathError> {
        let Some(id) = self.directory_mut(parent)?.remove(name) else {
            return Ok(Presence::Absent);
        };
        if self.inode(id).is_directory() {
            self.links[parent.index()] -= 1;
        }
        self.drop_link(id);
        Ok(Presence::Present)
    }

    /// Empties the directory.
    pub fn clear(&mut self, directory: InodeId) -> Result<(), PathError> {
        let children = std::mem::take(self.directory_mut(directory)?);
        self.links[directory.index()] = 2;
        children.iter().for_each(|(_, id)| self.drop_link(id));
        Ok(())
    }

    /// Takes all attributes of `like`, but keeps type and contents.
    pub fn set_attributes(&mut self, id: InodeId, like: &Inode) {
        let inode = &mut self.inodes[id.index()];
        inode.mode = like.mode;
        inode.uid = like.uid;
        inode.gid = like.gid;
        inode.mtime = like.mtime;
        inode.mtime_nanos = like.mtime_nanos;
        inode.xattrs = like.xattrs;
    }

    fn store(&mut self, inode: Inode, links: u32) -> InodeId {
        if let Some(slot) = self.free.pop() {
            self.inodes[slot as usize] = inode;
            self.links[slot as usize] = links;
            return InodeId(slot);
        }
        // Callers limit the number of files far below this: see `layer::Limits`.
        let slot = u32::try_from(self.inodes.len()).expect("fewer than 2^32 inodes");
        self.inodes.push(inode);
        self.links.push(links);
        InodeId(slot)
    }

    fn attach(&mut self, parent: InodeId, name: &[u8], id: InodeId) -> Result<(), PathError> {
        self.directory_mut(parent)?.insert(name, id);
        self.links[id.index()] += 1;
        if self.inode(id).is_directory() {
            self.links[parent.index()] += 1;
        }
        Ok(())
    }

    /// Without recursion, because a hostile layer chooses the depth.
    fn drop_link(&mut self, id: InodeId) {
        let mut unnamed = vec![id];
        while let Some(id) = unnamed.pop() {
            unnamed.extend(self.children(id).map(|(_, child)| child).collect::<Vec<_>>());
            let links = &mut self.links[id.index()];
            let directory = self.inodes[id.index()].is_directory();
            *links = if directory { 0 } else { *links - 1 };
            if *links == 0 {
                self.inodes[id.index()].body = Body::Fifo;
                self.free.push(id.0);
            }
        }
    }
}

/// Whether a name was there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It was.
    Present,
    /// It was not.
    Absent,
}

/// Changes and reads by path. A path counts from the root, with or without a slash before it.
impl Tree {
    /// Reads a regular file whole, following symlinks inside the tree.
    ///
    /// # Errors
    /// When it is missing, no regular file, or longer than `limit` bytes.
    pub fn read_file(
        &self,
        path: impl AsRef<[u8]>,
        spool: &Spool,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let action = || format!("read {}", path::display(path.as_ref()));
        let id = self.resolve(&path).map_err(|cause| Error::input(action(), cause))?;
        let Body::File(content) = &self.inode(id).body else {
            return Err(Error::input(action(), "not a regular file"));
        };
        if content.size > limit {
            let cause = format!("{} bytes, the limit is {limit}", content.size);
            return Err(Error::input(action(), cause));
        }
        let mut bytes = vec![0; content.size as usize];
        content.read_at(spool, &mut bytes, 0).attempt(action)?;
        Ok(bytes)
    }

    /// Writes a regular file of root's, of 1970, in place of whatever is there; missing parents are
    /// made.
    pub fn write_file(
        &mut self,
        path: impl AsRef<[u8]>,
        mode: u16,
        bytes: &[u8],
        spool: &Spool,
    ) -> Result<InodeId, Error> {
        let action = || format!("write {}", path::display(path.as_ref()));
        let content = Content::append(spool, bytes).attempt(|| spool.write_action())?;
        let file = Inode::new(mode, Body::File(content));
        let (parent, name) = path::split(path.as_ref());
        self.make_directories(parent)
            .and_then(|parent| self.insert(parent, name, file))
            .map_err(|cause| Error::input(action(), cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> Spool {
        Spool::within(&std::env::temp_dir()).unwrap()
    }

    fn symlink(target: &str) -> Inode {
        Inode::new(0o777, Body::Symlink(target.as_bytes().into()))
    }

    #[test]
    fn an_inode_takes_64_bytes() {
        assert_eq!(size_of::<Inode>(), 64);
    }

    #[test]
    fn what_is_written_is_read_back_through_symlinks() {
        let (mut tree, spool) = (Tree::new(), spool());
        tree.insert(tree.root(), b"lib", symlink("usr/lib")).unwrap();
        tree.write_file("lib/os-release", 0o644, b"ID=x\n", &spool).unwrap();
        assert_eq!(tree.read_file("/usr/lib/os-release", &spool, 5).unwrap(), b"ID=x\n");
        let refusal = tree.read_file("/lib/os-release", &spool, 4).unwrap_err();
        assert_eq!(refusal.to_string(), "cannot read /lib/os-release: 5 bytes, the limit is 4");
    }

    #[test]
    fn links_count_names_and_subdirectories() {
        let (mut tree, spool) = (Tree::new(), spool());
        let file = tree.write_file("a/b/f", 0o644, b"", &spool).unwrap();
        let a = tree.lookup("a").unwrap();
        tree.link(a, b"g", file).unwrap();
        assert_eq!((tree.links(tree.root()), tree.links(a), tree.links(file)), (3, 3, 2));
        tree.remove(a, b"b").unwrap();
        assert_eq!((tree.links(tree.root()), tree.links(a), tree.links(file)), (3, 2, 1));
        assert_eq!(tree.files(), 3);
    }

    #[test]
    fn removing_a_deep_tree_needs_no_stack_and_frees_all_of_it() {
        let mut tree = Tree::new();
        let mut at = tree.root();
        for _ in 0..200_000 {
            at = tree.insert(at, b"d", Inode::implied_directory()).unwrap();
        }
        tree.remove(tree.root(), b"d").unwrap();
        assert_eq!((tree.files(), tree.links(tree.root())), (1, 2));
    }

    #[test]
    fn linking_a_file_to_its_own_name_changes_nothing() {
        let (mut tree, spool) = (Tree::new(), spool());
        let file = tree.write_file("f", 0o644, b"x", &spool).unwrap();
        tree.link(tree.root(), b"f", file).unwrap();
        assert_eq!(tree.links(file), 1);
        assert_eq!(tree.read_file("f", &spool, 1).unwrap(), b"x");
    }

    #[test]
    fn a_file_cannot_take_the_place_of_the_directory_it_is_in() {
        let (mut tree, spool) = (Tree::new(), spool());
        let file = tree.write_file("d/f", 0o644, b"", &spool).unwrap();
        assert_eq!(tree.link(tree.root(), b"d", file), Err(PathError::NotFound));
        assert_eq!((tree.files(), tree.lookup("d")), (1, None));
    }

    #[test]
    fn a_directory_replaced_by_a_file_takes_its_children_along() {
        let (mut tree, spool) = (Tree::new(), spool());
        tree.write_file("d/x/y", 0o644, b"", &spool).unwrap();
        tree.write_file("d", 0o644, b"", &spool).unwrap();
        assert_eq!((tree.files(), tree.links(tree.root())), (2, 2));
        assert_eq!(tree.lookup("d/x"), None);
    }
}
