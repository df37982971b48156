//! What an image is called, how new it is and for what machine: from the command line, else from
//! what the image says of itself.

use crate::error::{Error, Result};
use crate::source::Image;
use crate::spool::Spool;
use pintle_verify::{ImageId, Version};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Where an image names itself (os-release(5), UAPI.9).
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// No os-release comes near it.
const OS_RELEASE_MAX: u64 = 64 << 10;
/// What OCI's annotations call a version.
const VERSION_LABEL: &str = "org.opencontainers.image.version";
/// What OCI's annotations call a title; taken for the id where it is one.
const TITLE_LABEL: &str = "org.opencontainers.image.title";

/// What was said on the command line.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Instead of `IMAGE_ID`.
    pub image_id: Option<ImageId>,
    /// Instead of `IMAGE_VERSION`.
    pub version: Option<Version>,
    /// Instead of the image's time.
    pub sequence: Option<u64>,
    /// Instead of the image's time, in seconds since 1970.
    pub created: Option<u64>,
}

/// What a seal says about who an image is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    pub(super) image_id: ImageId,
    pub(super) version: Version,
    pub(super) sequence: u64,
    pub(super) created: u64,
}

impl Identity {
    /// Settles who `image` is. `now` is for sources that do not say when they were made.
    pub(super) fn settle(given: &Given, image: &Image, spool: &Spool, now: u64) -> Result<Self> {
        let says = Says::read(image, spool);
        let created = given.created.or(image.created).unwrap_or(now);
        Ok(Self {
            image_id: choose(given.image_id.as_ref(), &says, &ID)?,
            version: choose(given.version.as_ref(), &says, &VERSION)?,
            sequence: given.sequence.or(image.created).unwrap_or(created),
            created,
        })
    }
}

/// A name that a seal must have, and where an image may say it.
struct Field {
    what: &'static str,
    os_release: &'static str,
    label: &'static str,
    option: &'static str,
}

const ID: Field =
    Field { what: "image id", os_release: "IMAGE_ID", label: TITLE_LABEL, option: "--image-id" };
const VERSION: Field = Field {
    what: "version",
    os_release: "IMAGE_VERSION",
    label: VERSION_LABEL,
    option: "--image-version",
};

/// What an image says of itself.
struct Says<'i> {
    os_release: BTreeMap<String, String>,
    labels: &'i BTreeMap<String, String>,
}

impl<'i> Says<'i> {
    /// An image without os-release may still have labels, or the command line may say all.
    fn read(image: &'i Image, spool: &Spool) -> Self {
        let read = |path: &&str| image.tree.read_file(path, spool, OS_RELEASE_MAX).ok();
        let bytes = OS_RELEASE.iter().find_map(read).unwrap_or_default();
        let os_release = parse_os_release(&String::from_utf8_lossy(&bytes));
        Self { os_release, labels: &image.labels }
    }
}

fn choose<T>(given: Option<&T>, says: &Says<'_>, field: &Field) -> Result<T>
where
    T: FromStr<Err = pintle_verify::Error> + Clone,
{
    if let Some(given) = given {
        return Ok(given.clone());
    }
    let Field { what, os_release, label, option } = field;
    let action = || format!("settle the {what}");
    let said = says.os_release.get(*os_release).or_else(|| says.labels.get(*label));
    let said = said.filter(|said| !said.is_empty()).ok_or_else(|| {
        let cause = format!(
            "the image does not say; set {os_release} in its /etc/os-release or label it {label}, \
             or pass {option}"
        );
        Error::input(action(), cause)
    })?;
    said.parse().map_err(|cause| Error::input(action(), format!("{cause}; {option} overrides it")))
}

/// The assignments of an os-release file; lines that are none are left out, as os-release(5) asks.
fn parse_os_release(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), unquote(value)?))
        })
        .collect()
}

/// A value as a shell reads it; nothing if its quotes do not match.
fn unquote(value: &str) -> Option<String> {
    shlex::split(value).map(|words| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    const NOW: u64 = 1_800_000_000;

    fn image(os_release: &str, labels: &[(&str, &str)], created: Option<u64>) -> (Image, Spool) {
        let spool = Spool::within(&std::env::temp_dir()).unwrap();
        let mut tree = Tree::new();
        tree.write_file("etc/os-release", 0o644, os_release.as_bytes(), &spool).unwrap();
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        (Image { tree, manifest: None, created, labels: labels.collect() }, spool)
    }

    fn settle(given: Given, (image, spool): (Image, Spool)) -> Result<Identity, String> {
        Identity::settle(&given, &image, &spool, NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn an_image_says_who_it_is() {
        let os_release = "# a comment\nNAME=x\nIMAGE_ID='demo'\nIMAGE_VERSION=\"1.2~rc1\"\n";
        let labels = [(VERSION_LABEL, "9"), (TITLE_LABEL, "other")];
        let identity = settle(Given::default(), image(os_release, &labels, Some(7))).unwrap();
        assert_eq!((identity.image_id.as_str(), identity.version.as_str()), ("demo", "1.2~rc1"));
        assert_eq!((identity.sequence, identity.created), (7, 7));
    }

    #[test]
    fn labels_stand_in_for_os_release() {
        let labels = [(VERSION_LABEL, "9"), (TITLE_LABEL, "other")];
        let identity = settle(Given::default(), image("", &labels, None)).unwrap();
        assert_eq!((identity.image_id.as_str(), identity.version.as_str()), ("other", "9"));
        assert_eq!((identity.sequence, identity.created), (NOW, NOW));
    }

    #[test]
    fn the_command_line_has_the_last_word() {
        let given = Given {
            image_id: Some("mine".parse().unwrap()),
            version: Some("2".parse().unwrap()),
            sequence: Some(3),
            created: Some(4),
        };
        let image = image("IMAGE_ID=theirs\nIMAGE_VERSION=1\n", &[], Some(7));
        let identity = settle(given, image).unwrap();
        assert_eq!((identity.image_id.as_str(), identity.version.as_str()), ("mine", "2"));
        assert_eq!((identity.sequence, identity.created), (3, 4));
    }

    #[test]
    fn what_is_missing_or_wrong_is_told_with_a_way_out() {
        let missing = settle(Given::default(), image("", &[], None)).unwrap_err();
        assert!(missing.starts_with("cannot settle the image id: the image does not say"));
        assert!(missing.contains("IMAGE_ID") && missing.contains("--image-id"), "{missing}");
        let image = image("IMAGE_ID=demo\nIMAGE_VERSION='a b'\n", &[], None);
        let wrong = settle(Given::default(), image).unwrap_err();
        assert!(wrong.contains("\"a b\"") && wrong.contains("--image-version"), "{wrong}");
    }
}
