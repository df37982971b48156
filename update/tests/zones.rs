//! Every zone of the time zone database on this machine, read by its rule here and by jiff.

#[allow(dead_code, reason = "mutations.rs uses the rest")]
mod invariants;

use std::fs;
use std::path::{Path, PathBuf};

use invariants::zones_go_as_jiff_says;
use pintle_update::schedule::Zone;

const DATABASE: &str = "/usr/share/zoneinfo";

#[test]
fn every_zone_goes_as_jiff_says() {
    let rules: Vec<String> =
        files(Path::new(DATABASE)).iter().filter_map(|path| rule(path)).collect();
    assert!(rules.len() > 300, "{} zones in {DATABASE}", rules.len());
    let mut different = rules.clone();
    different.sort();
    different.dedup();
    assert!(different.iter().all(|rule| zones_go_as_jiff_says(rule)), "{different:?}");
}

/// The last line, where the file is one of the database's; it must be read as a zone then.
/// Those that count leap seconds have none.
fn rule(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok().filter(|bytes| bytes.starts_with(b"TZif"))?;
    let text = String::from_utf8_lossy(&bytes);
    let rule = text.lines().next_back().filter(|rule| !rule.is_empty())?.to_owned();
    let zone = Zone::of_tzif(&bytes);
    assert!(zone.is_some() && zone == rule.parse().ok(), "{} {rule:?}", path.display());
    Some(rule)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let below = |path: PathBuf| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    };
    entries.flat_map(|entry| below(entry.path())).collect()
}
