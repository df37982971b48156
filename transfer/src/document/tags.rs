//! The index of a layout, `index.json`: which image index has which tag.

#[cfg(feature = "make")]
use serde_json::json;
use serde_json::{Map, Value};

use super::descriptor::Descriptor;
use super::{INDEX, MAX_INDEX, json};
use crate::{Blob, Error};

/// The image index with this tag in the annotation `key`; without a tag, the only one that there is.
pub(crate) fn find_tag(bytes: &[u8], tag: Option<&str>, key: &str) -> Result<Blob, Error> {
    let (_, manifests) = parse(bytes)?;
    let has_tag = |one: &&Value| tag.is_none_or(|tag| tag_of(one, key) == Some(tag));
    let mut found = manifests.iter().filter(has_tag);
    let first = found.next().ok_or_else(|| wrong("it has no such tag"))?;
    if found.next().is_some() {
        return Err(wrong("it has several images: say which as PATH:TAG"));
    }
    let descriptor: Descriptor =
        serde_json::from_value(first.clone()).map_err(|cause| wrong(cause.to_string()))?;
    if descriptor.media_type != INDEX {
        return Err(wrong("its image is an ordinary container, without a release"));
    }
    Ok(descriptor.blob())
}

/// What a tag names: a media type, and the document.
#[cfg(feature = "make")]
pub(crate) fn tagged(bytes: &[u8], tag: &str, key: &str) -> Result<Option<(String, Blob)>, Error> {
    let (_, manifests) = parse(bytes)?;
    let Some(found) = manifests.iter().find(|one| tag_of(one, key) == Some(tag)) else {
        return Ok(None);
    };
    let descriptor: Descriptor =
        serde_json::from_value(found.clone()).map_err(|cause| wrong(cause.to_string()))?;
    Ok(Some((descriptor.media_type.clone(), descriptor.blob())))
}

/// Gives a tag to an image index; other tags stay.
#[cfg(feature = "make")]
pub(crate) fn set_tag(
    bytes: &[u8],
    (key, tag): (&str, &str),
    index: &Blob,
) -> Result<Vec<u8>, Error> {
    let (mut rest, mut manifests) = parse(bytes)?;
    manifests.retain(|one| tag_of(one, key) != Some(tag));
    manifests.push(json!(Descriptor::new(INDEX, *index).annotated(key, tag)));
    rest.insert("manifests".to_owned(), Value::Array(manifests));
    Ok(Value::Object(rest).to_string().into_bytes())
}

fn parse(bytes: &[u8]) -> Result<(Map<String, Value>, Vec<Value>), Error> {
    let Value::Object(mut rest) = json::parse(bytes, MAX_INDEX).map_err(wrong)? else {
        return Err(wrong("it is no object"));
    };
    match rest.remove("manifests") {
        Some(Value::Array(manifests)) => Ok((rest, manifests)),
        _ => Err(wrong("it lists no manifests")),
    }
}

fn tag_of<'d>(descriptor: &'d Value, key: &str) -> Option<&'d str> {
    descriptor.get("annotations")?.get(key)?.as_str()
}

fn wrong(cause: impl Into<String>) -> Error {
    Error::Document { what: "index.json", cause: cause.into() }
}
