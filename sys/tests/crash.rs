//! A program that crashes in five ways in a row, and lives on after each.
//!
//! Not run by the standard harness: the program that executes itself again must have one thread
//! and an argument list of its own.

use pintle_sys::crash::{Revival, install};
use pintle_sys::spawn::StringArray;
use std::ffi::CString;
use std::fs::OpenOptions;
use std::process::{Command, ExitCode};

/// What kills each life; the last one ends well.
const DEATHS: [fn(); 6] = [touch_nothing, overflow_stack, abort, panic_away, touch_nothing, live];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (Some("life"), Some(number), Some(log)) => live_and_die(number.parse().unwrap(), &log),
        _ => survives_five_crashes(),
    }
}

fn survives_five_crashes() -> ExitCode {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("kmsg");
    let myself = std::env::current_exe().unwrap();
    let status = Command::new(myself).args(["life", "0"]).arg(&log).status().unwrap();
    assert!(status.success(), "the last life ended with {status}");
    let log = std::fs::read_to_string(log).unwrap();
    let crashes: Vec<_> = log.lines().map(|line| line.split(' ').nth(3).unwrap()).collect();
    assert_eq!(crashes, ["SIGSEGV", "SIGSEGV", "SIGABRT", "SIGABRT", "SIGSEGV"], "{log}");
    assert!(log.starts_with("<26>pintle-init: crashed with SIGSEGV (0x10),"), "{log}");
    println!("test survives_five_crashes ... ok");
    ExitCode::SUCCESS
}

fn live_and_die(number: usize, log: &str) -> ExitCode {
    let text = |text: &str| CString::new(text).unwrap();
    let next = (number + 1).to_string();
    let words = ["life", "life", &next, log].map(text).to_vec();
    let kmsg = OpenOptions::new().append(true).create(true).open(log).unwrap();
    let (arguments, environment) = (StringArray::new(words), StringArray::new(Vec::new()));
    install(Revival { log: kmsg.into(), arguments, environment }).unwrap();
    DEATHS[number]();
    ExitCode::SUCCESS
}

fn touch_nothing() {
    // SAFETY: there is none; the test is that the fault which this makes is survived.
    let value = unsafe { std::ptr::without_provenance::<u8>(0x10).read_volatile() };
    println!("read {value}");
}

fn overflow_stack() {
    #[expect(unconditional_recursion, reason = "the stack is to overflow")]
    fn deeper(filler: [u64; 64]) -> u64 {
        std::hint::black_box(deeper(std::hint::black_box(filler)) + filler[0])
    }
    println!("{}", deeper([1; 64]));
}

fn abort() {
    std::process::abort();
}

/// In the machine's binary a panic aborts by itself.
fn panic_away() {
    std::panic::catch_unwind(|| panic!("a test's panic")).unwrap_or_else(|_| abort());
}

fn live() {}
