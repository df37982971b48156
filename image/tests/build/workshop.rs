//! A place with a root file system to build from, keys, and the program.

use pintle_image::keygen;
use serde_json::Value;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

pub(crate) struct Workshop {
    home: TempDir,
}

impl Workshop {
    /// With an empty root file system, and keys `ours` and `theirs`.
    pub(crate) fn new() -> Self {
        let workshop = Self { home: TempDir::new().unwrap() };
        fs::create_dir(workshop.path("rootfs")).unwrap();
        keygen::generate(&workshop.path("ours")).unwrap();
        keygen::generate(&workshop.path("theirs")).unwrap();
        workshop
    }

    /// With a root file system that is a machine's: one service, and a name.
    pub(crate) fn of_a_machine() -> Self {
        let workshop = Self::new();
        workshop.file("usr/lib/os-release", 0o644, "IMAGE_ID=demo\nIMAGE_VERSION=1.0\n");
        workshop.link("etc/os-release", "../usr/lib/os-release");
        workshop.file("usr/bin/hello", 0o755, "#!/usr/bin/hello\n");
        workshop.file("usr/lib/pintle/hello.toml", 0o644, HELLO);
        workshop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, mode: u32, content: &str) {
        let path = self.make_room(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::new(5, 7));
        File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    }

    pub(crate) fn link(&self, name: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.make_room(name)).unwrap();
    }

    /// Runs the program in the workshop; `arguments` are words between spaces.
    pub(crate) fn pintle(&self, arguments: &str) -> Outcome {
        self.run(Command::new(PINTLE).args(arguments.split_whitespace()))
    }

    pub(crate) fn shell(&self, script: &str) -> Outcome {
        self.run(Command::new("sh").args(["-ec", script]).env("PINTLE", PINTLE))
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The names in a directory.
    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap().map(Result::unwrap);
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn run(&self, command: &mut Command) -> Outcome {
        Outcome(command.current_dir(self.home.path()).env_remove(EPOCH).output().unwrap())
    }

    fn make_room(&self, name: &str) -> PathBuf {
        let path = self.path("rootfs").join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        path
    }
}

const PINTLE: &str = env!("CARGO_BIN_EXE_pintle");
const EPOCH: &str = "SOURCE_DATE_EPOCH";
const HELLO: &str = "[service.hello]\ncommand = [\"/usr/bin/hello\"]\n";

/// How a program ended.
pub(crate) struct Outcome(Output);

impl Outcome {
    /// What it wrote to standard output, having succeeded without a word of complaint.
    pub(crate) fn said(self) -> String {
        let complaint = String::from_utf8(self.0.stderr).unwrap();
        assert!(self.0.status.success(), "{complaint}");
        assert_eq!(complaint, "", "nothing is shown where nobody sits at a terminal");
        String::from_utf8(self.0.stdout).unwrap()
    }

    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.said()).unwrap()
    }

    /// What it wrote to standard error, having succeeded.
    pub(crate) fn noted(self) -> String {
        assert!(self.0.status.success(), "{:?}", self.0);
        String::from_utf8(self.0.stderr).unwrap()
    }

    /// What it complained of, having failed.
    pub(crate) fn complained(self) -> String {
        assert_eq!(self.0.status.code(), Some(1));
        String::from_utf8(self.0.stderr).unwrap()
    }
}
