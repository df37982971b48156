use pintle_verify::Architecture;
use serde_json::{Map, Value, json};

use super::descriptor::Descriptor;
use super::{ARCHITECTURE, INDEX, MANIFEST, MAX_INDEX, MAX_MANIFEST, Platform, RELEASE, json};
use crate::{Blob, Error};

/// The image index of a tag: container images, and a release for each architecture.
///
/// What it does not understand it keeps, so that an index that is written again says the same about
/// everything that was not changed on purpose.
#[derive(Clone, PartialEq, Debug)]
pub struct Index {
    /// Everything but the descriptors.
    rest: Map<String, Value>,
    manifests: Vec<Value>,
}

/// An ordinary container image, or the index of several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Container {
    /// Of its manifest.
    pub media_type: String,
    /// Its manifest.
    pub blob: Blob,
    /// What it runs on, if that is said.
    pub platform: Option<Platform>,
}

impl Index {
    /// An index that lists nothing.
    pub fn empty() -> Self {
        let rest = [("schemaVersion", json!(2)), ("mediaType", json!(INDEX))];
        let rest = rest.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
        Self { rest, manifests: Vec::new() }
    }

    /// Reads an index of at most 4 MiB and 1000 descriptors.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let Value::Object(mut rest) = json::parse(bytes, MAX_INDEX).map_err(wrong)? else {
            return Err(wrong("it is no object"));
        };
        check_kind(&rest)?;
        match rest.remove("manifests") {
            Some(Value::Array(manifests)) => Ok(Self { rest, manifests }),
            _ => Err(wrong("it lists no manifests")),
        }
    }

    /// Writes the index: the same bytes for the same content.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut whole = self.rest.clone();
        whole.insert("manifests".to_owned(), Value::Array(self.manifests.clone()));
        Value::Object(whole).to_string().into_bytes()
    }

    /// The manifest of the release for `architecture`. That it is one shows when it is read.
    pub fn release(&self, architecture: Architecture) -> Result<Blob, Error> {
        let mut found = self.manifests.iter().filter(|one| is_release_for(one, architecture));
        let first = found.next().ok_or_else(|| wrong(format!("no release for {architecture}")))?;
        if found.next().is_some() {
            return Err(wrong(format!("two releases for {architecture}")));
        }
        release_blob(first)
    }

    /// The architectures that it has releases for, of those that this program knows.
    pub fn architectures(&self) -> Vec<Architecture> {
        let has = |one: &Architecture| self.manifests.iter().any(|m| is_release_for(m, *one));
        Architecture::ALL.into_iter().filter(has).collect()
    }

    /// The descriptors that are no releases, in order. One that names no blob is an error.
    pub fn containers(&self) -> Result<Vec<Container>, Error> {
        let containers = self.manifests.iter().filter(|one| architecture(one).is_none());
        containers.map(|one| descriptor(one).map(Container::from)).collect()
    }

    /// Lists a release, in the place of the one for the same architecture; everything else stays.
    pub fn put_release(&mut self, architecture: Architecture, manifest: Blob) {
        self.manifests.retain(|one| !is_release_for(one, architecture));
        self.manifests.push(release_descriptor(architecture, manifest));
    }

    /// Lists a container image before the releases, in the place of the one for the same platform.
    pub fn put_container(&mut self, container: &Container) {
        let platform = container.platform.as_ref();
        self.manifests.retain(|one| !is_container_for(one, platform));
        let releases = self.manifests.iter().position(|one| architecture(one).is_some());
        let at = releases.unwrap_or(self.manifests.len());
        self.manifests.insert(at, container_descriptor(container));
    }
}

impl From<Descriptor> for Container {
    fn from(from: Descriptor) -> Self {
        Self { blob: from.blob(), media_type: from.media_type, platform: from.platform }
    }
}

/// A manifest taken for an index, and the other way round, is CVE-2021-41190.
fn check_kind(index: &Map<String, Value>) -> Result<(), Error> {
    if index.contains_key("layers") || index.contains_key("config") {
        return Err(wrong("it is an image manifest"));
    }
    if index.get("schemaVersion") != Some(&json!(2)) {
        return Err(wrong("its schemaVersion is not 2"));
    }
    match index.get("mediaType") {
        None => Ok(()),
        Some(kind) if kind == INDEX => Ok(()),
        Some(kind) => Err(wrong(format!("its mediaType is {kind}"))),
    }
}

