//! From a container image to a signed release, in one function.

mod configuration;
mod identity;

pub use identity::Given;

use crate::erofs::format::BLOCK;
use crate::erofs::write::{Continuity, Layout};
use crate::layer::Limits;
use crate::progress::Progress;
use crate::release::{Draft, directory_of, image_file, open_image};
use crate::source::{self, Source};
use crate::spool::Spool;
use crate::tree::Tree;
use crate::{Error, Result, cuts, kmod};
use identity::Identity;
use pintle_verify::verity::{self, LeafHasher, fsverity_digest};
use pintle_verify::{
    Architecture, Digest, ImageId, Percent, Salt, Seal, SigningKey, Uuid, Version, seal_digest,
};
use serde::Serialize;
use std::path::Path;

/// What to build, and from what.
pub struct Request<'r> {
    /// The container image.
    pub source: &'r Source,
    /// Where the release goes.
    pub directory: &'r Path,
    /// Who signs it, one to four.
    pub keys: &'r [SigningKey],
    /// What machines it is for, and which image of several is taken.
    pub architecture: Architecture,
    /// What is said of who it is.
    pub given: Given,
    /// On what terms machines take it.
    pub terms: Terms,
    /// Whether it brings a configuration for pintle.
    pub configuration: Configuration,
    /// A release, or the image of one, whose layout is kept as far as can be.
    pub layout_from: Option<&'r Path>,
    /// Seconds since 1970, for images that do not say when they were made.
    pub now: u64,
}

/// On what terms machines take a release.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The lowest sequence that a machine may go back to once it has blessed this image.
    pub floor: u64,
    /// Until when it may be installed, in seconds since 1970.
    pub best_before: Option<u64>,
    /// The share of machines that install it by themselves.
    pub rollout: Percent,
}

/// Whether an image brings a configuration for pintle's own init.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Configuration {
    /// It does, and it is compiled into the image.
    Compile,
    /// It is left alone, for images that another init runs.
    LeaveAlone,
}

/// What was built.
#[derive(Debug, Serialize)]
pub struct Built {
    /// The image's id.
    pub image_id: ImageId,
    /// Its version.
    pub version: Version,
    /// Its sequence.
    pub sequence: u64,
    /// What machines it is for.
    pub architecture: Architecture,
    /// Bytes of the image.
    pub image_size: u64,
    /// Inodes in it.
    pub files: u64,
    /// Files below its `/var`, which machines do not see: theirs is on the state partition.
    pub hidden_in_var: u64,
    /// Whether the layout of an older image was kept, if that was asked for.
    pub layout: Option<Continuity>,
    /// Services in its configuration, if one was compiled.
    pub services: Option<usize>,
    /// What dm-verity is given.
    pub root_hash: Digest,
    /// What fs-verity measures.
    pub fsverity_digest: Digest,
    /// What machines remember the seal by.
    pub seal_digest: Digest,
}

/// Builds a release.
///
/// # Errors
/// When anything is wrong with what goes in; then nothing of the release is visible.
pub fn build(request: &Request<'_>, progress: &dyn Progress) -> Result<Built> {
    let mut draft = Draft::within(request.directory)?;
    let spool = Spool::within(request.directory)?;
    let mut image = read_source(request, &spool, progress)?;
    let identity = Identity::settle(&request.given, &image, &spool, request.now)?;
    let services = match request.configuration {
        Configuration::Compile => Some(configuration::compile_into(&mut image.tree, &spool)?),
        Configuration::LeaveAlone => None,
    };
    kmod::check_modules(&image.tree, &spool)?;
    make_mount_points(&mut image.tree)?;
    image.tree.leave_out_zeros(&spool)?;

    let salt = Salt::of_image_id(&identity.image_id);
    let uuid = Uuid::of_image_id(&identity.image_id);
    let (layout, continuity) = lay_out(&image.tree, (&spool, uuid), request.layout_from)?;
    let tree = draft.write_image((&layout, &spool), &salt, progress)?;
    draft.write_tree(&tree, uuid)?;
    let cuts = request.layout_from.map(|old| cuts_after(old, &tree, &salt)).transpose()?;
    if let Some(cuts) = cuts.filter(|cuts| !cuts.is_empty()) {
        draft.write_cuts(&cuts)?;
    }

    let seal = statement(request, &image, identity, &tree);
    let signed = seal.sign(request.keys).map_err(|cause| Error::input("sign the seal", cause))?;
    draft.write_seal(&signed)?;
    draft.publish()?;
    Ok(Built {
        files: image.tree.files() as u64,
        hidden_in_var: files_in_var(&image.tree),
        layout: continuity,
        services: services.map(|system| system.services.len()),
        fsverity_digest: fsverity_digest(&seal.root_hash, &seal.salt, seal.image_size),
        seal_digest: seal_digest(&signed),
        image_id: seal.image_id,
        version: seal.version,
        sequence: seal.sequence,
        architecture: seal.architecture,
        image_size: seal.image_size,
        root_hash: seal.root_hash,
    })
}

fn lay_out<'t>(
    tree: &'t Tree,
    (spool, uuid): (&Spool, Uuid),
    old: Option<&Path>,
) -> Result<(Layout<'t>, Option<Continuity>)> {
    let uuid = *uuid.as_bytes();
    match old {
        None => Ok((Layout::of(tree, uuid)?, None)),
        Some(path) => {
            let (layout, continuity) = Layout::after((tree, spool), uuid, &open_image(path)?)?;
            Ok((layout, Some(continuity)))
        }
    }
}

/// Where frames are cut for machines that have the image `old`.
fn cuts_after(old: &Path, tree: &verity::Tree, salt: &Salt) -> Result<Vec<u64>> {
    // A hint that cannot be used is none.
    let carried = directory_of(old).and_then(cuts::read).unwrap_or_default();
    cuts::after(&image_file(old)?, tree.leaves(), (&LeafHasher::new(salt), &carried))
}

/// Where the machine mounts what is not in the image; a read-only root cannot get them later.
const MOUNT_POINTS: [&str; 7] = ["dev", "etc", "proc", "run", "sys", "tmp", "var"];

fn make_mount_points(tree: &mut Tree) -> Result<()> {
    for name in MOUNT_POINTS {
        tree.make_directories(name.as_bytes())
            .map_err(|cause| Error::input(format!("make the mount point /{name}"), cause))?;
    }
    Ok(())
}

/// Every name that is no directory's: an empty directory holds nothing that could be missed.
fn files_in_var(tree: &Tree) -> u64 {
    let var = tree.resolve("/var").into_iter();
    let below = var.flat_map(|var| tree.walk_below(var));
    below.filter(|(_, id)| !tree.inode(*id).is_directory()).count() as u64
}

fn read_source(
    request: &Request<'_>,
    spool: &Spool,
    progress: &dyn Progress,
) -> Result<source::Image> {
    let options =
        source::Options { architecture: request.architecture, limits: Limits::default(), progress };
    request.source.read(spool, &options)
}

fn statement(
    request: &Request<'_>,
    image: &source::Image,
    identity: Identity,
    tree: &verity::Tree,
) -> Seal {
    let terms = request.terms;
    Seal {
        salt: Salt::of_image_id(&identity.image_id),
        image_id: identity.image_id,
        architecture: request.architecture,
        version: identity.version,
        sequence: identity.sequence,
        floor: terms.floor,
        created: identity.created,
        best_before: terms.best_before,
        rollout: terms.rollout,
        image_size: tree.geometry().data_blocks() * BLOCK,
        root_hash: tree.root(),
        source: image.manifest,
        kernel: None,
        next_keys: None,
    }
}
