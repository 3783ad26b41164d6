//! Measured matrices: row = from, column = to.

use std::path::Path;
use std::sync::Arc;

use super::data::{self, BuiltinKind};
use super::places::{NEAR_US, Places};
use super::read::Text;
use super::{MAX_ONE_WAY_US, Topology, TopologyError, picture};
use crate::report::Picture;
use crate::scenario::{MatrixValues, Unit};

/// Most rows: with four bytes a value they take 64 MiB, and measured matrices have up to about
/// 2,500.
pub(super) const MAX_ROWS: usize = 4_096;

/// How a matrix is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) unit: Option<Unit>,
    pub(super) values: MatrixValues,
    pub(super) symmetric: bool,
}

/// A complete matrix.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    /// Row by row, in microseconds.
    pub(super) one_way_us: Arc<[u32]>,
}

/// Peers on the rows of a matrix, in turn.
pub(super) fn build(
    source: &str,
    how: Reading,
    peers: usize,
    base: &Path,
) -> Result<Topology, TopologyError> {
    let builtin = data::builtin(source);
    let matrix = match builtin {
        Some(builtin) => {
            check_builtin(builtin, how)?;
            builtin.matrix()?.ok_or_else(|| no_matrix(source))?
        }
        None => {
            let unit = how.unit.ok_or_else(|| no_unit(source))?;
            parse(&Text::read(Path::new(source), base)?, unit, how)?
        }
    };
    let names = builtin.map(data::Builtin::names).unwrap_or_default();
    let places = Places::in_turn(matrix.rows, matrix.one_way_us.clone());
    let shown = matrix.rows.min(peers);
    let plane = picture::scaled(shown, |a, b| places.between_us(a, b) + places.between_us(b, a));
    let of_rows = match names.as_slice() {
        [] => (0..matrix.rows).map(|row| format!("row {}", row + 1)).collect(),
        names => names.to_vec(),
    };
    let picture = Picture {
        places: picture::around(peers, &plane, |peer| places.of(peer)),
        names: places.names(peers, &of_rows),
        edges: Vec::new(),
    };
    let region = |peer: usize| names.get(places.of(peer)).cloned();
    let regions = (0..peers).map_while(region).collect();
    Ok(Topology { model: Box::new(places), picture, regions, cables: Vec::new() })
}

/// Reads a matrix and fills in what is missing.
pub(super) fn parse(text: &Text, unit: Unit, how: Reading) -> Result<Matrix, TopologyError> {
    let lines = Lines::new(&text.text);
    let rows = lines.clone().count();
    if !(2..=MAX_ROWS).contains(&rows) {
        let line = lines.clone().last().map_or(1, |(line, _)| line);
        let message = format!("{rows} rows of values; a matrix has 2 to {MAX_ROWS}");
        return Err(text.wrong((line, 1), message));
    }
    let scale = Scale::new(unit, how.values);
    let mut values = Vec::with_capacity(rows * rows);
    let mut numbers = Vec::with_capacity(rows);
    for (row, (line, content)) in lines.enumerate() {
        numbers.push(line);
        let before = values.len();
        for (column, field) in fields(content) {
            if values.len() - before == rows {
                return Err(ragged(text, (line, column), rows, fields(content).count()));
            }
            let on_diagonal = values.len() - before == row;
            let read = scale.read(field, on_diagonal);
            values.push(read.map_err(|message| text.wrong((line, column), message))?);
        }
        let found = values.len() - before;
        if found < rows {
            let end = content.trim_end().chars().count() + 1;
            return Err(ragged(text, (line, end), rows, found));
        }
    }
    if how.symmetric {
        mirror(&mut values, rows);
    }
    estimate(&mut values, rows)
        .map(|one_way_us| Matrix { rows, one_way_us: one_way_us.into() })
        .map_err(|(row, missing)| {
            let line = numbers.get(row).copied().unwrap_or(1);
            too_thin(text, line, missing, rows, how.symmetric)
        })
}

/// Lines with values, and their numbers from 1.
#[derive(Clone, Debug)]
struct Lines<'a>(std::iter::Enumerate<std::str::Lines<'a>>);

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        // Spreadsheets put a byte-order mark in front.
        Self(text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate())
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let told = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        self.0.find(|(_, line)| told(line)).map(|(number, line)| (number + 1, line))
    }
}

/// Fields of a line and their columns, from 1: between commas if there is one, else between white
/// space.
fn fields(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let commas = line.contains(',');
    let is_between = move |c: char| if commas { c == ',' } else { c.is_whitespace() };
    let mut column = 1;
    line.split(is_between).filter_map(move |field| {
        let start = column + field.chars().take_while(|c| c.is_whitespace()).count();
        column += field.chars().count() + 1;
        (commas || !field.is_empty()).then_some((start, field.trim()))
    })
}

/// What turns a value into microseconds one way.
#[derive(Clone, Copy, Debug)]
struct Scale {
    factor: f64,
    unit: Unit,
}

impl Scale {
    fn new(unit: Unit, values: MatrixValues) -> Self {
        let unit_us = match unit {
            Unit::S => 1_000_000.0,
            Unit::Ms => 1_000.0,
            Unit::Us => 1.0,
        };
        let ways = match values {
            MatrixValues::RoundTrip => 2.0,
            MatrixValues::OneWay => 1.0,
        };
        Self { factor: unit_us / ways, unit }
    }

