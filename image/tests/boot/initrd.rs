//! `pintle initrd` from the outside: what it makes, and what it refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const RELEASE: &str = "6.1.0-test";
const MODULES: [(&str, &str); 3] = [
    ("kernel/fs/erofs/erofs.ko", "depends=libcrc32c"),
    ("kernel/lib/libcrc32c.ko", "depends="),
    ("kernel/fs/overlayfs/overlay.ko", "alias=fs-overlay"),
];

/// A folder with all that `pintle initrd` needs: a kernel, an init, keys and a boot.toml.
struct Workbench(tempfile::TempDir);

/// What of the host differs between two runs that must make the same bytes.
struct Host {
    umask: &'static str,
    time_zone: &'static str,
    modules: Vec<(&'static str, &'static str)>,
}

impl Workbench {
    fn new(modules: &[(&str, &str)]) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let start = "__attribute__((used)) static const char boot[] = \"/pintle/boot.bin\";
            void _start(void) { for (;;) ; }";
        bench.compile(start, &["-static", "-nostdlib", "-Wl,--build-id=none"], "init");
        fs::create_dir(bench.path("keys")).unwrap();
        fs::write(bench.path("keys/a.pub"), PUBLIC_KEY).unwrap();
        fs::write(bench.path("boot.toml"), "image-id = \"org.example.test\"\n").unwrap();
        bench.make_kernel(modules);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn make_kernel(&self, modules: &[(&str, &str)]) {
        for (path, entry) in modules {
            let modinfo = format!("{entry}\\0vermagic={RELEASE} SMP ");
            let attributes = "__attribute__((section(\".modinfo\"), used))";
            let source = format!("{attributes} static const char m[] = \"{modinfo}\";");
            self.compile(&source, &["-c"], &format!("lib/modules/{RELEASE}/{path}"));
        }
        let builtin = self.path(&format!("lib/modules/{RELEASE}/modules.builtin"));
        fs::write(builtin, "kernel/fs/ext4/ext4.ko\n").unwrap();
    }

