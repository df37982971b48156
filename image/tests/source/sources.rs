//! Layouts, archives and what `docker save` writes: which image is chosen, and what is refused.

use std::fs;

use pintle_image::source::Source;
use pintle_verify::{Architecture, Digest};
use serde_json::{Value, json};

use crate::layout::{
    CONFIG, INDEX, Layout, MANIFEST, Packing, load, load_for, with, with_platform, with_tag,
};
use crate::program::shell;
use crate::tarball::{Member, tar};

fn members(name: &str) -> Vec<Member> {
    vec![Member::directory("etc"), Member::file("etc/name", name)]
}

/// A layout with one image.
fn simple() -> Layout {
    let layout = Layout::new();
    let image = layout.image("amd64", Packing::Plain, &members("simple"));
    layout.set_index(&[image]);
    layout
}

fn refused(layout: &Layout) -> String {
    load(&layout.source()).err().expect("the layout to be refused")
}

fn digest(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

#[test]
fn every_packing_gives_the_same_image() {
    for packing in Packing::ALL {
        let layout = Layout::new();
        let image = layout.image("amd64", packing, &members("x"));
        layout.set_index(std::slice::from_ref(&image));
        let loaded = load(&layout.source()).unwrap();
        assert_eq!(loaded.image.read("etc/name"), b"x", "{packing:?}");
        assert_eq!(loaded.manifest, Some(digest(&image)));
        assert_eq!(loaded.created, Some(1_704_164_645));
        assert_eq!(loaded.labels, [("of".to_owned(), "amd64".to_owned())]);
    }
}

fn architectures(layout: &Layout) -> Vec<Value> {
    let image = |name| with_platform(&layout.image(name, Packing::Gzip, &members(name)), name);
    ["arm64", "amd64", "riscv64"].map(image).to_vec()
}

#[test]
fn the_architecture_chooses_from_an_index() {
    let layout = Layout::new();
    let images = architectures(&layout);
    let nested = layout.index(&[layout.index(&images)]);
    for index in [images, vec![nested]] {
        layout.set_index(&index);
        for architecture in [Architecture::X86_64, Architecture::Aarch64, Architecture::Riscv64] {
            let loaded = load_for(&layout.source(), architecture).unwrap();
            assert_eq!(loaded.image.read("etc/name"), architecture.as_str().as_bytes());
        }
        let refusal = load_for(&layout.source(), Architecture::Arm).err().unwrap();
        let said = "cannot choose an image: no image for that architecture, there is linux/amd64, \
                    linux/arm64, linux/riscv64";
        assert_eq!(refusal, said);
    }
}

#[test]
fn where_the_index_does_not_say_the_configuration_does() {
    let layout = Layout::new();
    let image = |name| layout.image(name, Packing::Plain, &members(name));
    layout.set_index(&["arm64", "amd64"].map(image));
    assert_eq!(load(&layout.source()).unwrap().image.read("etc/name"), b"amd64");
}

#[test]
fn attestations_and_other_artifacts_are_passed_over() {
    let layout = Layout::new();
    let empty = layout.blob("application/vnd.oci.empty.v1+json", b"{}");
    let artifact = layout.manifest(&empty, &[]);
    let unknown = json!({"architecture": "unknown", "os": "unknown"});
    let attestation = with(&artifact, "platform", unknown);
    let other = layout.blob("application/vnd.example", b"whatever");
    let image = layout.image("amd64", Packing::Plain, &members("image"));
    layout.set_index(&[layout.index(&[attestation, other, artifact, image])]);
    assert_eq!(load(&layout.source()).unwrap().image.read("etc/name"), b"image");
}

#[test]
fn a_tag_chooses_and_is_asked_for_where_there_are_several() {
    let layout = Layout::new();
    let image = |tag| with_tag(&layout.image("amd64", Packing::Plain, &members(tag)), tag);
    layout.set_index(&["v1", "v2"].map(image));
    assert_eq!(load(&layout.tagged("v2")).unwrap().image.read("etc/name"), b"v2");
    let several = "cannot choose an image: several images, say which one: v1, v2";
    assert_eq!(refused(&layout), several);
    let none = load(&layout.tagged("v3")).err().unwrap();
    assert_eq!(none, "cannot choose an image: no image of that tag, there is v1, v2");
}

#[test]
fn two_tags_of_one_image_are_one_image() {
    let layout = Layout::new();
    let image = layout.image("amd64", Packing::Plain, &members("x"));
    layout.set_index(&["v1", "latest"].map(|tag| with_tag(&image, tag)));
    assert!(load(&layout.source()).is_ok());
}

#[test]
fn an_empty_layout_has_no_image() {
    let said = "cannot choose an image: no image of that tag, there is none";
    assert_eq!(refused(&Layout::new()), said);
}

#[test]
fn an_image_for_another_machine_than_its_index_says() {
    let layout = Layout::new();
    let image = layout.image("arm64", Packing::Plain, &members("x"));
    layout.set_index(&[with_platform(&image, "amd64")]);
    assert_eq!(
        refused(&layout),
        "cannot use the image: it is for linux/arm64, not for linux/amd64"
    );
}

/// Damages the file of one blob after another, and says what each refusal was.
#[test]
fn a_changed_byte_in_any_blob_is_refused() {
    let layout = Layout::new();
    let image = with_platform(&layout.image("amd64", Packing::Gzip, &members("x")), "amd64");
    layout.set_index(&[layout.index(&[image])]);
    assert!(load(&layout.source()).is_ok());
    let blobs = fs::read_dir(layout.path().join("blobs/sha256")).unwrap();
    let paths: Vec<_> = blobs.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 4);
    for path in paths {
        let good = fs::read(&path).unwrap();
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0x20;
            fs::write(&path, bad).unwrap();
            let refusal = refused(&layout);
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(
                refusal.contains(name)
                    && refusal.contains(&Digest::of(&fs::read(&path).unwrap()).hex()),
                "{refusal}"
            );
        }
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn a_blob_of_another_size_than_its_descriptor_says() {
    let layout = Layout::new();
    let image = layout.image("amd64", Packing::Plain, &members("x"));
    let size = image["size"].as_u64().unwrap();
    layout.set_index(&[with(&image, "size", size + 1)]);
    let refusal = refused(&layout);
    let said = format!(
        "cannot read blob {}: {size} bytes, its descriptor says {}",
        digest(&image),
        size + 1
    );
    assert_eq!(refusal, said);
}

#[test]
fn a_blob_that_is_missing() {
    let layout = simple();
    let blobs = fs::read_dir(layout.path().join("blobs/sha256")).unwrap();
    for entry in blobs {
        let path = entry.unwrap().path();
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let said =
            format!("cannot open {}: No such file or directory (os error 2)", path.display());
        assert_eq!(refused(&layout), said);
        fs::write(&path, kept).unwrap();
    }
}

#[test]
fn digests_that_are_no_digests() {
    let layout = simple();
    let index: Value =
        serde_json::from_slice(&fs::read(layout.path().join("index.json")).unwrap()).unwrap();
    let image = &index["manifests"][0];
    for digest in ["sha256:../../../etc/passwd", "sha256:", "", "sha512:00", "md5:00", "sha256:AB"]
    {
        layout.set_index(&[with(image, "digest", digest)]);
        let refusal = refused(&layout);
        assert!(refusal.starts_with("cannot read"), "{digest}: {refusal}");
    }
    let sha512 = format!("sha512:{}", "a".repeat(128));
    layout.set_index(&[with(image, "digest", sha512.as_str())]);
    assert!(refused(&layout).ends_with(&format!("digest {sha512} is not supported")));
}

/// CVE-2021-41190: what a document is comes from the descriptor that led to it.
#[test]
fn a_manifest_is_not_an_index_and_an_index_no_manifest() {
    let layout = Layout::new();
    let image = layout.image("amd64", Packing::Plain, &members("x"));
    layout.set_index(&[with(&image, "mediaType", INDEX)]);
    assert!(refused(&layout).ends_with("its mediaType is not what its descriptor says"));
    let index = layout.index(std::slice::from_ref(&image));
    layout.set_index(&[with(&index, "mediaType", MANIFEST)]);
    assert!(refused(&layout).ends_with("its mediaType is not what its descriptor says"));
    let config = layout.config("amd64", &[]);
    let both = json!({"schemaVersion": 2, "manifests": [image], "config": config, "layers": []});
    for media_type in [INDEX, MANIFEST] {
        layout.set_index(&[layout.document(media_type, &both)]);
        assert!(refused(&layout).ends_with("it is not an index or a manifest, or both at once"));
    }
}

#[test]
fn an_index_in_an_index_without_end() {
    let layout = Layout::new();
    let mut inner = layout.image("amd64", Packing::Plain, &members("x"));
    for _ in 0..4 {
        inner = layout.index(&[inner]);
    }
    layout.set_index(std::slice::from_ref(&inner));
    assert!(load(&layout.source()).is_ok());
    layout.set_index(&[layout.index(&[inner])]);
    assert!(refused(&layout).starts_with("cannot choose an image: no image for that architecture"));
}

#[test]
fn indexes_that_multiply() {
    let layout = Layout::new();
    let mut inner = layout.index(&[]);
    for _ in 0..3 {
        inner = layout.index(&vec![inner; 40]);
    }
    layout.set_index(&[inner]);
    assert!(refused(&layout).ends_with("more than 1024 documents"));
}

#[test]
fn layers_of_unknown_types() {
    let layout = Layout::new();
    let bytes = tar(members("x"));
    let layer = layout.blob("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", &bytes);
    let config = layout.config("amd64", &[Digest::of(&bytes)]);
    layout.set_index(&[layout.manifest(&config, &[layer])]);
    let said = "layer type application/vnd.oci.image.layer.v1.tar+gzip+encrypted is not supported";
    assert!(refused(&layout).ends_with(said));
}

#[test]
fn as_many_layers_as_diff_ids() {
    let layout = Layout::new();
    let bytes = tar(members("x"));
    let layer = layout.blob(Packing::Plain.media_type(), &bytes);
    let config = layout.config("amd64", &[Digest::of(&bytes), Digest::of(&bytes)]);
    layout.set_index(&[layout.manifest(&config, &[layer])]);
    let said = "cannot use the image: 1 layers, and 2 diff_ids in the configuration";
    assert_eq!(refused(&layout), said);
}

#[test]
fn documents_too_long_to_be_any() {
    let layout = simple();
    layout.write("index.json", &vec![b' '; (4 << 20) + 1]);
    assert_eq!(refused(&layout), "cannot read index.json: 4194305 bytes, the limit is 4194304");
}

#[test]
fn a_directory_that_is_no_layout() {
    let layout = simple();
    fs::remove_file(layout.path().join("oci-layout")).unwrap();
    assert!(refused(&layout).contains("oci-layout: No such file"));
}

#[test]
fn an_archive_of_a_layout_is_read_where_it_stands() {
    let layout = Layout::new();
    layout.set_index(&[layout.index(&architectures(&layout))]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image.tar");
    for pack in
        ["tar -cf $F *", "tar -cf $F .", "tar --format=pax -cf $F index.json blobs oci-layout"]
    {
        shell(layout.path(), &pack.replace("$F", file.to_str().unwrap()));
        let loaded = load(&Source::OciArchive { file: file.clone(), tag: None }).unwrap();
        assert_eq!(loaded.image.read("etc/name"), b"amd64", "{pack}");
    }
}

/// Members larger than what is read at once, so that most of the archive is passed over.
#[test]
fn an_archive_of_large_members() {
    let layout = Layout::new();
    let noise: Vec<u8> =
        (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as u8).collect();
    let large = [Member::file("large", &noise), Member::file("etc/name", "last")];
    let image = layout.image("amd64", Packing::Plain, &large);
    layout.set_index(&[image]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image.tar");
    let order = "$(find . -type f | sort)";
    shell(layout.path(), &format!("tar -cf {} {order} {order}", file.display()));
    let loaded = load(&Source::OciArchive { file, tag: None }).unwrap();
    assert_eq!(
        (loaded.image.read("large"), loaded.image.read("etc/name")),
        (noise, b"last".to_vec())
    );
}

#[test]
fn archives_that_are_compressed_or_cut_or_none() {
    let layout = simple();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image.tar");
    let refusal = || load(&Source::OciArchive { file: file.clone(), tag: None }).err().unwrap();
    shell(layout.path(), &format!("tar -czf {} *", file.display()));
    assert!(refusal().ends_with("it is compressed: decompress it with gzip -d first"));
    shell(layout.path(), &format!("tar -cf {} index.json", file.display()));
    fs::write(&file, &fs::read(&file).unwrap()[..600]).unwrap();
    assert!(refusal().ends_with("entry index.json: the bytes end inside an entry's data"));
    fs::write(&file, "not a tar at all").unwrap();
    assert!(refusal().ends_with("at byte 0: the bytes end inside a header"));
    fs::write(&file, "").unwrap();
    assert!(refusal().ends_with("no such file"));
}

#[test]
fn an_archive_by_the_wrong_name_is_told_its_right_one() {
    let layout = simple();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image.tar");
    shell(layout.path(), &format!("tar -cf {} *", file.display()));
    let refusal = load(&Source::DockerArchive { file: file.clone() }).err().unwrap();
    assert!(refusal.ends_with(&format!("call it oci-archive:{}", file.display())), "{refusal}");
    fs::write(&file, tar([Member::file("manifest.json", "[]")])).unwrap();
    let refusal = load(&Source::OciArchive { file: file.clone(), tag: None }).err().unwrap();
    assert!(refusal.ends_with(&format!("call it docker-archive:{}", file.display())), "{refusal}");
}

fn docker_archive(members: Vec<Member>) -> (tempfile::TempDir, Source) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image.tar");
    fs::write(&file, tar(members)).unwrap();
    (directory, Source::DockerArchive { file })
}

fn docker_config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|bytes| Digest::of(bytes).to_string()).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05.678Z",
        "config": {"Labels": null}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    config.to_string().into_bytes()
}

