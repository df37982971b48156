//! All layers at once: two threads each, one that reads, hashes and decompresses, and one that
//! hashes what comes out and takes the tar apart.

use std::cmp::Reverse;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use pintle_verify::Digest;
use sha2::{Digest as _, Sha256};

use super::blob::Reader;
use super::budget::Budget;
use super::decode::Decoder;
use super::fault::Mismatch;
use super::journal::{Journal, Writer, host};
use super::limits::Quota;
use super::name::{Subject, hardlink_target, symlink_target};
use super::record::{Record, RecordKind, Removal, Stored};
use super::tar::{Entries, Entry, Kind, Map};
use super::{Fault, Input, Layer, Located};
use crate::progress::{Phase, Progress};
use crate::spool::Spool;

/// How much is handed from thread to thread at once.
const CHUNK: usize = 256 << 10;

/// Chunks on their way between the threads of a layer.
const CHUNKS: usize = 2;

/// Layers in work at once. With two threads each that keeps 16 cores busy, and with about 2 MiB of
/// buffers each it takes 16 MiB; together with [`WINDOWS`] that is all the memory there is for
/// unpacking.
const LAYERS_AT_ONCE: usize = 8;

/// Memory for the windows of zstd: four at the 8 MiB that RFC 8878 recommends.
const WINDOWS: u64 = 32 << 20;

/// What a layer changes. Its digests are right.
#[derive(Debug)]
pub(super) struct Changes {
    /// [`Record`]s, in the order of the tar.
    pub(super) entries: Journal,
    /// [`Removal`]s.
    pub(super) removals: Journal,
}

/// Layers to unpack, and with what.
pub(super) struct Work<'a> {
    pub(super) layers: &'a [Layer],
    pub(super) spool: &'a Spool,
    pub(super) quota: &'a Quota,
    pub(super) progress: &'a dyn Progress,
}

