//! Whatever the bytes, laying an image out after them ends in an error, or in an image that reads as
//! its tree and wastes no more than it may.
//!
//! `cargo test -p pintle-image --test image` runs the same over seeded mutations.
#![no_main]

#[path = "../../image/tests/image/continued.rs"]
#[allow(dead_code, reason = "the test uses the rest")]
mod continued;

use continued::Versions;
use std::sync::LazyLock;

static VERSIONS: LazyLock<Versions> = LazyLock::new(Versions::new);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    VERSIONS.check(&VERSIONS.first, bytes);
    VERSIONS.check(&VERSIONS.second, bytes);
});
