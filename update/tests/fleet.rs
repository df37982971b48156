//! What a small fleet makes of its registry: `cargo bench -p pintle-update --bench fleet` has a large one.
//!
//! Each check is made twice: it holds for machines with an id each, and must not hold for machines that have one id
//! together, which is what a fleet without any spread is.

#[path = "../benches/fleet/simulation/mod.rs"]
mod simulation;

use simulation::fleet::{Outcome, live};
use simulation::scenario::{Ids, STAGES, Scenario, Size, hour};
use simulation::{DAY, HOUR};

const MACHINES: u32 = 2_000;
const MINUTE: u64 = 60;

/// As many for a machine as 100,000 have of 200.
const LIMIT: u32 = 4;

type Check = fn(&Scenario, &Outcome) -> bool;

fn holds(scenario: fn(Size) -> Scenario, check: Check) {
    let size = |ids| Size { machines: MACHINES, limit: LIMIT, ids };
    let lived = |ids| {
        let scenario = scenario(size(ids));
        let outcome = live(&scenario);
        assert_eq!(outcome.out_of_turn, 0, "reboots out of turn, {}, {ids:?}", scenario.name);
        assert_eq!(outcome.impatient, 0, "Retry-After, {}, {ids:?}", scenario.name);
        check(&scenario, &outcome)
    };
    assert!(lived(Ids::OneEach));
    assert!(!lived(Ids::OneForAll), "the check holds for a fleet without spread as well");
}

#[test]
fn a_normal_day_is_even() {
    holds(Scenario::normal, |scenario, outcome| {
        let (asked, day) = (&outcome.load.asked, scenario.span());
        let four_a_day = f64::from(4 * MACHINES) / DAY as f64;
        let (mean, peak) = (asked.mean(&day), asked.peak(&day, 15 * MINUTE));
        println!("mean {mean}, peak {peak}");
        (mean - four_a_day).abs() < four_a_day / 20.0 && peak < 2.0 * mean
    });
}

/// Each stage reaches its share and no more, within an interval and a half; nobody is sent away.
#[test]
fn a_rollout_goes_in_stages() {
    holds(Scenario::rollout, |_, outcome| {
        let stages = STAGES.iter().zip([18, 30, 42, 51]);
        outcome.load.sent_away.total(&(0..hour(72))) == 0
            && stages.into_iter().all(|((_, share), end)| {
                let updated = share_updated_at(hour(end), outcome);
                println!("{share} %: {updated}");
                // Three standard deviations of a binomial distribution at its widest.
                (updated - f64::from(*share)).abs() < 3.4
            })
            && outcome.updated.len() == MACHINES as usize
    });
}

/// After six hours without a registry, machines come back little by little, and soon enough.
#[test]
fn an_outage_leads_to_no_stampede() {
    holds(Scenario::outage, |scenario, outcome| {
        let end = scenario.turning_point();
        let after = end..end + 12 * HOUR;
        let sent_away = outcome.load.sent_away.total(&after) as f64 / f64::from(MACHINES);
        let peak = outcome.load.asked.peak(&after, 15 * MINUTE);
        let during = outcome.load.asked.peak(&(hour(6)..end), 15 * MINUTE);
        println!(
            "{sent_away} sent away each, peak {peak}, during {during}, {:?}",
            outcome.served.last()
        );
        sent_away < 0.2
            && peak < f64::from(LIMIT)
            && during < f64::from(LIMIT) / 4.0
            && outcome.served.last().is_some_and(|at| *at < end + 7 * HOUR)
            && outcome.updated.len() == MACHINES as usize
    });
}

#[test]
fn a_storm_ends() {
    holds(Scenario::storm, |scenario, outcome| {
        let (asked, end) = (&outcome.load.asked, scenario.turning_point());
        let mean = asked.mean(&(hour(0)..hour(12)));
        let during = asked.peak(&(hour(12)..end), 5 * MINUTE);
        let after = asked.peak(&(end..hour(24)), 15 * MINUTE);
        println!("mean {mean}, during {during}, after {after}");
        during < 12.0 * mean && after < 4.0 * mean
    });
}

/// First checks come evenly over a quarter of an hour, and none of them is sent away.
#[test]
fn power_comes_back_to_all() {
    holds(Scenario::power_cut, |scenario, outcome| {
        let cut = scenario.turning_point();
        let even = f64::from(MACHINES) / (15 * MINUTE) as f64;
        let peak = outcome.load.asked.peak(&(cut..cut + HOUR), MINUTE);
        println!("peak {peak} of {even}");
        peak < 1.5 * even && outcome.load.sent_away.total(&(cut..hour(24))) == 0
    });
}

/// Where all must ask at once, nearly all are sent away; they come back spread over more and more time.
#[test]
fn all_ask_at_once() {
    holds(Scenario::trials, |scenario, outcome| {
        let cut = scenario.turning_point();
        let sent_away = outcome.load.sent_away.total(&(cut..hour(24))) as f64 / f64::from(MACHINES);
        let served = outcome.served.len();
        println!("{sent_away} sent away each, {served} served, {:?}", outcome.served.last());
        let all = served == MACHINES as usize;
        all && sent_away < 6.0 && outcome.served.iter().all(|at| *at < cut + 2 * HOUR)
    });
}

#[test]
fn reboots_are_spread_over_the_window() {
    holds(Scenario::window, |scenario, outcome| {
        let even = f64::from(MACHINES) / (105 * MINUTE) as f64;
        let peak = outcome.reboots.peak(&scenario.span(), 5 * MINUTE);
        println!("peak {peak} of {even}");
        peak < 2.0 * even && outcome.updated.len() == MACHINES as usize
    });
}

/// Machines that have just booted a release do not go on to the next one at once; they do so in the same night, or in
/// the one after it.
#[test]
fn a_release_is_given_its_grace() {
    holds(Scenario::two_in_a_row, |scenario, outcome| {
        let first_night = share_updated_at(hour(29), outcome);
        let peak = outcome.reboots.peak(&scenario.span(), 5 * MINUTE);
        println!("{first_night} % in the first night, peak {peak}");
        (20.0..60.0).contains(&first_night)
            && peak < f64::from(MACHINES) / (40 * MINUTE) as f64
            && outcome.updated.len() == MACHINES as usize
    });
}

/// In percent.
fn share_updated_at(second: u64, outcome: &Outcome) -> f64 {
    outcome.updated.partition_point(|at| *at < second) as f64 * 100.0 / f64::from(MACHINES)
}
