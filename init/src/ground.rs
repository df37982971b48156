//! What services stand on: cgroups, terminals, a place for temporary files, a name for the machine.

use std::fs;
use std::io;
use std::path::Path;

use pintle_config::System;
use pintle_mount::{base, teardown};
use rustix::io::Errno;

use crate::report::Report;
use crate::supervise::CGROUPS;

/// Below it is each service's cgroup.
const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// What services can be limited by; kernels lack one or the other.
const CONTROLLERS: [&str; 4] = ["+cpu", "+io", "+memory", "+pids"];

/// Where `pintlectl` is found: it is this binary, which may be in memory only.
const TOOLS: &str = "/run/pintle/bin";

/// Prepares it all; each part that fails is reported, and missed by those services only that need it.
pub(crate) fn prepare(system: &System, report: &mut Report) {
    let parts: [(&str, Result<(), String>); 5] = [
        ("mounts", base::mount_rest().map_err(|error| error.to_string())),
        ("cgroups", make_cgroups().map_err(|error| error.to_string())),
        ("hostname", set_hostname(system).map_err(|errno| errno.to_string())),
        ("exit root", teardown::prepare().map_err(|error| error.to_string())),
        ("tools", link_tools().map_err(|error| error.to_string())),
    ];
    for (part, outcome) in parts {
        outcome.unwrap_or_else(|cause| report.alert(part, &cause));
    }
}

fn make_cgroups() -> io::Result<()> {
    enable_controllers(Path::new(CGROUP_ROOT));
    fs::create_dir_all(CGROUPS)?;
    enable_controllers(Path::new(CGROUPS));
    Ok(())
}

/// One by one: the kernel takes none of a list in which one is unknown. A limit that cannot be set later is an error then.
fn enable_controllers(cgroup: &Path) {
    for controller in CONTROLLERS {
        fs::write(cgroup.join("cgroup.subtree_control"), controller).unwrap_or_default();
    }
}

/// The machine's own name, in `/etc/hostname`, goes before the image's.
fn set_hostname(system: &System) -> Result<(), Errno> {
    let own = fs::read_to_string("/etc/hostname").ok();
    let own = own.as_deref().map(str::trim).filter(|name| !name.is_empty());
    match own.or(system.hostname.as_ref().map(|name| name.as_str())) {
        Some(name) => rustix::system::sethostname(name.as_bytes()),
        None => Ok(()),
    }
}

fn link_tools() -> io::Result<()> {
    fs::create_dir_all(TOOLS)?;
    match std::os::unix::fs::symlink("/proc/1/exe", Path::new(TOOLS).join("pintlectl")) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
