//! An image's own configuration: compiled and checked where it is built, because a mistake in it
//! must not wait for the boot.

use std::io::Read;

use crate::error::{Error, Result};
use crate::spool::Spool;
use crate::tree::{Body, InodeId, Tree};
use pintle_config::System;
use pintle_config::compile::{self, Access, Diagnostic};

/// Where an image's configuration is.
const DIRECTORY: &str = "/usr/lib/pintle";
/// What of it is compiled.
const SUFFIX: &[u8] = b".toml";
/// What it is compiled to, the only form that PID 1 reads.
const COMPILED: &str = "/usr/lib/pintle/system.bin";

/// Compiles the configuration in `tree` and puts the result beside it.
///
/// # Errors
/// All mistakes, a line each, with file, line and column.
pub(super) fn compile_into(tree: &mut Tree, spool: &Spool) -> Result<System> {
    let texts = read_texts(tree, spool)?;
    let files: Vec<compile::File<'_>> =
        texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let system = compile::system(&files, &Checked { tree, spool }).map_err(refuse)?;
    let bytes = system.to_bytes().map_err(|cause| Error::input(ACTION, cause))?;
    tree.write_file(COMPILED, 0o644, &bytes, spool)?;
    Ok(system)
}

const ACTION: &str = "compile the image's configuration";

fn read_texts(tree: &Tree, spool: &Spool) -> Result<Vec<(String, String)>> {
    let missing = || {
        let cause = format!(
            "no *.toml in {DIRECTORY}; add one that names the image's services, or pass \
             --no-system if another init reads none"
        );
        Error::input(ACTION, cause)
    };
    let directory = tree.resolve(DIRECTORY).map_err(|_| missing())?;
    let names = tree.children(directory).filter(|(name, _)| name.ends_with(SUFFIX));
    let texts = names.map(|(name, _)| read_text(tree, spool, name));
    let texts: Vec<_> = texts.collect::<Result<_>>()?;
    if texts.is_empty() { Err(missing()) } else { Ok(texts) }
}

fn read_text(tree: &Tree, spool: &Spool, name: &[u8]) -> Result<(String, String)> {
    let path = format!("{DIRECTORY}/{}", String::from_utf8_lossy(name));
    let bytes = tree.read_file(&path, spool, compile::TEXT_MAX as u64)?;
    let text = compile::utf8(&path, &bytes).map_err(|mistake| refuse(vec![mistake]))?.to_owned();
    Ok((path, text))
}

fn refuse(mistakes: Vec<Diagnostic>) -> Error {
    let lines: String = mistakes.iter().map(|mistake| format!("\n{mistake}")).collect();
    let noun = if mistakes.len() == 1 { "mistake" } else { "mistakes" };
    Error::input(ACTION, format!("{} {noun}{lines}", mistakes.len()))
}

/// The image as the configuration's paths and names see it.
struct Checked<'t> {
    tree: &'t Tree,
    spool: &'t Spool,
}

impl compile::Tree for Checked<'_> {
    fn access(&self, path: &str) -> Access {
        let Ok(id) = self.tree.resolve(path) else { return Access::Missing };
        let inode = self.tree.inode(id);
        match (&inode.body, inode.mode & 0o111) {
            (Body::File(_), 0) => Access::NotExecutable,
            (Body::File(_), _) => Access::Executable,
            _ => Access::NotAFile,
        }
    }

    fn read(&self, path: &str, limit: usize) -> Option<Vec<u8>> {
        let id = self.tree.resolve(path).ok()?;
        self.read_start(id, limit)
    }

    fn read_elsewhere(&self, path: &str, limit: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path).ok()?.take(limit as u64).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

impl Checked<'_> {
    fn read_start(&self, id: InodeId, limit: usize) -> Option<Vec<u8>> {
        let Body::File(content) = &self.tree.inode(id).body else { return None };
        let mut bytes = vec![0; content.size.min(limit as u64) as usize];
        content.read_at(self.spool, &mut bytes, 0).ok()?;
        Some(bytes)
    }
}
