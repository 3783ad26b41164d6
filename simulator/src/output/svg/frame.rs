//! Axes, ticks, legends: what all plots have in common.

use maud::{Markup, html};

use crate::output::words;

/// Width of every drawing in its own units. A phone shows it at about three quarters and a desk at
/// a little more than one, and the text of the style sheet reads well at both.
pub(super) const WIDTH: f64 = 420.0;
/// Height of a plot with axes.
pub(super) const HEIGHT: f64 = 290.0;
/// Space for tick labels at the left.
const LEFT: f64 = 46.0;
/// Half of the last tick label stands over the edge.
const RIGHT: f64 = 16.0;
/// A line of text.
pub(super) const LINE: f64 = 18.0;
/// Width of a letter of the style sheet's size, on the high side: there is no font to ask.
const LETTER: f64 = 7.1;
/// Colours of the palette in the style sheet.
pub(super) const COLOURS: usize = 6;
/// Points nearer than this are drawn as one; nobody sees the difference.
const NEAR: f64 = 0.4;

/// Values on a stretch of the drawing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
    log: bool,
}

impl Scale {
    /// Evenly spread values.
    pub(super) fn linear(low: f64, high: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, start: 0.0, end: 1.0, log: false }
    }

    /// Values by their magnitude; both bounds must be above zero.
    pub(super) fn log(low: f64, high: f64) -> Self {
        let low = low.max(f64::MIN_POSITIVE);
        let high = if high > low { high } else { low * 10.0 };
        Self { low, high, start: 0.0, end: 1.0, log: true }
    }

    fn over(self, start: f64, end: f64) -> Self {
        Self { start, end, ..self }
    }

    /// Where a value is drawn; beyond the bounds, at the edge.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        self.start + share * (self.end - self.start)
    }
}

/// An axis: its scale, and where it has labels.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    pub(super) ticks: Vec<(f64, String)>,
    pub(super) title: String,
}

impl Axis {
    /// From zero to at least `high`, up to `most` round steps, in what `label` makes of a value.
    pub(super) fn round(
        high: f64,
        most: usize,
        title: impl Into<String>,
        label: impl Fn(f64) -> String,
    ) -> Self {
        let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
        let least = high / most.max(1) as f64;
        let decade = 10f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
        let step = step.into_iter().find(|&step| step >= least * 0.999).unwrap_or(high);
        let steps = (high / step - 1e-9).ceil().max(1.0) as usize;
        let ticks = (0..=steps).map(|index| index as f64 * step);
        Self {
            scale: Scale::linear(0.0, steps as f64 * step),
            ticks: ticks.map(|value| (value, label(value))).collect(),
            title: title.into(),
        }
    }

    /// Whole numbers from zero.
    pub(super) fn whole(high: f64, most: usize, title: impl Into<String>) -> Self {
        let mut axis = Self::round(high.max(1.0), most, title, short);
        axis.ticks.retain(|(value, _)| value.fract() == 0.0);
        axis
    }

    /// Shares from 0 to 1, in per cent.
    pub(super) fn shares(title: impl Into<String>) -> Self {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0];
        Self {
            scale: Scale::linear(0.0, 1.0),
            ticks: ticks.map(|share| (share, format!("{}", share * 100.0))).into(),
            title: title.into(),
        }
    }

    /// Virtual time since the beginning.
    pub(super) fn time(high_seconds: f64) -> Self {
        /// Steps at which clocks have marks, in seconds.
        const STEPS: [f64; 15] = [
            1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 10_800.0,
            43_200.0, 86_400.0,
        ];
        /// More labels than this touch each other.
        const MOST: f64 = 7.0;
        let high = if high_seconds.is_finite() { high_seconds.max(1.0) } else { 1.0 };
        let fits = STEPS.into_iter().find(|step| high / step <= MOST);
        let step = fits.unwrap_or_else(|| (high / MOST / 86_400.0).ceil() * 86_400.0);
        let ticks = (0..=(high / step) as usize).map(|index| index as f64 * step);
        let unit = if high >= 3_600.0 { "h:min:s" } else { "min:s" };
        Self {
            scale: Scale::linear(0.0, high),
            ticks: ticks.map(|value| (value, words::clock(value))).collect(),
            title: format!("virtual time ({unit})"),
        }
    }

    /// Magnitudes from the decade of `low` to that of `high`.
    pub(super) fn magnitudes(
        low: f64,
        high: f64,
        title: impl Into<String>,
        label: impl Fn(f64) -> String,
    ) -> Self {
        /// No plot needs more, and what is no number has no bounds of its own.
        const DECADES: std::ops::RangeInclusive<f64> = 1e-9..=1e15;
        let within = |value: f64| value.max(*DECADES.start()).min(*DECADES.end());
        let from = within(low).log10().floor() as i32;
        let to = (within(high.max(low)).log10().ceil() as i32).max(from + 1);
        let factors: &[f64] = if to - from <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let end = 10f64.powi(to);
        let ticks = (from..=to)
            .flat_map(|decade| factors.iter().map(move |factor| factor * 10f64.powi(decade)))
            .filter(|&value| value <= end * 1.001);
        Self {
            scale: Scale::log(10f64.powi(from), end),
            ticks: ticks.map(|value| (value, label(value))).collect(),
            title: title.into(),
        }
    }
}

