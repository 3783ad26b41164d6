//! What is configured.

use serde_json::Value;

use super::page::{Line, Page};
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::clean;
use crate::api::schema::{ConfigCheck, ConfigFile, ConfigKey, Many, One};

/// All keys with their values, and on demand where these come from.
#[must_use]
pub fn keys(screen: &Screen, document: &Many<ConfigKey>, origins: bool) -> Page {
    let mut head = vec!["KEY", "VALUE"];
    if screen.wide {
        head.push("CHANGES");
    }
    if origins {
        head.push("ORIGIN");
    }
    let mut table = Table::new(head);
    for item in &document.body.items {
        let name = if item.section == item.key {
            item.key.clone()
        } else {
            format!("{}.{}", item.section, item.key)
        };
        let value = match &item.value {
            Value::Null => Cell::unknown(),
            value => Cell::new(clean(screen, &text(value))),
        };
        let mut row = vec![Cell::new(name), value];
        if screen.wide {
            row.push(Cell::new(if item.reloadable { "on SIGHUP" } else { "at a restart" }));
        }
        if origins {
            let origin = clean(screen, &item.origin);
            let is_default = item.origin == "default";
            row.push(if is_default { Cell::painted(Paint::Dim, origin) } else { origin.into() });
        }
        table.row(row);
    }
    let mut page = Page::new("config");
    page.table(table);
    page
}

/// A value in words.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let field = |name| fields.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{} ({})", field("root"), field("kind"))
        }
        other => other.to_string(),
    }
}

/// What was read, and what is wrong with it.
#[must_use]
pub fn check(screen: &Screen, document: &One<ConfigCheck>) -> Page {
    let check = &document.body.item;
    let mut page = Page::new("config check");
    let mut table = Table::new(["ORIGIN", "ERROR"]);
    let variables = check.variables.iter().map(|name| format!("environment {name}"));
    let mut nothing = true;
    for read in check.files.iter().cloned().chain(variables) {
        page.line(format!("read {}", clean(screen, &read)));
        nothing = false;
    }
    if nothing {
        page.line("nothing is configured; the defaults hold");
    }
    for flaw in &check.errors {
        let (origin, message) = (clean(screen, &flaw.origin), clean(screen, &flaw.message));
        page.line(Line::new().painted(Paint::Bad, origin.as_str()).plain(format!(": {message}")));
        table.row([origin.into(), message.into()]);
    }
    page.line(match check.errors.len() {
        0 => "no errors".to_owned(),
        1 => "1 error".to_owned(),
        more => format!("{more} errors"),
    });
    page.data(table);
    page
}

/// A file that was written, or its text if it was not.
#[must_use]
pub fn file(screen: &Screen, document: &One<ConfigFile>) -> Page {
    let made = &document.body.item;
    let mut page = Page::new("config init");
    let mut table = Table::facts();
    match &made.file {
        Some(file) => {
            let file = clean(screen, file);
            page.line(format!("{file} was written; it sets nothing yet"));
            page.line(Line::from("next: ").code("plexmesh config check"));
            table.row(["file".into(), file.into()]);
        }
        None => page.script(made.text.clone()),
    }
    table.row(["text".into(), made.text.as_str().into()]);
    page.data(table);
    page
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::schema::{Envelope, Items, Kind, Stamp};
    use crate::render::sample::screen;

    fn document() -> Many<ConfigKey> {
        let key = |section: &str, key: &str, value: Value, origin: &str| ConfigKey {
            section: section.to_owned(),
            key: key.to_owned(),
            value,
            origin: origin.to_owned(),
            reloadable: true,
        };
        let sources = json!([{"kind": "auto", "root": "/srv/a"}, {"kind": "plain", "root": "/b"}]);
        let items = vec![
            key("scrub", "deadline", json!("24h"), "default"),
            key("scrub", "max_bytes_per_second", Value::Null, "default"),
            key("source", "source", sources, "/etc/x.toml:3"),
        ];
        Envelope::new(Kind::Config, Stamp::local(), Items { items })
    }

    #[test]
    fn origins_are_shown_on_demand() {
        let expected = "KEY                         VALUE\n\
                        scrub.deadline              24h\n\
                        scrub.max_bytes_per_second  -\n\
                        source                      /srv/a (auto), /b (plain)\n";
        assert_eq!(keys(&screen(), &document(), false).text(&screen()), expected);
        let with_origins = keys(&screen(), &document(), true).text(&screen());
        assert!(with_origins.contains("/b (plain)  /etc/x.toml:3\n"), "{with_origins}");
    }

    #[test]
    fn a_check_says_what_it_read_even_if_that_is_nothing() {
        let check_of = |files: &[&str]| {
            let files = files.iter().map(|it| (*it).to_owned()).collect();
            let item = ConfigCheck { files, variables: Vec::new(), errors: Vec::new() };
            check(&screen(), &One::local(Kind::ConfigCheck, item)).text(&screen())
        };
        assert_eq!(check_of(&["/etc/a.toml"]), "read /etc/a.toml\nno errors\n");
        assert!(check_of(&[]).starts_with("nothing is configured"));
    }
}
