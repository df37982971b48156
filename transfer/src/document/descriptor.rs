use std::collections::BTreeMap;

use pintle_verify::Digest;
use serde::{Deserialize, Serialize};

use crate::Blob;

/// What a container image runs on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Platform {
    /// OCI's name.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// Of the architecture: `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// How a document names a blob or another document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<Platform>,
}

impl Descriptor {
    pub(super) fn new(media_type: &str, blob: Blob) -> Self {
        Self {
            media_type: media_type.to_owned(),
            artifact_type: None,
            digest: blob.digest,
            size: blob.size,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    pub(super) fn annotated(mut self, key: &str, value: impl ToString) -> Self {
        self.annotations.insert(key.to_owned(), value.to_string());
        self
    }

    pub(super) fn blob(&self) -> Blob {
        Blob { digest: self.digest, size: self.size }
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }
}
