//! Files: which there are, what they set and what is wrong with them.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Setting;
use super::keys::{
    KEYS, Key, Kind, MAX_SOURCES, SOURCE, SOURCE_REGION, SOURCE_ROOT, SOURCE_TIER, keys_of,
    nearest, sections,
};
use super::layer::Layer;
use super::origin::{Flaw, Origin};
use super::value::{Misfit, Value, one_of};
use crate::settings::SourceSettings;
use crate::sources::SourceKind;

/// Largest file, in bytes: many times what all keys take.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// Most files of a directory.
const MAX_FILES: usize = 64;
/// The file of a directory that comes first.
const MAIN_FILE: &str = "plexmesh.toml";
/// The directory of those that come after it.
const MORE_FILES: &str = "conf.d";

/// The files that count in a configuration directory, in their order; those that are not there are
/// left out.
pub(super) fn usual_files(dir: &Path) -> Result<Vec<PathBuf>, Flaw> {
    let main = dir.join(MAIN_FILE);
    let more = dir.join(MORE_FILES);
    let failed = |path: &Path, what: &str| Flaw {
        origin: Origin::File { path: path.to_owned(), line: None },
        message: what.to_owned(),
    };
    let mut files = Vec::new();
    let unreadable = |error: io::Error| failed(&more, &cannot_read(&error));
    match std::fs::read_dir(&more) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(unreadable)?.path();
                let hidden =
                    path.file_name().is_some_and(|it| it.as_encoded_bytes().starts_with(b"."));
                if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
                    files.push(path);
                }
                if files.len() > MAX_FILES {
                    return Err(failed(&more, &format!("has more than {MAX_FILES} files")));
                }
            }
        }
        Err(error) if is_missing(&error) => {}
        Err(error) => return Err(unreadable(error)),
    }
    files.sort();
    match std::fs::symlink_metadata(&main) {
        Err(error) if is_missing(&error) => {}
        // Whatever else is wrong with it is told when it is read.
        _ => files.insert(0, main),
    }
    Ok(files)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn cannot_read(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

/// What a file sets.
pub(super) fn layer(path: &Path) -> Layer {
    match read_text(path) {
        Ok(text) => parse(path, &text),
        Err(message) => Layer {
            settings: Vec::new(),
            flaws: vec![Flaw {
                origin: Origin::File { path: path.to_owned(), line: None },
                message,
            }],
        },
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let failed = |error: io::Error| cannot_read(&error);
    // Opening a pipe that nobody writes to would wait for ever.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("is larger than {} KiB", MAX_FILE_BYTES / 1024));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// What a text sets that stands for the file `path`.
pub(super) fn parse(path: &Path, text: &str) -> Layer {
    let (root, syntax) = DeTable::parse_recoverable(text);
    let mut walk = Walk { path, text, layer: Layer::default() };
    for error in &syntax {
        let offset = error.span().map_or(0, |span| span.start);
        walk.flaw(offset, format!("not TOML: {}", error.message().trim().replace('\n', ", ")));
    }
    let told = std::mem::take(&mut walk.layer.flaws);
    walk.root(root.get_ref());
    let mut layer = walk.layer;
    let broken: Vec<usize> = told.iter().filter_map(line_of).collect();
    layer.flaws.retain(|flaw| line_of(flaw).is_none_or(|line| !follows(text, &broken, line)));
    layer.flaws.extend(told);
    layer.flaws.sort_by_key(line_of);
    layer
}

fn line_of(flaw: &Flaw) -> Option<usize> {
    if let Origin::File { line, .. } = flaw.origin { line } else { None }
}

/// Whether what is wrong in a line may be so only because another is no TOML: that line itself, and
/// those under a section's head that does not read.
fn follows(text: &str, broken: &[usize], line: usize) -> bool {
    let is_head = |it: &str| it.trim_start().starts_with('[');
    let heads = text.lines().zip(1..).take(line).filter(|(it, _)| is_head(it));
    let head = heads.last().map(|(_, number)| number);
    broken.contains(&line) || head.is_some_and(|head| broken.contains(&head))
}

struct Walk<'a> {
    path: &'a Path,
    text: &'a str,
    layer: Layer,
}

impl Walk<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(offset);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        Origin::File { path: self.path.to_owned(), line: Some(line) }
    }

    fn flaw(&mut self, offset: usize, message: String) {
        let flaw = Flaw { origin: self.origin(offset), message };
        self.layer.flaws.push(flaw);
    }

    fn misfit(&mut self, offset: usize, key: &Key, misfit: &Misfit) {
        let Misfit { what, allowed, .. } = misfit;
        let name = format!("{}.{}", key.section, key.name);
        self.flaw(offset, format!("{name} {what}; allowed: {allowed}"));
    }

    fn root(&mut self, root: &DeTable<'_>) {
        for (name, value) in root {
            let (written, at) = (name.get_ref().as_ref(), name.span().start);
            if written == SOURCE.section {
                self.sources(at, value);
            } else if !sections().contains(&written) {
                self.flaw(at, unknown_section(written));
            } else if let Some(table) = value.get_ref().as_table() {
                self.section(written, table);
            } else {
                self.flaw(at, format!("`{written}` is a section; write [{written}]"));
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        let keys = keys_of(section);
        for (name, value) in table {
            let written = name.get_ref().as_ref();
            let Some(key) = keys.iter().find(|key| key.name == written) else {
                self.flaw(name.span().start, unknown_key(written, section));
                continue;
            };
            if let Some(value) = self.value(key, value) {
                let origin = self.origin(name.span().start);
                self.layer.settings.push(Setting { key, value: Some(value), origin });
            }
        }
    }

    /// The value of a key; `None` if it was no good, which is noted.
    fn value(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let read = key.kind.read_toml(value.get_ref());
        let element = |place: usize| value.get_ref().as_array()?.get(place).map(Spanned::span);
        read.inspect_err(|misfit| {
            let span = misfit.element.and_then(element).unwrap_or_else(|| value.span());
            self.misfit(span.start, key, misfit);
        })
        .ok()
    }

    fn sources(&mut self, at: usize, value: &Spanned<DeValue<'_>>) {
        let origin = self.origin(at);
        let Some(tables) = value.get_ref().as_array() else {
            let written = SOURCE.section;
            return self.flaw(at, format!("`{written}` is a list; write [[{written}]]"));
        };
        let before = self.layer.flaws.len();
        let mut sources: Vec<SourceSettings> = Vec::new();
        for table in tables.iter() {
            let at = table.span().start;
            let Some(fields) = table.get_ref().as_table() else {
                self.flaw(at, format!("`source` is {}", Kind::Sources.allowed()));
                continue;
            };
            let Some(source) = self.source(at, fields) else { continue };
            if sources.iter().any(|other| other.root == source.root) {
                let root = source.root.display();
                self.flaw(at, format!("two sources have the root {root}; name it once"));
            }
            sources.push(source);
        }
        if tables.len() > MAX_SOURCES {
            self.flaw(at, format!("there are more than {MAX_SOURCES} sources"));
        }
        if self.layer.flaws.len() == before {
            let value = Some(Value::Sources(sources));
            self.layer.settings.push(Setting { key: &SOURCE, value, origin });
        }
    }

    fn source(&mut self, at: usize, table: &DeTable<'_>) -> Option<SourceSettings> {
        let mut source = SourceSettings::of(PathBuf::new());
        for (name, value) in table {
            let written = name.get_ref().as_ref();
            let Some(key) = keys_of(SOURCE.section).into_iter().find(|key| key.name == written)
            else {
                self.flaw(name.span().start, unknown_key(written, SOURCE.section));
                continue;
            };
            match self.value(key, value) {
                Some(Value::Path(path)) => source.root = path,
                Some(Value::Text(text)) if *key == SOURCE_REGION => source.region = Some(text),
                Some(Value::Text(text)) if *key == SOURCE_TIER => source.tier = Some(text),
                Some(Value::Text(word)) => {
                    source.kind = SourceKind::from_word(&word).unwrap_or_default();
                }
                _ => {}
            }
        }
        if !table.contains_key(SOURCE_ROOT.name) {
            let text = "a source needs a root: root = \"/srv/shards\"";
            self.flaw(at, text.to_owned());
        }
        (source.root != Path::new("")).then_some(source)
    }
}

fn unknown_section(written: &str) -> String {
    // A key that stands above all sections is a frequent slip.
    let homeless = KEYS.iter().find(|key| key.name == written && key.kind != Kind::Sources);
    if let Some(key) = homeless {
        return format!(
            "`{written}` stands outside of its section; put it under [{}]",
            key.section
        );
    }
    let all = sections();
    match nearest(written, all.iter().copied()) {
        Some(meant) => format!("unknown section `{written}`; did you mean `{meant}`?"),
        None => format!("unknown section `{written}`; allowed: {}", one_of(&all)),
    }
}

/// What to say of a key that a section does not have.
pub(super) fn unknown_key(written: &str, section: &str) -> String {
    let unknown = format!("unknown key `{written}` in [{section}]");
    let names: Vec<&str> = keys_of(section).iter().map(|key| key.name).collect();
    if let Some(key) = KEYS.iter().find(|key| key.name == written && key.kind != Kind::Sources) {
        return format!("{unknown}; it belongs under [{}]", key.section);
    }
    match nearest(written, names.iter().copied()) {
        Some(meant) => format!("{unknown}; did you mean `{meant}`?"),
        None => format!("{unknown}; allowed: {}", one_of(&names)),
    }
}

/// Directories that a flag names, each a source of the usual kind. A relative one is one of where
/// the command was typed.
pub(super) fn sources_of(roots: &[PathBuf]) -> Result<Value, Misfit> {
    let misfit =
        |what: String| Misfit { element: None, what, allowed: "directories, each once".to_owned() };
    if roots.len() > MAX_SOURCES {
        return Err(misfit(format!("names more than {MAX_SOURCES} directories")));
    }
    let mut sources: Vec<SourceSettings> = Vec::new();
    for root in roots {
        let root = std::path::absolute(root).map_err(|e| misfit(format!("is no path: {e}")))?;
        if sources.iter().any(|other| other.root == root) {
            return Err(misfit(format!("names {} twice", root.display())));
        }
        sources.push(SourceSettings::of(root));
    }
    Ok(Value::Sources(sources))
}
