//! Cumulative distributions.

use maud::{Markup, html};

use super::Figure;
use super::frame::{Axis, HEIGHT, Key, Panel, class, legend, letters, px, short};
use crate::output::words;
use crate::report::{Detection, RunReport};

/// More curves than this cannot be told apart.
const MOST_CURVES: usize = 12;
/// Shares at which many curves are drawn as one band.
const LEVELS: u32 = 100;
/// Space above the panel, for the title of its y axis.
const ABOVE: f64 = 28.0;
/// Space below the panel, for the x axis.
const BELOW: f64 = 42.0;
/// Errors below this, 0.1 %, are as good as none; a scale by magnitude has no zero.
const NO_ERROR: f64 = 0.001;

/// Who knew of crashes how soon.
pub(super) fn detection(report: &RunReport) -> Figure {
    let title = "Detection of crashes";
    if report.detections.is_empty() {
        return Figure::empty(title, "Nobody crashed or left.");
    }
    let curves: Vec<Curve> =
        report.detections.iter().map(|detection| Curve::of(report, detection)).collect();
    let promised = report.scenario.promises.detection.map(|span| span.0.as_secs_f64());
    let last = curves.iter().filter_map(|curve| curve.times.last().copied()).fold(0.0, f64::max);
    let high = promised.map_or(last, |promised| last.max(promised * 1.02));
    let many = curves.len() > MOST_CURVES;
    let mut keys = if many { band_keys() } else { curve_keys(report) };
    if promised.is_some() {
        keys.push(Key::new("bound", "promised to all"));
    }
    let (keys, height) = legend(&keys);
    let x = Axis { ..Axis::round(high, 6, "since the crash (s)", short) };
    let y = Axis::shares("% of running peers that know");
    let panel = Panel::new(height + ABOVE, height + HEIGHT - BELOW, x, y);
    let body = html! {
        (keys)
        (panel.axes(true))
        @if let Some(promised) = promised {
            path.bound d={
                "M" (px(panel.x.scale.at(promised))) " " (px(panel.top)) "V" (px(panel.bottom))
            } {}
        }
        @if many { (band(&panel, &curves)) } @else {
            @for (index, curve) in curves.iter().enumerate() {
                path class=(class(index)) d=(curve.steps(&panel)) {}
            }
        }
    };
    let about = if many {
        format!("All {} crashes and leaves together.", words::count(curves.len() as u64))
    } else {
        "One curve for each crash or leave.".to_owned()
    };
    Figure { title, about, height: HEIGHT + height, body }
}

/// How far estimates are off.
pub(super) fn latency_error(report: &RunReport) -> Figure {
    let title = "Error of latency estimates";
    let errors = words::sorted(report.latency_error.iter().copied());
    let Some(&highest) = errors.last() else {
        return Figure::empty(title, "No peer estimated a latency.");
    };
    let lowest = errors.iter().copied().find(|&error| error > NO_ERROR).unwrap_or(NO_ERROR);
    let label = |error: f64| short(error * 100.0);
    let x =
        Axis::magnitudes(lowest, highest.max(lowest), "relative error (%, by magnitude)", label);
    let y = Axis::shares("% of estimates with at most this error");
    let panel = Panel::new(ABOVE, HEIGHT - BELOW, x, y);
    let steps = errors.len().saturating_sub(1).max(1) as f64;
    let line = errors.iter().enumerate().map(|(index, &error)| (error, Some(index as f64 / steps)));
    let marks = [0.5, 0.9, 0.99].map(|share| (share, words::quantile(&errors, share)));
    let body = html! {
        (panel.axes(true))
        (panel.line("c0", line))
        @for (share, error) in marks {
            @if let Some(error) = error {
                (mark(&panel, share, error))
            }
        }
    };
    let about = "Between peers that do not measure each other.".to_owned();
    Figure { title, about, height: HEIGHT, body }
}

