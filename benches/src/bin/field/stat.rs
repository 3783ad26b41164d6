//! Figures of a list of figures.

/// Smallest, median and largest; `None` of nothing.
pub(crate) fn spread<T: Copy + Ord>(mut values: Vec<T>) -> Option<(T, T, T)> {
    values.sort_unstable();
    let middle = values.get(values.len() / 2)?;
    Some((*values.first()?, *middle, *values.last()?))
}

/// The spread as text, each figure divided by `unit`.
pub(crate) fn spread_text(values: Vec<u64>, unit: f64, digits: usize) -> String {
    let text = |value: u64| format!("{:.digits$}", value as f64 / unit);
    spread(values).map_or_else(
        || "none".to_owned(),
        |(least, middle, most)| {
            format!("{} (median), {} to {}", text(middle), text(least), text(most))
        },
    )
}
