//! What the machine is now, in a file for `pintlectl status` and for programs: `/run/pintle/status.json`.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::handover::{Handover, Refused};
use crate::health::Health;
use crate::new_root::way_word;
use crate::supervise::machine::State;

/// Replaced as a whole, so that a reader never sees half of it.
pub(crate) const PATH: &str = "/run/pintle/status.json";
const NEW: &str = "/run/pintle/status.json.new";

/// The machine at one moment.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
pub(crate) struct Status {
    pub(crate) entry: String,
    pub(crate) version: String,
    pub(crate) root_hash: String,
    pub(crate) verity: String,
    pub(crate) health: String,
    /// The entries that would have been booted before this one.
    pub(crate) refused: Vec<Refused>,
    pub(crate) services: Vec<ServiceStatus>,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
pub(crate) struct ServiceStatus {
    pub(crate) name: String,
    pub(crate) state: String,
}

impl Status {
    pub(crate) fn of<'a>(
        handover: &Handover,
        health: Health,
        services: impl Iterator<Item = (&'a str, State)>,
    ) -> Self {
        let service = |(name, state): (&str, State)| ServiceStatus {
            name: name.to_owned(),
            state: state.name().to_owned(),
        };
        Self {
            entry: handover.entry.clone(),
            version: handover.version.clone(),
            root_hash: handover.root_hash.clone(),
            verity: way_word(&handover.root.clone().into()).to_owned(),
            health: word(health).to_owned(),
            refused: handover.refused.clone(),
            services: services.map(service).collect(),
        }
    }

    /// Puts it in the place of the one before.
    pub(crate) fn write(&self) -> io::Result<()> {
        fs::write(NEW, serde_json::to_vec(self)?)?;
        fs::rename(NEW, PATH)
    }

    pub(crate) fn read() -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(PATH)?)?)
    }
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Pending { .. } => "pending",
        Health::Proving { .. } => "proving",
        Health::Healthy => "healthy",
        Health::Unhealthy(_) => "unhealthy",
    }
}

/// Bytes that programs could still take: `MemAvailable` of proc(5), 0 where it is not told.
pub(crate) fn memory_available() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024)
}
