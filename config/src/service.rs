//! One service: the table of `[service.NAME]`.

use serde::{Deserialize, Serialize};

use crate::account::{Group, User};
use crate::command::{Command, Environment};
use crate::cpu::CpuMax;
use crate::duration::{DAY, HOUR, Millis};
use crate::integer::Whole;
use crate::name::{AbsolutePath, Line, ServiceName, TtyPath};
use crate::signal::Signal;
use crate::size::{Bytes, KIB, TIB};

table! {
    /// A process that the machine starts and keeps running: one `[service.NAME]`.
    pub struct Service {
        given {
            /// The name in the table's heading.
            name: ServiceName,
        }
        keys {
            /// What the service does, for people to read.
            "description" = (none; "The web server, port 80") => description: Option<Line>,

            /// The program's absolute path and its arguments.
            ///
            /// They are executed as they stand: no shell takes part, and nothing is expanded. The
            /// program must be in the image and executable, which the build checks.
            "command" = (required; ["/usr/bin/app", "--port", "80"]) => command: Command,

            /// How the service tells that it is ready.
            "type" = "exec" => kind: Kind,

            /// Whether the service is started at boot.
            ///
            /// A disabled service is still started when an enabled one requires or wants it.
            "enabled" = true => enabled: Enabled,

            /// Services without which this one cannot run.
            ///
            /// They are started first, and this one only when they are ready; when one of them stops
            /// or fails for good, this one is stopped too.
            "requires" = [] => requires: Vec<Index>,

            /// Services that this one would like to have.
            ///
            /// They are started first, and this one when they are ready or have failed.
            "wants" = [] => wants: Vec<Index>,

            /// Services that are started before this one, if they are started at all.
            "after" = [] => after: Vec<Index>,

            /// Whether the machine is healthy without the service.
            "essential" = false => essential: Essential,

            /// A command that ends with status 0 when the service does its work.
            ///
            /// A new image becomes good only when every health command has succeeded. It runs as the
            /// service's user, in its cgroup.
            "health-command" = (none; ["/usr/bin/app", "--check"]) => health_command: Option<Command>,

            /// When a service that has ended is started again.
            "restart" = "on-failure" => restart: Restart,

            /// How long to wait before the first restart.
            ///
            /// The wait doubles with each restart, up to `restart-delay-max`. It begins anew when the
            /// service has run for `start-limit-interval`.
            "restart-delay" = "100ms" => restart_delay: RestartDelay,

            /// The longest wait before a restart.
            "restart-delay-max" = "30s" => restart_delay_max: RestartDelay,

            /// How many starts within `start-limit-interval` are too many.
            ///
            /// A service that reaches the limit has failed for good, and so has one that fails as often
            /// in a row without having run for `start-limit-interval`. If it is essential, the machine
            /// leaves this image for another one.
            "start-limit-burst" = 10 => start_limit_burst: StartLimitBurst,

            /// The time in which starts are counted; `"0s"` means that there is no limit.
            "start-limit-interval" = "1min" => start_limit_interval: StartLimitInterval,

            /// How long the service may take until it is ready.
            ///
            /// One that takes longer is killed and has failed.
            "start-timeout" = "90s" => start_timeout: StartTimeout,

            /// The signal that asks the service to end.
            "stop-signal" = "SIGTERM" => stop_signal: Signal,

            /// How long the service may take to end before its whole cgroup is killed.
            "stop-timeout" = "10s" => stop_timeout: StopTimeout,

            /// The user that the service runs as: a name in the image's `/etc/passwd`, or a number.
            ///
            /// The user's primary group and the groups of `/etc/group` that list the user come with
            /// it, and so do `USER`, `LOGNAME` and `HOME`. A number that is not in `/etc/passwd`
            /// brings the group of the same number. Without this key it is root.
            "user" = (none; "nobody") => user: Option<User>,

            /// The group that the service runs as, in place of the user's primary group.
            "group" = (none; "nogroup") => group: Option<Group>,

            /// Groups beside those that the user has.
            "supplementary-groups" = [] => supplementary_groups: Vec<Group>,

            /// Environment variables, as in `{ LANG = "C.UTF-8" }`.
            ///
            /// Apart from these a service has `PATH`, those that come with `user`, and those of the
            /// protocols that it takes part in (`NOTIFY_SOCKET`).
            "environment" = {} => environment: Environment,

            /// The directory that the service starts in.
            "working-directory" = "/" => working_directory: AbsolutePath,

            /// The most memory that the service's processes may have: cgroup v2's `memory.max`.
            "memory-max" = (none; "64MiB") => memory_max: Option<MemoryMax>,

            /// The service's share where processors are scarce: cgroup v2's `cpu.weight`.
            ///
            /// Services without it have 100.
            "cpu-weight" = (none; 200) => cpu_weight: Option<CpuWeight>,

            /// The most processor time that the service may have: cgroup v2's `cpu.max`.
            ///
            /// `"250%"` is two and a half processors.
            "cpu-max" = (none; "50%") => cpu_max: Option<CpuMax>,

            /// The most processes and threads that the service may have: cgroup v2's `pids.max`.
            "pids-max" = (none; 64) => pids_max: Option<PidsMax>,

            /// The terminal that is the service's standard input, output and controlling terminal.
            "tty" = (none; "/dev/tty1") => tty: Option<TtyPath>,

            /// How readily the kernel kills the service when memory runs out: `oom_score_adj`.
            ///
            /// -1000 is never, 1000 is first.
            "oom-score-adjust" = 0 => oom_score_adjust: OomScoreAdjust,
        }
    }
}

