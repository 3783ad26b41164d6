//! The parts of the page below its head.

use maud::{Markup, html};

use crate::output::{peer, words};
use crate::report::{Check, Detection, RunReport, Spread};

/// What promises mean, by their names.
const GLOSSARY: [(&str, &str); 11] = [
    ("no-false-down", "No peer calls another one down that runs and can be reached."),
    (
        "no-false-accusation",
        "How often a peer that is well is called something else than down; only measured.",
    ),
    ("agreement", "After healing, all running peers come to the same digest of the mesh's state."),
    ("monotonic-versions", "No peer goes back to an older version of what another one said."),
    ("bounded-queues", "No queue of any peer grows beyond its bound."),
    ("monitoring-coverage", "Every running peer is observed by as many others as the rings say."),
    ("bounded-view", "No peer keeps more of the mesh than it may."),
    ("detection", "From a crash until every peer in reach knows it takes at most so long."),
    ("healing", "From the beginning of the healed phase until all digests are equal."),
    ("mean-bytes", "Bytes that any peer sends in the mean of the fault phase."),
    ("peak-bytes", "Bytes that any peer sends or receives over any five seconds."),
];

pub(super) fn promises(report: &RunReport) -> Markup {
    html! {
        section {
            h2 { "Promises" }
            @if report.checks.is_empty() {
                p { "Nothing was judged." }
            } @else {
                div.scroll tabindex="0" {
                    table {
                        thead { tr { th { "State" } th { "Promise" } th { "Measured" } th { "Bound" } } }
                        tbody {
                            @for check in &report.checks {
                                tr {
                                    td { (state(check.held)) }
                                    th scope="row" { (check.promise) }
                                    td { (check.measured) }
                                    td.bound { (check.bound.as_deref().unwrap_or(words::NOTHING)) }
                                }
                            }
                        }
                    }
                }
            }
            @for check in report.checks.iter().filter(|check| !check.held) {
                (violations(report, check))
            }
        }
    }
}

fn state(held: bool) -> Markup {
    html! {
        @if held { span.held { "✓ held" } } @else { span.broken { "✗ broken" } }
    }
}

fn violations(report: &RunReport, check: &Check) -> Markup {
    let name = |index: Option<usize>| {
        index.map_or_else(|| words::NOTHING.to_owned(), |index| peer(report, index))
    };
    let rest = check.violation_count.saturating_sub(check.violations.len() as u64);
    html! {
        h3 { "Where " (check.promise) " was broken" }
        div.scroll.tall tabindex="0" {
            table {
                thead { tr { th.figure { "At" } th { "Observer" } th { "About" } th { "What" } } }
                tbody {
                    @for violation in &check.violations {
                        tr {
                            td.figure { (words::clock(violation.at_seconds)) }
                            td { (name(violation.observer)) }
                            td { (name(violation.subject)) }
                            td { (violation.detail) }
                        }
                    }
                }
            }
        }
        @if rest > 0 { p.note { "And " (words::count(rest)) " more." } }
    }
}

pub(super) fn detections(report: &RunReport) -> Markup {
    let all = &report.detections;
    let first = words::sorted(all.iter().filter_map(|one| one.first_seconds));
    let every = words::sorted(all.iter().filter_map(|one| one.all_seconds));
    let summary = |name: &str, values: &[f64]| {
        let at = |share| words::seconds(words::quantile(values, share));
        html! {
            tr {
                th scope="row" { (name) }
                td.figure { (values.len()) " of " (all.len()) }
                td.figure { (at(0.5)) } td.figure { (at(0.99)) } td.figure { (at(1.0)) }
            }
        }
    };
    html! {
        section {
            h2 { "Detection" }
            @if all.is_empty() {
                p { "Nobody crashed or left." }
            } @else {
                div.scroll tabindex="0" {
                    table {
                        thead {
                            tr {
                                th { "Known to" } th.figure { "Crashes" } th.figure { "p50" }
                                th.figure { "p99" } th.figure { "Highest" }
                            }
                        }
                        tbody { (summary("the first peer", &first)) (summary("every peer", &every)) }
                    }
                }
                h3 { "Each crash or leave" }
                (each_detection(report, all))
            }
        }
    }
}