fn architecture(descriptor: &Value) -> Option<&str> {
    descriptor.get("annotations")?.get(ARCHITECTURE)?.as_str()
}

fn is_release_for(descriptor: &Value, wanted: Architecture) -> bool {
    architecture(descriptor) == Some(wanted.as_str())
}

fn is_container_for(descriptor: &Value, wanted: Option<&Platform>) -> bool {
    let platform = descriptor.get("platform").map(|one| serde_json::from_value(one.clone()));
    architecture(descriptor).is_none() && platform.and_then(Result::ok).as_ref() == wanted
}

fn descriptor(value: &Value) -> Result<Descriptor, Error> {
    serde_json::from_value(value.clone()).map_err(|cause| wrong(format!("descriptor: {cause}")))
}

fn release_blob(value: &Value) -> Result<Blob, Error> {
    let descriptor = descriptor(value)?;
    if descriptor.media_type != MANIFEST {
        return Err(wrong(format!("a release's mediaType is {:?}", descriptor.media_type)));
    }
    // Copying tools drop it; the manifest's own is what counts.
    if descriptor.artifact_type.as_ref().is_some_and(|kind| kind != RELEASE) {
        return Err(wrong(format!("a release's artifactType is {:?}", descriptor.artifact_type)));
    }
    if !(1..=MAX_MANIFEST as u64).contains(&descriptor.size) {
        return Err(wrong(format!("a release manifest of {} bytes", descriptor.size)));
    }
    Ok(descriptor.blob())
}

/// The platform keeps container tools from taking the release for an image that they could run.
fn release_descriptor(architecture: Architecture, manifest: Blob) -> Value {
    let platform =
        Platform { architecture: "unknown".to_owned(), os: "unknown".to_owned(), variant: None };
    let descriptor = Descriptor {
        artifact_type: Some(RELEASE.to_owned()),
        platform: Some(platform),
        ..Descriptor::new(MANIFEST, manifest).annotated(ARCHITECTURE, architecture)
    };
    json!(descriptor)
}

fn container_descriptor(container: &Container) -> Value {
    let platform = container.platform.clone();
    json!(Descriptor { platform, ..Descriptor::new(&container.media_type, container.blob) })
}

fn wrong(cause: impl Into<String>) -> Error {
    Error::Document { what: "index", cause: cause.into() }
}

#[cfg(test)]
mod tests {
    use pintle_verify::Digest;

    use super::*;

    fn blob(of: &str) -> Blob {
        Blob { digest: Digest::of(of.as_bytes()), size: of.len() as u64 }
    }

    fn descriptor_with(changes: &[(&str, Value)]) -> Value {
        let mut descriptor = release_descriptor(Architecture::X86_64, blob("release"));
        for (pointer, value) in changes {
            let object = descriptor.as_object_mut().unwrap();
            object.insert((*pointer).to_owned(), value.clone());
        }
        descriptor
    }

    fn index_of(manifests: &[Value]) -> Vec<u8> {
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string().into()
    }

    fn release_of(manifests: &[Value]) -> Result<Blob, String> {
        let index = Index::parse(&index_of(manifests)).unwrap();
        index.release(Architecture::X86_64).map_err(|cause| cause.to_string())
    }

    #[test]
    fn what_is_not_a_release_of_ours_stays_as_it_is() {
        let foreign = json!({
            "schemaVersion": 2, "mediaType": INDEX, "annotations": {"a": "b"}, "x": [1, 2.5, null],
            "manifests": [
                {"mediaType": MANIFEST, "digest": "sha512:00", "size": 7, "platform": {"os": "linux",
                 "architecture": "amd64", "os.features": ["x"]}, "unheard-of": {"of": true}},
                release_descriptor(Architecture::Aarch64, blob("arm")),
                release_descriptor(Architecture::X86_64, blob("old")),
                {"mediaType": MANIFEST, "annotations": {ARCHITECTURE: "s390x"}},
            ],
        });
        let mut index = Index::parse(foreign.to_string().as_bytes()).unwrap();
        index.put_release(Architecture::X86_64, blob("new"));
        let written: Value = serde_json::from_slice(&index.to_bytes()).unwrap();
        let mut expected = foreign.clone();
        let manifests = expected["manifests"].as_array_mut().unwrap();
        manifests.remove(2);
        manifests.push(release_descriptor(Architecture::X86_64, blob("new")));
        assert_eq!(written, expected);
        assert_eq!(index.release(Architecture::X86_64).unwrap(), blob("new"));
        assert_eq!(index.release(Architecture::Aarch64).unwrap(), blob("arm"));
        assert_eq!(index.architectures(), [Architecture::X86_64, Architecture::Aarch64]);
    }

