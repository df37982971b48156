use std::env;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pintle_verify::Uuid;

use crate::error::Attempt;
use crate::{Error, Result};

/// Named one by one, because hosts have defaults of their own: what every Linux since 5.4 mounts,
/// and `verity`, which needs blocks of 4 KiB.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,\
                        flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,\
                        metadata_csum,verity";
/// Stands in for the host's /etc/mke2fs.conf. The names are those of sizes of file systems.
const CONFIGURATION: &str = "\
[defaults]
\tblocksize = 4096
\tinode_size = 256
\tinode_ratio = 16384
[fs_types]
\text4 = {\n\t}\n\tsmall = {\n\t}\n\tfloppy = {\n\t}\n\tbig = {\n\t}\n\thuge = {\n\t}\n";
/// `EXT4_EXTENTS_FL` and `EXT4_VERITY_FL` in the kernel's fs/ext4/ext4.h.
const SEALED: u32 = 0x0008_0000 | 0x0010_0000;

/// A file system in the file `disk` of a folder, or in a part of that file.
pub(super) struct FileSystem<'a> {
    /// The folder, which is scratch space besides.
    pub(super) folder: &'a Path,
    /// The bytes of the disk that the file system has.
    pub(super) range: Range<u64>,
    /// What all its times are, in seconds since 1970; not zero.
    pub(super) time: u64,
}

/// What debugfs(8) shall do.
#[derive(Default)]
pub(super) struct Script {
    commands: String,
    files: Vec<PathBuf>,
}

impl FileSystem<'_> {
    /// Makes an empty one.
    pub(super) fn format(&self, label: &str, uuid: Uuid) -> Result<()> {
        self.write("mke2fs.conf", CONFIGURATION)?;
        let length = self.range.end - self.range.start;
        let extended = format!(
            "offset={},hash_seed={uuid},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0",
            self.range.start
        );
        let mut mke2fs = self.program("mke2fs");
        // 1 % of reserved blocks are left for root when a service has filled the disk.
        mke2fs.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-O", FEATURES]);
        mke2fs.args(["-L", label, "-U", &uuid.to_string(), "-E", &extended, "disk"]);
        mke2fs.arg(format!("{}k", length >> 10)).env("MKE2FS_CONFIG", "mke2fs.conf");
        run(mke2fs).map(drop)
    }

    /// Carries out a script.
    pub(super) fn carry_out(&self, script: &Script) -> Result<()> {
        for (number, file) in script.files.iter().enumerate() {
            let link = self.folder.join(source(number));
            symlink(file, link).attempt(|| "make a symlink".to_owned())?;
        }
        self.write("script", &script.commands)?;
        let mut debugfs = self.program("debugfs");
        debugfs.args(["-w", "-f", "script"]).arg(self.device());
        let output = run(debugfs)?;
        // It goes on after a failure and reports success; all that it should say is its version.
        match output.lines().find(|line| !line.is_empty() && !line.starts_with("debugfs ")) {
            Some(complaint) => Err(failed("debugfs", complaint)),
            None => Ok(()),
        }
    }

    /// Lets e2fsck(8) look at everything.
    pub(super) fn check(&self) -> Result<()> {
        let mut e2fsck = self.program("e2fsck");
        e2fsck.args(["-f", "-n"]).arg(self.device());
        run(e2fsck).map(drop)
    }

    fn device(&self) -> String {
        format!("disk?offset={}", self.range.start)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.folder.join(name), text).attempt(|| format!("write {name}"))
    }

    fn program(&self, name: &str) -> Command {
        let path = env::var("PATH").unwrap_or_default();
        let mut command = Command::new(name);
        // Programs for root are not on everybody's path.
        command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C");
        command.env("E2FSPROGS_FAKE_TIME", self.time.to_string()).current_dir(self.folder);
        command
    }
}

impl Script {
    pub(super) fn make_directory(&mut self, path: &str) {
        self.commands += &format!("mkdir /{path}\n");
    }

    /// Writes a copy of the host's `file`, an absolute path, to `path`.
    pub(super) fn write(&mut self, file: &Path, path: &str) {
        self.commands += &format!("write {} /{path}\n", source(self.files.len()));
        self.commands += &format!("set_inode_field /{path} mode 0100644\n");
        self.files.push(file.to_owned());
    }

    /// Makes a file that carries its own hash tree a sealed one of `size` bytes.
    pub(super) fn enable_verity(&mut self, path: &str, size: u64) {
        self.commands += &format!("set_inode_field /{path} size {size}\n");
        self.commands += &format!("set_inode_field /{path} flags {SEALED:#x}\n");
    }
}

/// The name of a link to a file of the host: paths of the host may hold what debugfs cannot quote.
fn source(number: usize) -> String {
    format!("source-{number}")
}

/// Runs a program to its end and gives what it said on standard error.
fn run(mut command: Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => failed(&name, "it is not installed; Debian has it in e2fsprogs"),
        _ => failed(&name, &cause.to_string()),
    })?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stderr).into_owned()),
        false => Err(failed(&name, &said(&output))),
    }
}

fn said(Output { status, stdout, stderr }: &Output) -> String {
    let said = [stdout.as_slice(), stderr].concat();
    format!("it ended with {status}, and said:\n{}", String::from_utf8_lossy(&said).trim_end())
}

fn failed(program: &str, cause: &str) -> Error {
    Error::Program { action: format!("run {program}"), cause: cause.to_owned() }
}
