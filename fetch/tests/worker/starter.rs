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
use rustix::process::{Gid, Signal, Uid};
use tempfile::TempDir;

/// A user and group that own nothing.
const NOBODY: u32 = 65_530;

/// Where that user can reach it: the folder that it was built in may be closed to others.
static BINARY: LazyLock<(TempDir, CString)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("pintle-fetch");
    fs::copy(env!("CARGO_BIN_EXE_pintle-fetch"), &path).unwrap();
    let path = CString::new(path.into_os_string().into_encoded_bytes()).unwrap();
    (folder, path)
});

pub(crate) struct Worker {
    child: Child,
    answers: File,
}

impl Worker {
    /// With the files that its job needs, in the order that it wants them.
    pub(crate) fn start(job: &Job, files: &[&File]) -> Self {
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
        let program = Program {
            descriptors: &descriptors,
            identity: Some(Identity { user, group, groups: &[] }),
            new_privileges: NewPrivileges::Denied,
            ..Program::new(&BINARY.1, &arguments, &environment)
        };
        Self { child: program.start().unwrap(), answers: answers.into() }
    }

    /// All that it says until it ends by itself.
    pub(crate) fn hear(mut self) -> Vec<Said> {
        let mut bytes = Vec::new();
        self.answers.read_to_end(&mut bytes).unwrap();
        assert_eq!(self.child.wait(None).unwrap(), Some(Ended::Exited(0)));
        let mut heard = Vec::new();
        while let Some(said) = Said::take(&mut bytes).unwrap() {
            heard.push(said);
        }
        assert!(bytes.is_empty(), "half a message");
        heard
    }

    pub(crate) fn kill(self) {
        self.child.kill(Signal::KILL).unwrap();
        let ended = self.child.wait(None).unwrap();
        assert_eq!(ended, Some(Ended::Killed(Signal::KILL.as_raw())));
    }
}
