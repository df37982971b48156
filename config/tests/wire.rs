//! The machine forms: what their bytes are, and which bytes are refused.

use pintle_config::compile::{self, Unchecked};
use pintle_config::*;

const SYSTEM: &str = "[service.b]\ncommand = [\"/b\", \"x\"]\nrequires = [\"a\"]\nuser = 7\n\
    environment = { A = \"1\" }\n[service.a]\ncommand = [\"/a\"]\n";

fn system() -> System {
    compile::system(&[("a.toml", SYSTEM)], &Unchecked).unwrap()
}

fn update() -> System {
    let text = "[update]\nfrom = \"localhost/a:b\"\nwindow = [\"Mon..Fri 22:00-02:00\"]\n";
    compile::system(&[("a.toml", text)], &Unchecked).unwrap()
}

fn boot() -> Boot {
    compile::boot("boot.toml", "image-id = \"x\"\nmodules = [\"m\"]").unwrap()
}

fn modules() -> ModuleTable {
    let module = |name: &str, depends| Module {
        name: ModuleName::from_text(name).unwrap(),
        path: AbsolutePath::from_text("/lib/m.ko").unwrap(),
        depends,
        softdeps: vec![],
        aliases: vec!["virtio:d*".to_owned()],
    };
    ModuleTable {
        release: Line::from_text("6.12"),
        modules: vec![module("a", vec![]), module("b", vec![0])],
        roots: vec![Root { purpose: Purpose::Dm, module: 1 }],
    }
}

fn escaped(result: Result<Vec<u8>, Error>) -> String {
    result.unwrap().escape_ascii().to_string()
}

/// Where one of these changes, the format's version changes with it.
#[test]
fn each_version_is_its_bytes() {
    assert_eq!(
        escaped(boot().to_bytes()),
        r"\x02\x01x\x00\x12LABEL=pintle-state\xb0\xea\x01\x00\x00\x06\x02\x00\x90N\x01\xb0\xea\x01\xe0\xa7\x12\x88\'\x90N\x00\x02\x01\x01m"
    );
    assert_eq!(
        escaped(modules().to_bytes()),
        r"\x01\x01\x046.12\x02\x01a\t/lib/m.ko\x00\x00\x01\tvirtio:d*\x01b\t/lib/m.ko\x01\x00\x00\x01\tvirtio:d*\x01\x01\x01"
    );
    assert_eq!(
        escaped(update().to_bytes()),
        r#"\x03\x01\rpintle-update\x00\x0b/proc/1/exe\x01\x07updater\x02\x00\x00\x00\x00\x01\x00\x01d\xb0\xea\x01\x14\x00\x80\xdd\xdb\x01\x0f\x90N\x00\x00\x00\x00\x01/\x00\x00\x00\x00\x00\xc8\x01\x01\rlocalhost/a:b\x00\x00\x80\xae\xa6\n\x00\x01\x1fMon,Tue,Wed,Thu,Fri 22:00-02:00\x00\x04UTC0\x00\x04\xc0\xcf$\"/etc/ssl/certs/ca-certificates.crt\x00\x00\x01\x00\x00\x00\x00\xe0\xd4\x03\x01\x80\x88\xb2\xa0\x02\xb0\xea\x01\x80\xdc\xcc\x14\x00\x00\x00\x00\x00\x90\xbf\x05"#
    );
    assert_eq!(
        escaped(system().to_bytes()),
        r"\x03\x02\x01a\x00\x02/a\x00\x00\x00\x00\x00\x00\x01\x00\x01d\xb0\xea\x01\x14\xe0\xd4\x03\x90\xbf\x05\x0f\x90N\x00\x00\x00\x00\x01/\x00\x00\x00\x00\x00\x00\x01b\x00\x02/b\x01\x01x\x00\x00\x01\x00\x00\x00\x01\x00\x01d\xb0\xea\x01\x14\xe0\xd4\x03\x90\xbf\x05\x0f\x90N\x01\x07\x07\x00\x017\x01/\x00\x00\x01\x01A\x011\x01/\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x90\xbf\x05"
    );
}

#[test]
fn other_versions_and_nothing_are_refused() {
    let mut bytes = boot().to_bytes().unwrap();
    bytes[0] = 1;
    let error = Boot::from_bytes(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "cannot decode boot.bin: it has version 1, expected 2");
    let error = Boot::from_bytes(&[]).unwrap_err();
    assert_eq!(error.to_string(), "cannot decode boot.bin: it is empty");
}

#[test]
fn truncated_and_grown_bytes_are_refused() {
    let bytes = system().to_bytes().unwrap();
    for end in 1..bytes.len() {
        let error = System::from_bytes(&bytes[..end]).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{end}: {error}");
    }
    let grown = [&bytes[..], &[0]].concat();
    let error = System::from_bytes(&grown).unwrap_err();
    assert_eq!(error.to_string(), "cannot decode system.bin: 1 bytes follow its end");
}

#[test]
fn bytes_beyond_the_limit_are_not_looked_at() {
    let error = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(
        error(System::from_bytes(&[1; System::BYTES_MAX + 1]).map(drop)),
        "cannot use system.bin: it has 65537 bytes, of which 65536 are allowed"
    );
    assert!(matches!(Boot::from_bytes(&[1; Boot::BYTES_MAX + 1]), Err(Error::TooLong { .. })));
    let long = vec![1; ModuleTable::BYTES_MAX + 1];
    assert!(matches!(ModuleTable::from_bytes(&long), Err(Error::TooLong { .. })));
}

/// A length of 2^32 elements in a file of six bytes.
#[test]
fn a_length_that_lies_allocates_nothing() {
    let error = System::from_bytes(&[3, 0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

/// A value that its type refuses is refused in bytes too: `x` becomes an upper-case image id.
#[test]
fn values_out_of_their_range_are_refused() {
    let mut bytes = boot().to_bytes().unwrap();
    let at = bytes.iter().position(|byte| *byte == b'x').unwrap();
    bytes[at] = b'X';
    assert!(matches!(Boot::from_bytes(&bytes), Err(Error::Malformed { .. })));
}
