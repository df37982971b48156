//! Documents that `pintle push` does not write.

use pintle_update::worker::Outlook::WillNot;

use super::Step::{self, Index, Manifest};
use super::Wanted::{self, Check, Fetch};
use super::most::{DOCUMENTS, Most, TREE, UNREAD};
use super::shelf::Shelf;
use super::{Ends, How, Row};
use crate::support::blob_of;

/// The size of a descriptor; of the manifest's in an index, and of the seal's in a manifest, it is the first.
const SIZE: &str = "\"size\":";

pub(super) fn rows() -> Vec<Row> {
    [indexes(), manifests(), releases()].into_iter().flatten().collect()
}

/// The lie is in the answer to this question.
fn row(
    name: &'static str,
    (wanted, at): (Wanted, Step),
    has: fn(&mut Shelf),
    reason: &'static str,
) -> Row {
    let (how, ends) = (How::Has(has), Ends::For(reason, WillNot));
    Row { name, wanted, how, ends, most: Most::until((wanted, at)) }
}

fn indexes() -> Vec<Row> {
    let row = |name, has, reason| row(name, (Check, Index), has, reason);
    vec![
        row("an index that is not JSON", |s| s.index = b"index".to_vec(), "not JSON"),
        row("an index of brackets", |s| s.index = "[".repeat(100_000).into_bytes(), "not JSON")
            .takes(DOCUMENTS + 100_000),
        row(
            "an index of nested objects",
            |s| {
                let deep = format!("{}1{}", "{\"a\":".repeat(5000), "}".repeat(5000));
                s.replace_in_index(
                    "\"schemaVersion\":2",
                    &format!("\"x\":{deep},\"schemaVersion\":2"),
                );
            },
            "nested too deep",
        )
        .takes(DOCUMENTS + 30_000),
        row(
            "an index of a million entries",
            |s| {
                let many = "{},".repeat(1_000_000);
                s.replace_in_index("\"manifests\":[", &format!("\"manifests\":[{many}"));
            },
            "too many entries",
        )
        .takes(DOCUMENTS + 3_000_000),
        row("an index over its limit", |s| s.index.resize((4 << 20) + 1, b' '), "over the limit")
            .takes(UNREAD),
        row(
            "huge annotations",
            |s| {
                let huge = format!("\"annotations\":{{\"a\":\"{}\",", "x".repeat(5 << 20));
                s.replace_in_index("\"annotations\":{", &huge);
            },
            "over the limit",
        )
        .takes(UNREAD),
        row(
            "two releases for one machine",
            |s| {
                let text = String::from_utf8(s.index.clone()).unwrap();
                let (_, from) = text.split_once("\"manifests\":[").unwrap();
                let one = &from[..from.rfind("],").or(from.rfind(']')).unwrap()];
                let two = format!("\"manifests\":[{one},");
                s.replace_in_index("\"manifests\":[", &two);
            },
            "two releases for",
        ),
        row(
            "a release of no bytes",
            |s| {
                s.replace_in_index(SIZE, "\"size\":0,\"was\":");
            },
            "a release manifest of 0 bytes",
        ),
        row(
            "a release of exabytes",
            |s| {
                s.replace_in_index(SIZE, "\"size\":9223372036854775807,\"was\":");
            },
            "a release manifest of 9223372036854775807 bytes",
        ),
        row(
            "a release of fewer than no bytes",
            |s| {
                s.replace_in_index(SIZE, "\"size\":-1,\"was\":");
            },
            "descriptor",
        ),
        row(
            "a release with another digest's name",
            |s| {
                s.replace_in_index("sha256:", "md5:");
            },
            "descriptor",
        ),
        row(
            "an index that lists an index",
            |s| {
                s.replace_in_index("image.manifest.v1", "image.index.v1");
            },
            "a release's mediaType is",
        ),
        row(
            "a release of another kind",
            |s| {
                s.replace_in_index("vnd.pintle.release.v1", "vnd.pintle.release.v2");
            },
            "a release's artifactType is",
        ),
        row(
            "an index that is a manifest as well",
            |s| {
                s.replace_in_index("\"schemaVersion\":2", "\"layers\":[],\"schemaVersion\":2");
            },
            "it is an image manifest",
        ),
        row(
            "an index of another version",
            |s| {
                s.replace_in_index("\"schemaVersion\":2", "\"schemaVersion\":3");
            },
            "schemaVersion",
        ),
    ]
}

