//! Keys that no machine must be given.

use crate::workshop::Workshop;

/// A SubjectPublicKeyInfo of 32 bytes in PEM.
fn public_key(base64: &str) -> String {
    let prefix = "MCowBQYDK2VwAyEA";
    format!("-----BEGIN PUBLIC KEY-----\n{prefix}{base64}\n-----END PUBLIC KEY-----\n")
}

#[test]
fn a_weak_key_is_refused_by_every_command_that_takes_keys() {
    let workshop = Workshop::of_a_machine();
    workshop.pintle("build dir:rootfs --key ours.key -o out").said();
    std::fs::write(workshop.path("boot.toml"), "image-id = \"demo\"\n").unwrap();
    // A static program that knows where pintle-init finds its configuration.
    let mut init = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    init.extend(b"/pintle/boot.bin");
    std::fs::write(workshop.path("init"), init).unwrap();
    let initrd = "initrd --init init --config boot.toml -o initrd.img";
    for (base64, weakness) in [
        // y = 0, of order 4.
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "a point of small order"),
        // y = 1, the neutral element.
        ("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "a point of small order"),
        // y = 2.
        ("AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "no point of the curve"),
    ] {
        std::fs::write(workshop.path("weak.pub"), public_key(base64)).unwrap();
        for command in ["verify out", initrd] {
            let refused = workshop.pintle(&format!("{command} --keys weak.pub")).complained();
            assert!(refused.contains("weak.pub") && refused.contains(weakness), "{refused}");
        }
        assert!(!workshop.path("initrd.img").exists());
    }
    workshop.pintle(&format!("{initrd} --keys ours.pub")).said();
}
