//! The report as one page that needs nothing else: no network, no script.

mod sections;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{reproduce, svg, verdict, words};
use crate::report::{Outcome, RunReport};

/// The style sheet of the page; that of the drawings follows it.
const STYLE: &str = include_str!("page/style.css");

/// A page that shows the whole run. It follows the light or dark scheme of whoever shows it, reads
/// on a phone and on a desk, and loads nothing.
#[must_use]
pub fn html(report: &RunReport) -> String {
    let (_, word) = verdict(report.outcome);
    let title = format!("{word}: {}, seed {}", report.name, report.scenario.seed);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="plexmesh-sim";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(svg::STYLE)) }
            }
            body {
                (header(report))
                main {
                    (sections::promises(report))
                    (plots(report))
                    (sections::detections(report))
                    (sections::traffic(report))
                    (sections::told(report))
                    (sections::happenings(report))
                    (sections::scenario(report))
                    (sections::glossary(report))
                }
            }
        }
    };
    words::valid(page.into_string())
}

fn header(report: &RunReport) -> Markup {
    let (sign, word) = verdict(report.outcome);
    let class = match report.outcome {
        Outcome::Held => "verdict held",
        Outcome::Broken => "verdict broken",
        Outcome::Interrupted => "verdict interrupted",
    };
    let scenario = &report.scenario;
    let healed = match report.healed_seconds {
        Some(_) => format!("after {}", words::seconds(report.healed_seconds)),
        None => "no".to_owned(),
    };
    let speed = words::events_rate(report.wall.events_per_second);
    let facts = [
        ("Seed", scenario.seed.to_string()),
        ("Peers", words::count(scenario.peers as u64)),
        ("Virtual time", words::clock(report.virtual_seconds)),
        ("All agreed", healed),
        ("Events", words::count(report.events)),
        ("Wall time", format!("{:.1} s", report.wall.seconds)),
        ("Speed", speed),
    ];
    html! {
        header {
            h1 { span class=(class) { (sign) " " (word) } " " (report.name) }
            @if !scenario.title.is_empty() { p.lead { (scenario.title) } }
            dl.facts {
                @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
            }
            dl.long {
                dt { "Reproduce" }
                dd { code { (reproduce(report)) } }
                dt { "Event hash" }
                dd { code { (report.event_hash) } }
            }
        }
    }
}

fn plots(report: &RunReport) -> Markup {
    html! {
        section {
            h2 { "Plots" }
            div.plots {
                @for figure in svg::all(report) {
                    figure {
                        h3 { (figure.title) }
                        (figure.inline())
                        figcaption { (figure.about) }
                    }
                }
            }
            p.note {
                "Ground of plots over time: the phases settle, faults and healed. Marks at the foot "
                "of a plot: something happened; the list below says what. Point at a plot to read "
                "its figures."
            }
        }
    }
}
