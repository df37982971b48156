//! Whatever the bytes, reading them as a kernel module ends, does not panic, and finds
//! nothing that the bytes do not hold.

use pintle_image::kmod::Modinfo;

/// Says whether the bytes were taken for a module.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Ok(modinfo) = Modinfo::parse("fuzzed.ko", bytes) else { return false };
    let texts = modinfo.aliases.iter().chain(&modinfo.softdeps).chain([&modinfo.vermagic]);
    let length: usize = texts.clone().map(String::len).sum();
    assert!(length <= bytes.len());
    for text in texts {
        assert!(text.is_empty() || bytes.windows(text.len()).any(|part| part == text.as_bytes()));
    }
    assert!(modinfo.depends.len() <= bytes.len());
    assert!(modinfo.vermagic.starts_with(modinfo.release()));
    true
}