    #[test]
    fn containers_stand_before_releases_and_replace_their_own() {
        let container = |of: &str, architecture: &str| Container {
            media_type: MANIFEST.to_owned(),
            blob: blob(of),
            platform: Some(Platform {
                architecture: architecture.to_owned(),
                os: "linux".to_owned(),
                variant: None,
            }),
        };
        let mut index = Index::empty();
        index.put_release(Architecture::X86_64, blob("release"));
        for (of, architecture) in [("a", "amd64"), ("b", "arm64"), ("c", "amd64")] {
            index.put_container(&container(of, architecture));
        }
        let index = Index::parse(&index.to_bytes()).unwrap();
        assert_eq!(index.containers().unwrap(), [container("b", "arm64"), container("c", "amd64")]);
        assert!(architecture(&index.manifests[2]).is_some());
    }

    #[test]
    fn documents_that_are_no_index_are_refused() {
        for (text, expected) in [
            (json!({"schemaVersion": 2, "config": {}, "layers": []}), "image manifest"),
            (json!({"schemaVersion": 2, "manifests": [], "layers": []}), "image manifest"),
            (json!({"schemaVersion": 1, "manifests": []}), "schemaVersion"),
            (json!({"manifests": []}), "schemaVersion"),
            (json!({"schemaVersion": 2, "mediaType": MANIFEST, "manifests": []}), "mediaType"),
            (json!({"schemaVersion": 2, "mediaType": 7, "manifests": []}), "mediaType"),
            (json!({"schemaVersion": 2, "manifests": {}}), "no manifests"),
            (json!({"schemaVersion": 2}), "no manifests"),
            (json!([]), "no object"),
            (json!({"schemaVersion": 2, "manifests": vec![1; 1001]}), "too many entries"),
        ] {
            let error = Index::parse(text.to_string().as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let long = vec![b' '; MAX_INDEX + 1];
        assert!(Index::parse(&long).unwrap_err().to_string().contains("longer"));
    }

    #[test]
    fn descriptors_that_name_no_release_are_refused() {
        assert_eq!(release_of(&[descriptor_with(&[])]), Ok(blob("release")));
        assert_eq!(
            release_of(&[descriptor_with(&[("artifactType", json!(null))])]),
            Ok(blob("release"))
        );
        let sha512 = format!("sha512:{}", "0".repeat(128));
        for (changes, expected) in [
            ([("digest", json!(null))], "descriptor"),
            ([("digest", json!(""))], "sha256:"),
            ([("digest", json!(sha512))], "sha256:"),
            ([("digest", json!("sha256:../../etc/passwd"))], "sha256:"),
            ([("size", json!(-1))], "descriptor"),
            ([("size", json!(1.5))], "descriptor"),
            ([("size", json!(0))], "0 bytes"),
            ([("size", json!(MAX_MANIFEST + 1))], "65537 bytes"),
            ([("mediaType", json!(INDEX))], "mediaType"),
            ([("mediaType", json!(null))], "descriptor"),
            ([("artifactType", json!("application/other"))], "artifactType"),
        ] {
            let error = release_of(&[descriptor_with(&changes)]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(release_of(&[]).unwrap_err().contains("no release for amd64"));
        let twice = [descriptor_with(&[]), descriptor_with(&[("size", json!(9))])];
        assert!(release_of(&twice).unwrap_err().contains("two releases for amd64"));
        for odd in [json!(1), json!(null), json!({"annotations": []}), json!([])] {
            assert!(release_of(&[odd]).unwrap_err().contains("no release"));
        }
    }
}
