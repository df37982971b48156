//! Container layers that are fetched in parts, as `zstd:chunked` has them.
//!
//! Source: `pkg/chunked` of containers/storage: behind a layer's frames stands a table of contents in JSON, compressed; the
//! descriptor says where.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pintle_rootfs_test::host::{program, run};
use serde_json::Value;

use crate::Built;

const POSITION: &str = "io.containers.zstd-chunked.manifest-position";

/// Chunks of the new layers that the old ones have not, and the tables of contents. Computed.
pub(crate) fn layers(built: &Built) -> Result<u64> {
    let [old, new] = built.trees().map(|tree| Chunked::of(tree.image()));
    let mut here: HashSet<String> =
        old?.layers.iter().flat_map(Layer::chunks).map(|(digest, _)| digest).collect();
    let mut bytes = 0;
    for layer in new?.layers {
        bytes += layer.table_size;
        bytes += layer
            .chunks()
            .filter_map(|(digest, size)| here.insert(digest).then_some(size))
            .sum::<u64>();
    }
    Ok(bytes)
}

struct Chunked {
    layers: Vec<Layer>,
}

/// A table of contents.
struct Layer {
    table_size: u64,
    entries: Vec<Value>,
}

impl Chunked {
    fn of(image: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut copy = program("skopeo");
        copy.args(["--insecure-policy", "copy", "--quiet", "--dest-compress-format=zstd:chunked"]);
        run(copy.arg(format!("oci:{image}")).arg(format!("oci:{}", folder.path().display())))?;
        let index = json(&folder.path().join("index.json"))?;
        let manifest = json(&blob(folder.path(), &index["manifests"][0])?)?;
        let layers = manifest["layers"].as_array().context("no layers")?;
        let layers = layers.iter().map(|layer| Layer::read(&blob(folder.path(), layer)?, layer));
        Ok(Self { layers: layers.collect::<Result<_>>()? })
    }
}

impl Layer {
    fn read(blob: &Path, descriptor: &Value) -> Result<Self> {
        let position =
            descriptor["annotations"][POSITION].as_str().context("a layer without a table")?;
        let numbers: Vec<usize> = position.split(':').map(str::parse).collect::<Result<_, _>>()?;
        let [at, size, content, ..] = numbers[..] else { anyhow::bail!("{position}") };
        let layer = fs::read(blob)?;
        let table = layer.get(at..at + size).context("a table outside of the layer")?;
        let table: Value = serde_json::from_slice(&zstd::bulk::decompress(table, content)?)?;
        let entries = table["entries"].as_array().context("a table without entries")?.clone();
        Ok(Self { table_size: size as u64, entries })
    }

    /// Digests, with the bytes that chunks have in the layer. A chunk ends where the next thing begins.
    fn chunks(&self) -> impl Iterator<Item = (String, u64)> {
        let starts = self.entries.iter().filter_map(|entry| entry["offset"].as_u64());
        let ends = self.entries.iter().filter_map(|entry| entry["endOffset"].as_u64());
        let mut edges: Vec<u64> = starts.chain(ends).collect();
        edges.sort_unstable();
        self.entries.iter().filter_map(move |entry| {
            let start = entry["offset"].as_u64()?;
            let digest = entry["chunkDigest"].as_str().or_else(|| entry["digest"].as_str())?;
            let end = edges.get(edges.partition_point(|edge| *edge <= start))?;
            Some((digest.to_owned(), end - start))
        })
    }
}

fn blob(layout: &Path, descriptor: &Value) -> Result<PathBuf> {
    let digest = descriptor["digest"].as_str().context("a descriptor without a digest")?;
    Ok(layout.join("blobs").join(digest.replace(':', "/")))
}

fn json(file: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}
