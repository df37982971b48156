//! The system configuration: what stage 2 does.

use std::collections::BTreeSet;

use crate::command::Program;
use crate::duration::{DAY, HOUR, Millis, SECOND};
use crate::name::Hostname;
use crate::service::{Enabled, Index, Service};
use crate::update::Update;
use crate::wire::{self, Error, Format};

table! {
    /// What the image does once its root is mounted: `[system]`, `[update]` and the services.
    pub struct System {
        given {
            /// The services, each after all that it refers to; at most [`System::SERVICES_MAX`].
            services: Vec<Service>,
            /// How the machine keeps itself up to date, if it does.
            update: Option<Update>,
        }
        keys {
            /// The machine's name, where `/etc/hostname` has none.
            "hostname" = (none; "kiosk-7") => hostname: Option<Hostname>,

            /// Where changes in `/etc` are kept.
            "etc" = "persistent" => etc: EtcMode,

            /// Another init of the image, which is executed in place of the supervisor.
            ///
            /// pintle then is the image's verified initramfs and its updater, and the image has no
            /// `[service.NAME]`. When the machine is well the init runs `pintlectl bless`; an image on
            /// trial that never does uses up its tries. The watchdog is stopped before the init is
            /// executed, which starts it again if it wants to.
            "init" = (none; "/usr/lib/systemd/systemd") => init: Option<Program>,

            /// How long a new image may take until it is healthy.
            ///
            /// An image that takes longer has failed its trial. Without this key the boot
            /// configuration's `health-timeout` holds.
            "health-timeout" = (none; "2min") => health_timeout: Option<HealthTimeout>,

            /// How long everything essential must have been ready, without a break, until a new image is
            /// healthy.
            ///
            /// A service that ends right after its start does not make an image good that way. Without
            /// this key the boot configuration's `min-ready` holds.
            "min-ready" = (none; "10s") => min_ready: Option<MinReady>,

            /// How long stopping all services and unmounting may take before the machine is reset.
            "shutdown-timeout" = "90s" => shutdown_timeout: ShutdownTimeout,
        }
    }
}

choice! {
    /// Where changes in `/etc` are kept.
    pub enum EtcMode as String {
        /// On the state partition, until a factory reset.
        Persistent = "persistent",
        /// In memory, until the next boot.
        Transient = "transient",
    }
}

/// From a second for a single service to a day for a first boot that migrates data.
pub type HealthTimeout = Millis<SECOND, DAY>;
/// From not at all to an hour of soaking.
pub type MinReady = Millis<0, HOUR>;
/// Long enough for the longest `stop-timeout`.
pub type ShutdownTimeout = Millis<SECOND, { 2 * HOUR }>;

impl System {
    /// PID 1's tables have a fixed size; a whole distribution's boot has about 100 services.
    pub const SERVICES_MAX: usize = 256;

    /// The longest encoding: 256 bytes a service, where about 80 are usual.
    pub const BYTES_MAX: usize = 64 * 1024;

    /// The service at `index`.
    pub fn service(&self, index: Index) -> Option<&Service> {
        self.services.get(index.get())
    }

    /// The service with this name.
    pub fn index_of(&self, name: &str) -> Option<Index> {
        let position = self.services.iter().position(|service| service.name.as_str() == name)?;
        u16::try_from(position).ok().map(Index)
    }

    /// Whether each service is started at boot: it is enabled, or one that is needs it.
    pub fn started_at_boot(&self) -> Vec<bool> {
        let mut started: Vec<bool> =
            self.services.iter().map(|service| service.enabled == Enabled::Yes).collect();
        for (position, service) in self.services.iter().enumerate().rev() {
            if started.get(position) == Some(&true) {
                pull_in(service, &mut started);
            }
        }
        started
    }

    /// The bytes of `system.bin`.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        wire::encode(&FORMAT, self)
    }

    /// The system configuration in `bytes`; whatever the bytes are, this ends and does not panic.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let system: Self = wire::decode(&FORMAT, bytes)?;
        system.check()?;
        Ok(system)
    }

    fn check(&self) -> Result<(), Error> {
        if self.services.len() > Self::SERVICES_MAX {
            return Err(FORMAT.contradiction("more services than PID 1 has room for"));
        }
        if !refers_backwards(&self.services) {
            return Err(
                FORMAT.contradiction("a service refers to one that does not stand before it")
            );
        }
        if !names_differ(&self.services) {
            return Err(FORMAT.contradiction("two services have one name"));
        }
        Ok(())
    }
}

const FORMAT: Format = Format { what: "system.bin", version: 3, bytes_max: System::BYTES_MAX };

/// Every dependency stands earlier, so that one pass from the last service to the first is enough.
fn pull_in(service: &Service, started: &mut [bool]) {
    for index in service.requires.iter().chain(&service.wants) {
        if let Some(dependency) = started.get_mut(index.get()) {
            *dependency = true;
        }
    }
}

fn refers_backwards(services: &[Service]) -> bool {
    services.iter().enumerate().all(|(position, service)| {
        service.dependencies().all(|dependency| dependency.get() < position)
    })
}

fn names_differ(services: &[Service]) -> bool {
    let names: BTreeSet<&str> = services.iter().map(|service| service.name.as_str()).collect();
    names.len() == services.len()
}

#[cfg(all(test, feature = "compile"))]
mod tests {
    use super::*;
    use crate::compile::{self, Unchecked};

    fn system() -> System {
        let text = "[service.a]\ncommand = [\"/a\"]\n[service.b]\ncommand = [\"/b\"]\n";
        compile::system(&[("a.toml", text)], &Unchecked).unwrap()
    }

    /// Neither written nor, where somebody has written it all the same, read.
    fn is_refused(system: System, cause: &str) {
        let written = system.to_bytes().unwrap_err();
        let read = System::from_bytes(&wire::encode(&FORMAT, &system).unwrap()).unwrap_err();
        assert_eq!([written, read].map(|e| e.to_string()), [0, 1].map(|_| cause.to_owned()));
    }

    #[test]
    fn references_that_could_be_a_cycle_are_refused() {
        for forwards in [1, 2, u16::MAX] {
            let mut system = system();
            system.services[1].after.push(Index(forwards));
            is_refused(
                system,
                "cannot use system.bin: a service refers to one that does not stand before it",
            );
        }
    }

    #[test]
    fn two_services_of_one_name_are_refused() {
        let mut system = system();
        system.services[1].name = system.services[0].name.clone();
        is_refused(system, "cannot use system.bin: two services have one name");
    }

    #[test]
    fn more_services_than_the_limit_are_refused() {
        let mut system = system();
        system.services = vec![system.services[0].clone(); System::SERVICES_MAX + 1];
        is_refused(system, "cannot use system.bin: more services than PID 1 has room for");
    }
}