    /// A value; 0 if it is missing or stands on the diagonal, where none is used.
    fn read(self, field: &str, on_diagonal: bool) -> Result<u32, String> {
        if field == "-" {
            return Ok(0);
        }
        let expected = "a number, or `0` or `-` for a missing one, is expected";
        if field.is_empty() {
            return Err(format!("an empty value; {expected}"));
        }
        let shown: String = field.chars().take(20).collect();
        let value: f64 = field.parse().map_err(|_| {
            format!("`{shown}` is no number; {expected} (a line of titles starts with `#`)")
        })?;
        if !value.is_finite() {
            return Err(format!("`{shown}` is not finite; {expected}"));
        }
        if value < 0.0 {
            return Err(format!(
                "`{shown}` is negative; a latency is above 0, a missing one is `0` or `-`"
            ));
        }
        if value == 0.0 || on_diagonal {
            return Ok(0);
        }
        let us = value * self.factor;
        if us > MAX_ONE_WAY_US as f64 {
            let unit = format!("{:?}", self.unit).to_lowercase();
            return Err(format!(
                "`{shown}` {unit} is more than a minute one way; is `unit = \"{unit}\"` right?"
            ));
        }
        // Rounded, and never down to what would mean missing.
        Ok(((us + 0.5) as u32).max(1))
    }
}

/// Lets the value of one direction stand for the other where that is missing.
fn mirror(values: &mut [u32], rows: usize) {
    for place in 0..values.len() {
        let back = values.get(place % rows * rows + place / rows).copied().unwrap_or(0);
        if let Some(value @ 0) = values.get_mut(place) {
            *value = back;
        }
    }
}

/// Fills in what is still missing, and [`NEAR_US`] on the diagonal: the mean of the median of what
/// the row has and the median of what the column has, as far from the others as both ends usually
/// are. A row that misses more than half is given back with what it misses.
fn estimate(values: &mut [u32], rows: usize) -> Result<Vec<u32>, (usize, usize)> {
    let mut row_medians = Vec::with_capacity(rows);
    for (row, values) in values.chunks(rows).enumerate() {
        let known: Vec<u32> = values.iter().copied().filter(|us| *us > 0).collect();
        let missing = rows - 1 - known.len();
        if missing * 2 > rows - 1 {
            return Err((row, missing));
        }
        row_medians.push(median(known));
    }
    let column_median = |column: usize| {
        median(values.iter().skip(column).step_by(rows).copied().filter(|us| *us > 0).collect())
    };
    let column_medians: Vec<Option<u32>> = (0..rows).map(column_median).collect();
    let filled = values.iter().enumerate().map(|(place, us)| {
        let (row, column) = (place / rows, place % rows);
        match (*us, row == column) {
            (_, true) => NEAR_US,
            (0, false) => {
                let medians = [row_medians.get(row), column_medians.get(column)];
                let known: Vec<u32> = medians.into_iter().flatten().copied().flatten().collect();
                let sum: u64 = known.iter().copied().map(u64::from).sum();
                (sum / known.len().max(1) as u64) as u32
            }
            (us, false) => us,
        }
    });
    Ok(filled.collect())
}

fn median(mut values: Vec<u32>) -> Option<u32> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn ragged(text: &Text, at: (usize, usize), rows: usize, found: usize) -> TopologyError {
    let message = format!(
        "{found} values in this row, but there are {rows} rows; a matrix is square: as many values \
         in each row as there are rows"
    );
    text.wrong(at, message)
}

fn too_thin(
    text: &Text,
    line: usize,
    missing: usize,
    rows: usize,
    symmetric: bool,
) -> TopologyError {
    let hint = if symmetric {
        "leave this row and its column out"
    } else {
        "leave this row and its column out, or say `symmetric = true` if one direction stands for \
         both"
    };
    let others = rows - 1;
    let message = format!(
        "{missing} of {others} values are missing in this row; at most half may be: {hint}"
    );
    text.wrong((line, 1), message)
}

fn no_unit(source: &str) -> TopologyError {
    let message = format!(
        "it is required for a file ({source}), which does not say itself what it measures in: \
         unit = \"s\", \"ms\" or \"us\""
    );
    TopologyError::value("latency.unit", message)
}

fn no_matrix(source: &str) -> TopologyError {
    let message = format!("`{source}` is no matrix; say `model = \"graphml\"` for it");
    TopologyError::value("latency.source", message)
}

/// A built-in matrix knows what it holds; a scenario that says something else is mistaken.
fn check_builtin(builtin: &data::Builtin, how: Reading) -> Result<(), TopologyError> {
    let BuiltinKind::Matrix(own) = builtin.kind else { return Ok(()) };
    let name = builtin.name;
    if how.unit.is_some_and(|unit| unit != own) {
        let own = format!("{own:?}").to_lowercase();
        let message = format!("`{name}` is built in and in {own}; leave `unit` out");
        return Err(TopologyError::value("latency.unit", message));
    }
    if how.values == MatrixValues::OneWay {
        let message = format!("`{name}` is built in and has round trips; leave `values` out");
        return Err(TopologyError::value("latency.values", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