impl Work<'_> {
    /// What each layer changes; or the lowest layer that fails, and how.
    pub(super) fn run(&self) -> Result<Vec<Changes>, (usize, Located)> {
        let total = self.layers.iter().map(|layer| layer.blob.length).sum();
        self.progress.begin(Phase::Layers, Some(total));
        let shared = Shared::new(self.layers);
        thread::scope(|scope| {
            for _ in 0..workers(self.layers.len()) {
                scope.spawn(|| self.take_layers(&shared));
            }
        });
        shared.into_results()
    }

    fn take_layers(&self, shared: &Shared) {
        while let Some(index) = shared.next() {
            let result = self.unpack(index, shared);
            shared.done(index, result);
        }
    }

    fn unpack(&self, index: usize, shared: &Shared) -> Result<Changes, Located> {
        let layer = &self.layers[index];
        let (filled, chunks) = sync_channel(CHUNKS);
        let (emptied, empty) = channel();
        let source = Source { work: self, shared, index, filled, empty };
        let chunks = Chunks::new(chunks, emptied);
        thread::scope(|scope| {
            let reading = scope.spawn(move || source.run(layer));
            let changes = self.take_apart(layer, chunks);
            // What is wrong with the blob explains what is wrong with the tar in it.
            match reading.join() {
                Ok(read) => read.map_err(|fault| located(fault, &changes)).and(changes),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn take_apart(&self, layer: &Layer, chunks: Chunks) -> Result<Changes, Located> {
        let (changes, chunks) = take_apart(chunks, self.spool, self.quota)?;
        let found = chunks.finish().map_err(Located::whole)?;
        check("the uncompressed layer", layer.diff_id, found).map_err(Located::whole)?;
        Ok(changes)
    }
}

/// Where the tar broke off when there were no more bytes. A wrong digest is wrong with all of it.
fn located(fault: Fault, changes: &Result<Changes, Located>) -> Located {
    match (&fault, changes) {
        (Fault::Digest(_), _) => Located::whole(fault),
        (_, Err(Located { at, entry, fault: Fault::Truncated(_) })) => {
            Located { at: *at, entry: entry.clone(), fault }
        }
        _ => Located::whole(fault),
    }
}

fn workers(layers: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    cores.min(layers).min(LAYERS_AT_ONCE)
}

fn check(what: &'static str, expected: Digest, found: Digest) -> Result<(), Fault> {
    if found == expected {
        return Ok(());
    }
    Err(Fault::Digest(Box::new(Mismatch { what, expected, found })))
}

/// What the workers have in common.
struct Shared {
    /// Indexes of layers, the largest first, so that no long one is left for the end.
    order: Vec<usize>,
    next: AtomicUsize,
    /// The lowest layer that failed: those above it need not go on.
    failed: AtomicUsize,
    budget: Budget,
    results: Mutex<Vec<Option<Result<Changes, Located>>>>,
}

impl Shared {
    fn new(layers: &[Layer]) -> Self {
        let mut order: Vec<usize> = (0..layers.len()).collect();
        order.sort_by_key(|index| Reverse(layers[*index].blob.length));
        Self {
            order,
            next: AtomicUsize::new(0),
            failed: AtomicUsize::new(usize::MAX),
            budget: Budget::new(WINDOWS),
            results: Mutex::new(layers.iter().map(|_| None).collect()),
        }
    }

    fn next(&self) -> Option<usize> {
        self.order.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }

    fn is_moot(&self, index: usize) -> bool {
        self.failed.load(Ordering::Relaxed) < index
    }

    fn done(&self, index: usize, result: Result<Changes, Located>) {
        if result.is_err() {
            self.failed.fetch_min(index, Ordering::Relaxed);
        }
        self.results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(result);
    }

    /// A layer is given up only for a lower one that failed, so the first failure is a real one.
    fn into_results(self) -> Result<Vec<Changes>, (usize, Located)> {
        let results = self.results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let missing = || Err(Located::whole(Fault::Cancelled));
        let indexed = results.into_iter().enumerate();
        indexed
            .map(|(index, result)| result.unwrap_or_else(missing).map_err(|fault| (index, fault)))
            .collect()
    }
}

/// The thread that reads, hashes and decompresses a layer.
struct Source<'a> {
    work: &'a Work<'a>,
    shared: &'a Shared,
    index: usize,
    filled: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
}

impl Source<'_> {
    /// Reads the blob to its end even if it is broken: if its digest is wrong, that is the better
    /// message.
    fn run(self, layer: &Layer) -> Result<(), Fault> {
        let mut reader = Reader::new(&layer.blob, self.work.progress);
        let mut decoder = Decoder::new(layer.compression, &mut reader, &self.shared.budget);
        let decoded = self.send_all(&mut decoder);
        drop(decoder);
        if matches!(decoded, Err(Fault::Cancelled)) {
            return decoded;
        }
        let found = reader.finish().map_err(host("read the layer"))?;
        let checked = layer.digest.map_or(Ok(()), |digest| check("the layer", digest, found));
        checked.and(decoded)
    }

    fn send_all(&self, decoder: &mut Decoder<'_, '_>) -> Result<(), Fault> {
        let mut produced = 0;
        loop {
            if self.shared.is_moot(self.index) {
                return Err(Fault::Cancelled);
            }
            let mut chunk = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK));
            chunk.clear();
            decoder.fill(&mut chunk)?;
            produced += chunk.len() as u64;
            self.work.quota.take_bytes(chunk.len() as u64)?;
            self.work.quota.limits.check_ratio(decoder.consumed(), produced)?;
            // The other side hangs up when it has found a fault, and that fault is then reported.
            if chunk.is_empty() || self.filled.send(chunk).is_err() {
                return Ok(());
            }
        }
    }
}

/// The other side: what was decompressed, hashed as it comes.
struct Chunks {
    filled: Receiver<Vec<u8>>,
    emptied: Sender<Vec<u8>>,
    hasher: Sha256,
    chunk: Vec<u8>,
    start: usize,
}

impl Chunks {
    fn new(filled: Receiver<Vec<u8>>, emptied: Sender<Vec<u8>>) -> Self {
        // It goes to the other side to be filled, so it needs its room from the beginning.
        let chunk = Vec::with_capacity(CHUNK);
        Self { filled, emptied, hasher: Sha256::new(), chunk, start: 0 }
    }

    /// What all of the bytes hash to, those behind the archive's end too.
    fn finish(mut self) -> Result<Digest, Fault> {
        self.skip(u64::MAX)?;
        Ok(Digest::from_bytes(self.hasher.finalize().into()))
    }

