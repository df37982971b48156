use std::fmt;

use landlock::ABI;

/// A part of the second fence, Landlock. The first, seccomp, stands without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// Rules about files: Linux 5.13, with Landlock among its security modules.
    Files,
    /// Rules about truncating them: Linux 6.2.
    Truncation,
    /// Rules about TCP ports: Linux 6.7.
    Ports,
    /// Rules about `ioctl` on devices: Linux 6.10.
    Devices,
    /// Signals and abstract unix sockets kept inside: Linux 6.12.
    Scopes,
}

/// Which version of Landlock brought what.
const SINCE: [(ABI, Protection); 5] = [
    (ABI::V1, Protection::Files),
    (ABI::V3, Protection::Truncation),
    (ABI::V4, Protection::Ports),
    (ABI::V5, Protection::Devices),
    (ABI::V6, Protection::Scopes),
];

impl fmt::Display for Protection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Protection::Files => "Landlock (Linux 5.13)",
            Protection::Truncation => "Landlock truncation rules (Linux 6.2)",
            Protection::Ports => "Landlock network rules (Linux 6.7)",
            Protection::Devices => "Landlock ioctl rules (Linux 6.10)",
            Protection::Scopes => "Landlock scopes (Linux 6.12)",
        })
    }
}

/// What this kernel has no protection for; for status to name. Empty on Linux 6.12 and later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lacking(Vec<Protection>);

impl Lacking {
    /// What a kernel with this version of Landlock lacks.
    pub(crate) fn of(abi: ABI) -> Lacking {
        let later = SINCE.iter().filter(|(since, _)| *since > abi);
        Lacking(later.map(|(_, protection)| *protection).collect())
    }

    /// The protections, oldest first.
    pub fn protections(&self) -> &[Protection] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_lack_what_came_later() {
        use Protection::{Devices, Files, Ports, Scopes, Truncation};
        let all = [Files, Truncation, Ports, Devices, Scopes];
        assert_eq!(Lacking::of(ABI::Unsupported).protections(), all);
        assert_eq!(Lacking::of(ABI::V2).protections(), [Truncation, Ports, Devices, Scopes]);
        assert_eq!(Lacking::of(ABI::V6).protections(), []);
        assert_eq!(Lacking::of(ABI::V10).protections(), []);
    }
}