    fn compile(&self, source: &str, flags: &[&str], to: &str) {
        let to = self.path(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(self.path("source.c"), source).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(flags).arg("source.c").arg("-o").arg(&to).current_dir(&self.0);
        assert!(compiler.status().unwrap().success());
    }

    /// A Debian package of a large module, and one without modules.
    fn make_packages(&self) {
        let script = "mkdir -p meta/DEBIAN
            echo 'Package: p\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: d' \
                > meta/DEBIAN/control
            cp -r meta whole
            mkdir -p meta/usr/share/doc/p whole/lib/modules/6.1.0-test/kernel
            echo text > meta/usr/share/doc/p/copyright
            head -c 40000 /dev/urandom > whole/lib/modules/6.1.0-test/kernel/large.ko
            for package in meta whole; do dpkg-deb --root-owner-group -b $package; done";
        shell(self.0.path(), script);
    }

    fn pintle(&self) -> Command {
        let mut pintle = Command::new(env!("CARGO_BIN_EXE_pintle"));
        pintle.args("initrd -o initrd.img --init init --config boot.toml".split(' '));
        pintle.current_dir(&self.0);
        pintle
    }

    fn make(&self, more: &str) -> Output {
        self.pintle().args(more.split_whitespace()).output().unwrap()
    }

    fn make_ok(&self, more: &str) -> String {
        let output = self.make(more);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A static program that is no pintle-init.
    fn make_other_init(&self) {
        let start = "void _start(void) { for (;;) ; }";
        self.compile(start, &["-static", "-nostdlib"], "init");
    }

    fn refusal(&self, more: &str) -> String {
        let output = self.make(more);
        assert!(!output.status.success() && !self.path("initrd.img").exists(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Of the key that RFC 8032 signs its first example with.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

fn shell(folder: &Path, script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn cpio_and_zstd_accept_it_and_find_every_file() {
    let bench = Workbench::new(&MODULES);
    bench.make_ok("--keys keys --kernel . --module erofs");
    let list = shell(bench.0.path(), "zstd -tq initrd.img; zstd -dc initrd.img | cpio -t --quiet");
    let expected = "dev\ndev/console\ndev/null\ninit\nlib\nlib/modules\n\
        lib/modules/6.1.0-test\nlib/modules/6.1.0-test/kernel\nlib/modules/6.1.0-test/kernel/fs\n\
        lib/modules/6.1.0-test/kernel/fs/erofs\nlib/modules/6.1.0-test/kernel/fs/erofs/erofs.ko\n\
        lib/modules/6.1.0-test/kernel/fs/overlayfs\n\
        lib/modules/6.1.0-test/kernel/fs/overlayfs/overlay.ko\n\
        lib/modules/6.1.0-test/kernel/lib\nlib/modules/6.1.0-test/kernel/lib/libcrc32c.ko\n\
        pintle\npintle/boot.bin\npintle/keys.bin\npintle/modules.bin\nproc\nrun\nsys\n";
    assert_eq!(list, expected);
    let unpack = "mkdir x; cd x; zstd -dc ../initrd.img | cpio -i --quiet";
    let look = format!("{unpack}; stat -c %a init; cmp init ../init");
    assert_eq!(shell(bench.0.path(), &look), "755\n");
}

#[test]
fn an_unlocked_machine_may_have_a_shell() {
    let bench = Workbench::new(&MODULES);
    bench.make_ok("--keys keys --set lock=unlocked --set recovery=shell --shell init");
    let look = "mkdir x; cd x; zstd -dc ../initrd.img | cpio -i --quiet; stat -c %a bin/sh";
    assert_eq!(shell(bench.0.path(), &format!("{look}; cmp bin/sh ../init")), "755\n");
}

#[test]
fn nothing_of_the_host_shows_in_it() {
    let images = [
        Host { umask: "022", time_zone: "UTC", modules: MODULES.to_vec() },
        Host {
            umask: "077",
            time_zone: "Pacific/Kiritimati",
            modules: MODULES.into_iter().rev().collect(),
        },
    ]
    .map(|host| {
        let bench = Workbench::new(&host.modules);
        let mut shell = Command::new("sh");
        let script = format!("umask {}; chmod 700 init; exec \"$@\"", host.umask);
        shell.args(["-ec", &script, "sh"]).arg(bench.pintle().get_program());
        shell.args(bench.pintle().get_args()).args(["--keys", "keys", "--kernel", "."]);
        shell.env("TZ", host.time_zone).current_dir(&bench.0);
        assert!(shell.output().unwrap().status.success());
        fs::read(bench.path("initrd.img")).unwrap()
    });
    assert!(images[0] == images[1]);
}

#[test]
fn the_summary_adds_up() {
    let bench = Workbench::new(&MODULES);
    let json = bench.make_ok("--keys keys --kernel . --json");
    let summary: serde_json::Value = serde_json::from_str(&json).unwrap();
    let file = fs::metadata(bench.path("initrd.img")).unwrap().len();
    assert_eq!(summary["size"], file);
    assert_eq!(summary["kernel"], RELEASE);
    assert_eq!(summary["builtin"][0], "ext4");
    let parts = summary["parts"].as_array().unwrap();
    let added: u64 = parts.iter().map(|part| part["packed"].as_u64().unwrap()).sum();
    assert!(added < file && file < added + 512, "{added} of {file}");
    let library = parts.iter().find(|part| part["path"].as_str().unwrap().ends_with("crc32c.ko"));
    assert_eq!(library.unwrap()["wanted_by"][0], "erofs");
}

#[test]
fn what_would_not_boot_is_refused_and_nothing_is_written() {
    let bench = Workbench::new(&MODULES);
    fs::copy("/usr/bin/env", bench.path("dynamic")).unwrap();
    fs::write(bench.path("empty.deb"), "").unwrap();
    bench.make_packages();
    for (more, cause) in [
        ("--kernel .", "required"),
        ("--keys lib", "no file in it ends in .pub"),
        ("--keys keys --threshold 2", "the threshold is 2, and there is 1 key"),
        ("--keys keys --kernel . --module erfos", "did you mean erofs?"),
        ("--keys keys --kernel empty.deb", "empty.deb"),
        ("--keys keys --kernel meta.deb", "if it is a meta package"),
        ("--keys keys --kernel . --set verity=dm", "cannot find module dm_mod"),
        ("--keys keys --set tries=10", "expected a whole number from 1 to 9\n    tries = 10\n"),
        ("--keys keys --set lokc=unlocked", "did you mean \"lock\"?"),
        ("--keys keys --e2fsck dynamic", "linked dynamically"),
        ("--keys keys --shell init", "a locked machine gets no shell"),
        ("--keys keys --set lock=unlocked --set recovery=shell", "--shell /bin/busybox"),
        ("--keys keys --e2fsck lib/modules/6.1.0-test/kernel/lib/libcrc32c.ko", "not a program"),
    ] {
        let refusal = bench.refusal(more);
        assert!(refusal.contains(cause), "{more}: {refusal}");
    }
}

#[test]
fn another_program_is_no_init() {
    let bench = Workbench::new(&MODULES);
    bench.make_other_init();
    let refusal = bench.refusal("--keys keys --kernel .");
    assert!(refusal.contains("cannot use the init: it is no pintle-init"), "{refusal}");
}

#[test]
fn a_package_without_a_kernel_may_be_a_meta_package() {
    let bench = Workbench::new(&MODULES);
    bench.make_packages();
    let mut pintle = Command::new(env!("CARGO_BIN_EXE_pintle"));
    let output =
        pintle.args(["kernel", "meta.deb", "-o", "vmlinuz"]).current_dir(&bench.0).output();
    let refusal = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(refusal.contains("cannot find boot/vmlinuz-*: there is none in it; if it is a meta"));
}

/// A limit on files stands for a full disk.
#[test]
fn what_cannot_be_written_is_what_is_complained_of() {
    let bench = Workbench::new(&MODULES);
    bench.make_packages();
    let mut shell = Command::new("sh");
    shell.args(["-ec", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh"]).current_dir(&bench.0);
    shell.arg(bench.pintle().get_program()).args(bench.pintle().get_args());
    let output = shell.args(["--keys", "keys", "--kernel", "whole.deb"]).output().unwrap();
    let refusal = String::from_utf8(output.stderr).unwrap();
    let said = "cannot write a temporary file in .: File too large";
    assert!(refusal.contains(said), "{refusal}");
}

#[test]
fn a_mistake_in_the_boot_configuration_is_told_with_its_place() {
    let bench = Workbench::new(&MODULES);
    fs::write(bench.path("boot.toml"), "image-id = \"demo\"\ntries = \n").unwrap();
    for more in ["--keys keys", "--keys keys --set lock=unlocked"] {
        let refusal = bench.refusal(more);
        assert!(refusal.contains("\nboot.toml:2:"), "{more}: {refusal}");
    }
}

#[test]
fn a_kernel_with_everything_built_in_needs_no_modules() {
    let bench = Workbench::new(&MODULES);
    let said = bench.make_ok("--keys keys");
    assert!(said.contains("no kernel's modules"), "{said}");
    assert!(said.contains("\nno modules: only a kernel that has built in"), "{said}");
    let list = shell(bench.0.path(), "zstd -dc initrd.img | cpio -t --quiet");
    assert!(list.contains("pintle/modules.bin") && !list.contains("lib/modules"), "{list}");
}