fn docker_manifest(config: &str, layers: &[&str]) -> Member {
    let manifest = json!([{"Config": config, "RepoTags": ["a:1"], "Layers": layers}]);
    Member::file("manifest.json", manifest.to_string())
}

#[test]
fn what_docker_saved() {
    let (one, two) = (tar(members("one")), tar(vec![Member::file("etc/.wh.name", "")]));
    let three = tar(vec![Member::file("three", "3")]);
    let config = docker_config(&[&one, &two, &three, &one]);
    let name = format!("{}.json", Digest::of(&config).hex());
    let layers = ["a/layer.tar", "b/layer.tar", "c/layer.tar", "d/layer.tar"];
    let (_kept, source) = docker_archive(vec![
        Member::directory("a/"),
        Member::file("a/layer.tar", &one),
        Member::file("b/layer.tar", Packing::Gzip.pack(&two)),
        Member::file("c/layer.tar", Packing::Zstd.pack(&three)),
        // Docker writes a layer that comes again as a symlink.
        Member::symlink("d/layer.tar", "../a/layer.tar"),
        Member::file(&name, &config),
        docker_manifest(&name, &layers),
    ]);
    let loaded = load(&source).unwrap();
    assert_eq!(loaded.image.names(), ["etc", "etc/name", "three"]);
    assert_eq!((loaded.manifest, loaded.created), (None, Some(1_704_164_645)));
}

