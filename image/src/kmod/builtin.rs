use std::collections::BTreeSet;

use pintle_config::ModuleName;

use super::store::module_name;

/// The modules that are part of the kernel itself, and what they answer to.
#[derive(Debug, Default)]
pub(super) struct Builtin {
    names: BTreeSet<ModuleName>,
    aliases: BTreeSet<String>,
}

impl Builtin {
    /// Takes in `modules.builtin`: a path of a `.ko` that was never made in each line.
    pub(super) fn read_names(&mut self, list: &[u8]) {
        self.names.extend(String::from_utf8_lossy(list).lines().filter_map(module_name));
    }

    /// Takes in `modules.builtin.modinfo`: `name.key=value`, ended by NUL.
    pub(super) fn read_modinfo(&mut self, entries: &[u8]) {
        let entries = entries.split(|&byte| byte == 0).filter_map(|e| str::from_utf8(e).ok());
        self.aliases.extend(entries.filter_map(alias).map(str::to_owned));
    }

    pub(super) fn has(&self, name: &ModuleName) -> bool {
        self.names.contains(name)
    }

    pub(super) fn answers_to(&self, alias: &str) -> bool {
        self.aliases.contains(alias)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &ModuleName> {
        self.names.iter()
    }
}

fn alias(entry: &str) -> Option<&str> {
    let (key, value) = entry.split_once('=')?;
    let (_, key) = key.split_once('.')?;
    (key == "alias").then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pintle_config::Value;

    #[test]
    fn names_and_aliases_of_what_is_built_in_are_known() {
        let mut builtin = Builtin::default();
        builtin.read_names(b"kernel/fs/ext4/ext4.ko\nkernel/drivers/md/dm-mod.ko\nrubbish\n");
        builtin.read_modinfo(b"ext4.alias=fs-ext4\0ext4.author=J\xf6rg\0ext4.license=alias=no\0");
        assert!(builtin.has(&ModuleName::from_text("dm_mod").unwrap()));
        assert_eq!(builtin.names().count(), 2);
        assert!(builtin.answers_to("fs-ext4"));
        assert!(!builtin.answers_to("no"));
    }
}
