//! Which image of an index is meant.

use std::fmt;

use oci_spec::image::{Descriptor, ImageIndex};
use pintle_verify::Architecture;

use super::document::Target;
use crate::error::Result;

/// An index in an index in an index is more than any tool makes.
const DEPTH_MAX: usize = 4;

/// The annotation that holds a tag: image-spec annotations.md.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Where documents come from.
pub(super) trait Documents {
    /// The index behind a descriptor.
    fn index(&self, descriptor: &Descriptor) -> Result<ImageIndex>;

    /// What the configuration behind a manifest's descriptor says that the image runs on; `None` if
    /// it is no image.
    fn platform(&self, descriptor: &Descriptor) -> Result<Option<Platform>>;
}

/// What an image runs on, in Go's words.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Platform {
    pub(super) os: String,
    pub(super) architecture: String,
}

impl Platform {
    pub(super) fn is(&self, wanted: Architecture) -> bool {
        self.os == "linux" && self.architecture == wanted.as_str()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// The one image of a layout that is meant, or why there is none.
pub(super) fn choose(
    layout: &ImageIndex,
    tag: Option<&str>,
    wanted: Architecture,
    documents: &impl Documents,
) -> Result<Result<Descriptor, Refusal>> {
    let named: Vec<_> = layout.manifests().iter().filter(|one| has_tag(one, tag)).collect();
    if named.is_empty() {
        return Ok(Err(Refusal::NoSuchTag(tags(layout))));
    }
    let mut search = Search { wanted, documents, seen: Vec::new() };
    let mut found = Vec::new();
    for descriptor in named {
        found.extend(search.first(descriptor, 0)?);
    }
    found.sort_by(|a, b| a.digest().as_ref().cmp(b.digest().as_ref()));
    found.dedup_by(|a, b| a.digest() == b.digest());
    Ok(match found.len() {
        0 => Err(Refusal::NoSuchPlatform(search.seen())),
        1 => Ok(found.remove(0)),
        _ => Err(Refusal::Several(tags(layout))),
    })
}

/// Why no image was chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// Nothing of that tag; these are there.
    NoSuchTag(Vec<String>),
    /// Nothing that runs on that machine; these are there.
    NoSuchPlatform(Vec<Platform>),
    /// More than one; these tags are there.
    Several(Vec<String>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchTag(tags) => write!(f, "no image of that tag, there is {}", list(tags)),
            Self::NoSuchPlatform(seen) => {
                write!(f, "no image for that architecture, there is {}", list(seen))
            }
            Self::Several(tags) => write!(f, "several images, say which one: {}", list(tags)),
        }
    }
}

impl std::error::Error for Refusal {}

fn list(items: &[impl ToString]) -> String {
    let texts: Vec<_> = items.iter().map(ToString::to_string).collect();
    if texts.is_empty() { "none".into() } else { texts.join(", ") }
}

fn has_tag(descriptor: &Descriptor, tag: Option<&str>) -> bool {
    tag.is_none() || tag == tag_of(descriptor)
}

fn tag_of(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get(REF_NAME).map(String::as_str)
}

fn tags(layout: &ImageIndex) -> Vec<String> {
    let mut tags: Vec<_> =
        layout.manifests().iter().filter_map(tag_of).map(str::to_owned).collect();
    tags.sort();
    tags.dedup();
    tags
}

/// Goes through an index and those in it.
struct Search<'d, D> {
    wanted: Architecture,
    documents: &'d D,
    /// What else was there, for the message.
    seen: Vec<Platform>,
}

impl<D: Documents> Search<'_, D> {
    /// The first image that fits, in the order of the index, as image-index.md asks for.
    fn first(&mut self, descriptor: &Descriptor, depth: usize) -> Result<Option<Descriptor>> {
        match Target::of(descriptor.media_type()) {
            Target::Index if depth < DEPTH_MAX => self.first_of_index(descriptor, depth),
            Target::Manifest => self.fits(descriptor),
            _ => Ok(None),
        }
    }

    fn first_of_index(
        &mut self,
        descriptor: &Descriptor,
        depth: usize,
    ) -> Result<Option<Descriptor>> {
        for descriptor in self.documents.index(descriptor)?.manifests() {
            let found = self.first(descriptor, depth + 1)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// By the platform that the index states, or else by the image's configuration.
    fn fits(&mut self, descriptor: &Descriptor) -> Result<Option<Descriptor>> {
        let platform = match descriptor.platform() {
            Some(stated) => Some(Platform {
                os: stated.os().to_string(),
                architecture: stated.architecture().to_string(),
            }),
            None => self.documents.platform(descriptor)?,
        };
        match platform {
            Some(platform) if platform.is(self.wanted) => Ok(Some(descriptor.clone())),
            Some(other) => {
                self.seen.push(other);
                Ok(None)
            }
            None => Ok(None),
        }
    }

    fn seen(mut self) -> Vec<Platform> {
        self.seen.sort();
        self.seen.dedup();
        self.seen
    }
}