#[test]
fn what_docker_did_not_save() {
    let layer = tar(members("x"));
    let config = docker_config(&[&layer]);
    let other = format!("{}.json", Digest::of(b"other").hex());
    let all = |config_name: &str, layer_bytes: &[u8]| {
        vec![
            Member::file("layer.tar", layer_bytes),
            Member::file(config_name, &config),
            docker_manifest(config_name, &["layer.tar"]),
        ]
    };
    let refusal = |members: Vec<Member>| {
        let (_kept, source) = docker_archive(members);
        load(&source).err().expect("the archive to be refused")
    };
    assert!(refusal(all(&other, &layer)).contains("its bytes are those of sha256:"));
    assert!(
        refusal(all("config.json", &tar(members("y")))).contains("the uncompressed layer is not")
    );
    assert!(
        refusal(all("config.json", &layer)[1..].to_vec()).contains("read layer.tar in archive")
    );
    assert!(
        refusal(all("config.json", &layer)[..2].to_vec()).contains("read manifest.json in archive")
    );
    let (_kept, source) = docker_archive(all("config.json", &layer));
    assert!(load(&source).is_ok());
}

#[test]
fn skopeos_archives_are_its_layouts() {
    let layout = Layout::new();
    let image = layout.image("amd64", Packing::Gzip, &members("skopeo"));
    layout.set_index(&[with_tag(&image, "v1")]);
    let directory = tempfile::tempdir().unwrap();
    let copy = |destination: &str| {
        let script = format!("skopeo copy -q oci:{}:v1 {destination}", layout.path().display());
        shell(directory.path(), &script);
    };
    copy("oci-archive:oci.tar:v1");
    copy("docker-archive:docker.tar:name:v1");
    copy("oci:other:v1");
    let at = |name: &str| directory.path().join(name);
    let expected = load(&layout.source()).unwrap().image.facts();
    for source in [
        Source::OciArchive { file: at("oci.tar"), tag: Some("v1".into()) },
        Source::DockerArchive { file: at("docker.tar") },
        Source::Oci { directory: at("other"), tag: None },
    ] {
        assert_eq!(load(&source).unwrap().image.facts(), expected, "{source}");
    }
}

#[test]
fn a_configuration_that_is_none() {
    let layout = Layout::new();
    for config in ["{}", "[]", "", "{\"os\": \"linux\"}", "\u{0}"] {
        let config = layout.blob(CONFIG, config.as_bytes());
        layout.set_index(&[layout.manifest(&config, &[])]);
        assert!(refused(&layout).starts_with("cannot read configuration sha256:"));
    }
}
