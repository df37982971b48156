//! What runs the guest's instructions: the host's processor, or QEMU's translator.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::cache::Recipe;
use crate::host::{program, run};
use crate::kernel::{Kernel, Series};
use crate::vm::{Board, Vm};

/// Who runs the guest's instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accelerator {
    /// The host's processor, through /dev/kvm.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl Accelerator {
    /// KVM where a stock kernel boots with it; that /dev/kvm opens does not say so. Asked once a boot of the host.
    ///
    /// # Errors
    /// When the probe cannot be made.
    pub fn of_host() -> Result<Accelerator> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let qemu = run(program("qemu-system-x86_64").arg("--version"))?;
        let probed = Recipe::new("accelerator")
            .with(boot)
            .with(qemu)
            .folder(|folder| Ok(fs::write(folder.join("name"), probe()?.name())?))?;
        Ok(if fs::read(probed.join("name"))? == b"kvm" {
            Accelerator::Kvm
        } else {
            Accelerator::Tcg
        })
    }

    /// What QEMU calls it.
    pub fn name(self) -> &'static str {
        match self {
            Accelerator::Kvm => "kvm",
            Accelerator::Tcg => "tcg",
        }
    }
}

/// The frequency of the host's time-stamp counter, which QEMU's translator passes on. None on other architectures.
pub(crate) fn host_tsc_khz() -> Option<u32> {
    tsc_khz(&fs::read_to_string("/proc/cpuinfo").ok()?)
}

/// Boots a kernel that finds no root: where its own panic reaches the console, KVM works.
fn probe() -> Result<Accelerator> {
    if !Path::new("/dev/kvm").exists() {
        return Ok(Accelerator::Tcg);
    }
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let vm = Vm::on(Board::Q35, &kernel).cmdline("panic=-1 quiet").ending_on_reset();
    let Ok(mut machine) = vm.boot_with(Accelerator::Kvm) else {
        return Ok(Accelerator::Tcg);
    };
    let panicked =
        machine.wait_for_end().is_ok() && machine.console().contains("Unable to mount root");
    Ok(if panicked { Accelerator::Kvm } else { Accelerator::Tcg })
}

/// On x86 `bogomips` is the counter's frequency in units of 500 kHz.
fn tsc_khz(cpuinfo: &str) -> Option<u32> {
    let line = cpuinfo.lines().find(|line| line.starts_with("bogomips"))?;
    let hundredths: String = line.split(':').nth(1)?.trim().replace('.', "");
    Some(hundredths.parse::<u32>().ok()? * 5)
}

#[cfg(test)]
mod tests {
    use super::tsc_khz;

    #[test]
    fn the_counter_is_read_off_bogomips() {
        assert_eq!(tsc_khz("model name\t: x\nbogomips\t: 5192.26\n"), Some(2_596_130));
        assert_eq!(tsc_khz("BogoMIPS\t: 50.00\n"), None);
    }
}
