//! What takes long to make, kept in the target folder between runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Everything that decides what a cached folder holds; the same recipe finds the same folder.
#[derive(Clone, Debug)]
pub struct Recipe {
    name: String,
    hash: Sha256,
}

impl Recipe {
    /// A recipe without ingredients. The name is for people who look into the cache.
    pub fn new(name: &str) -> Recipe {
        Recipe { name: name.into(), hash: Sha256::new() }
    }

    /// Adds an ingredient.
    #[must_use]
    pub fn with(mut self, ingredient: impl AsRef<[u8]>) -> Recipe {
        let ingredient = ingredient.as_ref();
        self.hash.update(ingredient.len().to_le_bytes());
        self.hash.update(ingredient);
        self
    }

    /// Adds a file's content.
    pub fn with_file(self, path: &Path) -> Result<Recipe> {
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(self.with(content))
    }

    /// The recipe's folder, filled by `make` if this is the first time; others who want it meanwhile wait.
    ///
    /// `make` fills a folder of its own that gets the final name in one rename, so a cached folder is whole.
    pub fn folder(self, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let key = self.key();
        let folder = root().join(&key);
        let _lock = lock(&root().join(format!("{key}.lock")))?;
        if !folder.exists() {
            let unfinished = root().join(format!("{key}.unfinished"));
            fill(&unfinished, make).with_context(|| format!("cannot make {}", self.name))?;
            fs::rename(unfinished, &folder)?;
        }
        Ok(folder)
    }

    fn key(&self) -> String {
        let hash = self.hash.clone().finalize();
        let short: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{short}", self.name)
    }
}

/// `pintle-cache` in cargo's target folder.
pub fn root() -> PathBuf {
    target().join("pintle-cache")
}

/// Cargo's target folder of this workspace.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The folder of the workspace's manifest.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Holds `path` locked until the file is dropped.
pub fn lock(path: &Path) -> Result<File> {
    fs::create_dir_all(root())?;
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

fn fill(folder: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    make(folder)
}

#[cfg(test)]
mod tests {
    use super::Recipe;

    #[test]
    fn a_recipe_keeps_its_ingredients_apart() {
        let ab_c = Recipe::new("x").with("ab").with("c").key();
        let a_bc = Recipe::new("x").with("a").with("bc").key();
        assert_ne!(ab_c, a_bc);
    }
}