/// A field between axes.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Panel {
    /// A field over the whole width.
    pub(super) fn new(top: f64, bottom: f64, mut x: Axis, mut y: Axis) -> Self {
        x.scale = x.scale.over(LEFT, WIDTH - RIGHT);
        y.scale = y.scale.over(bottom, top);
        Self { top, bottom, x, y }
    }

    /// Left edge.
    pub(super) const fn left(&self) -> f64 {
        LEFT
    }

    /// Right edge.
    pub(super) fn right(&self) -> f64 {
        WIDTH - RIGHT
    }

    /// Grid and labels; of the lowest panel also those of the x axis.
    pub(super) fn axes(&self, lowest: bool) -> Markup {
        html! {
            text.axis x=(px(2.0)) y=(px(self.top - 12.0)) { (self.y.title) }
            @for (value, label) in &self.y.ticks {
                @let y = self.y.scale.at(*value);
                path.grid d={ "M" (px(self.left())) " " (px(y)) "H" (px(self.right())) } {}
                text.tick.end x=(px(self.left() - 5.0)) y=(px(y + 4.0)) { (label) }
            }
            path.base d={ "M" (px(self.left())) " " (px(self.bottom)) "H" (px(self.right())) } {}
            @for (value, label) in &self.x.ticks {
                @let x = self.x.scale.at(*value);
                path.base d={ "M" (px(x)) " " (px(self.bottom)) "v4" } {}
                @if lowest {
                    text.tick.mid x=(px(x)) y=(px(self.bottom + 17.0)) { (label) }
                }
            }
            @if lowest {
                text.axis.end x=(px(self.right())) y=(px(self.bottom + 35.0)) { (self.x.title) }
            }
        }
    }

    /// Values over x as a line; where there is none, a gap.
    pub(super) fn line(
        &self,
        class: &str,
        values: impl Iterator<Item = (f64, Option<f64>)>,
    ) -> Markup {
        let points = values.map(|(x, y)| {
            let y = y.filter(|y| y.is_finite());
            (self.x.scale.at(x), y.map(|y| self.y.scale.at(y)))
        });
        html! { path class={ "line " (class) } d=(polyline(points)) {} }
    }
}

/// A line of a legend.
pub(super) struct Key {
    /// Class of the mark.
    pub(super) class: String,
    /// What it stands for.
    pub(super) text: String,
}

impl Key {
    pub(super) fn new(class: impl Into<String>, text: impl Into<String>) -> Self {
        Self { class: class.into(), text: text.into() }
    }
}

