//! What the host must have installed, and running its programs.

use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// Debian packages that the rig runs, and what for.
const NEEDS: [(&str, &str); 17] = [
    ("qemu-system-x86", "boots the machines"),
    ("busybox-static", "is the user space of the small image"),
    ("mmdebstrap", "makes the Debian image's root file system"),
    ("debian-archive-keyring", "checks what mmdebstrap downloads"),
    ("umoci", "makes OCI images, and unpacks them independently of pintle"),
    ("skopeo", "copies OCI images between formats"),
    ("erofs-utils", "checks images independently of pintle"),
    ("cryptsetup-bin", "checks hash trees independently of pintle"),
    ("fsverity", "checks fs-verity digests independently of pintle"),
    ("e2fsprogs", "makes state partitions and checks them after shutdown"),
    ("fdisk", "checks partition tables independently of pintle"),
    ("mandoc", "checks the manual pages"),
    ("openssl", "makes and checks keys and signatures independently of pintle"),
    ("e2fsck-static", "repairs a state partition from the initramfs"),
    ("kmod", "says what modules depend on, independently of pintle"),
    ("lz4", "decompresses a kernel"),
    ("cpio", "packs the rig's own initramfs"),
];

/// Installs what is missing, as root; without root the error is the command to run.
///
/// # Errors
/// When something is missing and cannot be installed here.
pub fn prepare() -> Result<()> {
    let missing = missing()?;
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install --yes --no-install-recommends {}", missing.join(" "));
    if !rustix::process::geteuid().is_root() {
        bail!("these packages are missing; as root, run:\n  apt-get update && {command}");
    }
    announce(&missing);
    install(&missing)
}

/// Runs a program to its end and gives what it wrote to its standard output.
///
/// # Errors
/// When it cannot be started or fails; the error holds what it wrote to both outputs.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", name(command)))?;
    if !output.status.success() {
        bail!("{} failed ({}): {}", name(command), output.status, complaint(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program of the host, found also where root's programs are.
pub fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C");
    command
}

fn missing() -> Result<Vec<&'static str>> {
    let installed = installed()?;
    let names = NEEDS.map(|(package, _)| package);
    Ok(names.into_iter().filter(|name| !installed.iter().any(|have| have == name)).collect())
}

fn installed() -> Result<Vec<String>> {
    // dpkg-query fails when it does not know one of the names, and still lists the others.
    let listing = program("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status} ${Package}\\n"])
        .args(NEEDS.map(|(package, _)| package))
        .output()
        .context("cannot start dpkg-query: the rig needs Debian or a distribution made from it")?;
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    Ok(listing.lines().filter_map(|line| line.strip_prefix("installed ")).map(Into::into).collect())
}

fn announce(missing: &[&str]) {
    println!("Installing what this host lacks:");
    for (package, reason) in NEEDS.iter().filter(|(package, _)| missing.contains(package)) {
        println!("  {package}: {reason}");
    }
}

fn install(packages: &[&str]) -> Result<()> {
    if apt_install(packages).is_err() {
        run(program("apt-get").args(["update", "--quiet"]))?;
        apt_install(packages)?;
    }
    Ok(())
}

fn apt_install(packages: &[&str]) -> Result<String> {
    run(program("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(packages))
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn complaint(output: &Output) -> String {
    let text = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{program, run};

    #[test]
    fn a_failed_program_is_named_with_what_it_said() {
        let error = run(program("sh").args(["-c", "echo no such luck >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("sh -c") && text.contains("status: 3") && text.contains("luck"),
            "{text}"
        );
    }
}
