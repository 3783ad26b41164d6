//! Reads scenario files, and says where and what is wrong with them.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::schema::{Form, Key, Kind, SCENARIO};
use super::validate::Problem;
use super::who::FORMS;
use super::{Scenario, Span, Who};

/// A name that is further than this from what was written is not what was meant (Jaro-Winkler; the
/// bound that clap uses for its own suggestions).
const ALIKE: f64 = 0.7;

/// What is wrong with a scenario file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ScenarioError {
    /// The file, or the name of a built-in scenario.
    pub file: String,
    /// Line and column from 1; `None` if nothing in the file is to blame, but an option.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What would have been right.
    pub expected: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)?;
        if !self.expected.is_empty() {
            write!(f, "\n  expected: {}", self.expected)?;
        }
        Ok(())
    }
}

/// Reads a scenario; `file` is what errors call it.
///
/// # Errors
/// The first thing in the file that is wrong, be it in its form or in what it asks for.
pub fn load(text: &str, file: &str) -> Result<Scenario, ScenarioError> {
    let scenario = parse(text, file)?;
    scenario.validate().map_err(|problem| locate(&problem, text, file))?;
    Ok(scenario)
}

/// Says where in a file the cause of a problem is.
pub(super) fn locate(problem: &Problem, text: &str, file: &str) -> ScenarioError {
    let offset = DeTable::parse(text).ok().map(|root| offset_of(&root, &problem.path));
    ScenarioError {
        file: file.to_owned(),
        place: offset.map(|offset| place(text, offset)),
        what: problem.what.clone(),
        expected: problem.expected.clone(),
    }
}

/// The name among `names` that was probably meant.
#[must_use]
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = names.into_iter().map(|name| (strsim::jaro_winkler(written, name), name));
    scored.filter(|(alike, _)| *alike > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|best| best.1)
}

fn parse(text: &str, file: &str) -> Result<Scenario, ScenarioError> {
    let error = |offset: Option<usize>, what: String, expected: String| ScenarioError {
        file: file.to_owned(),
        place: offset.map(|offset| place(text, offset)),
        what,
        expected,
    };
    let root = DeTable::parse(text).map_err(|toml| {
        let offset = toml.span().map(|span| span.start);
        error(offset, format!("this is no TOML: {}", toml.message().trim()), String::new())
    })?;
    let mut walk = Walk::default();
    walk.table(&SCENARIO, root.get_ref(), 0);
    if let Some(first) = walk.misfits.into_iter().min_by_key(|misfit| misfit.offset) {
        return Err(error(Some(first.offset), first.what, first.expected));
    }
    toml::from_str(text).map_err(|toml| {
        error(toml.span().map(|span| span.start), toml.message().trim().to_owned(), String::new())
    })
}

/// Something that the schema does not know.
#[derive(Debug)]
struct Misfit {
    offset: usize,
    what: String,
    expected: String,
}

#[derive(Debug, Default)]
struct Walk {
    misfits: Vec<Misfit>,
}

impl Walk {
    fn misfit(&mut self, offset: usize, what: String, expected: impl Into<String>) {
        self.misfits.push(Misfit { offset, what, expected: expected.into() });
    }

    fn table(&mut self, form: &Form, table: &DeTable<'_>, offset: usize) {
        let mut keys: Vec<Key> = form.keys.to_vec();
        if let Some(tag) = &form.tag {
            let words: Vec<&str> = tag.variants.iter().map(|(word, _)| *word).collect();
            let Some(value) = table.get(tag.name) else {
                let what = format!("the key `{}` is missing", tag.name);
                return self.misfit(offset, what, one_of(&words));
            };
            let Some((_, more)) = value
                .get_ref()
                .as_str()
                .and_then(|word| tag.variants.iter().find(|(name, _)| *name == word))
            else {
                return self.word(tag.name, value, &words);
            };
            keys.extend_from_slice(more);
        }
        let tag = form.tag.map(|tag| tag.name);
        let names: Vec<&str> = keys.iter().map(|key| key.name).chain(tag).collect();
        for (name, value) in table {
            let written = name.get_ref().as_ref();
            match keys.iter().find(|key| key.name == written) {
                Some(key) => self.value(key, value),
                None if Some(written) == tag => {}
                None => {
                    let what = format!("unknown key `{written}`{}", did_you_mean(written, &names));
                    self.misfit(name.span().start, what, one_of(&names));
                }
            }
        }
        for key in keys.iter().filter(|key| key.needed && !table.contains_key(key.name)) {
            let what = format!("the key `{}` is missing", key.name);
            self.misfit(offset, what, format!("{} = {}", key.name, key.kind.example()));
        }
    }

    fn value(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) {
        let (offset, inner) = (value.span().start, value.get_ref());
        match key.kind {
            Kind::Table(form) => match inner.as_table() {
                Some(table) => self.table(form, table, offset),
                None => self.wrong_type(key, value),
            },
            Kind::Tables(form) => match inner.as_array() {
                Some(tables) => self.tables(key, form, tables),
                None => self.wrong_type(key, value),
            },
            Kind::Word(words) => self.word(key.name, value, words()),
            Kind::Span => match inner.as_str().map(str::parse::<Span>) {
                Some(Ok(_)) => {}
                Some(Err(what)) => self.misfit(offset, what, key.kind.expected()),
                None => self.wrong_type(key, value),
            },
            Kind::Who => self.who(key, value),
            Kind::Whos => match inner.as_array() {
                Some(sets) => sets.iter().for_each(|set| self.who(key, set)),
                None => self.wrong_type(key, value),
            },
            Kind::Text if inner.is_str() => {}
            Kind::Flag if inner.is_bool() => {}
            Kind::Whole if whole(inner).is_some() => {}
            Kind::Signed if signed(inner).is_some() => {}
            Kind::Number if number(inner).is_some() => {}
            _ => self.wrong_type(key, value),
        }
    }

