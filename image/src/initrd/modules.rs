use pintle_config::{Boot, ModuleName, Purpose, Value, VerityWay};

use crate::kmod::{Need, Wanted};

/// What a machine needs unless it says more: name, what for, and whether a kernel may lack it.
///
/// reed_solomon, dm_bufio and the like come as dependencies. The virtio drivers are here because
/// virtual machines are the one kind of hardware that is known beforehand. sha256_ssse3 makes the
/// checking of blocks several times faster, and is loaded for the processors that it is for.
const DEFAULTS: [(&str, Purpose, Need); 7] = [
    ("erofs", Purpose::Base, Need::Required),
    ("ext4", Purpose::Base, Need::IfPresent),
    ("overlay", Purpose::Overlay, Need::Required),
    ("sha256_ssse3", Purpose::Hardware, Need::IfPresent),
    ("virtio_blk", Purpose::Hardware, Need::IfPresent),
    ("virtio_mmio", Purpose::Hardware, Need::IfPresent),
    ("virtio_pci", Purpose::Hardware, Need::IfPresent),
];

/// What dm-verity over a loop device needs.
const DM: [&str; 3] = ["dm_mod", "dm_verity", "loop"];

/// The driver of virtio ports, which the report is written to.
const PORTS: &str = "virtio_console";

/// The modules that `boot` needs, and `more`: those are loaded when their device is there, or
/// always if they name no devices.
///
/// fs-verity is never a module, and EROFS is needed for both ways.
pub fn wanted_modules(boot: &Boot, more: &[ModuleName]) -> Vec<Wanted> {
    let defaults = DEFAULTS.iter().map(|(name, purpose, need)| known(name, *purpose, *need));
    let dm_need = dm_need(boot.verity).into_iter();
    let dm = dm_need.flat_map(|need| DM.iter().map(move |name| known(name, Purpose::Dm, need)));
    let ports = boot.report.iter().map(|_| known(PORTS, Purpose::Hardware, Need::IfPresent));
    let configured = boot.modules.iter().map(|module| named(module, Some(Purpose::Base)));
    let more = more.iter().map(|module| named(module, None));
    defaults.chain(dm).chain(ports).chain(configured).chain(more).collect()
}

fn dm_need(way: VerityWay) -> Option<Need> {
    match way {
        VerityWay::Auto => Some(Need::IfPresent),
        VerityWay::Dm => Some(Need::Required),
        VerityWay::Fs => None,
    }
}

fn known(name: &str, purpose: Purpose, need: Need) -> Wanted {
    let module = ModuleName::from_text(name).expect("the tables above hold names of modules");
    Wanted { module, purpose: Some(purpose), need }
}

fn named(module: &ModuleName, purpose: Option<Purpose>) -> Wanted {
    Wanted { module: module.clone(), purpose, need: Need::Required }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pintle_config::compile;

    fn wanted(keys: &str) -> Vec<(String, Option<Purpose>, Need)> {
        let boot = compile::boot("boot.toml", &format!("image-id = \"a\"\n{keys}")).unwrap();
        let more = [ModuleName::from_text("nvme").unwrap()];
        let wanted = wanted_modules(&boot, &more).into_iter();
        wanted.map(|wanted| (wanted.module.to_string(), wanted.purpose, wanted.need)).collect()
    }

    #[test]
    fn dm_verity_is_wanted_as_far_as_the_way_allows_it() {
        let verity = |need| ("dm_verity".to_owned(), Some(Purpose::Dm), need);
        assert!(wanted("verity = \"dm\"").contains(&verity(Need::Required)));
        assert!(wanted("verity = \"auto\"").contains(&verity(Need::IfPresent)));
        let fs = wanted("verity = \"fs\"");
        assert!(!fs.iter().any(|(_, purpose, _)| *purpose == Some(Purpose::Dm)));
        assert!(fs.contains(&("erofs".to_owned(), Some(Purpose::Base), Need::Required)));
    }

    #[test]
    fn a_report_wants_the_driver_of_its_port() {
        let console = ("virtio_console".to_owned(), Some(Purpose::Hardware), Need::IfPresent);
        assert!(wanted("report = \"org.pintle.report\"").contains(&console));
        assert!(!wanted("").contains(&console));
    }

    #[test]
    fn modules_of_the_configuration_are_always_loaded_and_others_as_their_kind_says() {
        let wanted = wanted("modules = [\"i6300esb\"]");
        assert!(wanted.contains(&("i6300esb".to_owned(), Some(Purpose::Base), Need::Required)));
        assert!(wanted.contains(&("nvme".to_owned(), None, Need::Required)));
    }
}