fn mark(panel: &Panel, share: f64, error: f64) -> Markup {
    let (x, y) = (panel.x.scale.at(error), panel.y.scale.at(share));
    let text = format!("p{} {}", share * 100.0, words::percent(error));
    // The curve rises: below it on the right there is room, but not beyond the edge.
    let x_text = (x + 9.0).min(panel.right() - letters(&text));
    html! {
        circle.dot cx=(px(x)) cy=(px(y)) r="4" {}
        text.name x=(px(x_text)) y=(px(y + 15.0)) { (text) }
    }
}

/// When peers knew of one crash, and how many there were.
struct Curve {
    times: Vec<f64>,
    peers: usize,
}

impl Curve {
    fn of(report: &RunReport, detection: &Detection) -> Self {
        let times = words::sorted(detection.each_seconds.iter().copied());
        // Who never knew is not among the times, but counts.
        let running = report
            .series
            .iter()
            .find(|sample| sample.at_seconds >= detection.at_seconds)
            .map_or(report.scenario.peers, |sample| sample.running);
        let all_knew = detection.all_seconds.is_some();
        let peers = if all_knew { times.len() } else { times.len().max(running) };
        Self { peers: peers.max(1), times }
    }

    /// When this share of the peers knew.
    fn reached(&self, share: f64) -> f64 {
        let rank = (share * self.peers as f64).ceil().max(1.0) as usize;
        self.times.get(rank - 1).copied().unwrap_or(f64::INFINITY)
    }

    fn steps(&self, panel: &Panel) -> String {
        /// Steps lower than this do not show.
        const SHOWN: f64 = 0.5;
        let mut path = format!("M{} {}", px(panel.left()), px(panel.bottom));
        let mut drawn = panel.bottom;
        for (index, &time) in self.times.iter().enumerate() {
            let y = panel.y.scale.at((index + 1) as f64 / self.peers as f64);
            if drawn - y >= SHOWN || index + 1 == self.times.len() {
                path.push_str(&format!("H{}V{}", px(panel.x.scale.at(time)), px(y)));
                drawn = y;
            }
        }
        path.push_str(&format!("H{}", px(panel.right())));
        path
    }
}

fn curve_keys(report: &RunReport) -> Vec<Key> {
    let detections = report.detections.iter().enumerate();
    let text = |one: &Detection| format!("{} at {}", one.subject, words::clock(one.at_seconds));
    detections.map(|(index, one)| Key::new(class(index), text(one))).collect()
}

fn band_keys() -> Vec<Key> {
    vec![
        Key::new("line c0", "median crash"),
        Key::new("bandkey", "middle 80 % of crashes"),
        Key::new("line c1", "slowest crash"),
    ]
}

/// Many curves as the quantiles of when each share was reached.
fn band(panel: &Panel, curves: &[Curve]) -> Markup {
    let reached = |quantile: f64| -> Vec<(f64, f64)> {
        let levels = (0..=LEVELS).map(|level| f64::from(level) / f64::from(LEVELS));
        let time = |share: f64| {
            let mut times: Vec<f64> = curves.iter().map(|curve| curve.reached(share)).collect();
            times.sort_by(f64::total_cmp);
            words::quantile(&times, quantile).unwrap_or(f64::INFINITY)
        };
        levels.map(|share| (time(share), share)).collect()
    };
    let at = |&(time, share): &(f64, f64)| {
        format!("{} {}", px(panel.x.scale.at(time)), px(panel.y.scale.at(share)))
    };
    // What is never reached must not be drawn as reached at the edge: there the line stays level.
    let line = |points: &[(f64, f64)]| {
        let known: Vec<String> =
            points.iter().take_while(|(time, _)| time.is_finite()).map(at).collect();
        let start = format!("{} {}", px(panel.left()), px(panel.bottom));
        let begin = if known.is_empty() { vec![start] } else { known };
        format!("M{}H{}", begin.join("L"), px(panel.right()))
    };
    let early: Vec<String> = reached(0.1).iter().map(at).collect();
    let late: Vec<String> = reached(0.9).iter().rev().map(at).collect();
    html! {
        path.band d={ "M" (early.join("L")) "L" (late.join("L")) "Z" } {}
        path.line.c1.faint d=(line(&reached(1.0))) {}
        path.line.c0 d=(line(&reached(0.5))) {}
    }
}
