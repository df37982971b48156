//! What must hold for any bytes in the place of a release's documents, frames and delta. The fuzz targets
//! (fuzz/fuzz_targets/transfer_*.rs) and the tests in mutations.rs run the same functions. Who includes this has `support`
//! beside it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::LazyLock;

use pintle_transfer::delta::{Side, make};
use pintle_transfer::document::{DeltaLayer, Index, ReleaseManifest};
use pintle_transfer::frames::SeekTable;
use pintle_transfer::layout::{Layout, LayoutWriter};
use pintle_verify::{Architecture, Digest};

use crate::support::{Machine, Memory, Release, blob_of, file_of, image, release, tree_of};

/// Whether the bytes were taken for what they claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Refused,
}

/// What an index says of releases and containers stays the same when it is written and read again.
pub(crate) fn an_index_stays_the_same(bytes: &[u8]) -> Verdict {
    let index = Index::parse(bytes);
    if let Ok(index) = &index {
        assert_eq!(Index::parse(&index.to_bytes()).as_ref().ok(), Some(index));
        let releases = |index: &Index| Architecture::ALL.map(|one| index.release(one).ok());
        let mut more = index.clone();
        more.put_release(Architecture::X86_64, blob_of(b"another"));
        assert_eq!(releases(&more)[1..], releases(index)[1..]);
    }
    verdict(index)
}

/// A release's manifest is the same when it is written and read again.
pub(crate) fn a_manifest_stays_the_same(bytes: &[u8]) -> Verdict {
    let manifest = ReleaseManifest::parse(bytes);
    if let Ok(manifest) = &manifest {
        assert_eq!(ReleaseManifest::parse(&manifest.to_bytes()).as_ref().ok(), Some(manifest));
        assert!((1..=4096).contains(&manifest.seal.size) && manifest.deltas.len() <= 16);
    }
    verdict(manifest)
}

/// A seek table has one encoding, and its frames are those of the whole image.
pub(crate) fn a_seek_table_has_one_encoding(bytes: &[u8]) -> Verdict {
    let (blocks, frames) = (OLD_BLOCKS, NEW.manifest.image.seek_table);
    let table = SeekTable::parse(bytes, blocks, frames);
    if let Ok(table) = &table {
        assert_eq!(table.to_bytes(), bytes);
        assert_eq!(
            table.frames().map(|frame| frame.blocks.end - frame.blocks.start).sum::<u64>(),
            blocks
        );
    }
    verdict(table)
}

/// The seek table of the release.
pub(crate) fn seek_table() -> Vec<u8> {
    let layer = NEW.manifest.image;
    NEW.blobs[&layer.blob.digest][layer.seek_table as usize..].to_vec()
}

/// Whatever the frames, no block is written that is not the release's.
pub(crate) fn frames_write_nothing_wrong(bytes: &[u8]) -> Verdict {
    let mut blobs = NEW.blobs.clone();
    let layer = NEW.manifest.image;
    let mut frames = bytes.to_vec();
    frames.resize(layer.seek_table as usize, 0);
    frames.extend(seek_table());
    blobs.insert(layer.blob.digest, frames);
    let machine = Machine::with(&[]);
    let received = machine.receive(&NEW, &mut Memory::of(&blobs));
    machine.has_nothing_wrong(&NEW);
    verdict(received)
}

pub(crate) fn frames() -> Vec<u8> {
    let layer = NEW.manifest.image;
    NEW.blobs[&layer.blob.digest][..layer.seek_table as usize].to_vec()
}

/// Whatever the delta, of which only the digest is right, the machine has the release in the end; by the blocks, if the
/// delta makes another image.
pub(crate) fn a_delta_makes_the_image_or_is_left(bytes: &[u8]) -> Verdict {
    let mut release: Release = NEW.clone();
    let delta =
        DeltaLayer { blob: blob_of(bytes), from: tree_of(&OLD).root(), instead_of: Some(u64::MAX) };
    release.manifest.deltas = vec![delta];
    release.blobs.insert(Digest::of(bytes), bytes.to_vec());
    let machine = Machine::with(&[&OLD]);
    let received = machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
    machine.has(&release);
    if received.delta_failed.is_some() { Verdict::Refused } else { Verdict::Accepted }
}

/// A delta that makes the new image out of the old one.
pub(crate) fn delta() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let side = |name, image: &[u8]| -> (File, Vec<_>) {
        (file_of(&folder.path().join(name), image), tree_of(image).leaves().to_vec())
    };
    let (from, to) = (side("old", &OLD), side("new", &NEW.image));
    let [from, to] = [&from, &to].map(|(image, leaves)| Side { image, leaves, files: &[] });
    let mut delta = Vec::new();
    make(&from, &to, &mut delta, &|_| {}).unwrap();
    delta
}

/// An archive names an index or is refused, and no document of it has another digest than its name.
pub(crate) fn an_archive_is_read_or_refused(bytes: &[u8]) -> Verdict {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    let found = Layout::open_archive(file).and_then(|layout| {
        let blob = layout.index(None)?;
        let document = layout.document(&blob, 4 << 20)?;
        assert_eq!(blob_of(&document), blob);
        Ok(())
    });
    verdict(found)
}

/// An archive as it is written.
pub(crate) fn archive() -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    let index = Index::empty().to_bytes();
    let mut writer = LayoutWriter::archive(file.try_clone().unwrap()).unwrap();
    writer.blob(&blob_of(&index), &mut index.as_slice()).unwrap();
    writer.finish("stable", &blob_of(&index)).unwrap();
    let mut archive = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut archive).unwrap();
    archive
}

const OLD_BLOCKS: u64 = 40;

static OLD: LazyLock<Vec<u8>> =
    LazyLock::new(|| image((0..OLD_BLOCKS).map(|n| if n % 9 == 0 { n + 1000 } else { n + 3 })));

static NEW: LazyLock<Release> = LazyLock::new(|| release(image(1..=OLD_BLOCKS)));

/// The documents of the release.
pub(crate) fn documents() -> [Vec<u8>; 2] {
    let manifest = NEW.manifest.to_bytes();
    let mut index = Index::empty();
    Architecture::ALL.into_iter().for_each(|one| index.put_release(one, blob_of(&manifest)));
    [index.to_bytes(), manifest]
}

fn verdict<T, E>(result: Result<T, E>) -> Verdict {
    if result.is_ok() { Verdict::Accepted } else { Verdict::Refused }
}
