//! The machine's binary stays small.

use std::fs;

use anyhow::Result;
use pintle_rootfs_test::cargo::Binary;

/// The initramfs of a small machine is loaded by slow firmware, and is memory while it boots.
const BYTES_MAX: u64 = 3_500_000;

#[test]
fn pintle_init_fits_its_limit() -> Result<()> {
    let size = fs::metadata(Binary::Init.build()?)?.len();
    assert!(size <= BYTES_MAX, "pintle-init has {size} bytes, and at most {BYTES_MAX} are allowed");
    Ok(())
}
