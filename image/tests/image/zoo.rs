//! A tree with one of everything that an image may hold.

use pintle_image::spool::Spool;
use pintle_image::tree::{Body, Content, Device, Extent, Inode, InodeId, Tree, Xattr};

pub(crate) struct Zoo {
    pub(crate) tree: Tree,
    pub(crate) spool: Spool,
}

impl Zoo {
    /// An empty cage.
    pub(crate) fn empty() -> Self {
        Self { tree: Tree::new(), spool: Spool::within(&std::env::temp_dir()).unwrap() }
    }

    /// With all animals in it.
    pub(crate) fn full() -> Self {
        let mut zoo = Self::empty();
        zoo.attributes();
        zoo.devices();
        zoo.sizes();
        zoo.symlinks();
        zoo.names();
        zoo.links();
        zoo.xattrs();
        zoo.holes();
        zoo.directories();
        zoo
    }

    /// Adds a bit of everything, in few blocks.
    pub(crate) fn small(&mut self) {
        self.devices();
        self.sparse("sparse", 1 << 20, &[(1 << 19, 10)]);
        self.xattr_file("shared", &[("user.shared", 10)]);
        self.xattr_file("shared-too", &[("user.shared", 10), ("trusted.inline", 100)]);
        self.file("data", 9000);
        for length in [10, 4040] {
            let target = vec![b'x'; length].into();
            self.add(&format!("link-{length}"), Inode::new(0o777, Body::Symlink(target)));
        }
        (0..250).for_each(|i| self.put(&format!("directory/{i:020}"), 0));
    }

    pub(crate) fn file(&mut self, path: &str, length: usize) -> InodeId {
        self.tree.write_file(path, 0o644, &noise(path, length), &self.spool).unwrap()
    }

    /// As `file`, for where nobody needs the inode.
    pub(crate) fn put(&mut self, path: &str, length: usize) {
        self.file(path, length);
    }

    pub(crate) fn add(&mut self, path: &str, inode: Inode) -> InodeId {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.tree.make_directories(parent.as_bytes()).unwrap();
        self.tree.insert(parent, name.as_bytes(), inode).unwrap()
    }

    fn attributes(&mut self) {
        for (i, mode) in [0, 0o7777, 0o4755, 0o2755, 0o1777, 0o600].into_iter().enumerate() {
            let body = Body::File(Content::append(&self.spool, b"mode").unwrap());
            self.add(&format!("attributes/mode{i}"), Inode::new(mode, body));
        }
        let times = [
            (0, 0),
            (-1, 999_999_999),
            (1 << 40, 1),
            (-(1 << 40), 5),
            (1_700_000_000, 123_456_789),
        ];
        for (i, (mtime, mtime_nanos)) in times.into_iter().enumerate() {
            let inode = Inode { mtime, mtime_nanos, ..Inode::implied_directory() };
            self.add(&format!("attributes/time{i}"), inode);
        }
        let owners = [(1, 2), (65535, 65536), (u32::MAX - 1, u32::MAX - 1)];
        for (i, (uid, gid)) in owners.into_iter().enumerate() {
            self.add(
                &format!("attributes/owner{i}"),
                Inode { uid, gid, ..Inode::new(0o755, Body::Fifo) },
            );
        }
    }

    fn devices(&mut self) {
        let numbers = [(0, 0), (1, 3), (259, 300), (4095, 1_048_575)];
        for (i, (major, minor)) in numbers.into_iter().enumerate() {
            let device = Device { major, minor };
            self.add(&format!("devices/char{i}"), Inode::new(0o666, Body::CharDevice(device)));
            self.add(&format!("devices/block{i}"), Inode::new(0o660, Body::BlockDevice(device)));
        }
        self.add("devices/fifo", Inode::new(0o600, Body::Fifo));
        self.add("devices/socket", Inode::new(0o777, Body::Socket));
    }

    fn sizes(&mut self) {
        for length in [0, 1, 4095, 4096, 4097, 8192, 100_000, 1_048_577] {
            self.file(&format!("sizes/{length}"), length);
        }
    }

    fn symlinks(&mut self) {
        for length in [1, 59, 60, 61, 2000, 4030, 4031, 4032, 4033, 4095] {
            let target = vec![b'x'; length].into();
            self.add(&format!("symlinks/{length}"), Inode::new(0o777, Body::Symlink(target)));
        }
    }

    fn names(&mut self) {
        for length in [1, 2, 254, 255] {
            self.file(&format!("names/{}", "n".repeat(length)), 3);
        }
        for name in
            [&b"!before-dot"[..], b"-", b".hidden", b"..a", b"\x01", b"\xff\xfe", b"sp ace", b"\n"]
        {
            let parent = self.tree.make_directories(b"names").unwrap();
            self.tree.insert(parent, name, Inode::new(0o600, Body::Fifo)).unwrap();
        }
    }

    fn links(&mut self) {
        let file = self.file("links/z", 5000);
        let far = self.tree.make_directories(b"a/far").unwrap();
        let near = self.tree.make_directories(b"links").unwrap();
        self.tree.link(far, b"linked", file).unwrap();
        self.tree.link(near, b"a", file).unwrap();
        let link = self.add("links/symlink", Inode::new(0o777, Body::Symlink(b"z"[..].into())));
        self.tree.link(far, b"symlink", link).unwrap();
    }

