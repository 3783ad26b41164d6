//! Plots of a run. Each function gives one whole SVG document with its own style sheet; it follows
//! the light or dark scheme of whoever shows it.

mod frame;
mod spread;
mod time;
mod topology;

use maud::{Markup, PreEscaped, html};

use super::words;
use crate::report::RunReport;

/// The style sheet of all drawings: colours as variables, for a light and a dark ground.
pub(super) const STYLE: &str = include_str!("svg/style.css");
/// Space for the title of a drawing that stands alone.
const TITLE: f64 = 30.0;
/// Space around a drawing that stands alone.
const MARGIN: f64 = 10.0;

/// For each crash, how many peers knew of it how soon; of many crashes, how these differ.
#[must_use]
pub fn detection_cdf(report: &RunReport) -> String {
    alone(&spread::detection(report))
}

/// How many peers agree, and how many different digests there are, over time.
#[must_use]
pub fn convergence(report: &RunReport) -> String {
    alone(&time::convergence(report))
}

/// How old the heartbeats of others are, over time.
#[must_use]
pub fn heartbeat_lag(report: &RunReport) -> String {
    alone(&time::heartbeat_lag(report))
}

/// Bytes that a peer sends, over time.
#[must_use]
pub fn bytes(report: &RunReport) -> String {
    alone(&time::bytes(report))
}

/// How many judgements are other than `up`, over time.
#[must_use]
pub fn judgements(report: &RunReport) -> String {
    alone(&time::judgements(report))
}

/// How far estimates of latency are off.
#[must_use]
pub fn latency_error(report: &RunReport) -> String {
    alone(&spread::latency_error(report))
}

/// The peers and their paths.
#[must_use]
pub fn topology(report: &RunReport) -> String {
    alone(&topology::figure(report))
}

/// All drawings, in the order in which they are best looked at.
pub(super) fn all(report: &RunReport) -> [Figure; 7] {
    [
        spread::detection(report),
        time::convergence(report),
        topology::figure(report),
        time::heartbeat_lag(report),
        time::bytes(report),
        time::judgements(report),
        spread::latency_error(report),
    ]
}

/// A drawing without its frame.
pub(super) struct Figure {
    /// What it shows.
    pub(super) title: &'static str,
    /// How to read it, and what was left out.
    pub(super) about: String,
    /// Height in its own units; the width is always the same.
    pub(super) height: f64,
    /// The elements.
    pub(super) body: Markup,
}

impl Figure {
    /// A drawing that says why there is nothing to draw.
    fn empty(title: &'static str, why: &str) -> Self {
        let height = 90.0;
        let body = html! {
            text.empty.mid x=(frame::px(frame::WIDTH / 2.0)) y=(frame::px(height / 2.0)) { (why) }
        };
        Self { title, about: String::new(), height, body }
    }

    /// The drawing as part of a page that has [`STYLE`].
    pub(super) fn inline(&self) -> Markup {
        let view = format!("0 0 {} {}", frame::WIDTH, frame::px(self.height));
        html! {
            svg.plot role="img" aria-label=(self.label()) viewBox=(view) { (self.body) }
        }
    }

    fn label(&self) -> String {
        if self.about.is_empty() {
            self.title.to_owned()
        } else {
            format!("{}. {}", self.title, self.about)
        }
    }
}

fn alone(figure: &Figure) -> String {
    let (width, height) = (frame::WIDTH + 2.0 * MARGIN, figure.height + TITLE + 2.0 * MARGIN);
    let (left, top) = (-MARGIN, -TITLE - MARGIN);
    let view = format!("{left} {top} {width} {}", frame::px(height));
    let drawn = html! {
        svg.plot xmlns="http://www.w3.org/2000/svg" role="img" aria-label=(figure.label())
            width=(width) height=(frame::px(height)) viewBox=(view) {
            title { (figure.title) }
            desc { (figure.about) }
            style { (PreEscaped(STYLE)) }
            rect.ground x=(left) y=(top) width=(width) height=(frame::px(height)) {}
            text.title x="2" y="-14" { (figure.title) }
            (figure.body)
        }
    };
    words::valid(drawn.into_string())
}
