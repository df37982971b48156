//! The picture in `docs/fleet.md`: a panel a scenario, hours to the right, requests a second upwards.

use std::fmt::Write;

use crate::simulation::fleet::Outcome;
use crate::simulation::load::Counts;
use crate::simulation::scenario::Scenario;
use crate::simulation::{HOUR, SETTLING};

/// In pixels: a panel with what is around it, and the part that is drawn in.
const PANEL: (f64, f64) = (480.0, 190.0);
const INNER: (f64, f64) = (400.0, 125.0);
const COLUMNS: usize = 2;
const MARGIN: (f64, f64) = (44.0, 34.0);
const LEGEND: f64 = 34.0;

/// What a point of a line is the mean of, in seconds.
const STEP: u64 = 5 * 60;

/// The axis goes from one request in ten seconds to a thousand a second, in powers of ten.
const DECADES: (i32, i32) = (-1, 3);

const ASKED: &str = "#2066a8";
const SENT_AWAY: &str = "#c0392b";
const UPDATED: &str = "#3f9142";
const LIMIT: &str = "#777";

/// Draws all scenarios for a fleet of so many machines.
pub(crate) fn draw(lived: &[(Scenario, Outcome)]) -> String {
    let rows = lived.len().div_ceil(COLUMNS);
    let (width, height) = (PANEL.0 * COLUMNS as f64, PANEL.1 * rows as f64 + LEGEND);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    legend(&mut svg);
    for (number, (scenario, outcome)) in lived.iter().enumerate() {
        let (column, row) = ((number % COLUMNS) as f64, (number / COLUMNS) as f64);
        let (x, y) = (column * PANEL.0 + MARGIN.0, row * PANEL.1 + MARGIN.1 + LEGEND);
        put(&mut svg, format!("<g transform=\"translate({x} {y})\">"));
        panel(&mut svg, scenario, outcome);
        put(&mut svg, "</g>".to_owned());
    }
    svg + "</svg>\n"
}

fn legend(svg: &mut String) {
    let lines = [
        (ASKED, "requests/s"),
        (SENT_AWAY, "of these not served"),
        (LIMIT, "what the registry serves"),
        (UPDATED, "machines with the release, %"),
    ];
    for (number, (colour, text)) in lines.into_iter().enumerate() {
        let x = MARGIN.0 + 200.0 * number as f64;
        put(svg, format!("<path d=\"M{x} 20h24\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
        put(svg, format!("<text x=\"{}\" y=\"24\">{text}</text>", x + 30.0));
    }
}

fn panel(svg: &mut String, scenario: &Scenario, outcome: &Outcome) {
    put(svg, format!("<text y=\"-8\" font-weight=\"bold\">{}</text>", scenario.name));
    axes(svg, scenario);
    let limit = height_of(scenario.limit.into());
    put(
        svg,
        format!(
            "<path d=\"M0 {limit:.1}h{}\" stroke=\"{LIMIT}\" stroke-dasharray=\"4 3\"/>",
            INNER.0
        ),
    );
    line(svg, ASKED, load(scenario, &outcome.load.asked));
    line(svg, SENT_AWAY, load(scenario, &outcome.load.sent_away));
    if !scenario.tags.is_empty() {
        line(svg, UPDATED, updated(scenario, outcome));
    }
}

fn axes(svg: &mut String, scenario: &Scenario) {
    let (width, height) = INNER;
    put(svg, format!("<path d=\"M0 0v{height}h{width}V0\" stroke=\"#aaa\" fill=\"none\"/>"));
    for decade in DECADES.0..=DECADES.1 {
        let (value, y) = (10f64.powi(decade), height_of(10f64.powi(decade)));
        put(svg, format!("<path d=\"M0 {y:.1}h{width}\" stroke=\"#eee\"/>"));
        put(svg, format!("<text x=\"-5\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>", y + 4.0));
    }
    for share in [0.0, 50.0, 100.0] {
        let y = height - height * share / 100.0 + 4.0;
        put(
            svg,
            format!("<text x=\"{}\" y=\"{y:.1}\" fill=\"{UPDATED}\">{share}</text>", width + 4.0),
        );
    }
    for hour in (0..=scenario.days * 24).step_by(if scenario.days > 2 { 12 } else { 6 }) {
        let x = along(SETTLING + hour * HOUR, scenario);
        put(svg, format!("<path d=\"M{x:.1} {height}v4\" stroke=\"#aaa\"/>"));
        let y = height + 16.0;
        put(svg, format!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{hour} h</text>"));
    }
}

/// Where no request came there is no line.
fn load(scenario: &Scenario, counts: &Counts) -> Vec<Option<(f64, f64)>> {
    let span = scenario.span();
    let starts = span.clone().step_by(STEP as usize);
    let means = counts.parts(&span, STEP);
    let point = |(start, mean): (u64, f64)| {
        (mean > 0.0).then(|| (along(start + STEP / 2, scenario), height_of(mean)))
    };
    starts.zip(means).map(point).collect()
}

fn updated(scenario: &Scenario, outcome: &Outcome) -> Vec<Option<(f64, f64)>> {
    let point = |second: u64| {
        let share = outcome.updated.partition_point(|at| *at < second) as f64;
        let y = INNER.1 - INNER.1 * share / f64::from(scenario.machines);
        Some((along(second, scenario), y))
    };
    scenario.span().step_by(STEP as usize).map(point).collect()
}

fn line(svg: &mut String, colour: &str, points: Vec<Option<(f64, f64)>>) {
    let mut path = String::new();
    let mut pen = 'M';
    for point in points {
        match point {
            Some((x, y)) => {
                // Writing to a String cannot fail.
                write!(path, "{pen}{x:.1} {y:.1}").unwrap_or_default();
                pen = 'L';
            }
            None => pen = 'M',
        }
    }
    put(
        svg,
        format!("<path d=\"{path}\" stroke=\"{colour}\" fill=\"none\" stroke-width=\"1.3\"/>"),
    );
}

fn along(second: u64, scenario: &Scenario) -> f64 {
    let span = scenario.span();
    (second - span.start) as f64 / (span.end - span.start) as f64 * INNER.0
}

fn height_of(value: f64) -> f64 {
    let (low, high) = (f64::from(DECADES.0), f64::from(DECADES.1));
    let share = (value.log10() - low) / (high - low);
    INNER.1 - INNER.1 * share.clamp(0.0, 1.0)
}

fn put(svg: &mut String, text: String) {
    svg.push_str(&text);
    svg.push('\n');
}