    fn tables(&mut self, key: &Key, form: &Form, tables: &DeArray<'_>) {
        for table in tables {
            match table.get_ref().as_table() {
                Some(inner) => self.table(form, inner, table.span().start),
                None => self.wrong_type(key, table),
            }
        }
    }

    fn who(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) {
        let who = match value.get_ref() {
            DeValue::String(text) => Some(Who::Named(text.as_ref().to_owned())),
            DeValue::Array(list) => list
                .iter()
                .map(|peer| index(peer.get_ref()))
                .collect::<Option<Vec<usize>>>()
                .map(Who::Listed),
            other => index(other).map(Who::Count),
        };
        match who.map(|who| who.choice().map(|_| ())) {
            Some(Ok(())) => {}
            Some(Err(what)) => self.misfit(value.span().start, what, FORMS),
            None => self.wrong_type(key, value),
        }
    }

    fn word(&mut self, name: &str, value: &Spanned<DeValue<'_>>, words: &[&str]) {
        let offset = value.span().start;
        match value.get_ref().as_str() {
            Some(word) if words.contains(&word) => {}
            Some(word) => {
                let what = format!("unknown {name} `{word}`{}", did_you_mean(word, words));
                self.misfit(offset, what, one_of(words));
            }
            None => {
                let what = format!("`{name}` is {}", described(value.get_ref()));
                self.misfit(offset, what, one_of(words));
            }
        }
    }

    fn wrong_type(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) {
        let what = format!("`{}` is {}", key.name, described(value.get_ref()));
        self.misfit(value.span().start, what, key.kind.expected());
    }
}

impl Kind {
    const fn expected(self) -> &'static str {
        match self {
            Self::Text => "text in quotes",
            Self::Whole => "a whole number from 0",
            Self::Signed => "a whole number",
            Self::Number => "a finite number",
            Self::Flag => "true or false",
            Self::Span => "a length of time in quotes, like \"250ms\", \"90s\" or \"2m 30s\"",
            Self::Who => FORMS,
            Self::Whos => "a list of sets of peers, like [\"30%\"] or [[0, 1], [2, 3]]",
            Self::Word(_) => "one of a few words in quotes",
            Self::Table(_) => "a table",
            Self::Tables(_) => "a list of tables, each under its own [[...]]",
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Text => "\"...\"",
            Self::Whole | Self::Signed => "1",
            Self::Number => "0.5",
            Self::Flag => "true",
            Self::Span => "\"30s\"",
            Self::Who => "\"5%\"",
            Self::Whos => "[\"30%\"]",
            Self::Word(_) => "one of a few words in quotes",
            Self::Table(_) => "{ ... }",
            Self::Tables(_) => "[{ ... }]",
        }
    }
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let digits = value.as_integer()?;
    u64::from_str_radix(digits.as_str(), digits.radix()).ok()
}

fn index(value: &DeValue<'_>) -> Option<usize> {
    usize::try_from(whole(value)?).ok()
}

fn signed(value: &DeValue<'_>) -> Option<i64> {
    let digits = value.as_integer()?;
    i64::from_str_radix(digits.as_str(), digits.radix()).ok()
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    let float = value.as_float().and_then(|float| float.as_str().parse().ok());
    // An integer stands for the number.
    float.or_else(|| signed(value).map(|whole| whole as f64)).filter(|number| number.is_finite())
}

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("text (\"{text}\")"),
        DeValue::Integer(digits) => format!("the number {digits}"),
        DeValue::Float(digits) => format!("the number {digits}"),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn one_of(names: &[&str]) -> String {
    format!("one of {}", names.join(", "))
}

fn did_you_mean(written: &str, names: &[&str]) -> String {
    // Keys are written with dashes here; elsewhere people are used to underscores.
    let dashed = written.replace('_', "-").to_lowercase();
    nearest(&dashed, names.iter().copied())
        .map(|name| format!(" - did you mean `{name}`?"))
        .unwrap_or_default()
}

/// Offset of the value at `path` (`faults[2].peers`), or of the innermost value around it that the
/// file has.
fn offset_of(root: &Spanned<DeTable<'_>>, path: &str) -> usize {
    let steps = path.split(['.', '[']).filter(|step| !step.is_empty());
    let mut offset = 0;
    let mut place: Option<&Spanned<DeValue<'_>>> = None;
    for step in steps {
        let index: Option<usize> = step.strip_suffix(']').and_then(|step| step.parse().ok());
        let next = match (place.map(Spanned::get_ref), index) {
            (None, None) => root.get_ref().get(step),
            (Some(value), Some(index)) => value.as_array().and_then(|array| array.get(index)),
            (Some(value), None) => value.as_table().and_then(|table| table.get(step)),
            (None, Some(_)) => None,
        };
        let Some(next) = next else { break };
        offset = next.span().start;
        place = Some(next);
    }
    offset
}

/// Line and column from 1 of a byte offset; columns are characters.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let span: Range<usize> = 0..offset.min(text.len());
    let before = text.get(span).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before.get(line_start..).map_or(0, |line| line.chars().count());
    (before.matches('\n').count() + 1, column + 1)
}

#[cfg(test)]
mod tests;
