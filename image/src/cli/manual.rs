//! The manual pages of `pintle`, made from the command line's own definition.
//!
//! `PINTLE_BLESS=1 cargo test -p pintle-image manual` writes them anew.

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::path::Path;
use std::{env, fs, io, process};

#[test]
fn docs_man_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/man");
    for (name, page) in pages() {
        let file = folder.join(&name);
        if env::var_os("PINTLE_BLESS").is_some() {
            fs::write(&file, &page).unwrap();
        }
        let stands = fs::read_to_string(&file).unwrap_or_default();
        assert!(stands == page, "docs/man/{name} is not current; PINTLE_BLESS=1 writes it anew");
    }
}

#[test]
fn mandoc_has_nothing_to_say_against_any_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/man");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.collect();
    assert!(files.len() > pages().len(), "those written by hand are missing: {files:?}");
    let checked = process::Command::new("mandoc").args(["-T", "lint"]).args(&files).output();
    let said = String::from_utf8(checked.expect("mandoc").stdout).unwrap();
    // Which other pages are installed is the host's affair.
    let faults = said.lines().filter(|line| !line.contains("referenced manual not found"));
    assert_eq!(faults.collect::<Vec<_>>(), [""; 0]);
}

/// pintle(1), and a page for each command, by the names of their files.
fn pages() -> Vec<(String, String)> {
    let mut whole = super::Cli::command().disable_help_subcommand(true);
    whole.build();
    whole.get_subcommands().chain([&whole]).map(page).collect()
}

/// When what the program is called by changed last.
const DATE: &str = "2026-11-25";

fn page(command: &Command) -> (String, String) {
    let man = Man::new(command.clone());
    let name = man.get_filename();
    let title = name.trim_end_matches(".1").to_uppercase();
    let man = man.title(title).date(DATE).source("pintle").manual("pintle");
    let mut page = Vec::new();
    render(&man, command, &mut page).unwrap();
    (name, filled(&String::from_utf8(page).unwrap()) + &examples(command))
}

fn render(man: &Man, command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    match command.has_subcommands() {
        true => man.render_subcommands_section(page),
        false => Ok(()),
    }
}

fn examples(command: &Command) -> String {
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in help.lines().skip(1) {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []).to_roff()
}

/// The page with its text in short lines, each sentence on its own, as roff has it.
fn filled(page: &str) -> String {
    let lines = page.lines().flat_map(|line| match line.starts_with(['.', '\'']) {
        true => vec![line.to_owned()],
        false => line.split_inclusive(". ").flat_map(wrapped).collect(),
    });
    lines.map(|line| line + "\n").collect()
}

/// A sentence in lines of at most 72 bytes, as far as its words allow.
fn wrapped(sentence: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in sentence.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < 72 => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
