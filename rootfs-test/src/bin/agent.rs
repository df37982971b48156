//! The rig's hands in the guest: answers the host's questions over the virtio port [`agent::PORT`].
//!
//! As PID 1 of the rig's own initramfs it prepares the ground first: it mounts proc, sys and dev and
//! loads the modules in `/modules`.
#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result};
use pintle_rootfs_test::agent::{self, Answer, Frame, Output, Request, receive, send};
use pintle_rootfs_test::walk::walk;
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, finit_module, reboot};

fn main() -> Result<()> {
    if std::process::id() != 1 {
        return serve();
    }
    let outcome = prepare_machine().and_then(|()| serve());
    eprintln!("agent: {outcome:?}");
    Ok(reboot(RebootCommand::Restart)?)
}

/// Answers until the host hangs up.
fn serve() -> Result<()> {
    let path = port(agent::PORT)?;
    let mut port = OpenOptions::new().read(true).write(true).open(&path)?;
    loop {
        let Frame { number, content } = receive(&mut port)?;
        let answer = carry_out(content);
        let content = answer.unwrap_or_else(|error| Answer::Failed(format!("{error:#}")));
        send(&mut port, &Frame { number, content })?;
    }
}

fn carry_out(request: Request) -> Result<Answer> {
    match request {
        Request::Run { argv, stdin } => run(&argv, stdin).map(Answer::Ran),
        Request::Walk(root) => walk(Path::new(&root)).map(Answer::Walked),
        Request::Read { path, offset, length } => read(&path, offset, length).map(Answer::Data),
        Request::Write { path, offset, data } => {
            write(&path, offset, &data).map(|()| Answer::Written)
        }
    }
}

fn run(argv: &[String], stdin: Vec<u8>) -> Result<Output> {
    let (program, arguments) = argv.split_first().context("cannot run nothing")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    feed(&mut child, stdin);
    let output = child.wait_with_output()?;
    Ok(Output { status: number(output.status), stdout: output.stdout, stderr: output.stderr })
}

/// Writes from a thread of its own, because the child may write before it reads.
fn feed(child: &mut Child, bytes: Vec<u8>) {
    if let Some(mut pipe) = child.stdin.take() {
        // A program that does not read its input is no failure.
        thread::spawn(move || pipe.write_all(&bytes).unwrap_or_default());
    }
}

fn number(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn read(path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
    let mut file = File::open(path).with_context(|| format!("cannot open {path}"))?;
    file.seek(SeekFrom::Start(offset))?;
    let mut data = Vec::new();
    file.take(length).read_to_end(&mut data).with_context(|| format!("cannot read {path}"))?;
    Ok(data)
}

fn write(path: &str, offset: u64, data: &[u8]) -> Result<()> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let mut file = opened.with_context(|| format!("cannot open {path}"))?;
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(data).with_context(|| format!("cannot write {path}"))?;
    Ok(file.sync_all()?)
}

/// The device node of the virtio port with this name.
fn port(name: &str) -> Result<PathBuf> {
    for entry in fs::read_dir("/sys/class/virtio-ports").context("no virtio ports here")? {
        let entry = entry?;
        if fs::read_to_string(entry.path().join("name"))?.trim_end() == name {
            return Ok(Path::new("/dev").join(entry.file_name()));
        }
    }
    anyhow::bail!("no virtio port is called {name}")
}

fn prepare_machine() -> Result<()> {
    for (kind, target) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        fs::create_dir_all(target)?;
        mount(kind, target, kind, MountFlags::empty(), None)
            .with_context(|| format!("cannot mount {target}"))?;
    }
    load_modules(Path::new("/modules"))
}

/// Loads every module of the folder in the order of its names.
fn load_modules(folder: &Path) -> Result<()> {
    let mut modules =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    modules.sort();
    for module in modules {
        finit_module(&File::open(&module)?, c"", 0)
            .with_context(|| format!("cannot load {}", module.display()))?;
    }
    Ok(())
}
