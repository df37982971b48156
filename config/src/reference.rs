//! The reference pages and example files, made from the tables that the parsers are made from.

use crate::boot::Boot;
use crate::cmdline::{CmdlineOption, OPTIONS, PREFIX, Weakens};
use crate::compile::{Default, Key};
use crate::service::Service;
use crate::system::System;
use crate::update::Update;
use crate::value::Choice;

/// A file of `docs/reference`.
#[derive(Clone, Debug)]
pub struct Page {
    /// The file's name.
    pub name: &'static str,
    /// All that it says.
    pub text: String,
}

/// All files of `docs/reference` that come from the tables.
pub fn pages() -> [Page; 5] {
    [
        Page { name: "system.md", text: system_page() },
        Page { name: "boot.md", text: boot_page() },
        Page { name: "cmdline.md", text: cmdline_page() },
        Page { name: "system.example.toml", text: system_example() },
        Page { name: "boot.example.toml", text: boot_example() },
    ]
}

const SYSTEM_INTRO: &str = "\
# System, updates and services

An image says what it does in `/usr/lib/pintle/*.toml`. `pintle build` checks all of these files
together, shows every mistake with file, line and column, and compiles them into
`/usr/lib/pintle/system.bin`, which is what the machine reads. `[system]`, `[update]` and each
`[service.NAME]` stand once, in any of the files.

An image with `[update]` keeps itself up to date from a registry, and must have the worker that
does so, `/usr/lib/pintle/pintle-fetch`. Without `[update]` a machine is updated by `pintlectl install` alone.

A service's name has at most 64 letters, digits, `-` and `_`, and starts with a letter or a digit.
There are at most 256 services, and compiled they have at most 64 KiB.

Services start as soon as those are ready that they name in `requires`, `wants` and `after`, all
three of which also give the order; a service that waits for itself is a mistake. They stop in the
reverse order.

What a service writes to its standard output and error goes to the kernel log, a record a write,
unless it has a `tty`. The machine's report says how each of its processes ended. A service is `down`,
`starting`, `up`, `done` (a oneshot), `ended` (by itself, with success), `pausing` (until its next
start), `stopping`, `killing`, or `failed` for good. Services find `pintlectl` at the end of their
`PATH`.

The machine's `/var` is its own and starts empty: what the image has there is not seen. A service
that wants directories below it makes them, or requires a oneshot that does.
";

const BOOT_INTRO: &str = "\
# Boot configuration

`boot.toml` says how a machine finds, checks and tries its images. `pintle initrd` checks it and
compiles it into the initramfs, so that it is as trusted as the initramfs is. Some of it can be set
on the [kernel command line](cmdline.md) too.
";

const CMDLINE_INTRO: &str = "\
# Kernel command line

Options are written `pintle.NAME=VALUE`, separated and quoted as the kernel does it
(`pintle.state=\"LABEL=my state\"`); `-` and `_` in a name are the same, the last of several holds, and
what follows `--` is not read. An option stands in for the key of the [boot configuration](boot.md)
that is named with it.

No option stops a boot: unknown options and wrong values are ignored and reported. A locked machine
also ignores, and reports, every option that could weaken it.
";

fn system_page() -> String {
    let system = section("`[system]`", System::KEYS);
    let update = section("`[update]`", Update::KEYS);
    let service = section("`[service.NAME]`", Service::KEYS);
    format!("{GENERATED}{SYSTEM_INTRO}\n{system}\n{update}\n{service}")
}

fn boot_page() -> String {
    format!("{GENERATED}{BOOT_INTRO}\n{}", section("Keys", Boot::KEYS))
}

fn cmdline_page() -> String {
    let rows: String = OPTIONS.iter().map(option_row).collect();
    let entries: String = OPTIONS.iter().map(option_entry).collect();
    format!(
        "{GENERATED}{CMDLINE_INTRO}\n## Options\n\n| option | on a locked machine | |\n|---|---|---|\n\
         {rows}{entries}"
    )
}

const GENERATED: &str = "<!-- Made from the tables in config/src by `cargo run -p pintle-config --example reference`. -->\n\n";

