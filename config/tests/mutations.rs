//! The invariants of the fuzz targets, on a fixed number of mutations of good inputs.

mod invariants;

use std::fs;
use std::path::Path;

use invariants::{
    Verdict, a_locked_machine_stays_locked, accounts_are_found_or_missed,
    bytes_decode_or_are_refused, text_compiles_or_is_explained,
};
use pintle_config::compile::{self, Unchecked};
use pintle_config::{AbsolutePath, Line, Module, ModuleName, ModuleTable, Value};

/// Each kind of input gets so many mutations; they are the same in every run.
const MUTATIONS: usize = 20_000;

#[test]
fn any_text_compiles_or_is_explained() {
    let texts = mutations(texts(), WORDS_OF_TOML);
    are_of_both_kinds(
        texts.map(|bytes| text_compiles_or_is_explained(&String::from_utf8_lossy(&bytes))),
    );
}

#[test]
fn any_bytes_decode_or_are_refused() {
    let binaries = mutations(binaries(), WORDS_OF_POSTCARD);
    are_of_both_kinds(binaries.map(|bytes| bytes_decode_or_are_refused(&bytes)));
}

#[test]
fn any_accounts_are_found_or_missed() {
    let files = mutations(vec![ACCOUNTS.to_vec()], WORDS_OF_ACCOUNTS);
    are_of_both_kinds(files.map(|bytes| accounts_are_found_or_missed(&bytes)));
}

#[test]
fn no_command_line_unlocks_a_machine() {
    let lines = mutations(vec![LINE.to_vec()], WORDS_OF_CMDLINE);
    are_of_both_kinds(lines.map(|bytes| a_locked_machine_stays_locked(&bytes)));
}

/// One in a hundred at least is accepted and refused, else the mutations would show little.
fn are_of_both_kinds(verdicts: impl Iterator<Item = Verdict>) {
    let (accepted, refused): (Vec<_>, Vec<_>) = verdicts.partition(|v| *v == Verdict::Accepted);
    let counts = [accepted.len(), refused.len()];
    assert!(counts.iter().all(|count| *count >= MUTATIONS / 100), "{counts:?}");
}

const LINE: &[u8] = b"quiet pintle.verity=dm pintle.state=\"LABEL=my state\" pintle.watchdog=off \
    pintle.entry=42_1.4.0 pintle.shell=stage1 pintle.recovery=shell pintle.log=debug -- single";

const ACCOUNTS: &[u8] = b"root:x:0:0::/root:/bin/sh\nweb:x:33:33::/var/www:/bin/false\n\n\
    root:x:0:\nvideo:x:44:web,root\nweb:x:33:\n";

const WORDS_OF_ACCOUNTS: &[&str] =
    &[":", ",", "\n", "web", "video", "4294967295", "-1", "00", "\0", "ä", "+", "::::::"];

const WORDS_OF_TOML: &[&str] = &[
    "[service.a]\n",
    "[system]\n",
    "[update]\n",
    "from = \"localhost/a:b\"\n",
    "Mon..Fri 02:00-04:00",
    "command = [\"/a\"]\n",
    "requires = [\"a\"]\n",
    "\"",
    "'''",
    "[[",
    "]",
    "=",
    "\n",
    "#",
    "{",
    "}",
    ".",
    ",",
    "\\u0000",
    "-1",
    "99999999999999999999",
    "\"1ms\"",
    "\"SIGKILL\"",
    "1979-05-27",
    "nan",
    "ä",
    "\u{feff}",
    "\r\n",
    "recovery = \"shell\"\n",
    "after = [\"b\"]\n[service.b]\nafter = [\"a\"]\n",
];

const WORDS_OF_POSTCARD: &[&str] =
    &["\0", "\x01", "\x7f", "\u{80}", "../", "/a\0", "\u{ffff}", "\x02\x03", "Sun 24:00-"];

const WORDS_OF_CMDLINE: &[&str] = &[
    " ",
    "\"",
    "=",
    "--",
    "pintle.",
    "pintle.etc=transient",
    "pintle.corruption=alert",
    "\t",
    "\x1b",
    "\u{a0}",
    "pintle-state",
    "_",
    "off",
    "pintle.report=a.b",
];

fn texts() -> Vec<Vec<u8>> {
    let names = [
        "kiosk.system.toml",
        "inline.system.toml",
        "update.system.toml",
        "all.boot.toml",
        "minimal.boot.toml",
    ];
    names.map(|name| text(name).into_bytes()).to_vec()
}

/// Without an image no account has a name.
fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good").join(name);
    fs::read_to_string(path)
        .unwrap()
        .replace("Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3")
        .replace("\"web\"", "33")
        .replace("\"video\"", "44")
}

fn binaries() -> Vec<Vec<u8>> {
    let system = [text("kiosk.system.toml"), text("update.system.toml")].concat();
    let system = compile::system(&[("a.toml", &system)], &Unchecked).unwrap();
    let boot = compile::boot("boot.toml", "image-id = \"a\"\nmodules = [\"b\", \"c\"]").unwrap();
    [system.to_bytes(), boot.to_bytes(), modules().to_bytes()].map(Result::unwrap).to_vec()
}

fn modules() -> ModuleTable {
    let module = |name: &str, depends| Module {
        name: ModuleName::from_text(name).unwrap(),
        path: AbsolutePath::from_text("/lib/m.ko").unwrap(),
        depends,
        softdeps: vec![],
        aliases: vec!["virtio:d*".to_owned()],
    };
    let modules = vec![module("a", vec![]), module("b", vec![0]), module("c", vec![0, 1])];
    ModuleTable { release: Line::from_text("6.12"), modules, roots: vec![] }
}

/// Good inputs with one to four changes each.
fn mutations(seeds: Vec<Vec<u8>>, words: &'static [&str]) -> impl Iterator<Item = Vec<u8>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    (0..MUTATIONS).map(move |_| {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, words, &mut random);
        }
        bytes
    })
}

fn mutate(bytes: &mut Vec<u8>, words: &[&str], random: &mut Random) {
    let (start, end) = random.range(bytes.len());
    match random.below(5) {
        0 => drop(bytes.drain(start..end)),
        1 => drop(bytes.splice(start..start, words[random.below(words.len())].bytes())),
        2 => bytes.splice(start..end, words[random.below(words.len())].bytes()).for_each(drop),
        3 => bytes.extend_from_within(start..end),
        _ => bytes[start..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
    }
}

/// Marsaglia's xorshift64: the same numbers in every run and on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    /// A range of at most 32 bytes.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length + 1);
        (start, length.min(start + self.below(33)))
    }
}
