//! The workspace's own binaries, built as they are shipped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cache;
use crate::host::run;

/// A binary of this workspace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Binary {
    /// The machine's init.
    Init,
    /// The machine's worker, which fetches releases.
    Fetch,
    /// The rig's agent in the guest.
    Agent,
    /// The host tool.
    Pintle,
}

/// What this process has built: cargo takes a second to find that there is nothing to do.
static BUILT: Mutex<BTreeMap<Binary, PathBuf>> = Mutex::new(BTreeMap::new());

impl Binary {
    /// Builds it: for a machine with the `init` profile, the host tool as this program itself was built.
    ///
    /// # Errors
    /// When it does not build.
    pub fn build(self) -> Result<PathBuf> {
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = built.get(&self) {
            return Ok(path.clone());
        }
        let path = self.ask_cargo()?;
        built.insert(self, path.clone());
        Ok(path)
    }

    fn ask_cargo(self) -> Result<PathBuf> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(cache::workspace());
        command.args(["build", "--quiet", "--locked", "--profile", self.profile()]);
        command.args(["--message-format", "json-render-diagnostics"]).args(self.selection());
        executable(&run(&mut command)?).context("cargo named no executable")
    }

    fn profile(self) -> &'static str {
        match self {
            Binary::Init | Binary::Fetch | Binary::Agent => "init",
            Binary::Pintle if cfg!(debug_assertions) => "dev",
            Binary::Pintle => "release",
        }
    }

    fn selection(self) -> &'static [&'static str] {
        match self {
            Binary::Init => &["--package", "pintle-init", "--bin", "pintle-init"],
            Binary::Fetch => &["--package", "pintle-fetch", "--bin", "pintle-fetch"],
            Binary::Agent => {
                &["--package", "pintle-rootfs-test", "--bin", "agent", "--no-default-features"]
            }
            Binary::Pintle => &["--package", "pintle-image", "--bin", "pintle"],
        }
    }
}

/// The last executable that cargo's messages name.
fn executable(messages: &str) -> Option<PathBuf> {
    let values = messages.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    values.flat_map(|message| message["executable"].as_str().map(PathBuf::from)).next()
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn the_executable_is_found_among_the_messages() {
        let messages = "{\"executable\":null}\n{\"executable\":\"/t/agent\"}\n{\"success\":true}\n";
        assert_eq!(executable(messages).unwrap().to_str(), Some("/t/agent"));
    }
}
