//! Values: from the text of flags and variables, from files, and back.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use plexmesh_proto::record::Availability;
use serde_json::json;
use toml::de::DeValue;
use tracing_subscriber::EnvFilter;

use super::keys::{Kind, MAX_LABEL_BYTES};
use crate::mesh::Seed;
use crate::scrub::Hours;
use crate::settings::SourceSettings;
use crate::sources::SourceKind;
use crate::time::parse_span;

/// Longest text that a key takes, in bytes: longer than any path or filter that makes sense.
const MAX_TEXT_BYTES: usize = 4_096;
/// Longest name of a group, in bytes: what the system's own tools take.
const MAX_GROUP_BYTES: usize = 32;

/// Words for what is expected of a peer.
static AVAILABILITIES: [(&str, Availability); 2] =
    [("always", Availability::Always), ("intermittent", Availability::Intermittent)];

/// What a word says of a peer; `None` for another word.
#[must_use]
pub fn availability(word: &str) -> Option<Availability> {
    AVAILABILITIES.iter().find(|(it, _)| *it == word).map(|(_, availability)| *availability)
}

/// What a key is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A path.
    Path(PathBuf),
    /// Texts in order.
    Texts(Vec<String>),
    /// A span of time.
    Span(Duration),
    /// Bytes, or bytes a second.
    Bytes(u64),
    /// A whole number.
    Number(u64),
    /// Directories with shards.
    Sources(Vec<SourceSettings>),
}

/// Why something is no value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// What is wrong, to be read after the key's name.
    pub(super) what: String,
    /// What would be right.
    pub(super) allowed: String,
    /// Which element of a list is to blame, from 0.
    pub(super) element: Option<usize>,
}

impl Kind {
    /// What may be written, for people.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Label => format!("text of at most {MAX_LABEL_BYTES} bytes"),
            Self::Group => "name or number of a group of users".to_owned(),
            Self::Path => "an absolute path".to_owned(),
            Self::Addresses { most } => format!(
                "a list of at most {most} multiaddrs such as \"/ip4/0.0.0.0/udp/6374/quic-v1\""
            ),
            Self::Seeds { most } => {
                format!("a list of at most {most} multiaddrs that end in /p2p/PEER_ID")
            }
            Self::Span { least, most } => format!(
                "a span of time from {} to {}, such as \"24h\"",
                written_span(least),
                written_span(most)
            ),
            Self::Bytes { least, most } => format!(
                "a number of bytes from {} to {}, such as 20971520 or \"20MiB\"",
                written_bytes(least),
                written_bytes(most)
            ),
            Self::Number { least, most } => format!("a whole number from {least} to {most}"),
            Self::Availability => one_of(&AVAILABILITIES.map(|(word, _)| word)),
            Self::Filter => "a filter such as \"info\" or \"warn,plexmesh_net=debug\"".to_owned(),
            Self::Hours => "a part of each day in local time such as \"22:00-06:00\"".to_owned(),
            Self::SourceKind => one_of(&SourceKind::ALL.map(SourceKind::word)),
            Self::Sources => "a list of tables, each under its own [[source]]".to_owned(),
        }
    }

    /// Whether it takes a list of texts.
    pub(super) const fn is_list(self) -> bool {
        matches!(self, Self::Addresses { .. } | Self::Seeds { .. })
    }

    /// Whether a file may have digits without quotes for it.
    const fn takes_digits(self) -> bool {
        matches!(self, Self::Bytes { .. } | Self::Number { .. })
    }

    /// Reads what a variable or a flag has. A list has commas between its elements.
    pub(super) fn read_text(self, text: &str) -> Result<Value, Misfit> {
        if self.is_list() {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            return self.read_list(parts.map(str::to_owned).collect());
        }
        let misfit = |what: String| Misfit { what, allowed: self.allowed(), element: None };
        if text.len() > MAX_TEXT_BYTES {
            return Err(misfit(format!("has {} bytes", text.len())));
        }
        let refused = || misfit(format!("is `{text}`"));
        match self {
            Self::Label if text.len() > MAX_LABEL_BYTES => {
                Err(misfit(format!("has {} bytes", text.len())))
            }
            Self::Label => Ok(Value::Text(text.to_owned())),
            Self::Group => {
                let fits = (1..=MAX_GROUP_BYTES).contains(&text.len()) && !text.contains(':');
                fits.then(|| Value::Text(text.to_owned())).ok_or_else(refused)
            }
            Self::Path => {
                let path = PathBuf::from(text);
                if path.is_absolute() { Ok(Value::Path(path)) } else { Err(refused()) }
            }
            Self::Span { least, most } => parse_span(text)
                .ok()
                .filter(|span| (least..=most).contains(span))
                .map(Value::Span)
                .ok_or_else(refused),
            Self::Bytes { least, most } => parse_bytes(text)
                .filter(|bytes| (least..=most).contains(bytes))
                .map(Value::Bytes)
                .ok_or_else(refused),
            Self::Number { least, most } => text
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .map(Value::Number)
                .ok_or_else(refused),
            Self::Filter => EnvFilter::builder()
                .parse(text)
                .map(|_| Value::Text(text.to_owned()))
                .map_err(|error| misfit(format!("is `{text}`: {error}"))),
            Self::Availability => {
                availability(text).map(|_| Value::Text(text.to_owned())).ok_or_else(refused)
            }
            Self::Hours => text
                .parse::<Hours>()
                .map(|hours| Value::Text(hours.to_string()))
                .map_err(|()| refused()),
            Self::SourceKind => SourceKind::from_word(text)
                .map(|kind| Value::Text(kind.word().to_owned()))
                .ok_or_else(refused),
            Self::Addresses { .. } | Self::Seeds { .. } | Self::Sources => {
                Err(misfit("is a single text".to_owned()))
            }
        }
    }

    /// Reads a list of texts.
    pub(super) fn read_list(self, texts: Vec<String>) -> Result<Value, Misfit> {
        let misfit = |what: String| Misfit { what, allowed: self.allowed(), element: None };
        let (Self::Addresses { most } | Self::Seeds { most }) = self else {
            return Err(misfit("is a list".to_owned()));
        };
        if texts.len() > most {
            return Err(misfit(format!("has {} elements", texts.len())));
        }
        for (place, text) in texts.iter().enumerate() {
            let misfit = |what: String| Misfit { element: Some(place), ..misfit(what) };
            if text.len() > MAX_TEXT_BYTES {
                return Err(misfit(format!("has an element of {} bytes", text.len())));
            }
            let mut checked = Ok(text.clone());
            if matches!(self, Self::Seeds { .. }) {
                checked = text.parse::<Seed>().map(|it| it.address).map_err(|e| e.to_string());
            }
            checked
                .and_then(|it| plexmesh_net::check_address(&it).map_err(|e| e.to_string()))
                .map_err(|reason| misfit(format!("has an element that does not fit: {reason}")))?;
        }
        Ok(Value::Texts(texts))
    }

    /// Reads what a file has. Lists of tables are read elsewhere.
    pub(super) fn read_toml(self, value: &DeValue<'_>) -> Result<Value, Misfit> {
        let wrong_type = || Misfit {
            what: format!("is {}", described(value)),
            allowed: if self.is_list() || self.takes_digits() {
                self.allowed()
            } else {
                format!("{}, in quotes", self.allowed())
            },
            element: None,
        };
        match value {
            DeValue::String(text) if !self.is_list() => self.read_text(text),
            DeValue::Integer(digits) if self.takes_digits() => {
                let number = u64::from_str_radix(digits.as_str(), digits.radix());
                self.read_text(&number.map_err(|_| wrong_type())?.to_string())
            }
            DeValue::Array(list) if self.is_list() => {
                let texts = list.iter().map(|it| it.get_ref().as_str().map(str::to_owned));
                self.read_list(texts.collect::<Option<_>>().ok_or_else(wrong_type)?)
            }
            _ => Err(wrong_type()),
        }
    }
}