fn section(title: &str, keys: &[Key]) -> String {
    let rows: String = keys.iter().map(key_row).collect();
    let entries: String = keys.iter().map(key_entry).collect();
    format!("## {title}\n\n| key | default | |\n|---|---|---|\n{rows}{entries}")
}

fn key_row(key: &Key) -> String {
    format!("| `{}` | {} | {} |\n", key.name, default_in_words(key.default), short(key.doc))
}

fn key_entry(key: &Key) -> String {
    let Key { name, doc, .. } = key;
    let value = (key.expected)();
    let default = match key.default {
        Default::Required { example } => format!("Required, as in `{name} = {example}`."),
        Default::None { example } => format!("Default: none. Example: `{name} = {example}`."),
        Default::Toml(text) => format!("Default: `{text}`."),
    };
    let text = format!("\n### `{name}`\n\n{}\n\nValue: {value}. {default}\n", short(doc));
    text + &choices((key.choices)()) + &long(doc)
}

fn default_in_words(default: Default) -> String {
    match default {
        Default::Required { .. } => "required".to_owned(),
        Default::None { .. } => "none".to_owned(),
        Default::Toml(text) => format!("`{text}`"),
    }
}

fn option_row(option: &CmdlineOption) -> String {
    let CmdlineOption { name, doc, .. } = option;
    let locked = match option.weakens {
        Weakens::Yes => "ignored",
        Weakens::No => "holds",
    };
    format!("| `{PREFIX}{name}` | {locked} | {} |\n", short(doc))
}

fn option_entry(option: &CmdlineOption) -> String {
    let CmdlineOption { name, doc, .. } = option;
    let value = (option.expected)().replace('"', "");
    let stands_for = match option.replaces {
        Some(key) => format!("Stands in for [`{key}`](boot.md#{key})."),
        None => "Has no key in the boot configuration.".to_owned(),
    };
    let locked = match option.weakens {
        Weakens::Yes => " A locked machine ignores it.",
        Weakens::No => "",
    };
    let text = format!("\n### `{PREFIX}{name}`\n\n{}\n\n", short(doc));
    let facts = format!("Value: {value}. {stands_for}{locked}\n");
    text + &facts + &choices((option.choices)()) + &long(doc)
}

fn choices(choices: &[Choice]) -> String {
    let mut text = String::new();
    for Choice { text: name, doc } in choices {
        text += &format!("\n- `{name}`: {}", doc.trim());
    }
    if text.is_empty() { text } else { format!("{text}\n") }
}

fn system_example() -> String {
    let system = example_keys(System::KEYS);
    let update = example_keys(Update::KEYS);
    let service = example_keys(Service::KEYS);
    format!("{EXAMPLE}\n[system]\n{system}\n[update]\n{update}\n[service.app]\n{service}")
}

fn boot_example() -> String {
    format!("{EXAMPLE}{}", example_keys(Boot::KEYS))
}

const EXAMPLE: &str = "\
# Every key, with its default; keys without one have an example.
# Made from the tables in config/src by `cargo run -p pintle-config --example reference`.
";

fn example_keys(keys: &[Key]) -> String {
    keys.iter().map(example_key).collect()
}

fn example_key(key: &Key) -> String {
    let Key { name, doc, .. } = key;
    let line = match key.default {
        Default::Required { example } => format!("{name} = {example}"),
        Default::None { example } => format!("#{name} = {example}"),
        Default::Toml(text) => format!("#{name} = {text}"),
    };
    format!("\n# {}\n# Value: {}.\n{line}\n", short(doc), (key.expected)())
}

/// The first paragraph of a doc comment, as one line.
fn short(doc: &[&str]) -> String {
    doc.split(|line| line.is_empty()).next().map(join).unwrap_or_default()
}

/// The paragraphs of a doc comment after the first, each on a line.
fn long(doc: &[&str]) -> String {
    doc.split(|line| line.is_empty()).skip(1).map(|lines| format!("\n{}\n", join(lines))).collect()
}

fn join(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doc_comment_is_a_line_and_paragraphs() {
        let doc = [" A line", " that goes on.", "", " A paragraph.", "", " Another", " one."];
        assert_eq!(short(&doc), "A line that goes on.");
        assert_eq!(long(&doc), "\nA paragraph.\n\nAnother one.\n");
        assert_eq!(long(&[" A line."]), "");
    }
}
