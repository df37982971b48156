//! What `pintle build` takes of memory, on a whole GiB. A test binary of its own, because the kernel
//! keeps one peak for all children of a process.
#![forbid(unsafe_code)]

use nix::sys::resource::{UsageWho, getrusage};
use pintle_image::keygen;
use pintle_verify::Digest;
use serde_json::{Value, json};
use sha2::Digest as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Files in the image.
const FILES: u64 = 100_000;
/// Bytes of all files.
const BYTES: u64 = 1 << 30;
/// Files in a directory.
const SIBLINGS: u64 = 1000;
/// What the project promises: so much, and so much for each file.
const PROMISED: u64 = (64 << 20) + 300 * FILES;

#[test]
fn a_build_keeps_to_its_memory() {
    let home = TempDir::new().unwrap();
    write_layout(&home.path().join("oci"));
    keygen::generate(&home.path().join("k")).unwrap();
    let built = Command::new(env!("CARGO_BIN_EXE_pintle"))
        .current_dir(home.path())
        .args(["build", "oci:oci", "-o", "out", "--key", "k.key", "--no-system", "--arch=amd64"])
        .args(["--image-id", "large", "--image-version", "1"])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    assert!(fs::metadata(home.path().join("out/root.img")).unwrap().len() > BYTES);
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() as u64 * 1024;
    assert!(peak <= PROMISED, "{} KiB, promised {} KiB", peak >> 10, PROMISED >> 10);
}

/// An OCI layout with one image of one layer.
fn write_layout(layout: &Path) {
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let layer = write_layer(layout);
    let rootfs = json!({"type": "layers", "diff_ids": [layer["digest"]]});
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": rootfs});
    let config = write_document(layout, "application/vnd.oci.image.config.v1+json", &config);
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let manifest = write_document(layout, "application/vnd.oci.image.manifest.v1+json", &manifest);
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
}

/// Writes a blob and describes it.
fn write_document(layout: &Path, media_type: &str, document: &Value) -> Value {
    let bytes = document.to_string();
    let digest = Digest::of(bytes.as_bytes());
    fs::write(blob(layout, &digest), &bytes).unwrap();
    descriptor(media_type, &digest, bytes.len() as u64)
}

fn write_layer(layout: &Path) -> Value {
    let unnamed = layout.join("layer");
    let hashing = Hashing { inner: File::create(&unnamed).unwrap(), hasher: sha2::Sha256::new() };
    let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 20, hashing));
    let content = vec![b'x'; (BYTES / FILES) as usize - 16];
    for number in 0..FILES {
        // Every file is another, so that nothing is stored once for many.
        let content = [format!("{number:016}").as_bytes(), &content].concat();
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let path = format!("usr/share/{}/some-file-with-a-name-{number}", number / SIBLINGS);
        tar.append_data(&mut header, path, &*content).unwrap();
    }
    let hashing = tar.into_inner().unwrap().into_inner().unwrap_or_else(|error| panic!("{error}"));
    let digest = Digest::from_bytes(hashing.hasher.finalize().into());
    let size = hashing.inner.metadata().unwrap().len();
    fs::rename(unnamed, blob(layout, &digest)).unwrap();
    descriptor("application/vnd.oci.image.layer.v1.tar", &digest, size)
}

fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Value {
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
}

fn blob(layout: &Path, digest: &Digest) -> std::path::PathBuf {
    layout.join("blobs/sha256").join(digest.hex())
}

struct Hashing {
    inner: File,
    hasher: sha2::Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
