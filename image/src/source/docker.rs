//! What `docker save` writes: a tar with `manifest.json`, which names configuration and layers by
//! their paths in it.
//!
//! Nothing in it vouches for `manifest.json`; the configuration is held to the digest in its name
//! where it has one, and each layer to its `diff_id` in the configuration.

use std::path::Path;

use pintle_verify::Digest;

use super::archive::Archive;
use super::document::{self, Config, Saved};
use super::oci::{LAYOUT, assemble, check_layer_count, read_whole};
use super::{Image, Options};
use crate::error::{Attempt, Error, Result};
use crate::layer::{Blob, Compression, Layer};
use crate::spool::Spool;

/// What every such archive has.
pub(super) const MANIFEST: &str = "manifest.json";

/// Reads the archive's one image.
pub(super) fn read(file: &Path, spool: &Spool, options: &Options<'_>) -> Result<Image> {
    let archive = Archive::open(file)?;
    archive.check_kind(MANIFEST, LAYOUT, "oci-archive")?;
    let saved = only_image(&read_whole(&archive.member(MANIFEST)?, MANIFEST)?)?;
    let config = read_config(&archive, &saved.config)?;
    check_layer_count(saved.layers.len(), config.diff_ids.len())?;
    let layers = saved
        .layers
        .iter()
        .zip(&config.diff_ids)
        .map(|(name, diff_id)| layer(archive.member(name)?, *diff_id))
        .collect::<Result<Vec<_>>>()?;
    assemble(config, &layers, spool, options)
}

fn only_image(bytes: &[u8]) -> Result<Saved> {
    let wrong = |cause: String| Error::input(format!("read {MANIFEST}"), cause);
    let mut images = document::saved(bytes).map_err(|cause| wrong(cause.to_string()))?;
    match images.len() {
        1 => Ok(images.remove(0)),
        0 => Err(wrong("no image in it".into())),
        count => Err(wrong(format!("{count} images, save only one: {}", tags(&images)))),
    }
}

fn tags(images: &[Saved]) -> String {
    let tags = images.iter().flat_map(|image| image.repo_tags.iter().flatten());
    tags.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn read_config(archive: &Archive, name: &str) -> Result<Config> {
    let bytes = read_whole(&archive.member(name)?, name)?;
    let action = || format!("read configuration {name}");
    let found = Digest::of(&bytes);
    if digest_in(name).is_some_and(|stated| stated != found) {
        return Err(Error::input(action(), format!("its bytes are those of {found}")));
    }
    document::config(&bytes).map_err(|cause| Error::input(action(), cause))
}

/// `<hex>.json` of docker, `blobs/sha256/<hex>` of newer ones, `sha256:<hex>` of others.
fn digest_in(name: &str) -> Option<Digest> {
    let last = name.rsplit('/').next()?;
    let stem = last.strip_suffix(".json").unwrap_or(last);
    let hex = stem.strip_prefix("sha256:").unwrap_or(stem);
    format!("sha256:{hex}").parse().ok()
}

/// Nothing says how a layer is compressed, except the layer.
fn layer(blob: Blob, diff_id: Digest) -> Result<Layer> {
    let head = blob.head(4).attempt(|| "read a layer".into())?;
    let compression = match head.as_slice() {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
        _ => Compression::None,
    };
    Ok(Layer { blob, digest: None, compression, diff_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_in_a_name_is_found() {
        let digest = Digest::of(b"");
        let hex = digest.hex();
        for name in [format!("{hex}.json"), format!("blobs/sha256/{hex}"), format!("sha256:{hex}")]
        {
            assert_eq!(digest_in(&name), Some(digest), "{name}");
        }
        assert_eq!(digest_in("config.json"), None);
    }

    #[test]
    fn one_image_is_wanted() {
        let image = r#"{"Config": "c", "RepoTags": ["a:1"], "Layers": []}"#;
        assert!(only_image(format!("[{image}]").as_bytes()).is_ok());
        let two = only_image(format!("[{image}, {image}]").as_bytes()).unwrap_err();
        let text = "cannot read manifest.json: 2 images, save only one: a:1, a:1";
        assert_eq!(two.to_string(), text);
        assert!(only_image(b"[]").is_err());
    }
}
