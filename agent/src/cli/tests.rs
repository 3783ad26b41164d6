//! Every verb in every form, drawn from one sample of what an agent says, compared byte for byte
//! with the files in `tests/snapshots`. Set `PLEXMESH_UPDATE_SNAPSHOTS=1` to write them anew, and
//! look at the difference before it is committed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, ValueEnum};
use serde::Serialize;
use serde_json::Value;

use super::args::{Cli, Format};
use super::{check, form, scripts};
use crate::api::problem::{Code, Problem};
use crate::api::schema::{
    ConfigCheck, ConfigFile, ConfigFlaw, ConfigKey, Envelope, EventItems, IdentityTransfer, Item,
    Items, Kind, Leave, MadeMesh, Many, One, Script, Stamp, Waited, Written,
};
use crate::render::page::Page;
use crate::render::sample;
use crate::render::terminal::Screen;
use crate::time::WallTime;

/// Verbs that print no document.
const SILENT: &[&str] = &["metrics", "run"];
/// Writes the snapshots anew.
const UPDATE_VARIABLE: &str = "PLEXMESH_UPDATE_SNAPSHOTS";
/// What is said to whoever adds a verb.
const HOW_TO_ADD: &str = "add a sample of its document to agent/src/render/sample.rs and a line \
    with its view to samples() in agent/src/cli/tests.rs (or its name to SILENT, if it prints no \
    document), then write its snapshots: PLEXMESH_UPDATE_SNAPSHOTS=1 cargo test -p plexmesh-agent \
    --lib cli::tests";

/// A verb's document in a form.
type Draw = Box<dyn Fn(Format) -> String>;

/// What each verb shows. A verb that shows several things has several lines; the word before the
/// first space is the verb.
fn samples() -> Vec<(&'static str, Draw)> {
    use crate::render::{
        audit, authority, config, doctor, event, latency, local, membership, peer, problem, shards,
        status, store, transfer, why,
    };
    vec![
        ("authority", drawn(sample::authorities(), authority::authorities)),
        ("certificate", drawn(sample::certificate(), membership::certificate)),
        ("check", drawn(sample::status(), check::page)),
        ("completions", drawn(local(Kind::Script, script("bash")), local::script)),
        ("config check", drawn(local(Kind::ConfigCheck, flawed()), config::check)),
        ("config init", drawn(local(Kind::ConfigFile, config_file()), config::file)),
        ("config show", drawn(keys(), |screen, it| config::keys(screen, it, true))),
        ("demo", drawn(local(Kind::DemoReport, crate::demo::tests::full_report()), demo)),
        ("doctor", drawn(local(Kind::Doctor, sample::doctor()), doctor::doctor)),
        (
            "error",
            drawn(One { stamp: stamp(), ..One::problem(sample_problem()) }, |screen, it| {
                problem::problem(screen, &it.body.item)
            }),
        ),
        ("events", drawn(events(), event::events)),
        ("events audit", drawn(sample::audit(), audit::audit)),
        (
            "export-identity",
            drawn(local(Kind::IdentityExported, moved_peer(true)), transfer::exported),
        ),
        (
            "import-identity",
            drawn(local(Kind::IdentityImported, moved_peer(false)), transfer::imported),
        ),
        ("init", drawn(local(Kind::MeshMade, made_mesh()), local::made)),
        ("integrity", drawn(sample::integrity(), shards::integrity)),
        ("forget", drawn(sample::revocations(), membership::revocations)),
        ("invite", drawn(sample::token(), membership::token)),
        ("invite list", drawn(sample::invites(), membership::invites)),
        ("join", drawn(local(Kind::Joined, sample::joined()), membership::joined)),
        ("keys", drawn(sample::keys(), membership::keys)),
        ("latency", drawn(sample::latency(), latency::latency)),
        ("leave", drawn(local(Kind::Left, Leave { reason: "new disk".to_owned() }), local::left)),
        ("man", drawn(local(Kind::Script, script("man")), local::script)),
        ("man DIR", drawn(local(Kind::Written, written()), local::written)),
        ("peer", drawn(sample::detail(), peer::peer)),
        ("peers", drawn(sample::peer_list(), peer::peers)),
        ("revoke", drawn(sample::revocations(), membership::revocations)),
        ("scrub", drawn(sample::scrub(), shards::scrub)),
        ("shards", drawn(sample::shards(), shards::shards)),
        ("shards --backups", drawn(sample::backups(), shards::backups)),
        ("status", drawn(sample::status(), status::status)),
        ("store check", drawn(sample::databases(), store::databases)),
        ("topology", Box::new(topology_in)),
        ("wait", drawn(local(Kind::Wait, waited()), local::waited)),
        ("why", drawn(sample::why(), why::why)),
    ]
}

