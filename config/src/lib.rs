//! What can be configured: TOML text to checked values to postcard bytes.
//!
//! Two documents and a command line say how a machine behaves, and each is one table here, which is
//! the struct, its parser, its reference page and its example file at once:
//!
//! | what | written as | read by | table |
//! |---|---|---|---|
//! | [`System`], [`Update`], [`Service`] | `/usr/lib/pintle/*.toml` in the image | stage 2 | `system.rs`, `update.rs`, `service.rs` |
//! | [`Boot`] | `boot.toml` beside the keys | stage 1 | `boot.rs` |
//! | [`Overrides`] | `pintle.*` on the kernel command line | stage 1 | `cmdline.rs` |
//!
//! The host compiles TOML with [`compile`] (feature `compile`), and the machine reads the postcard
//! bytes that came of it. A value of any type here is a checked one: each type holds its own range,
//! and text, TOML and bytes all go through it.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::let_underscore_must_use
    )
)]

#[macro_use]
mod value;
#[macro_use]
mod table;

mod account;
mod boot;
pub mod cmdline;
mod command;
#[cfg(feature = "compile")]
pub mod compile;
mod cpu;
mod device;
mod duration;
mod integer;
mod list;
mod modules;
mod name;
#[cfg(feature = "compile")]
pub mod reference;
mod registry;
mod service;
mod signal;
mod size;
mod system;
mod update;
mod window;
mod wire;
mod zone;

pub use account::{Group, Id, User};
pub use boot::{
    Boot, EtcPolicy, Lock, LogLevel, OnCorruption, PanicTimeout, Recovery, RecoveryDelay,
    StateTimeout, Tries, VerityWay, Watchdog, WatchdogTimeout,
};
pub use cmdline::{Overrides, Shell};
pub use command::{Argument, Command, Environment, Program, Variable, VariableName};
pub use cpu::CpuMax;
pub use device::DeviceSpec;
pub use duration::Millis;
pub use integer::Whole;
pub use list::UpTo;
pub use modules::{Module, ModuleTable, Purpose, Root};
pub use name::{
    AbsolutePath, EntryId, Hostname, ImageId, Line, ModuleName, PortName, ServiceName, TtyPath,
};
pub use registry::{Mirror, Proxy, Tag};
pub use service::{
    CpuWeight, Enabled, Essential, Index, Kind, MemoryMax, OomScoreAdjust, PidsMax, Restart,
    RestartDelay, Service, StartLimitBurst, StartLimitInterval, StartTimeout, StopTimeout,
};
pub use signal::Signal;
pub use size::Bytes;
pub use system::{EtcMode, HealthTimeout, MinReady, ShutdownTimeout, System};
pub use update::{
    Grace, HookTimeout, Insecure, Keep, MeteredLimit, Reachable, RebootPolicy, Scrub,
    ScrubInterval, StallTimeout, TotalTimeout, Update, UpdateDelay, UpdateInterval, UpdateMode,
};
pub use value::{Choice, Form, Value};
pub use window::CalendarWindow;
pub use wire::Error;
pub use zone::{PosixRule, TimeZone};