    fn xattrs(&mut self) {
        let sets = [
            vec![("user.one", 1)],
            vec![("user.one", 1), ("user.two", 2), ("trusted.overlay.opaque", 1)],
            vec![("security.capability", 20), ("security.selinux", 30)],
            vec![("user.long", 65_535), ("user.longer", 10_000)],
            vec![("user.empty", 0)],
            (0..300).map(|_| ("user.", 3)).collect(),
        ];
        for (i, set) in sets.into_iter().enumerate() {
            for copy in 0..=i % 3 {
                self.xattr_file(&format!("xattrs/{i}-{copy}"), &set);
            }
        }
        let link = self.add("xattrs/link", Inode::new(0o777, Body::Symlink(b"target"[..].into())));
        self.set_xattrs(link, &[("trusted.on-link", 4000)]);
        let directory = self.tree.make_directories(b"xattrs/directory").unwrap();
        self.set_xattrs(directory, &[("user.on-directory", 3000)]);
        self.acl();
    }

    pub(crate) fn xattr_file(&mut self, path: &str, set: &[(&str, usize)]) {
        let id = self.file(path, 10);
        self.set_xattrs(id, set);
    }

    /// With an extended attribute of exactly this name.
    pub(crate) fn set_xattr(&mut self, id: InodeId, name: &str, length: usize) {
        let value = vec![0; length].into();
        let xattrs = self.tree.intern(vec![Xattr { name: name.as_bytes().into(), value }]);
        let like = Inode { xattrs, ..self.tree.inode(id).clone() };
        self.tree.set_attributes(id, &like);
    }

    pub(crate) fn set_xattrs(&mut self, id: InodeId, set: &[(&str, usize)]) {
        let named = set.iter().enumerate().map(|(i, (name, length))| {
            let name = if name.ends_with('.') { format!("{name}{i}") } else { (*name).into() };
            Xattr { name: name.as_bytes().into(), value: value(&name, *length).into() }
        });
        let xattrs = self.tree.intern(named.collect());
        let like = Inode { xattrs, ..self.tree.inode(id).clone() };
        self.tree.set_attributes(id, &like);
    }

    /// The kernel reads ACLs itself, so these are real: user::rw- user:1000:r-- group::r--
    /// mask::r-- other::---
    fn acl(&mut self) {
        let entries: [(u16, u16, u32); 5] =
            [(1, 6, !0), (2, 4, 1000), (4, 4, !0), (16, 4, !0), (32, 0, !0)];
        let mut value = 2u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            value.extend_from_slice(&tag.to_le_bytes());
            value.extend_from_slice(&permissions.to_le_bytes());
            value.extend_from_slice(&id.to_le_bytes());
        }
        let acl = |name: &[u8]| Xattr { name: name.into(), value: value.clone().into() };
        let both = vec![acl(b"system.posix_acl_access"), acl(b"system.posix_acl_default")];
        let xattrs = self.tree.intern(both);
        self.add("xattrs/acl", Inode { xattrs, ..Inode::implied_directory() });
    }

    fn holes(&mut self) {
        let mib = 1 << 20;
        self.sparse("holes/only", 3 * mib, &[]);
        self.sparse("holes/tiny", 100, &[]);
        self.sparse("holes/front", 2 * mib + 5, &[(2 * mib, 5)]);
        self.sparse("holes/back", 2 * mib, &[(0, 5)]);
        self.sparse("holes/middle", 9 * mib + 77, &[(0, mib), (8 * mib + 100, mib)]);
        self.sparse(
            "holes/comb",
            4 * mib,
            &(0..64).map(|i| (i * 65_536 + 4090, 20)).collect::<Vec<_>>(),
        );
        self.sparse("holes/not-worth-it", mib, &[(0, 4096), (8192, mib - 8192)]);
    }

    pub(crate) fn sparse(&mut self, path: &str, size: u64, data: &[(u64, u64)]) {
        let extents = data.iter().map(|(offset, length)| {
            let bytes = noise(path, *length as usize);
            Extent { offset: *offset, length: *length, spool: self.spool.append(&bytes).unwrap() }
        });
        let content = Content { size, extents: extents.collect() };
        self.add(path, Inode::new(0o644, Body::File(content)));
    }

    fn directories(&mut self) {
        for count in [0, 1, 60, 61, 62, 63, 200, 340, 341, 5000] {
            let parent =
                self.tree.make_directories(format!("directories/{count}").as_bytes()).unwrap();
            for i in 0..count {
                let name = format!("{:0width$}", i, width = 5 + i % 60);
                self.tree.insert(parent, name.as_bytes(), Inode::new(0o600, Body::Fifo)).unwrap();
            }
        }
        // fsck.erofs recurses, and 800 levels are too many for its stack.
        let deep = vec!["d"; 400].join("/");
        self.tree.make_directories(format!("deep/{deep}").as_bytes()).unwrap();
    }
}

/// The kernel looks into `security.capability`, so that one is cap_net_raw=ep; others are noise.
fn value(name: &str, length: usize) -> Vec<u8> {
    match name {
        "security.capability" => [0x0200_0001u32, 1 << 13, 0, 0, 0].map(u32::to_le_bytes).concat(),
        _ => noise(name, length),
    }
}

/// Bytes that no two positions of a file share by chance.
pub(crate) fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut random = Random::new(&format!("{seed} {length}"));
    std::iter::repeat_with(|| random.next().to_le_bytes()).flatten().take(length).collect()
}

/// Numbers that are the same in every run (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: &str) -> Self {
        let mix = |state: u64, byte| Self(state ^ u64::from(byte)).next();
        Self(seed.bytes().fold(0, mix))
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
