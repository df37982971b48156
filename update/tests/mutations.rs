//! The invariants of the fuzz targets, on a fixed number of mutations of good inputs.

#[path = "../../verify/tests/mutation/change.rs"]
mod change;
mod invariants;

use change::{Random, mutate};
use invariants::{names_are_read_in_one_way, trust_is_read_in_one_way, zones_go_as_jiff_says};

/// Each kind of input gets so many mutations; they are the same in every run.
const MUTATIONS: usize = 20_000;

#[test]
fn names_in_images() {
    let seeds = [
        "42_1.4.0\n43_1.5.0+3-0\n",
        "18446744073709551615_z~^-.9+0-9\n0_A+0-0\n0_A+9-9\n0_A\n",
        "7_a+1-2\n7_a+2-1\n7_b\n6_0+0-1\n",
    ];
    run(&seeds, names_are_read_in_one_way);
}

#[test]
fn names_in_trust() {
    let digest = "0123456789abcdef".repeat(4);
    let bad: String = (1..=64).map(|number| format!("bad-{number}-{digest}\n")).collect();
    let seeds = [
        "clean\nfloor-10\nfloor-9\n",
        "running-42-3-1\nrunning-42-0-0\nfloor-1\nfloor-18446744073709551615\n",
        &format!("floor-7\nrunning-18446744073709551615-1-0\nbad-7-{digest}\n"),
        &bad,
    ];
    run(&seeds, trust_is_read_in_one_way);
}

#[test]
fn time_zone_rules() {
    let seeds = [
        "UTC0",
        "<+0330>-3:30",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "AAA1:02:03BBB,J60/-167,300/167:59:59",
    ];
    run(&seeds, zones_go_as_jiff_says);
}

/// What is inserted: what names and rules are made of, and what they are not.
const ODD: &[u8] = b"0123456789_+-~/.a\n\0\xff,:MJ<>";

/// Good and odd names must both occur, else the mutations would show little.
fn run(seeds: &[&str], invariant: fn(&str) -> bool) {
    seeds.iter().for_each(|seed| assert!(invariant(seed), "{seed}"));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let good = (0..MUTATIONS).filter(|_| invariant(&mutation(seeds, &mut random))).count();
    assert!((MUTATIONS / 200..MUTATIONS - MUTATIONS / 200).contains(&good), "{good}");
}

/// A good input with one to three changes.
fn mutation(seeds: &[&str], random: &mut Random) -> String {
    let mut bytes = seeds[random.below(seeds.len())].as_bytes().to_vec();
    (0..=random.below(3)).for_each(|_| mutate(&mut bytes, ODD, random));
    String::from_utf8_lossy(&bytes).into_owned()
}
