//! Acts in a row, on a disk of their own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use pintle_rootfs_test::host::{program, run};
use pintle_rootfs_test::power_cut::act::Act;
use pintle_rootfs_test::power_cut::cut::Tape;
use pintle_rootfs_test::power_cut::disk::Disk;
use pintle_rootfs_test::power_cut::recorder::Recorder;
use pintle_rootfs_test::power_cut::seen::Seen;
use tempfile::{NamedTempFile, TempDir};

/// Only a sync writes anything: the journal is not committed by time, and a rename over a file does not write what it
/// replaces it with.
pub(crate) const OPTIONS: &str = "commit=3600,nodiscard,noatime,noauto_da_alloc";

/// Room for a few entries of [`crate::scenes::BLOCKS`] blocks, and small enough that thousands are mounted.
const DISK: u64 = 16 << 20;

/// What happens before the recording, and while it runs.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// Acts of before.
    pub(crate) past: Vec<Act>,
    /// What somebody else did to the files, after these.
    pub(crate) meddle: fn(&Path),
    /// What is recorded.
    pub(crate) acts: Vec<Act>,
}

/// What is left out of the code, one of its system calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Without {
    Nothing,
    /// The `number`th call of this name in the act with this index does nothing and says that it went well.
    Sync {
        act: usize,
        call: String,
        number: usize,
    },
}

/// A scene's recording.
pub(crate) struct Recorded {
    pub(crate) tape: Tape,
    /// Where each act ended, the first number before all of them; and what was there to be seen then.
    pub(crate) marks: Vec<(usize, Seen)>,
    pub(crate) acts: Vec<Act>,
    /// The data after a reset that is wished for.
    pub(crate) reset: Option<BTreeMap<String, Vec<u8>>>,
    /// The syncs of each act: the call, and what was synced.
    pub(crate) syncs: Vec<Vec<(String, String)>>,
}

impl Scene {
    /// Plays the scene.
    pub(crate) fn record(&self) -> Result<Recorded> {
        record(self.base()?, &self.acts, OPTIONS)
    }

    /// The disk before the recording.
    pub(crate) fn base(&self) -> Result<Vec<u8>> {
        let file = NamedTempFile::new()?;
        file.as_file().set_len(DISK)?;
        run(program("mkfs.ext4").args(["-q", "-m0", "-b4096", "-O", "verity"]).arg(file.path()))?;
        let disk = Disk::new(DISK)?;
        let mounted = disk.mount(&fs::read(file.path())?)?;
        self.past.iter().try_for_each(|act| {
            act.perform(mounted.root()).with_context(|| format!("before {}: {act:?}", self.name))
        })?;
        (self.meddle)(mounted.root());
        mounted.unmount()
    }
}

/// Has the acts done on a disk with this content.
pub(crate) fn record(base: Vec<u8>, acts: &[Act], options: &str) -> Result<Recorded> {
    record_without(base, acts, options, &Without::Nothing)
}

/// The same with something left out.
pub(crate) fn record_without(
    base: Vec<u8>,
    acts: &[Act],
    options: &str,
    without: &Without,
) -> Result<Recorded> {
    let recorder = Recorder::start(&base, options)?;
    let root = recorder.root();
    let mut marks = vec![(recorder.position()?, Seen::look(&root)?)];
    let mut syncs = Vec::new();
    for (index, act) in acts.iter().enumerate() {
        syncs.push(traced(act, &root, &without.injection(index))?);
        marks.push((recorder.position()?, Seen::look(&root)?));
    }
    let tape = Tape { base, entries: recorder.stop()? };
    // The acts after the wish are those that carry it out.
    let resets = marks.iter().rev().find(|(_, seen)| !seen.is_wished_for());
    let reset = resets.map(|(_, seen)| seen.data.clone());
    Ok(Recorded { tape, marks, acts: acts.to_vec(), reset, syncs })
}

impl Without {
    /// What strace is told for the act with this index.
    fn injection(&self, index: usize) -> Vec<String> {
        match self {
            // The advice to drop pages has them written first, though nothing obliges the kernel to do so.
            Self::Sync { act, call, number } if *act == index => vec![
                format!("--inject={call}:retval=0:when={number}"),
                "--inject=fadvise64:retval=0".to_owned(),
            ],
            Self::Sync { .. } | Self::Nothing => Vec::new(),
        }
    }
}

/// Does an act in a process of its own, and tells which syncs it did.
fn traced(act: &Act, root: &Path, injection: &[String]) -> Result<Vec<(String, String)>> {
    let folder = TempDir::new()?;
    let trace = folder.path().join("trace");
    let mut strace: Command = program("strace");
    strace.args(["-qq", "-y", "--trace=fsync,fdatasync,syncfs,fadvise64"]).args(injection);
    strace.arg("--output").arg(&trace).arg(env!("CARGO_BIN_EXE_power-cut"));
    run(strace.arg(root).arg(serde_json::to_string(act)?)).with_context(|| format!("{act:?}"))?;
    let root = root.to_str().context("cannot read the path of the root")?;
    let text = fs::read_to_string(&trace)?;
    Ok(text.lines().filter_map(|line| sync_of(line, root)).collect())
}

/// Reads `fsync(5</where/it/is/mounted/images>) = 0`.
fn sync_of(line: &str, root: &str) -> Option<(String, String)> {
    let (call, rest) = line.split_once('(')?;
    let (_, path) = rest.split_once('<')?;
    let (path, _) = path.split_once('>')?;
    let below = path.strip_prefix(root)?.trim_start_matches('/');
    (call != "fadvise64").then(|| (call.to_owned(), below.to_owned()))
}
