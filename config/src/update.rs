//! How the machine keeps itself up to date: the table of `[update]`.

use std::fmt;

use crate::Value;
use crate::command::Command;
use crate::duration::{DAY, HOUR, MINUTE, Millis, SECOND};
use crate::integer::Whole;
use crate::list::UpTo;
use crate::name::AbsolutePath;
use crate::registry::{Mirror, Proxy, Tag};
use crate::size::{Bytes, MIB, TIB};
use crate::window::CalendarWindow;
use crate::zone::TimeZone;

table! {
    /// Where new releases come from and when they are taken: `[update]`.
    pub struct Update {
        given {}
        keys {
            /// The tag that the machine follows: a registry's host, a repository and a tag.
            "from" = (required; "registry.example.com/os/kiosk:stable") => from: Tag,

            /// Other registries that have the same repository, asked in this order before the host in
            /// `from`, which is asked where none of them has what is wanted.
            ///
            /// With a prefix, the repository is looked for below it. The seal is checked wherever a
            /// release comes from, so a mirror needs no trust.
            "mirrors" = [] => mirrors: UpTo<Mirror, 8>,

            /// How far the machine goes by itself.
            "mode" = "apply" => mode: UpdateMode,

            /// How often the machine looks for a new release.
            ///
            /// Each machine has its own place in the interval, so that a fleet's requests are spread evenly.
            /// Where the registry cannot be reached, the machine asks again after a minute or two, then
            /// after twice as long each time, up to the interval.
            "interval" = "6h" => interval: UpdateInterval,

            /// How long a machine must have known a release before it installs it by itself.
            "delay" = "0s" => delay: UpdateDelay,

            /// When the machine may reboot into a new release: days of the week and times of day.
            ///
            /// A window that ends before it begins reaches into the next day. Each machine has its own
            /// place in a window, so that not all of a fleet reboots at once. Without this key every
            /// time is right.
            "window" = [] => window: UpTo<CalendarWindow, 16>,

            /// The time zone of `window`.
            ///
            /// A name is looked up in the image's `/usr/share/zoneinfo` when the image is built; what the
            /// machine gets is the rule that holds from then on. An image without that directory
            /// takes the rule itself, in POSIX's form, in which the sign is that of what is added to get
            /// UTC. `"local"` is the rule of the machine's own `/etc/localtime`, or UTC where it has none.
            "time-zone" = "UTC" => time_zone: TimeZone,

            /// Whether the machine reboots into a new release by itself.
            "reboot" = "window" => reboot: RebootPolicy,

            /// How many installed images are kept, pinned ones not counted.
            "keep" = 2 => keep: Keep,

            /// How long after an image was blessed the one before it is kept in any case, and no other
            /// one is installed by itself.
            "grace" = "10min" => grace: Grace,

            /// The file of certificates, as PEM, that the registries' certificates are checked with.
            ///
            /// It must be in the image, unless `insecure` is set.
            "ca" = "/etc/ssl/certs/ca-certificates.crt" => ca: AbsolutePath,

            /// A file of user names and passwords for registries, as docker's `config.json`.
            ///
            /// It need not be in the image, where everybody could read it who has the image.
            "credentials" = (none; "/etc/pintle/registry.json") => credentials: Option<AbsolutePath>,

            /// The HTTP proxy through which registries are reached.
            "proxy" = (none; "http://proxy.example.com:3128") => proxy: Option<Proxy>,

            /// Whether registries are spoken to without TLS.
            "insecure" = false => insecure: Insecure,

            /// The most bytes that may be fetched within a day.
            ///
            /// What is left is fetched the day after. `pintlectl update` is not bound by it.
            "metered-limit" = (none; "50MiB") => metered_limit: Option<MeteredLimit>,

            /// Whether a new image that came from a registry must reach it to be healthy.
            "reachable" = "required" => reachable: Reachable,

            /// A command that must end with status 0 before a release is installed.
            ///
            /// Any other status, or `hook-timeout`, puts the installation off: it is tried again after a
            /// minute, then after twice as long each time. `pintlectl update` fails then; with `--force` it
            /// does not ask, and nor does `pintlectl install`. The command runs as root, outside PID 1.
            "before" = (none; ["/usr/bin/app", "--may-update"]) => before: Option<Command>,

            /// A command that is run when a release has been installed, before the reboot into it.
            ///
            /// It decides nothing: how it ended is reported. The command runs as root, outside PID 1.
            "after" = (none; ["/usr/bin/app", "--updated"]) => after: Option<Command>,

            /// How long `before` and `after` may take until they are killed.
            "hook-timeout" = "60s" => hook_timeout: HookTimeout,

            /// How often the whole running image is read again, slowly, to find blocks that have gone bad.
            "scrub" = "7d" => scrub: Scrub,

            /// How long a registry may send nothing before the connection is given up.
            "stall-timeout" = "30s" => stall_timeout: StallTimeout,

            /// How long fetching a release may take before it is put off and tried again later.
            ///
            /// What has been fetched until then is kept.
            "total-timeout" = "12h" => total_timeout: TotalTimeout,
        }
    }
}