fn drawn<T: Serialize + 'static>(document: T, draw: fn(&Screen, &T) -> Page) -> Draw {
    Box::new(move |format| {
        form::shown(format, &format.screen(sample::screen()), &document, draw).unwrap()
    })
}

fn topology_in(format: Format) -> String {
    use crate::render::topology;
    match format {
        Format::Dot => topology::dot(&sample::topology()),
        _ => drawn(sample::topology(), topology::topology)(format),
    }
}

fn demo(_: &Screen, document: &One<crate::demo::DemoReport>) -> Page {
    document.body.item.page(true)
}

/// A document that no agent made, at a time that does not change.
fn local<T>(kind: Kind, item: T) -> One<T> {
    Envelope::new(kind, stamp(), Item { item })
}

fn stamp() -> Stamp {
    Stamp { observed_at: WallTime::from_ms(1_700_000_000_000), ..Stamp::local() }
}

fn events() -> Envelope<EventItems> {
    let items = EventItems { items: vec![sample::event()], forgotten: 2 };
    Envelope::new(Kind::EventList, sample::stamp(), items)
}

fn keys() -> Many<ConfigKey> {
    let key = |section: &str, key: &str, value: Value, origin: &str| ConfigKey {
        section: section.to_owned(),
        key: key.to_owned(),
        value,
        origin: origin.to_owned(),
        reloadable: true,
    };
    let sources = serde_json::json!([{"kind": "auto", "root": "/srv/shards"}]);
    let items = vec![
        key("scrub", "deadline", "10s".into(), "environment PLEXMESH_SCRUB__DEADLINE"),
        key("scrub", "max_bytes_per_second", Value::Null, "default"),
        key("source", "source", sources, "/etc/plexmesh/plexmesh.toml:3"),
    ];
    Envelope::new(Kind::Config, stamp(), Items { items })
}

fn flawed() -> ConfigCheck {
    let flaw = ConfigFlaw {
        origin: "/etc/plexmesh/plexmesh.toml:3".to_owned(),
        message: "there is no key `dedline`; did you mean `deadline`?".to_owned(),
    };
    ConfigCheck {
        files: vec!["/etc/plexmesh/plexmesh.toml".to_owned()],
        variables: vec!["PLEXMESH_SCRUB__DEADLINE".to_owned()],
        errors: vec![flaw],
    }
}

fn config_file() -> ConfigFile {
    ConfigFile { file: None, text: "# scrub.deadline\n#deadline = \"24h\"\n".to_owned() }
}

fn script(program: &str) -> Script {
    let text = "# a text\nfor another \"program\" | `with` <signs>\n".to_owned();
    Script { program: program.to_owned(), text }
}

fn written() -> Written {
    Written { files: vec!["/man/plexmesh.1".to_owned(), "/man/plexmesh-status.1".to_owned()] }
}

fn waited() -> Waited {
    Waited { condition: "peer=beta:up".to_owned(), waited_seconds: 1.5 }
}

fn made_mesh() -> MadeMesh {
    MadeMesh {
        mesh: "00ff".to_owned(),
        peer: "12D3KooWAlphaAAAA".to_owned(),
        data_dir: "/srv/plexmesh".to_owned(),
        certificate_lapses_at: WallTime::from_ms(1_700_000_000_000),
        authority_files: ["authority.key", "authority-spare.key"]
            .map(|name| format!("/srv/plexmesh/{name}"))
            .into(),
    }
}