    fn receive(&mut self) {
        let Ok(chunk) = self.filled.recv() else { return };
        self.hasher.update(&chunk);
        let empty = std::mem::replace(&mut self.chunk, chunk);
        self.start = 0;
        // Nobody takes it back once the last chunk was sent.
        drop(self.emptied.send(empty));
    }
}

impl Input for Chunks {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        if self.start == self.chunk.len() {
            self.receive();
        }
        Ok(&self.chunk[self.start..])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
    }
}

/// Reads a tar up to its end, and gives back what is left of the input.
pub(super) fn take_apart<I: Input>(
    input: I,
    spool: &Spool,
    quota: &Quota,
) -> Result<(Changes, I), Located> {
    let mut entries = Entries::new(input);
    let mut sink = Sink::new(spool, quota);
    while let Some(entry) = entries.next_entry()? {
        sink.take(&entry, &mut entries).map_err(|fault| entries.located(fault))?;
    }
    let changes = sink.finish().map_err(Located::whole)?;
    Ok((changes, entries.into_rest()))
}

/// Where entries go.
struct Sink<'a> {
    spool: &'a Spool,
    quota: &'a Quota,
    entries: Writer<'a>,
    removals: Writer<'a>,
}

impl<'a> Sink<'a> {
    fn new(spool: &'a Spool, quota: &'a Quota) -> Self {
        let writer = || Writer::new(spool);
        Self { spool, quota, entries: writer(), removals: writer() }
    }

    fn take<I: Input>(&mut self, entry: &Entry, data: &mut Entries<I>) -> Result<(), Fault> {
        let at = entry.at;
        let metadata = match Subject::parse(&entry.path)? {
            Subject::Root => self.take_file(b"", entry, data)?,
            Subject::Path(path) => self.take_file(path, entry, data)?,
            Subject::Whiteout { directory, name } => {
                self.removals.push(&Removal { at, directory, name: Some(name) })?
            }
            Subject::Opaque { directory } => {
                self.removals.push(&Removal { at, directory, name: None })?
            }
        };
        self.quota.take_entry(metadata)
    }

    fn take_file<I: Input>(
        &mut self,
        path: &[u8],
        entry: &Entry,
        data: &mut Entries<I>,
    ) -> Result<u64, Fault> {
        check_form(path, entry)?;
        let kind = match &entry.kind {
            Kind::File(map) => RecordKind::File(self.store(map, data)?),
            Kind::Hardlink(target) => RecordKind::Hardlink(hardlink_target(target)?),
            Kind::Symlink(target) => RecordKind::Symlink(symlink_target(target)?),
            Kind::CharDevice(device) => RecordKind::CharDevice(device.major, device.minor),
            Kind::BlockDevice(device) => RecordKind::BlockDevice(device.major, device.minor),
            Kind::Directory => RecordKind::Directory,
            Kind::Fifo => RecordKind::Fifo,
        };
        self.entries.push(&Record {
            at: entry.at,
            path,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            mtime_nanos: entry.mtime_nanos,
            xattrs: entry.xattrs.iter().map(|xattr| (&*xattr.name, &*xattr.value)).collect(),
            kind,
        })
    }

    fn store<I: Input>(&self, map: &Map, data: &mut Entries<I>) -> Result<Stored, Fault> {
        self.quota.take_bytes(map.holes())?;
        let failed = host("write the temporary file");
        let spool = self.spool.reserve(map.size - map.holes()).map_err(&failed)?;
        let mut at = spool;
        data.read_data(|bytes| {
            self.spool.write_at(bytes, at).map_err(&failed)?;
            at += bytes.len() as u64;
            Ok(())
        })?;
        Ok(Stored { size: map.size, spool, runs: map.runs.clone() })
    }

    fn finish(self) -> Result<Changes, Fault> {
        Ok(Changes { entries: self.entries.finish()?, removals: self.removals.finish()? })
    }
}

/// What the name says about the type.
fn check_form(path: &[u8], entry: &Entry) -> Result<(), Fault> {
    match entry.kind {
        Kind::Directory => Ok(()),
        _ if path.is_empty() => Err(Fault::Name("is the root's, but the entry is no directory")),
        _ if entry.path.ends_with(b"/") => {
            Err(Fault::Name("ends in a slash, but the entry is no directory"))
        }
        _ => Ok(()),
    }
}