choice! {
    /// How far the machine goes by itself.
    pub enum UpdateMode as String {
        /// It installs new releases and reboots into them, as `reboot` allows it.
        Apply = "apply",
        /// It fetches and installs new releases, but boots them only when told to.
        Download = "download",
        /// It looks for new releases and reports them.
        Check = "check",
        /// It does nothing until `pintlectl update` or a management system says so.
        Off = "off",
    }
}

choice! {
    /// Whether the machine reboots into a new release by itself.
    pub enum RebootPolicy as String {
        /// It does, when a window is open and nothing inhibits it.
        Window = "window",
        /// It never does: a person or a management system reboots it.
        Never = "never",
    }
}

choice! {
    /// Whether registries are spoken to without TLS.
    pub enum Insecure as Boolean {
        /// They are: others on the way see what is fetched and can keep it back. They cannot
        /// change it, because the seal is checked.
        Yes = "true",
        /// They are not.
        No = "false",
    }
}

choice! {
    /// Whether a new image that came from a registry must reach it to be healthy.
    pub enum Reachable as String {
        /// It must: a machine that could not update any more is not called healthy.
        Required = "required",
        /// It need not.
        Ignored = "ignored",
    }
}

/// When the running image is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Scrub {
    /// Never.
    Off,
    /// So long after the last time.
    Every(ScrubInterval),
}

/// Less than five minutes would be a load on the registry; longer than a month is forgotten.
pub type UpdateInterval = Millis<{ 5 * MINUTE }, { 30 * DAY }>;
/// More than a quarter of a year is what `mode` is for.
pub type UpdateDelay = Millis<0, { 90 * DAY }>;
/// One to run and one to fall back to; each more costs an image's size.
pub type Keep = Whole<2, 9>;
/// Longer than a week would hold up security updates.
pub type Grace = Millis<0, { 7 * DAY }>;
/// Less than a mebibyte would not do for the checks themselves.
pub type MeteredLimit = Bytes<MIB, TIB>;
/// A hook that backs a database up may take an hour.
pub type HookTimeout = Millis<SECOND, HOUR>;
/// Reading an image more than once an hour would wear nothing out but help nobody either.
pub type ScrubInterval = Millis<HOUR, { 365 * DAY }>;
/// Satellite and GSM links pause for seconds.
pub type StallTimeout = Millis<SECOND, { 10 * MINUTE }>;
/// A gigabyte over a GSM link takes days.
pub type TotalTimeout = Millis<MINUTE, { 7 * DAY }>;

impl fmt::Display for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Every(interval) => interval.fmt(f),
        }
    }
}

impl Value for Scrub {
    fn expected() -> String {
        format!("\"off\" or {}", ScrubInterval::expected())
    }

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            _ => ScrubInterval::from_text(text).map(Self::Every),
        }
    }
}
