//! The reference pages and example files say what the tables say.

use std::fs;
use std::path::Path;

use pintle_config::compile::{self, Unchecked};
use pintle_config::reference::{Page, pages};

#[test]
fn docs_reference_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    for Page { name, text } in pages() {
        let stands = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            stands == text,
            "docs/reference/{name} is not current: cargo run -p pintle-config --example reference"
        );
    }
}

#[test]
fn the_examples_compile_as_they_stand() {
    assert_eq!(compile::boot("boot.example.toml", &example("boot")).err(), None);
    assert_eq!(system(&example("system")), Ok(()));
}

#[test]
fn the_examples_compile_with_every_key() {
    let all = |text: String| text.replace("\n#", "\n").replace("\n ", "\n# ");
    assert_eq!(compile::boot("boot.example.toml", &all(example("boot"))).err(), None);
    let text = all(example("system"));
    let (other_init, services) = text.split_once("[service.app]").unwrap();
    assert!(other_init.contains("[update]"));
    assert_eq!(system(other_init), Ok(()));
    assert_eq!(system(&format!("[service.app]{}", as_numbers(services))), Ok(()));
}

/// A default that is written out is the same as one that is left out.
#[test]
fn the_defaults_in_the_example_are_the_defaults() {
    let text = example("boot");
    let minimal = compile::boot("boot.toml", "image-id = \"org.example.kiosk\"").unwrap();
    let all = text.replace("\n#", "\n").replace("\n ", "\n# ");
    let mut written_out = compile::boot("boot.toml", &all).unwrap();
    written_out.report = None;
    assert_eq!(written_out, minimal);
}

fn example(document: &str) -> String {
    let name = format!("{document}.example.toml");
    pages().into_iter().find(|page| page.name == name).unwrap().text
}

fn system(text: &str) -> Result<(), Vec<String>> {
    let compiled = compile::system(&[("system.example.toml", text)], &Unchecked);
    compiled.map(drop).map_err(|all| all.iter().map(ToString::to_string).collect())
}

/// No image is at hand that could know a user by name.
fn as_numbers(text: &str) -> String {
    text.replace("\"nobody\"", "65534").replace("\"nogroup\"", "65534")
}