fn moved_peer(marked: bool) -> IdentityTransfer {
    IdentityTransfer {
        peer: "12D3KooWAlphaAAAA".to_owned(),
        mesh: "00ff".to_owned(),
        file: "/media/stick/peer.export".to_owned(),
        data_dir: "/srv/plexmesh".to_owned(),
        secret_included: true,
        clock_included: !marked,
        marked_as_moved: marked,
        authority_files: marked
            .then(|| "/srv/plexmesh/authority.key".to_owned())
            .into_iter()
            .collect(),
    }
}

fn sample_problem() -> Problem {
    let mut problem = Problem::new(Code::Ambiguous, "`a` may be two peers")
        .because("their names begin alike:\n  alpha\n  alphonse")
        .then("plexmesh peer alpha");
    problem.candidates = sample::peer_list().body.items.iter().take(2).map(refer).collect();
    problem
}

fn refer(peer: &crate::api::schema::Peer) -> crate::api::schema::PeerRef {
    crate::api::schema::PeerRef { id: peer.id.clone(), name: peer.name.clone() }
}

/// The verbs, as the command line knows them.
fn verbs() -> BTreeSet<String> {
    let command = Cli::command();
    let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    shown.map(|verb| verb.get_name().to_owned()).filter(|name| name != "help").collect()
}

fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots")
}

fn file_name(what: &str, format: Format) -> String {
    let ending = match format {
        Format::Table => "txt",
        Format::Wide => "wide.txt",
        Format::Markdown => "md",
        other => other.word(),
    };
    format!("{}.{ending}", what.to_lowercase().replace(' ', "-"))
}

/// Forms in which a verb can be shown.
fn forms(verb: &str) -> impl Iterator<Item = Format> {
    let graph = verb == "topology";
    Format::value_variants().iter().copied().filter(move |form| graph || *form != Format::Dot)
}

#[test]
fn every_verb_has_a_sample() {
    let known: BTreeSet<String> = samples()
        .iter()
        .map(|(what, _)| what.split(' ').next().unwrap_or_default().to_owned())
        .chain(SILENT.iter().map(|verb| (*verb).to_owned()))
        .collect();
    let missing: Vec<String> = verbs().difference(&known).cloned().collect();
    assert!(missing.is_empty(), "without a sample: {missing:?}. For each, {HOW_TO_ADD}");
}

#[test]
fn every_verb_in_every_form_is_what_its_snapshot_says() {
    let update = std::env::var_os(UPDATE_VARIABLE).is_some_and(|it| it == "1");
    let mut wrong = Vec::new();
    for (what, draw) in samples() {
        for format in forms(what) {
            let path = snapshots().join(file_name(what, format));
            let text = draw(format);
            if update {
                std::fs::create_dir_all(snapshots()).unwrap();
                std::fs::write(&path, text).unwrap();
            } else if std::fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
                wrong.push(format!("{} is to be\n{text}", path.display()));
            }
        }
    }
    let count = wrong.len();
    assert!(count == 0, "{count} differ; {UPDATE_VARIABLE}=1 writes them.\n{}", wrong.join("\n"));
}

#[test]
fn there_is_no_snapshot_of_what_is_not_shown() {
    let known: BTreeSet<String> = samples()
        .iter()
        .flat_map(|(what, _)| forms(what).map(move |format| file_name(what, format)))
        .collect();
    for entry in std::fs::read_dir(snapshots()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "{name} belongs to no verb: remove it");
    }
}

