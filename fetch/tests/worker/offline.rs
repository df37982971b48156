//! Releases in directories and tar files.

use std::fs::File;
use std::path::Path;

use pintle_transfer::document::Index;
use pintle_transfer::layout::LayoutWriter;
use pintle_update::worker::{Checked, Job, Said, Source, Task};
use pintle_verify::{Architecture, KeySet, SigningKey};

use crate::published::{files, prepared, with_delta};
use crate::starter::Worker;
use crate::support::{Machine, Release, blob_of, image, release};

/// All of the worker's address space.
const MEMORY: u64 = 64 << 20;

fn write(mut layout: LayoutWriter, release: &Release, tag: &str) {
    let manifest = release.manifest.to_bytes();
    let mut index = Index::empty();
    index.put_release(Architecture::X86_64, blob_of(&manifest));
    let index = index.to_bytes();
    let documents = [&manifest, &index, &release.seal_file];
    for bytes in
        documents.into_iter().chain(release.blobs.values().filter(|b| **b != release.seal_file))
    {
        layout.blob(&blob_of(bytes), &mut bytes.as_slice()).unwrap();
    }
    layout.finish(tag, &blob_of(&index)).unwrap();
}

/// A release in both, and how a job names each.
fn both(folder: &Path, release: &Release) -> [(Source, File); 2] {
    let (directory, archive) = (folder.join("layout"), folder.join("layout.tar"));
    write(LayoutWriter::directory(&directory).unwrap(), release, "1");
    write(LayoutWriter::archive(File::create(&archive).unwrap()).unwrap(), release, "1");
    [
        (Source::Directory(None), File::open(directory).unwrap()),
        (Source::Archive(None), File::open(archive).unwrap()),
    ]
}

fn fetch(release: &Release, (source, origin): (Source, &File), machine: &Machine) -> Vec<Said> {
    let keys = KeySet::new(vec![SigningKey::generate(&[1; 32]).public()], 1).unwrap();
    let task = Task::Fetch {
        manifest: blob_of(&release.manifest.to_bytes()).digest,
        seal: release.seal_file.clone(),
        keys: keys.to_bytes(),
        sources: machine.sources.iter().map(|source| source.root_hash).collect(),
        budget: None,
    };
    let handed: Vec<&File> = [origin].into_iter().chain(files(machine)).collect();
    Worker::start(&Job { source, task }, &handed, Some(MEMORY)).hear()
}

#[test]
fn a_release_comes_out_of_a_directory_and_an_archive_whichever_way() {
    let old = image(1..2000);
    let new = release(image((1..2000).map(|number| number + number / 1500 * 10_000)));
    let with_delta = with_delta(new.clone(), &old);
    for (release, old, way) in [
        (&new, &[][..], "in full: "),
        (&new, &old, "by blocks: "),
        (&with_delta, &old, "by delta: "),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for (source, origin) in both(folder.path(), release) {
            let machine = prepared(release, old);
            let heard = fetch(release, (source, &origin), &machine);
            assert!(matches!(heard.last(), Some(Said::Fetched { .. })), "{heard:?}");
            assert!(format!("{heard:?}").contains(way), "{heard:?}");
            machine.has(release);
        }
    }
}

fn check(layout: &Path, tag: Option<&str>) -> Said {
    let source = Source::Directory(tag.map(str::to_owned));
    let task = Task::Check { architecture: Architecture::X86_64, known: None };
    let heard = Worker::start(&Job { source, task }, &[&File::open(layout).unwrap()], None).hear();
    heard.into_iter().last().unwrap()
}

#[test]
fn of_several_tags_one_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let releases = [release(image(1..10)), release(image(1..20))];
    for (release, tag) in releases.iter().zip(["v1", "v2"]) {
        write(LayoutWriter::directory(folder.path()).unwrap(), release, tag);
        let Said::Checked(Checked { release: Some(found), .. }) = check(folder.path(), Some(tag))
        else {
            panic!("{tag} is not found");
        };
        assert_eq!(found.seal, release.seal_file);
    }
    let failed = [None, Some("v3")].map(|tag| format!("{:?}", check(folder.path(), tag)));
    assert!(failed[0].contains("say which as PATH:TAG"), "{}", failed[0]);
    assert!(failed[1].contains("it has no such tag"), "{}", failed[1]);
}
