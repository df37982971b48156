//! What becomes of layers.

use std::fs::File;
use std::io::Write;

use pintle_image::layer::{Blob, Compression, Layer, Limits, merge};
use pintle_image::progress::Silent;
use pintle_image::spool::Spool;
use pintle_image::tree::{Body, Inode, Tree};
use pintle_verify::Digest;

use crate::facts::{self, Facts};
use crate::tarball::{Member, tar};

/// A merged tree and its data.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tree: Tree,
    pub(crate) spool: Spool,
}

impl Outcome {
    /// Every path, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.tree.walk().map(|(path, _)| String::from_utf8(path).unwrap()).collect()
    }

    pub(crate) fn inode(&self, path: &str) -> &Inode {
        let id = self.tree.lookup(path).unwrap_or_else(|| panic!("no {path}"));
        self.tree.inode(id)
    }

    pub(crate) fn links(&self, path: &str) -> u32 {
        self.tree.links(self.tree.lookup(path).unwrap())
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        self.tree.read_file(path, &self.spool, 1 << 30).unwrap()
    }

    pub(crate) fn target(&self, path: &str) -> Vec<u8> {
        match &self.inode(path).body {
            Body::Symlink(target) => target.to_vec(),
            other => panic!("{path} is {other:?}"),
        }
    }

    pub(crate) fn xattr(&self, path: &str, name: &str) -> Option<Vec<u8>> {
        let xattrs = self.tree.xattrs(self.inode(path).xattrs);
        let found = xattrs.iter().find(|xattr| *xattr.name == *name.as_bytes());
        found.map(|xattr| xattr.value.to_vec())
    }

    pub(crate) fn facts(&self) -> Facts {
        facts::of_tree(&self.tree, &self.spool)
    }
}

/// Merges layers that must be good.
pub(crate) fn merged<const N: usize>(layers: [Vec<Member>; N]) -> Outcome {
    merged_bytes(&layers.map(tar)).unwrap_or_else(|error| panic!("{error}"))
}

/// Says why layers are refused.
pub(crate) fn refused<const N: usize>(layers: [Vec<Member>; N]) -> String {
    merged_bytes(&layers.map(tar)).expect_err("layers to be refused")
}

/// Merges layers, uncompressed and with the right digests.
pub(crate) fn merged_bytes(layers: &[Vec<u8>]) -> Result<Outcome, String> {
    merged_within(layers, Limits::default())
}

pub(crate) fn merged_within(layers: &[Vec<u8>], limits: Limits) -> Result<Outcome, String> {
    let layers: Vec<_> = layers.iter().map(|bytes| plain_layer(bytes)).collect();
    merge_layers(&layers, limits)
}

pub(crate) fn merge_layers(layers: &[Layer], limits: Limits) -> Result<Outcome, String> {
    let spool = Spool::within(&std::env::temp_dir()).unwrap();
    match merge(layers, &spool, limits, &Silent) {
        Ok(tree) => Ok(Outcome { tree, spool }),
        Err(error) => Err(error.to_string()),
    }
}

pub(crate) fn plain_layer(bytes: &[u8]) -> Layer {
    let digest = Digest::of(bytes);
    let compression = Compression::None;
    Layer { blob: blob(bytes), digest: Some(digest), compression, diff_id: digest }
}

pub(crate) fn blob(bytes: &[u8]) -> Blob {
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Blob::whole(file).unwrap()
}
