use elf::ElfBytes;
use elf::abi::{ET_DYN, ET_EXEC, PT_INTERP};
use elf::endian::AnyEndian;

use crate::{Error, Result};

/// A program for the initramfs. Holding one tells that it needs no dynamic loader or libraries.
#[derive(Debug)]
pub struct Program {
    bytes: Vec<u8>,
    machine: Option<u16>,
}

impl Program {
    /// Takes an ELF file that is linked statically; `path` is for messages.
    pub fn new(path: &str, bytes: Vec<u8>) -> Result<Self> {
        let check = check(&bytes);
        check.map_err(|cause| Error::input(format!("use program {path}"), cause))?;
        let machine = machine(&bytes);
        Ok(Self { bytes, machine })
    }

    /// The ELF number of the processor (`e_machine`).
    pub fn machine(&self) -> Option<u16> {
        self.machine
    }

    /// Whether `text` stands in it anywhere.
    pub(super) fn holds(&self, text: &str) -> bool {
        self.bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// The file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The ELF number of the processor (`e_machine`), if `bytes` are ELF.
pub(super) fn machine(bytes: &[u8]) -> Option<u16> {
    ElfBytes::<AnyEndian>::minimal_parse(bytes).ok().map(|elf| elf.ehdr.e_machine)
}

fn check(bytes: &[u8]) -> std::result::Result<(), String> {
    let elf = ElfBytes::<AnyEndian>::minimal_parse(bytes)
        .map_err(|cause| format!("it is no whole ELF file: {cause}"))?;
    if !matches!(elf.ehdr.e_type, ET_EXEC | ET_DYN) {
        return Err("it is an ELF file, but not a program".to_owned());
    }
    match elf.segments().into_iter().flatten().any(|segment| segment.p_type == PT_INTERP) {
        true => {
            Err("it is linked dynamically, and the initramfs has no libraries; link it statically"
                .to_owned())
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: Vec<u8>) -> String {
        Program::new("init", bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_static_program_is_taken_and_a_dynamic_one_refused() {
        // The tests are linked as pintle-init is, and every Debian has a dynamic `env`.
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert_eq!(Program::new("init", own.clone()).unwrap().into_bytes(), own);
        let dynamic = std::fs::read("/usr/bin/env").unwrap();
        assert!(refusal(dynamic).contains("linked dynamically"));
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let module = crate::kmod::tests::module(&[]);
        assert!(refusal(module).contains("not a program"));
        let no_elf = "cannot use program init: it is no whole ELF file: ";
        assert!(refusal(b"#!/bin/sh\n".to_vec()).starts_with(no_elf));
        assert!(refusal(Vec::new()).starts_with(no_elf));
    }
}
