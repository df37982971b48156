//! What a machine reported before it went down for a bad reason, kept on the state partition: the report itself is in
//! memory, and the next entry knows nothing of it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::report::{self, Event, Report};
use crate::store::STATE;

/// On the state partition, outside of what a factory reset throws away.
pub(crate) const PATH: &str = "/run/pintle/state/last-report.jsonl";
const NEW: &str = "/run/pintle/state/last-report.jsonl.new";

/// Puts the report of this run in the place of the one before, durably.
pub(crate) fn keep() -> io::Result<()> {
    let report = fs::read(report::PATH)?;
    match fs::remove_file(NEW) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Anew, so that no link is followed that somebody has put there.
    let mut file = File::create_new(NEW)?;
    file.write_all(&report)?;
    file.sync_all()?;
    fs::rename(NEW, PATH)?;
    File::open(STATE)?.sync_all()
}

/// Says that there is one.
pub(crate) fn announce(report: &mut Report) {
    if is_there() {
        report.event(&Event::LastReport { path: PATH });
    }
}

/// Whether a run that ended badly has left its report.
pub(crate) fn is_there() -> bool {
    Path::new(PATH).exists()
}