impl Value {
    /// The value as JSON: texts, numbers, lists, and objects for sources. Spans are text.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Path(path) => json!(path.to_string_lossy()),
            Self::Texts(texts) => json!(texts),
            Self::Span(span) => json!(written_span(*span)),
            Self::Bytes(number) | Self::Number(number) => json!(number),
            Self::Sources(sources) => sources
                .iter()
                .map(|it| json!({"kind": it.kind.word(), "root": it.root.to_string_lossy()}))
                .collect(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Texts(texts) => f.write_str(&texts.join(", ")),
            Self::Span(span) => f.write_str(&written_span(*span)),
            Self::Bytes(bytes) => f.write_str(&written_bytes(*bytes)),
            Self::Number(number) => write!(f, "{number}"),
            Self::Sources(sources) => {
                let sources: Vec<String> = sources
                    .iter()
                    .map(|it| format!("{} ({})", it.root.display(), it.kind.word()))
                    .collect();
                f.write_str(&sources.join(", "))
            }
        }
    }
}

/// A span as one writes it: `7d`, `24h`, `1m 30s`.
fn written_span(span: Duration) -> String {
    const DAY: u64 = 24 * 3_600;
    let seconds = span.as_secs();
    if span.subsec_nanos() == 0 && seconds.is_multiple_of(DAY) && seconds > DAY {
        return format!("{}d", seconds / DAY);
    }
    jiff::SignedDuration::try_from(span)
        .map_or_else(|_| format!("{}s", span.as_secs()), |span| format!("{span:#}"))
}

/// Units of bytes, the largest of each family first, `B` last, as all others end in it. Both
/// families are read; only binary ones are written.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads `20MiB`, `1.5 GB`, or a plain number of bytes.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Ok(bytes) = text.parse() {
        return Some(bytes);
    }
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = UNITS.iter().find_map(|(unit, bytes)| {
        Some((lower.strip_suffix(&unit.to_ascii_lowercase())?.trim_end(), *bytes))
    })?;
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(unit);
    }
    let bytes = digits.parse::<f64>().ok()? * unit as f64;
    // The largest float below 2^63; a rate has far less.
    (0.0..9.2e18).contains(&bytes).then_some(bytes as u64)
}

/// Bytes as one writes them: with the largest unit that leaves a whole number.
fn written_bytes(bytes: u64) -> String {
    let binary = UNITS.iter().filter(|(unit, _)| unit.ends_with("iB"));
    let mut fitting = binary.filter(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    match fitting.next() {
        Some((unit, size)) => format!("{}{unit}", bytes / size),
        None => format!("{bytes}B"),
    }
}

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{text}\""),
        DeValue::Integer(digits) => format!("the number {digits}"),
        DeValue::Float(digits) => format!("the number {digits}"),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(list) if list.iter().all(|it| it.get_ref().is_str()) => "a list".to_owned(),
        DeValue::Array(_) => "a list of other things than texts".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Words to choose from.
pub(super) fn one_of(words: &[&str]) -> String {
    format!("one of {}", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("20MiB", 20 << 20),
            ("20 mib", 20 << 20),
            ("1.5KiB", 1_536),
            ("2MB", 2_000_000),
            ("4096", 4_096),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "-1KiB", "20 miles", "99999999999999TiB", "1e300TB", "nanKB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_are_written_as_they_are_read() {
        for bytes in [1, 1_023, 1_024, 20 << 20, 1_000_000, 3 << 40] {
            assert_eq!(parse_bytes(&written_bytes(bytes)), Some(bytes));
        }
    }
}