fn each_detection(report: &RunReport, all: &[Detection]) -> Markup {
    html! {
        div.scroll.tall tabindex="0" {
            table {
                thead {
                    tr {
                        th { "Peer" } th.figure { "Silent since" } th.figure { "First knew after" }
                        th.figure { "Half of those who knew" } th.figure { "All knew after" }
                        th.figure { "Peers that knew" }
                    }
                }
                tbody {
                    @for one in all {
                        tr {
                            th scope="row" { (peer(report, one.subject)) }
                            td.figure { (words::clock(one.at_seconds)) }
                            td.figure { (words::seconds(one.first_seconds)) }
                            td.figure { (words::seconds(words::quantile(&one.each_seconds, 0.5))) }
                            td.figure { (words::seconds(one.all_seconds)) }
                            td.figure { (words::count(one.each_seconds.len() as u64)) }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn traffic(report: &RunReport) -> Markup {
    let traffic = &report.traffic;
    let row = |name: &str, spread: Spread| {
        html! {
            tr {
                th scope="row" { (name) }
                @for value in [spread.mean, spread.p50, spread.p99, spread.max] {
                    td.figure { (words::rate(value)) }
                }
            }
        }
    };
    html! {
        section {
            h2 { "Traffic of a peer during the faults" }
            div.scroll tabindex="0" {
                table {
                    thead {
                        tr {
                            th { "" } th.figure { "Mean" } th.figure { "p50" } th.figure { "p99" }
                            th.figure { "Highest" }
                        }
                    }
                    tbody {
                        (row("sent", traffic.sent))
                        (row("received", traffic.received))
                        @for (channel, &mean) in &traffic.sent_by_channel {
                            tr {
                                th.part scope="row" { "sent as " (channel) }
                                td.figure { (words::rate(mean)) }
                                td.figure {} td.figure {} td.figure {}
                            }
                        }
                    }
                }
            }
            p {
                "Highest rate of any peer over five seconds, sent or received: "
                b { (words::rate(traffic.peak_bytes_per_second as f64)) } "."
            }
        }
    }
}

pub(super) fn told(report: &RunReport) -> Markup {
    html! {
        @if !report.event_counts.is_empty() {
            section {
                h2 { "What nodes told" }
                dl.facts {
                    @for (name, &count) in &report.event_counts {
                        div { dt { (name) } dd { (words::count(count)) } }
                    }
                }
            }
        }
    }
}

pub(super) fn happenings(report: &RunReport) -> Markup {
    html! {
        section {
            h2 { "What happened" }
            @if report.happenings.is_empty() {
                p { "Nothing: the scenario left the mesh alone." }
            } @else {
                div.scroll.tall tabindex="0" {
                    table {
                        thead { tr { th.figure { "At" } th { "What" } } }
                        tbody {
                            @for happened in &report.happenings {
                                tr {
                                    td.figure { (words::clock(happened.at_seconds)) }
                                    td { (happened.what) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn scenario(report: &RunReport) -> Markup {
    let text = toml::to_string_pretty(&report.scenario)
        .unwrap_or_else(|error| format!("# This scenario cannot be written as TOML: {error}"));
    html! {
        section {
            h2 { "Scenario" }
            @if !report.scenario.description.is_empty() {
                p.prose { (report.scenario.description) }
            }
            details {
                summary { "As a file" }
                pre.scroll tabindex="0" { code { (text) } }
            }
        }
    }
}

pub(super) fn glossary(report: &RunReport) -> Markup {
    let known: Vec<_> = GLOSSARY
        .iter()
        .filter(|(name, _)| report.checks.iter().any(|check| check.promise == *name))
        .collect();
    html! {
        @if !known.is_empty() {
            section {
                h2 { "What the promises mean" }
                dl.glossary {
                    @for (name, meaning) in known { dt { (name) } dd { (meaning) } }
                }
            }
        }
    }
}
