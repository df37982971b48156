//! `cargo bench -p pintle-update --bench fleet`: what 100,000 machines make of a registry. Draws `docs/images/fleet.svg`, and
//! fails where a machine reboots out of turn, does not wait when it is asked to, or is left behind.

mod plot;
mod simulation;

use simulation::fleet::{Outcome, live};
use simulation::scenario::{Ids, Scenario, Size};

const SIZE: Size = Size { machines: 100_000, limit: 200, ids: Ids::OneEach };

const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images/fleet.svg");

const HEADINGS: [&str; 2] = [
    "what happens, and then        requests/s: mean,    peak of 1 s,   1 min     not    left   served after, h:min   updated after, h:min",
    "                                                                         served   again    50 %   95 %  100 %      50 %   95 %  100 %",
];

fn main() -> std::io::Result<()> {
    println!("{} machines, a registry that serves {} requests/s\n", SIZE.machines, SIZE.limit);
    println!("{}", HEADINGS.join("\n"));
    let mut lived = Vec::new();
    for scenario in Scenario::all(SIZE) {
        let outcome = live(&scenario);
        println!("{}", row(&scenario, &outcome));
        check(&scenario, &outcome);
        lived.push((scenario, outcome));
    }
    std::fs::write(PICTURE, plot::draw(&lived))
}

fn check(scenario: &Scenario, outcome: &Outcome) {
    let name = scenario.name;
    assert_eq!(outcome.out_of_turn, 0, "{name}: reboots out of turn");
    assert_eq!(outcome.impatient, 0, "{name}: requests before the time that Retry-After said");
    let updated = if scenario.tags.is_empty() { 0 } else { SIZE.machines as usize };
    assert_eq!(outcome.updated.len(), updated, "{name}: machines with the release");
}

fn row(scenario: &Scenario, outcome: &Outcome) -> String {
    let (asked, span, from) = (&outcome.load.asked, scenario.span(), scenario.turning_point());
    let sent_away = &outcome.load.sent_away;
    format!(
        "{:<39}{:>9.1}{:>15.0}{:>8.1}{:>8}{:>8}{}   {}",
        scenario.name,
        asked.mean(&span),
        asked.peak(&span, 1),
        asked.peak(&span, 60),
        sent_away.total(&span),
        sent_away.total(&(from..span.end)),
        times(&outcome.served, from),
        times(&outcome.updated, from),
    )
}

/// How long after `from` 50, 95 and 100 percent of the machines are among `times`.
fn times(times: &[u64], from: u64) -> String {
    let after = |percent: usize| {
        let count = (SIZE.machines as usize * percent).div_ceil(100);
        times.get(count - 1).map_or("-".to_owned(), |at| match at.checked_sub(from) {
            Some(seconds) => {
                let minutes = seconds.div_ceil(60);
                format!("{}:{:02}", minutes / 60, minutes % 60)
            }
            None => "before".to_owned(),
        })
    };
    [50, 95, 100].map(|percent| format!("{:>7}", after(percent))).concat()
}
