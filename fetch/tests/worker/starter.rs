//! Starts the worker as `pintle-init` does, but for the cgroup.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

use pintle_sys::spawn::{Child, Ended, Identity, NewPrivileges, Program, StringArray};
use pintle_update::worker::{Job, Said};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Resource, Rlimit, Signal, Uid};
use tempfile::TempDir;

/// A user and group that own nothing.
const NOBODY: u32 = 65_530;

/// Where that user can reach it: the folder that it was built in may be closed to others.
static BINARY: LazyLock<(TempDir, CString)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("pintle-fetch");
    fs::copy(super::binary(), &path).unwrap();
    let path = CString::new(path.into_os_string().into_encoded_bytes()).unwrap();
    (folder, path)
});

pub(crate) struct Worker {
    child: Child,
    answers: File,
}

impl Worker {
    /// With the files that its job needs, in the order that it wants them, and with no more address space than `memory`.
    pub(crate) fn start(job: &Job, files: &[&File], memory: Option<u64>) -> Self {
        let mut handed = File::from(memfd_create("job", MemfdFlags::CLOEXEC).unwrap());
        handed.write_all(&job.to_bytes().unwrap()).unwrap();
        rustix::fs::seek(&handed, rustix::fs::SeekFrom::Start(0)).unwrap();
        let (answers, said) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let stderr = std::io::stderr();
        let mut descriptors: Vec<BorrowedFd<'_>> =
            vec![handed.as_fd(), said.as_fd(), stderr.as_fd()];
        descriptors.extend(files.iter().map(|file| file.as_fd()));
        let arguments = StringArray::new(vec![c"pintle-fetch".into()]);
        let environment = StringArray::new(vec![]);
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        let limit = |most| (Resource::As, Rlimit { current: Some(most), maximum: Some(most) });
        let limits: Vec<_> = memory.map(limit).into_iter().collect();
        let program = Program {
            limits: &limits,
            descriptors: &descriptors,
            identity: Some(Identity { user, group, groups: &[] }),
            new_privileges: NewPrivileges::Denied,
            ..Program::new(&BINARY.1, &arguments, &environment)
        };
        Self { child: program.start().unwrap(), answers: answers.into() }
    }

    /// All that it says until it ends by itself.
    pub(crate) fn hear(self) -> Vec<Said> {
        self.hear_and_watch().0
    }

    /// The same, and the most memory that it was seen to have, in bytes: it is looked at with each message.
    pub(crate) fn hear_and_watch(mut self) -> (Vec<Said>, u64) {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        let (mut heard, mut peak) = (Vec::new(), 0);
        loop {
            let read = self.answers.read(&mut buffer).unwrap();
            peak = self.peak().unwrap_or(0).max(peak);
            bytes.extend_from_slice(&buffer[..read]);
            while let Some(said) = Said::take(&mut bytes).unwrap() {
                heard.push(said);
            }
            if read == 0 {
                assert!(bytes.is_empty(), "half a message");
                assert_eq!(self.child.wait(None).unwrap(), Some(Ended::Exited(0)));
                return (heard, peak);
            }
        }
    }

    /// `VmHWM`; a process that is ending has none.
    fn peak(&self) -> Option<u64> {
        let pid = self.child.pid.as_raw_nonzero();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kib << 10)
    }

    pub(crate) fn kill(self) {
        self.child.kill(Signal::KILL).unwrap();
        let ended = self.child.wait(None).unwrap();
        assert_eq!(ended, Some(Ended::Killed(Signal::KILL.as_raw())));
    }
}
