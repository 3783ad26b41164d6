//! A configuration file that says everything and sets nothing.

use std::fmt::Write;

use super::keys::{Key, SOURCE, Usual, keys_of, sections};

/// Heads the file.
const HEAD: &str = "\
# Configuration of the plexmesh agent. Everything in it is optional: a line that begins with `#`
# shows the default, or an example where there is none.
#
# Files are read in this order, a later one wins: /etc/plexmesh/plexmesh.toml, then
# /etc/plexmesh/conf.d/*.toml by name. Environment variables win over files, flags over both.
# `plexmesh config check` says what is wrong, `plexmesh config show --origin` what holds and why.
";

/// The text of a file with all keys, their meaning, defaults and examples, all of it in comments.
#[must_use]
pub fn template() -> String {
    let mut text = HEAD.to_owned();
    for section in sections() {
        let list = section == SOURCE.section;
        // Writing to a String does not fail.
        let _ = if list {
            let reload = reload(&SOURCE);
            writeln!(text, "\n# {}\n#   change: {reload}\n#[[{section}]]", SOURCE.help)
        } else {
            writeln!(text, "\n[{section}]")
        };
        for key in keys_of(section) {
            describe(&mut text, key, list);
        }
    }
    text
}

fn describe(text: &mut String, key: &Key, of_list: bool) {
    let (example, unset) = match key.usual {
        Usual::Value(value) => (value, None),
        Usual::Unset { example, meaning } => (example, Some(meaning)),
    };
    let _ = writeln!(text, "\n# {}", key.help);
    let _ = writeln!(text, "#   takes: {}", key.kind.allowed());
    if let Some(meaning) = unset {
        let _ = writeln!(text, "#   if not set: {meaning}");
    }
    if !of_list {
        let _ = writeln!(text, "#   change: {}", reload(key));
        let _ = writeln!(text, "#   variable: {}", key.variable().unwrap_or_default());
    }
    let _ = writeln!(text, "#{} = {example}", key.name);
}

fn reload(key: &Key) -> &'static str {
    if key.reloadable { "taken on SIGHUP" } else { "needs a restart" }
}
