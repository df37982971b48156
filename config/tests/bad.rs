//! Each text in `bad/` holds one crime; what the compiler says of it stands beside it.
//!
//! `UPDATE_EXPECTED=1` writes what it says now; read the difference.

mod image;

use std::fs;
use std::path::{Path, PathBuf};

use image::Image;
use pintle_config::compile::{self, Diagnostic};

#[test]
fn bad_system_configurations_are_refused_with_every_mistake() {
    for case in cases("system") {
        let files = texts(&case);
        let files: Vec<_> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
        check(&case, compile::system(&files, &Image).unwrap_err());
    }
}

#[test]
fn bad_boot_configurations_are_refused_with_every_mistake() {
    for case in cases("boot") {
        let (name, text) = texts(&case).remove(0);
        check(&case, compile::boot(&name, &text).unwrap_err());
    }
}

/// The files and folders below `bad/<document>`, of which there must be some.
fn cases(document: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad").join(document);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> =
        entries.filter(|path| path.extension() != Some("txt".as_ref())).collect();
    cases.sort();
    assert!(cases.len() > 10);
    cases
}

/// The names and texts of a case that is one file, or a folder of several.
fn texts(case: &Path) -> Vec<(String, String)> {
    let mut files = match case.is_dir() {
        true => fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).collect(),
        false => vec![case.to_owned()],
    };
    files.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn check(case: &Path, diagnostics: Vec<Diagnostic>) {
    let beside = case.with_extension("txt");
    let said: String = diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&beside, &said).unwrap();
    }
    let expected = fs::read_to_string(&beside).unwrap_or_default();
    assert_eq!(said, expected, "{}", case.display());
}