/// Draws marks and their names in rows from the top; gives the height that they take.
pub(super) fn legend(keys: &[Key]) -> (Markup, f64) {
    /// Length of a mark with the space behind it, and space between two names.
    const MARK: f64 = 23.0;
    const GAP: f64 = 12.0;
    let (mut x, mut row) = (2.0, 0.0);
    let mut places = Vec::new();
    for key in keys {
        let width = MARK + letters(&key.text);
        if x + width > WIDTH && x > 2.0 {
            (x, row) = (2.0, row + 1.0);
        }
        places.push((key, x, row * LINE + 9.0));
        x += width + GAP;
    }
    let drawn = html! {
        @for (key, x, y) in places {
            path class=(key.class) d={ "M" (px(x)) " " (px(y)) "h18" } {}
            text.key x=(px(x + MARK)) y=(px(y + 4.0)) { (key.text) }
        }
    };
    (drawn, if keys.is_empty() { 0.0 } else { (row + 1.0) * LINE })
}

/// About how wide a text is.
pub(super) fn letters(text: &str) -> f64 {
    unicode_width::UnicodeWidthStr::width(text) as f64 * LETTER
}

/// The class of the curve with this number: colours first, then dashes.
pub(super) fn class(number: usize) -> String {
    let dash = if (number / COLOURS).is_multiple_of(2) { "" } else { " dashed" };
    format!("line c{}{dash}", number % COLOURS)
}

/// A figure in at most three digits, as on an axis.
pub(super) fn short(value: f64) -> String {
    let (text, unit) = words::decimal(value);
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    text + unit
}

/// A place in the drawing, to a tenth of a unit.
pub(super) fn px(value: f64) -> String {
    let tenths = (value * 10.0).round();
    if tenths.is_finite() { format!("{}", (tenths + 0.0) / 10.0) } else { "0".to_owned() }
}

/// A path through points with x rising. Of many on one place only those that reach out are kept, so
/// a path is as long as the drawing is wide, and a peak of one second stays.
fn polyline(points: impl Iterator<Item = (f64, Option<f64>)>) -> String {
    let mut path = String::new();
    let mut pen = false;
    let mut column: Vec<(f64, f64)> = Vec::new();
    for (x, y) in points {
        let full = column.first().is_some_and(|&(first, _)| x - first > NEAR);
        if full || y.is_none() {
            flush(&mut path, &mut pen, &mut column);
        }
        match y {
            Some(y) => column.push((x, y)),
            None => pen = false,
        }
    }
    flush(&mut path, &mut pen, &mut column);
    path
}

fn flush(path: &mut String, pen: &mut bool, column: &mut Vec<(f64, f64)>) {
    let by_height = |a: &(usize, &(f64, f64)), b: &(usize, &(f64, f64))| a.1.1.total_cmp(&b.1.1);
    let lowest = column.iter().enumerate().min_by(by_height).map(|(index, _)| index);
    let highest = column.iter().enumerate().max_by(by_height).map(|(index, _)| index);
    let last = column.len().saturating_sub(1);
    for (index, &(x, y)) in column.iter().enumerate() {
        let kept = [Some(0), lowest, highest, Some(last)].contains(&Some(index));
        if !kept {
            continue;
        }
        path.push(if *pen { 'L' } else { 'M' });
        path.push_str(&format!("{} {}", px(x), px(y)));
        *pen = true;
    }
    column.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_keeps_its_peak_in_a_short_path() {
        let points = (0..100_000).map(|index| {
            let y = if index == 51_234 { 7.0 } else { 100.0 };
            (f64::from(index) / 300.0, Some(y))
        });
        let path = polyline(points);
        assert!(path.contains(" 7L") || path.contains(" 7"), "the peak is gone");
        assert!(path.len() < 40_000, "{} bytes", path.len());
    }

    #[test]
    fn ticks_are_round_and_cover_the_values() {
        let axis = Axis::round(37.0, 5, "", short);
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["0", "10", "20", "30", "40"]);
        assert!(Axis::time(7.0 * 86_400.0).ticks.len() <= 8);
        assert!(Axis::time(360.0).ticks.len() >= 4);
    }

    #[test]
    fn what_is_no_number_is_drawn_nowhere_else_than_at_an_edge() {
        let scale = Scale::linear(0.0, 10.0).over(5.0, 50.0);
        for value in [f64::NAN, f64::NEG_INFINITY, -3.0] {
            assert_eq!(scale.at(value), 5.0);
        }
        assert_eq!(scale.at(f64::INFINITY), 50.0);
        assert_eq!(px(f64::NAN), "0");
    }
}
