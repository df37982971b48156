use elf::ElfBytes;
use elf::abi::SHF_COMPRESSED;
use elf::endian::AnyEndian;
use pintle_config::{ModuleName, Value};

use crate::{Error, Result};

/// The longest lists of aliases have 100 KiB; what is longer is no list for a machine to read.
const MAX_SECTION: usize = 1 << 20;

/// What a kernel module says about itself, in the words of its `.modinfo` section.
///
/// Source: the kernel's include/linux/module.h (`MODULE_INFO`) and scripts/mod/modpost.c; softdeps
/// as kmod's libkmod-module.c reads them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Modinfo {
    /// The modules whose symbols it uses.
    pub depends: Vec<ModuleName>,
    /// Modules or aliases that it wants loaded before it (`softdep=pre:`).
    pub softdeps: Vec<String>,
    /// Names that it also answers to, among them the patterns of its devices.
    pub aliases: Vec<String>,
    /// What the kernel compares with its own before it loads it: its release, then options.
    pub vermagic: String,
}

impl Modinfo {
    /// Reads the section from a module's ELF file; `path` is for messages.
    pub fn parse(path: &str, elf: &[u8]) -> Result<Self> {
        let section = section(elf).map_err(|cause| refuse(path, cause))?;
        let section = section.ok_or_else(|| refuse(path, "it has no plain .modinfo section"))?;
        if section.len() > MAX_SECTION {
            return Err(refuse(path, format!(".modinfo is longer than {MAX_SECTION} bytes")));
        }
        let mut modinfo = Self::default();
        for entry in section.split(|&byte| byte == 0) {
            modinfo.read(entry).map_err(|cause| refuse(path, cause))?;
        }
        Ok(modinfo)
    }

    /// The kernel release that it was built for.
    pub fn release(&self) -> &str {
        self.vermagic.split(' ').next().unwrap_or_default()
    }

    fn read(&mut self, entry: &[u8]) -> std::result::Result<(), String> {
        // Authors and descriptions may be in any encoding; they are not needed.
        let Some((key, value)) = str::from_utf8(entry).ok().and_then(|text| text.split_once('='))
        else {
            return Ok(());
        };
        match key {
            "depends" => self.depends = names(value)?,
            "softdep" => self.softdeps.extend(softdeps_before(value)),
            "alias" => self.aliases.push(value.to_owned()),
            "vermagic" => self.vermagic = value.to_owned(),
            _ => {}
        }
        Ok(())
    }
}

fn section(elf: &[u8]) -> std::result::Result<Option<&[u8]>, elf::ParseError> {
    let elf = ElfBytes::<AnyEndian>::minimal_parse(elf)?;
    let header = elf.section_header_by_name(".modinfo")?;
    let header = header.filter(|header| header.sh_flags & u64::from(SHF_COMPRESSED) == 0);
    header.map(|header| Ok(elf.section_data(&header)?.0)).transpose()
}

fn names(list: &str) -> std::result::Result<Vec<ModuleName>, String> {
    let names = list.split(',').filter(|name| !name.is_empty());
    names.map(|name| ModuleName::from_text(name).ok_or_else(|| bad_name(name))).collect()
}

fn bad_name(name: &str) -> String {
    format!("it depends on {name:?}, expected {}", ModuleName::expected())
}

/// The words between `pre:` and `post:`. Words before either are nobody's.
fn softdeps_before(value: &str) -> Vec<String> {
    let mut list = "";
    let mut before = Vec::new();
    for word in value.split_ascii_whitespace() {
        match word {
            "pre:" | "post:" => list = word,
            _ if list == "pre:" => before.push(word.to_owned()),
            _ => {}
        }
    }
    before
}

fn refuse(path: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::input(format!("read kernel module {path}"), cause)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An ELF file with nothing in it but a `.modinfo` section of these entries.
    pub(crate) fn module(entries: &[&str]) -> Vec<u8> {
        let modinfo: Vec<u8> =
            entries.iter().flat_map(|entry| [entry.as_bytes(), &[0]].concat()).collect();
        let names = b"\0.modinfo\0.shstrtab\0";
        let (modinfo_at, names_at) = (64, 64 + modinfo.len());
        let headers_at = names_at + names.len();
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(16, 0);
        for half in [1u16, 62] {
            elf.extend(half.to_le_bytes());
        }
        elf.extend(1u32.to_le_bytes());
        for long in [0, 0, headers_at as u64] {
            elf.extend(long.to_le_bytes());
        }
        elf.extend(0u32.to_le_bytes());
        for half in [64u16, 0, 0, 64, 3, 2] {
            elf.extend(half.to_le_bytes());
        }
        elf.extend(&modinfo);
        elf.extend(names);
        elf.extend([0; 64]);
        elf.extend(section_header(1, 1, (modinfo_at, modinfo.len())));
        elf.extend(section_header(10, 3, (names_at, names.len())));
        elf
    }

    fn section_header(name: u32, kind: u32, (at, length): (usize, usize)) -> Vec<u8> {
        let mut header = [name.to_le_bytes(), kind.to_le_bytes()].concat();
        for long in [0, 0, at as u64, length as u64, 0, 1, 0] {
            header.extend(long.to_le_bytes());
        }
        header
    }

    #[test]
    fn every_line_of_a_module_is_read() {
        let elf = module(&[
            "license=GPL",
            "author=J\u{f6}rg",
            "alias=virtio:d00000002v*",
            "alias=fs-erofs",
            "softdep=pre: crc32c sha256 post: late pre: more",
            "softdep=nobody",
            "depends=dm-mod,reed_solomon",
            "vermagic=6.1.0-42-amd64 SMP preempt mod_unload modversions ",
        ]);
        let modinfo = Modinfo::parse("a.ko", &elf).unwrap();
        let depends: Vec<_> = modinfo.depends.iter().map(ModuleName::as_str).collect();
        assert_eq!(depends, ["dm_mod", "reed_solomon"]);
        assert_eq!(modinfo.softdeps, ["crc32c", "sha256", "more"]);
        assert_eq!(modinfo.aliases, ["virtio:d00000002v*", "fs-erofs"]);
        assert_eq!(modinfo.release(), "6.1.0-42-amd64");
    }

    #[test]
    fn an_empty_list_of_dependencies_is_none() {
        let modinfo = Modinfo::parse("a.ko", &module(&["depends="])).unwrap();
        assert_eq!(modinfo, Modinfo::default());
    }

    #[test]
    fn what_is_no_module_is_refused_by_name() {
        let too_long = module(&["x"; MAX_SECTION]);
        let bad_name = module(&["depends=../../etc"]);
        for (elf, cause) in [
            (&b""[..], ""),
            (b"\x7fELF", ""),
            (&module(&[])[..60], ""),
            (&bad_name, "../../etc"),
            (&too_long, "longer than"),
        ] {
            let error = Modinfo::parse("drivers/a.ko", elf).unwrap_err().to_string();
            assert!(error.starts_with("cannot read kernel module drivers/a.ko: "), "{error}");
            assert!(error.contains(cause), "{error}");
        }
    }
}
