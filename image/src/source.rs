//! Where an image comes from: an OCI layout, an archive of one, what `docker save` writes, or a
//! directory.

mod archive;
mod directory;
mod docker;
pub mod document;
mod oci;
mod select;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use pintle_verify::{Architecture, Digest};

use crate::error::{Error, Result};
use crate::layer::Limits;
use crate::progress::Progress;
use crate::spool::Spool;
use crate::tree::Tree;

/// A source as the command line names it.
///
/// The path ends at the first colon, as it does for skopeo and umoci: a path with a colon in it
/// cannot be named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// `oci:DIR[:TAG]`: a directory in the OCI image layout.
    Oci {
        /// The layout's directory.
        directory: PathBuf,
        /// Which of its images.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:TAG]`: a tar of such a directory.
    OciArchive {
        /// The tar.
        file: PathBuf,
        /// Which of its images.
        tag: Option<String>,
    },
    /// `docker-archive:FILE`: what `docker save` writes.
    DockerArchive {
        /// The tar.
        file: PathBuf,
    },
    /// `dir:PATH`: a directory whose files are the image's.
    Directory {
        /// The image's root.
        path: PathBuf,
    },
}

/// How to read a source.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Which image of several is wanted, and what every image must be for.
    pub architecture: Architecture,
    /// What the image may ask for.
    pub limits: Limits,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
}

/// An image: its files, and what its configuration says about it.
#[derive(Debug)]
pub struct Image {
    /// The files. Their data is in the spool that the image was read with.
    pub tree: Tree,
    /// What the image is called in a registry; `None` where the source has no manifest.
    pub manifest: Option<Digest>,
    /// When it was made, in seconds since 1970.
    pub created: Option<u64>,
    /// The configuration's labels.
    pub labels: BTreeMap<String, String>,
}

impl Source {
    /// Reads the image: checks every digest, merges the layers, puts file data into `spool`.
    ///
    /// # Errors When the source cannot be read, holds no image for the architecture or several, or
    /// is not what its digests say.
    pub fn read(&self, spool: &Spool, options: &Options<'_>) -> Result<Image> {
        match self {
            Self::Oci { directory, tag } => {
                oci::read_directory(directory, tag.as_deref(), spool, options)
            }
            Self::OciArchive { file, tag } => {
                oci::read_archive(file, tag.as_deref(), spool, options)
            }
            Self::DockerArchive { file } => docker::read(file, spool, options),
            Self::Directory { path } => directory::read(path, spool, options),
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |cause: &str| Error::input(format!("use source {text}"), cause);
        let (transport, rest) = text.split_once(':').ok_or_else(|| wrong(EXPECTED))?;
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag.to_owned())),
            None => (rest, None),
        };
        if path.is_empty() || tag.as_deref() == Some("") {
            return Err(wrong("a path or a tag is missing"));
        }
        let path = PathBuf::from(path);
        match (transport, tag) {
            ("oci", tag) => Ok(Self::Oci { directory: path, tag }),
            ("oci-archive", tag) => Ok(Self::OciArchive { file: path, tag }),
            ("docker-archive", None) => Ok(Self::DockerArchive { file: path }),
            ("dir", None) => Ok(Self::Directory { path }),
            ("docker-archive" | "dir", Some(_)) => {
                Err(wrong("only oci: and oci-archive: take a tag"))
            }
            ("docker", _) => Err(wrong(FETCH_FIRST)),
            _ => Err(wrong(EXPECTED)),
        }
    }
}

const EXPECTED: &str =
    "expected oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE or dir:PATH";

const FETCH_FIRST: &str =
    "a registry is not read; fetch the image first: skopeo copy docker://NAME oci:DIR:TAG";

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, tag) = match self {
            Self::Oci { directory, tag } => ("oci", directory, tag.as_deref()),
            Self::OciArchive { file, tag } => ("oci-archive", file, tag.as_deref()),
            Self::DockerArchive { file } => ("docker-archive", file, None),
            Self::Directory { path } => ("dir", path, None),
        };
        write!(f, "{transport}:{}", path.display())?;
        tag.map_or(Ok(()), |tag| write!(f, ":{tag}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_written_as_they_are_read() {
        for text in [
            "oci:a/b",
            "oci:/a:v1",
            "oci:a:registry/name:v1",
            "oci-archive:f",
            "docker-archive:f",
            "dir:/",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn for_an_image_of_a_registry_the_way_is_told() {
        let refusal = "docker://debian:12".parse::<Source>().unwrap_err().to_string();
        assert!(refusal.ends_with("fetch the image first: skopeo copy docker://NAME oci:DIR:TAG"));
    }

    #[test]
    fn what_is_no_source() {
        for text in ["", "oci", "oci:", "oci::v1", "oci:a:", "dir:a:b", "docker:a", "a/b"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