/// The position of a service in [`System::services`](crate::System::services).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Index(
    /// It is below the number of services, and below that of the service that refers to it.
    pub u16,
);

impl Index {
    /// The position as `usize`.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

choice! {
    /// How a service tells that it is ready.
    pub enum Kind as String {
        /// As soon as the program is executed.
        Exec = "exec",
        /// When the process has ended with status 0; it is done then, and is not started again.
        Oneshot = "oneshot",
        /// When it says `READY=1` by sd_notify(3).
        Notify = "notify",
    }
}

choice! {
    /// Whether a service is started at boot.
    pub enum Enabled as Boolean {
        /// It is started at boot.
        Yes = "true",
        /// It is started only when another service needs it.
        No = "false",
    }
}

choice! {
    /// Whether the machine is healthy without a service.
    pub enum Essential as Boolean {
        /// It is not: an image becomes good only when the service is ready, and when the service
        /// fails for good, or ends and is not to be restarted, the machine leaves the image for
        /// another one.
        Yes = "true",
        /// It is: the service's failure is reported.
        No = "false",
    }
}

choice! {
    /// When a service that has ended is started again.
    pub enum Restart as String {
        /// Never.
        Never = "never",
        /// When it ended with a status other than 0, by a signal, or by a time-out.
        OnFailure = "on-failure",
        /// Whenever it ended without having been stopped.
        Always = "always",
    }
}

/// Waits of less than 10 ms would let a crash loop take a processor for itself.
pub type RestartDelay = Millis<10, HOUR>;
/// A single start is a limit too: the service is not started again.
pub type StartLimitBurst = Whole<1, 1000>;
/// Zero switches the limit off.
pub type StartLimitInterval = Millis<0, DAY>;
/// A first boot may grow or make file systems for hours, not for days.
pub type StartTimeout = Millis<100, DAY>;
/// The hour is for databases; the watchdog guards a shutdown.
pub type StopTimeout = Millis<100, HOUR>;
/// Less than 64 KiB holds no process; more than 1 TiB is a typing mistake.
pub type MemoryMax = Bytes<{ 64 * KIB }, TIB>;
/// The range of cgroup v2's `cpu.weight`.
pub type CpuWeight = Whole<1, 10_000>;
/// Up to the kernel's `PID_MAX_LIMIT`.
pub type PidsMax = Whole<1, 4_194_304>;
/// The range of `/proc/<pid>/oom_score_adj`.
pub type OomScoreAdjust = Whole<-1000, 1000>;

impl Service {
    /// All services that are started before this one.
    pub fn dependencies(&self) -> impl Iterator<Item = Index> {
        self.requires.iter().chain(&self.wants).chain(&self.after).copied()
    }
}
