//! Plots over virtual time, with the phases as ground and what happened as marks.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::Figure;
use super::frame::{Axis, COLOURS, HEIGHT, Key, LINE, Panel, class, legend, letters, px, short};
use crate::output::words;
use crate::report::{RunReport, Sample};

/// Space above a panel, for the title of its y axis.
const ABOVE: f64 = 28.0;
/// Space below the lowest panel, for the x axis.
const BELOW: f64 = 42.0;
/// Fields that show the figures under the pointer: more would be narrower than a pointer is exact.
const READINGS: usize = 100;
/// Marks of happenings that say what happened; beyond this they are marks alone, and the list in
/// the page tells the rest.
const TOLD: usize = 80;
/// A highest value so many times the usual one flattens the rest of a plot: magnitudes are drawn.
const STEEP: f64 = 20.0;
/// What is said where there are no samples.
const NO_SERIES: &str = "No samples were taken.";

/// Agreement and digests.
pub(super) fn convergence(report: &RunReport) -> Figure {
    let title = "Agreement over time";
    if report.series.is_empty() {
        return Figure::empty(title, NO_SERIES);
    }
    let most = report.series.iter().map(|sample| sample.digests).max().unwrap_or(1) as f64;
    let shares = Axis::shares("% of running peers with the most common digest");
    let upper = Panel::new(ABOVE, 128.0, x_axis(report), shares);
    let digests = Axis::whole(most, 3, "different digests");
    let lower = Panel::new(128.0 + ABOVE + 8.0, HEIGHT - BELOW, x_axis(report), digests);
    let body = html! {
        (ground(report, &upper))
        (ground(report, &lower))
        (upper.axes(false))
        (lower.axes(true))
        (upper.line("c0", over(report, |sample| Some(sample.agreeing))))
        (lower.line("c1", over(report, |sample| Some(sample.digests as f64))))
        (happenings(report, &lower))
        (phase_names(report, &upper, upper.bottom - 5.0))
        (readings(report, &upper, lower.bottom, |sample| format!(
            "{} of {} running peers agree, {} digests",
            words::percent(sample.agreeing), sample.running, sample.digests,
        )))
    };
    let about = "All peers that know the same have the same digest. Marks at the foot: something \
        happened.";
    Figure { title, about: about.to_owned(), height: HEIGHT, body }
}

/// Age of heartbeats.
pub(super) fn heartbeat_lag(report: &RunReport) -> Figure {
    let title = "Heartbeat lag over time";
    let ages = report.series.iter().filter_map(|sample| sample.heartbeat_age_seconds);
    let highest =
        ages.fold(None, |high: Option<f64>, age| Some(high.map_or(age, |high| high.max(age))));
    let Some(highest) = highest else {
        return Figure::empty(title, "No heartbeats were looked at.");
    };
    let y = Axis::round(highest, 5, "age of others' heartbeats, median (s)", short);
    let panel = Panel::new(ABOVE, HEIGHT - BELOW, x_axis(report), y);
    let body = html! {
        (ground(report, &panel))
        (panel.axes(true))
        (panel.line("c0", over(report, |sample| sample.heartbeat_age_seconds)))
        (happenings(report, &panel))
        (phase_names(report, &panel, panel.top - 5.0 + LINE))
        (readings(report, &panel, panel.bottom, |sample| {
            format!("heartbeats are {} old", words::seconds(sample.heartbeat_age_seconds))
        }))
    };
    let about = "How old the newest heartbeat is that a peer has of another one.".to_owned();
    Figure { title, about, height: HEIGHT, body }
}

/// Bytes a second.
pub(super) fn bytes(report: &RunReport) -> Figure {
    let title = "Bytes a peer sends over time";
    if report.series.is_empty() {
        return Figure::empty(title, NO_SERIES);
    }
    let peaks = words::sorted(report.series.iter().map(|sample| sample.sent_max));
    let highest = peaks.last().copied().unwrap_or(0.0);
    let means = words::sorted(report.series.iter().map(|sample| sample.sent_mean));
    let usual = words::quantile(&means, 0.5).unwrap_or(0.0).max(1.0);
    let y = if highest > STEEP * usual {
        let lowest = means.into_iter().find(|&mean| mean >= 1.0).unwrap_or(1.0).min(usual);
        Axis::magnitudes(lowest, highest, "sent by a peer (B/s, by magnitude)", short)
    } else {
        Axis::round(highest, 5, "sent by a peer (B/s)", short)
    };
    let (keys, height) =
        legend(&[Key::new("line c1", "highest of any peer"), Key::new("line c0", "mean")]);
    let panel = Panel::new(height + ABOVE, height + HEIGHT - BELOW, x_axis(report), y);
    let body = html! {
        (keys)
        (ground(report, &panel))
        (panel.axes(true))
        (panel.line("c1 faint", over(report, |sample| Some(sample.sent_max))))
        (panel.line("c0", over(report, |sample| Some(sample.sent_mean))))
        (happenings(report, &panel))
        (phase_names(report, &panel, panel.top - 5.0 + LINE))
        (readings(report, &panel, panel.bottom, |sample| format!(
            "mean {}, highest {}", words::rate(sample.sent_mean), words::rate(sample.sent_max),
        )))
    };
    let about = "Of the bytes that a peer sends in each second.".to_owned();
    Figure { title, about, height: HEIGHT + height, body }
}

