//! Does one act of the power-cut rig, given as JSON, to the store that is mounted at a path.
#![forbid(unsafe_code)]

use std::path::Path;

use anyhow::{Context, Result};
use pintle_rootfs_test::power_cut::act::Act;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().context("cannot find the path of a store among the arguments")?;
    let act = arguments.next().context("cannot find an act among the arguments")?;
    let act: Act = serde_json::from_str(&act).context("cannot read the act")?;
    act.perform(Path::new(&root))
}