fn manifests() -> Vec<Row> {
    let row = |name, has, reason| row(name, (Check, Manifest), has, reason);
    vec![
        row(
            "a release that is a container",
            |s| {
                s.replace_in_manifest(
                    "application/vnd.pintle.release.v1",
                    "application/vnd.oci.image.config.v1+json",
                );
            },
            "its artifactType is",
        ),
        row(
            "a seal of another kind",
            |s| {
                s.replace_in_manifest("\"config\":{", "\"config\":{\"x\":1,");
                let text = String::from_utf8(s.manifest.clone()).unwrap();
                let kind =
                    text.split("\"mediaType\":\"").find(|part| part.contains("seal")).unwrap();
                let kind = kind.split('"').next().unwrap().to_owned();
                s.replace_in_manifest(&kind, "text/plain");
            },
            "its config is",
        ),
        row(
            "a seal of a gigabyte",
            |s| {
                s.replace_in_manifest(SIZE, "\"size\":1073741824,\"was\":");
            },
            "1073741824",
        ),
        row(
            "no layers",
            |s| {
                let text = String::from_utf8(s.manifest.clone()).unwrap();
                let start = text.find("\"layers\":[").unwrap() + "\"layers\":[".len();
                let end = start + text[start..].find(']').unwrap();
                let cut = format!("{}{}", &text[..start], &text[end..]);
                s.put_manifest(cut.into_bytes());
            },
            "no layer",
        ),
        row(
            "hundreds of layers",
            |s| {
                let digest = format!("sha256:{}", "0".repeat(64));
                let layer =
                    format!("{{\"mediaType\":\"x/y\",\"digest\":\"{digest}\",\"size\":1}},");
                s.replace_in_manifest(
                    "\"layers\":[",
                    &format!("\"layers\":[{}", layer.repeat(400)),
                );
            },
            "too many layers",
        )
        .takes(48 << 10),
        row(
            "a manifest over its limit",
            |s| {
                let spaces = " ".repeat(64 << 10);
                s.replace_in_manifest("\"layers\":", &format!("{spaces}\"layers\":"));
            },
            "a release manifest of",
        )
        .asks(1),
    ]
}

fn releases() -> Vec<Row> {
    let row = |name, has, reason| row(name, (Fetch, Manifest), has, reason);
    vec![
        row(
            "a tree of another size",
            |s| {
                let size = format!("{SIZE}{}", s.release.manifest.tree.size);
                s.replace_in_manifest(&size, &format!("{SIZE}12288000"));
            },
            "its tree is not of the size",
        ),
        row(
            "frames of a terabyte",
            |s| {
                let size = format!("{SIZE}{}", s.release.manifest.image.blob.size);
                s.replace_in_manifest(&size, &format!("{SIZE}1099511627776"));
            },
            "its seek table is not of a size",
        ),
        row(
            "frames that unpack to a terabyte",
            |s| {
                // As long as the right ones, and of zeros: zstd makes a bomb of that.
                let mut frames = zstd_of_zeros();
                let image = s.release.manifest.image;
                let table =
                    s.release.blobs[&image.blob.digest][image.seek_table as usize..].to_vec();
                frames.resize(image.seek_table as usize, 0);
                frames.extend_from_slice(&table);
                s.release.manifest.image.blob = blob_of(&frames);
                s.release.blobs.insert(blob_of(&frames).digest, frames);
                s.put_manifest(s.release.manifest.to_bytes());
            },
            "holds more than its blocks",
        )
        .asks(4)
        .takes(256 << 10),
        row(
            "another machine's image",
            |s| {
                let other = crate::support::release(crate::support::image(5000..5600));
                s.release.blobs.extend(other.blobs);
                s.release.manifest = other.manifest;
                s.put_manifest(s.release.manifest.to_bytes());
            },
            "cannot trust hash tree",
        )
        .asks(2)
        .takes(TREE),
    ]
}

/// A gibibyte, in a few dozen KiB.
fn zstd_of_zeros() -> Vec<u8> {
    zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 30), 3).unwrap()
}