#[test]
fn yaml_and_ndjson_say_what_json_says() {
    for (what, draw) in samples() {
        let json: Value = serde_json::from_str(&draw(Format::Json)).unwrap();
        let yaml: Value = serde_saphyr::from_str(&draw(Format::Yaml)).unwrap();
        assert_eq!(yaml, json, "{what}");
        let line = draw(Format::Ndjson);
        assert_eq!(line.lines().count(), 1, "{what}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), json, "{what}");
    }
}

#[test]
fn yaml_keeps_texts_that_look_like_something_else() {
    let texts = [
        "12e5",
        "0000000000000001",
        "0x1f",
        "0o7",
        "1:20",
        "yes",
        "no",
        "on",
        "~",
        "null",
        "",
        "- a",
        "#x",
        "a: b",
        "a #b",
        "{a}",
        "[a]",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "'",
        "\"",
        "2023-11-14",
        ".inf",
        "1_000",
        "two\nlines",
        " space ",
        "=",
        "<<",
        "tab\tin",
        "y",
        "N",
    ];
    let yaml = form::serialized(Format::Yaml, &texts.to_vec()).unwrap().unwrap();
    let back: Vec<Value> = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(back, texts.map(Value::from), "{yaml}");
}

#[test]
fn csv_has_as_many_fields_in_each_row_as_in_its_head_and_full_ids() {
    for (what, draw) in samples() {
        let text = draw(Format::Csv);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let width = reader.headers().unwrap().len();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert!(width > 0 && !rows.is_empty(), "{what}: {text}");
        for peer in sample::peer_list().body.items {
            let count = |id: &str| text.matches(id).count();
            assert_eq!(count(&peer.id[..14]), count(&peer.id), "{what}: {text}");
        }
    }
}

#[test]
fn no_form_but_those_of_a_terminal_knows_colours() {
    let colored = Screen { color: true, ..sample::screen() };
    for format in [Format::Csv, Format::Markdown, Format::Html] {
        let screen = format.screen(colored);
        let text = form::shown(format, &screen, &sample::status(), crate::render::status::status);
        assert!(!text.unwrap().contains('\x1b'), "{format:?}");
    }
}

#[test]
fn html_tags_are_closed_in_order() {
    const VOID: [&str; 3] = ["meta", "br", "!DOCTYPE"];
    for (what, draw) in samples() {
        let text = draw(Format::Html);
        let mut open: Vec<&str> = Vec::new();
        for part in text.split('<').skip(1) {
            let tag = part.split('>').next().unwrap();
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "{what}"),
                None => open.extend(tag.split(' ').next().filter(|name| !VOID.contains(name))),
            }
        }
        assert!(open.is_empty(), "{what}: {open:?}");
    }
}

#[test]
fn a_usage_problem_is_told_in_every_form() {
    let problem = Problem::new(Code::Usage, "no such <flag>").then("plexmesh help");
    for format in Format::value_variants() {
        let text = form::problem_shown(*format, &sample::screen(), &problem);
        let ok = match format {
            Format::Json | Format::Ndjson => {
                let value: Value = serde_json::from_str(&text).unwrap();
                value["items"][0]["code"] == "usage"
            }
            Format::Yaml => {
                let value: Value = serde_saphyr::from_str(&text).unwrap();
                value["items"][0]["code"] == "usage"
            }
            Format::Csv => text.starts_with("code,message,") && text.contains("\nusage,no such"),
            Format::Markdown => text.starts_with("# error\n") && text.contains("`plexmesh help`"),
            Format::Html => text.contains("no such &lt;flag&gt;"),
            Format::Table | Format::Wide | Format::Dot => text.starts_with("error: no such"),
        };
        assert!(ok, "{format:?}: {text}");
    }
}

#[test]
fn views_repeat_where_a_terminal_or_a_line_makes_that_useful() {
    for format in Format::value_variants() {
        let works = matches!(format, Format::Table | Format::Wide | Format::Json | Format::Ndjson);
        let outcome = form::refuse_repeated(*format, "--watch");
        assert_eq!(outcome.is_ok(), works, "{format:?}");
        if let Err(problem) = outcome {
            assert_eq!(problem.code, Code::Usage);
            assert!(problem.next_command.unwrap().contains("table, wide, json or ndjson"));
        }
    }
}

#[test]
fn completions_and_manual_know_every_verb() {
    use clap_complete::Shell;
    for shell in Shell::value_variants() {
        let script = scripts::completion_script(*shell);
        for verb in verbs() {
            assert!(script.text.contains(&verb), "{shell} does not know {verb}");
        }
    }
    let page = scripts::main_page().unwrap().text;
    for verb in verbs() {
        // A manual page marks hyphens that are no breaks of words.
        assert!(page.contains(&verb.replace('-', "\\-")), "the manual does not know {verb}");
    }
}