/// Judgements by state.
pub(super) fn judgements(report: &RunReport) -> Figure {
    let title = "Judgements other than up";
    let states: BTreeSet<&str> = report
        .series
        .iter()
        .flat_map(|sample| sample.judgements.keys().map(String::as_str))
        .collect();
    if states.is_empty() {
        return Figure::empty(title, "No judgements were looked at.");
    }
    // `up` dwarfs the others, and is what is left of them.
    let states: Vec<&str> =
        states.into_iter().filter(|state| *state != "up").take(COLOURS).collect();
    let of = |sample: &Sample, state: &str| sample.judgements.get(state).copied().unwrap_or(0);
    let counts =
        report.series.iter().flat_map(|sample| states.iter().map(|state| of(sample, state)));
    let y = Axis::whole(counts.max().unwrap_or(0) as f64, 5, "judgements (observer, subject)");
    let keys: Vec<Key> =
        states.iter().enumerate().map(|(index, state)| Key::new(class(index), *state)).collect();
    let (keys, height) = legend(&keys);
    let panel = Panel::new(height + ABOVE, height + HEIGHT - BELOW, x_axis(report), y);
    let body = html! {
        (keys)
        (ground(report, &panel))
        (panel.axes(true))
        @for (index, state) in states.iter().enumerate() {
            (panel.line(&class(index), over(report, |sample| Some(of(sample, state) as f64))))
        }
        (happenings(report, &panel))
        (phase_names(report, &panel, panel.top - 5.0 + LINE))
        (readings(report, &panel, panel.bottom, |sample| {
            let all = states.iter().map(|state| format!("{state} {}", of(sample, state)));
            all.collect::<Vec<_>>().join(", ")
        }))
    };
    let about = "What the peers that were looked at think of the others.".to_owned();
    Figure { title, about, height: HEIGHT + height, body }
}

fn x_axis(report: &RunReport) -> Axis {
    let last = report.series.last().map_or(0.0, |sample| sample.at_seconds);
    Axis::time(last.max(report.virtual_seconds))
}

fn over<'a, F>(report: &'a RunReport, of: F) -> impl Iterator<Item = (f64, Option<f64>)> + 'a
where
    F: Fn(&Sample) -> Option<f64> + 'a,
{
    report.series.iter().map(move |sample| (sample.at_seconds, of(sample)))
}

fn phases(report: &RunReport, panel: &Panel) -> [(&'static str, f64, f64); 3] {
    let phases = &report.scenario.phases;
    let lengths = [("settle", phases.settle), ("faults", phases.faults), ("healed", phases.healed)];
    let mut begins = 0.0;
    lengths.map(|(name, length)| {
        let from = begins;
        begins += length.0.as_secs_f64();
        (name, panel.x.scale.at(from), panel.x.scale.at(begins))
    })
}

/// The phases as coloured ground.
fn ground(report: &RunReport, panel: &Panel) -> Markup {
    html! {
        @for (name, from, to) in phases(report, panel) {
            @if to > from {
                rect class=(name) x=(px(from)) y=(px(panel.top)) width=(px(to - from))
                    height=(px(panel.bottom - panel.top)) {}
            }
        }
    }
}

/// The names of the phases. They come after the lines, so that these do not cross them out.
fn phase_names(report: &RunReport, panel: &Panel, y: f64) -> Markup {
    html! {
        @for (name, from, to) in phases(report, panel) {
            @if letters(name) < to - from {
                text.phase.end x=(px(to - 3.0)) y=(px(y)) { (name) }
            }
        }
    }
}

/// Marks at the foot of a panel.
fn happenings(report: &RunReport, panel: &Panel) -> Markup {
    let mut marks: Vec<(String, String)> = Vec::new();
    for happened in &report.happenings {
        let what = format!("{} {}", words::clock(happened.at_seconds), happened.what);
        let x = px(panel.x.scale.at(happened.at_seconds));
        match marks.last_mut() {
            Some((last, told)) if *last == x => {
                if told.len() < 400 {
                    told.push('\n');
                    told.push_str(&what);
                }
            }
            _ => marks.push((x, what)),
        }
    }
    let told = marks.len() <= TOLD;
    let path: String = marks.iter().map(|(x, _)| format!("M{x} {}v-8", px(panel.bottom))).collect();
    html! {
        @if told {
            @for (x, what) in &marks {
                path.happened d={ "M" (x) " " (px(panel.bottom)) "v-8" } { title { (what) } }
            }
        } @else {
            path.happened d=(path) {}
        }
    }
}

/// Fields over a plot that show the figures of their moment under the pointer.
fn readings(
    report: &RunReport,
    panel: &Panel,
    bottom: f64,
    words_of: impl Fn(&Sample) -> String,
) -> Markup {
    let every = report.series.len().div_ceil(READINGS).max(1);
    let picked: Vec<&Sample> = report.series.iter().step_by(every).collect();
    let ends = picked.iter().skip(1).map(|sample| panel.x.scale.at(sample.at_seconds));
    let ends = ends.chain([panel.right()]);
    html! {
        @for (sample, end) in picked.iter().zip(ends) {
            @let start = panel.x.scale.at(sample.at_seconds);
            rect.hover x=(px(start)) y=(px(panel.top)) width=(px((end - start).max(0.0)))
                height=(px((bottom - 9.0 - panel.top).max(0.0))) {
                title { (words::clock(sample.at_seconds)) ": " (words_of(sample)) }
            }
        }
    }
}
