//! Figures as people read them.

/// What stands where there is nothing to say.
pub(super) const NOTHING: &str = "–";

/// A moment or length of virtual time: `m:ss`, from an hour on `h:mm:ss`.
pub(super) fn clock(seconds: f64) -> String {
    let whole = if seconds.is_finite() { seconds.max(0.0).round() as u64 } else { 0 };
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A short length of time.
pub(super) fn seconds(value: Option<f64>) -> String {
    match value.filter(|value| value.is_finite()) {
        Some(value) => format!("{value:.2} s"),
        None => NOTHING.to_owned(),
    }
}

/// A count with a comma at each thousand.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate of bytes, in decimal units.
pub(super) fn rate(bytes_per_second: f64) -> String {
    let (value, unit) = decimal(bytes_per_second);
    format!("{value} {unit}B/s")
}

/// A rate of events.
pub(super) fn events_rate(per_second: f64) -> String {
    let (value, unit) = decimal(per_second);
    format!("{value}{unit} events/s")
}

/// A share from 0 to 1.
pub(super) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return NOTHING.to_owned();
    }
    let value = share * 100.0;
    if value.abs() >= 10.0 || value == 0.0 {
        // All but agreed is not agreed: 99.97 must not read as 100.
        let rounded = if value < 100.0 { value.round().min(99.0) } else { value.round() };
        format!("{rounded} %")
    } else {
        format!("{value:.1} %")
    }
}

/// Markup without the characters that XML does not have: those of names out of files.
pub(super) fn valid(markup: String) -> String {
    let none = |char: char| match char {
        '\t' | '\n' | '\r' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        char => char.is_control(),
    };
    if markup.contains(none) { markup.replace(none, "\u{fffd}") } else { markup }
}

/// The value below which a share of sorted values lies (nearest rank).
pub(super) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

/// Sorted, without what is not a number.
pub(super) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Three digits that count, and the decimal prefix.
pub(super) fn decimal(value: f64) -> (String, &'static str) {
    if !value.is_finite() {
        return (NOTHING.to_owned(), "");
    }
    let (scaled, unit) = match value.abs() {
        size if size >= 999.5e6 => (value / 1e9, "G"),
        size if size >= 999.5e3 => (value / 1e6, "M"),
        size if size >= 999.5 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = match scaled.abs() {
        size if size >= 99.95 => format!("{scaled:.0}"),
        size if size >= 9.995 => format!("{scaled:.1}"),
        _ if unit.is_empty() && scaled.fract() == 0.0 => format!("{scaled:.0}"),
        _ => format!("{scaled:.2}"),
    };
    (text, unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(clock(83.4), "1:23");
        assert_eq!(clock(3_725.0), "1:02:05");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(rate(999.7), "1.00 kB/s");
        assert_eq!(rate(12_340.0), "12.3 kB/s");
        assert_eq!(percent(0.9997), "99 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(seconds(None), NOTHING);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 1.0), Some(4.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
