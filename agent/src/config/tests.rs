//! The layers as an operator meets them: files in a directory, variables, flags.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::keys::{
    AGENT_DATA_DIR, AGENT_SOCKET, KEYS, LOG_FILTER, NET_LISTEN, PEER_NAME, SCRUB_DEADLINE,
    SCRUB_MAX_RATE, SOURCE, Usual,
};
use super::reload::reload;
use super::*;
use crate::cli::args::RunArgs;
use crate::settings::Settings;
use crate::sources::SourceKind;

/// A configuration directory with what lies in it, an environment and a command line.
struct Place {
    dir: TempDir,
    environment: Vec<(OsString, OsString)>,
    flags: RunArgs,
}

impl Place {
    fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, environment: Vec::new(), flags: RunArgs::default() }
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn load(&self) -> Loaded {
        load(&Inputs {
            files: Files::Of(self.dir.path().to_owned()),
            environment: self.environment.clone(),
            flags: self.flags.clone(),
        })
    }

    fn config(&self) -> Config {
        self.load().sound().unwrap()
    }

    /// What is wrong, without the directory's name.
    fn flaws(&self) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        self.load().flaws.iter().map(|flaw| flaw.to_string().replace(&dir, "")).collect()
    }
}

fn only_flaw(text: &str) -> String {
    let flaws = Place::empty().file("plexmesh.toml", text).flaws();
    assert_eq!(flaws.len(), 1, "{text}: {flaws:?}");
    flaws.into_iter().next().unwrap()
}

fn shown(config: &Config, key: &Key) -> String {
    let setting = config.setting(key).unwrap();
    let value = setting.value.as_ref().map_or_else(|| "unset".to_owned(), Value::to_string);
    format!("{value} from {}", setting.origin)
}

#[test]
fn every_default_is_a_value_of_its_key() {
    let config = Place::empty().config();
    for key in KEYS {
        let setting = config.setting(key).unwrap();
        assert_eq!(setting.origin, Origin::Default);
        assert_eq!(setting.value.is_some(), matches!(key.usual, Usual::Value(_)), "{key:?}");
    }
    assert_eq!(config.span(&SCRUB_DEADLINE), Some(Duration::from_secs(86_400)));
    assert_eq!(config.texts(&NET_LISTEN)[0], "/ip4/0.0.0.0/udp/6374/quic-v1");
}

#[test]
fn a_later_layer_wins_and_each_value_says_where_it_comes_from() {
    let mut place = Place::empty()
        .file("plexmesh.toml", "[peer]\nname = 'main'\nregion = 'eu'\n\n[scrub]\ndeadline = '1h'\n")
        .file("conf.d/20-b.toml", "peer.name = 'b'")
        .file("conf.d/10-a.toml", "[peer]\nname = 'a'\nzone = 'z'\n")
        .variable("PLEXMESH_SCRUB__DEADLINE", "10s")
        .variable("PLEXMESH_PEER__ZONE", "of-environment");
    place.flags.zone = Some("of-flag".to_owned());
    let config = place.config();
    let dir = place.dir.path().display();
    for (key, expected) in [
        ("name", format!("b from {dir}/conf.d/20-b.toml:1")),
        ("region", format!("eu from {dir}/plexmesh.toml:3")),
        ("zone", "of-flag from flag --zone".to_owned()),
        ("tier", "unset from default".to_owned()),
        ("deadline", "10s from environment PLEXMESH_SCRUB__DEADLINE".to_owned()),
    ] {
        let key = KEYS.iter().find(|it| it.name == key).unwrap();
        assert_eq!(shown(&config, key), expected);
    }
}

#[test]
fn a_file_that_is_named_is_the_only_one_and_has_to_exist() {
    let place = Place::empty().file("plexmesh.toml", "peer.name = 'usual'");
    let named = place.path("named.toml");
    let inputs = |files| Inputs { files, environment: Vec::new(), flags: RunArgs::default() };
    let missing = load(&inputs(Files::Only(named.clone()))).sound().unwrap_err().to_string();
    assert!(missing.contains("named.toml: cannot be read"), "{missing}");
    fs::write(&named, "peer.region = 'eu'").unwrap();
    let config = load(&inputs(Files::Only(named))).sound().unwrap();
    assert_eq!(config.text(&PEER_NAME), None);
}

#[test]
fn what_is_no_regular_file_or_too_large_is_refused() {
    let place = Place::empty().file("conf.d/b.toml", &"#".repeat(70_000));
    fs::create_dir_all(place.path("conf.d/a.toml")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("plexmesh.toml"), 0o600.into()).unwrap();
    let flaws = place.flaws();
    assert_eq!(flaws[0], "plexmesh.toml: is not a regular file");
    assert_eq!(flaws[1], "conf.d/a.toml: is not a regular file");
    assert_eq!(flaws[2], "conf.d/b.toml: is larger than 64 KiB");
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_what_was_meant() {
    for (text, expected) in [
        (
            "[scrub]\n\ndedline = '1h'\n",
            "plexmesh.toml:3: unknown key `dedline` in [scrub]; did you mean `deadline`?",
        ),
        (
            "[scrub]\nmax-bytes-per-second = 5000\n",
            "plexmesh.toml:2: unknown key `max-bytes-per-second` in [scrub]; did you mean \
             `max_bytes_per_second`?",
        ),
        ("[srub]\n", "plexmesh.toml:1: unknown section `srub`; did you mean `scrub`?"),
        (
            "[net]\ndeadline = '1h'\n",
            "plexmesh.toml:2: unknown key `deadline` in [net]; it belongs under [scrub]",
        ),
        (
            "deadline = '1h'\n",
            "plexmesh.toml:1: `deadline` stands outside of its section; put it under [scrub]",
        ),
        (
            "[[source]]\nroot = '/x'\nknd = 'auto'\n",
            "plexmesh.toml:3: unknown key `knd` in [source]; did you mean `kind`?",
        ),
        ("[log]\nqqq = 1\n", "plexmesh.toml:2: unknown key `qqq` in [log]; allowed: one of filter"),
    ] {
        assert_eq!(only_flaw(text), expected);
    }
}

#[test]
fn a_value_of_the_wrong_type_or_out_of_range_is_named_with_what_is_allowed() {
    for (text, what, allowed) in [
        ("[scrub]\ndeadline = 24", ":2: scrub.deadline is the number 24", "in quotes"),
        ("[scrub]\ndeadline = '1s'", ":2: scrub.deadline is `1s`", "from 5s to 366d"),
        ("[scrub]\ndeadline = '367d'", "is `367d`", "from 5s to 366d"),
        ("[scrub]\nmax_bytes_per_second = 12", "is `12`", "from 1KiB to 1TiB"),
        ("[scrub]\nmax_bytes_per_second = 'fast'", "is `fast`", "\"20MiB\""),
        ("[net]\nlisten = '/ip4/127.0.0.1/tcp/1'", "is the text", "a list"),
        ("[net]\nlisten = ['localhost:1']", "`localhost:1` is not a multiaddr", "a list"),
        ("[net]\nseeds = [\n  '/ip4/127.0.0.1/tcp/1',\n]", ":3: net.seeds has", "/p2p/"),
        ("[agent]\nsocket = 'agent.sock'", "is `agent.sock`", "an absolute path"),
        ("[log]\nfilter = 'a=b=c'", "log.filter is `a=b=c`", "a filter"),
        ("[[source]]\nroot = '/x'\nkind = 'tape'", ":3: source.kind is `tape`", "backup-node"),
    ] {
        let flaw = only_flaw(text);
        assert!(flaw.contains(what) && flaw.contains(allowed), "{text}: {flaw}");
    }
}

#[test]
fn a_variable_that_sets_no_key_or_no_value_of_it_is_named() {
    for (name, value, expected) in [
        ("PLEXMESH_SCRUB__DEDLINE", "1h", "did you mean PLEXMESH_SCRUB__DEADLINE?"),
        ("PLEXMESH_SRUB__DEADLINE", "1h", "did you mean PLEXMESH_SCRUB__DEADLINE?"),
        ("PLEXMESH_SOURCE__ROOT", "/x", "[[source]]"),
        ("PLEXMESH_SCRUB__DEADLINE", "soon", "allowed: a span of time"),
        ("PLEXMESH_LOG", "a=b=c", "allowed: a filter"),
    ] {
        let flaws = Place::empty().variable(name, value).flaws();
        assert_eq!(flaws.len(), 1, "{name}");
        assert!(flaws[0].starts_with(&format!("environment {name}: ")), "{}", flaws[0]);
        assert!(flaws[0].contains(expected), "{}", flaws[0]);
    }
}

#[test]
fn variables_of_others_and_empty_ones_say_nothing() {
    let place = Place::empty()
        .variable("PLEXMESH_SCRUB__DEADLINE", "")
        .variable("PLEXMESHD_X__Y", "1")
        .variable("PLEXMESH_SINGLE", "1");
    assert_eq!(place.load().variables, Vec::<String>::new());
    assert_eq!(place.flaws(), Vec::<String>::new());
}

#[test]
fn a_list_in_a_variable_has_commas() {
    let text = "/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2";
    let config = Place::empty().variable("PLEXMESH_NET__LISTEN", text).config();
    assert_eq!(config.texts(&NET_LISTEN), ["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"]);
}

#[test]
fn a_flag_that_does_not_fit_is_named() {
    let mut place = Place::empty();
    place.flags.seed = vec!["/ip4/192.0.2.1/tcp/1".to_owned()];
    place.flags.name = Some("n".repeat(65));
    place.flags.shards = vec!["/x".into(), "/x".into()];
    let flaws = place.flaws();
    assert!(flaws[0].starts_with("flag --name: peer.name has 65 bytes"), "{flaws:?}");
    assert!(flaws[1].starts_with("flag --seed: net.seeds has an element"), "{flaws:?}");
    assert!(flaws[2].starts_with("flag --shards: source names /x twice"), "{flaws:?}");
}

#[test]
fn all_errors_of_all_layers_are_told_at_once() {
    let place = Place::empty()
        .file("plexmesh.toml", "[scrub]\ndedline = '1h'\ndeadline = '1s'\n[net]\nlisten = 3\n")
        .file("conf.d/x.toml", "[peer\nname = 'x'\n")
        .file("conf.d/y.toml", "[[source]]\nkind = 'plain'\n[[source]]\nroot = 'relative'\n")
        .variable("PLEXMESH_LOG__FILTRE", "info");
    let flaws = place.flaws();
    let places: Vec<&str> = flaws.iter().map(|it| it.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "plexmesh.toml:2",
            "plexmesh.toml:3",
            "plexmesh.toml:5",
            "conf.d/x.toml:1",
            "conf.d/y.toml:1",
            "conf.d/y.toml:4",
            "environment PLEXMESH_LOG__FILTRE"
        ],
        "{flaws:#?}"
    );
}

#[test]
fn sources_of_flags_replace_those_of_files() {
    let text = "[[source]]\nkind = 'plain'\nroot = '/a'\n[[source]]\nroot = '/b'\n";
    let mut place = Place::empty().file("plexmesh.toml", text);
    let sources = place.config().sources(&SOURCE).to_vec();
    let kinds: Vec<SourceKind> = sources.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [SourceKind::Plain, SourceKind::Auto]);
    assert_eq!(
        shown(&place.config(), &SOURCE).split(" from ").next(),
        Some("/a (plain), /b (auto)")
    );
    place.flags.shards = vec!["/c".into()];
    assert_eq!(shown(&place.config(), &SOURCE), "/c (auto) from flag --shards");
}

#[test]
fn a_root_twice_or_missing_is_an_error() {
    let twice = only_flaw("[[source]]\nroot = '/a'\n[[source]]\nroot = '/a'\n");
    assert!(twice.starts_with("plexmesh.toml:3: two sources"), "{twice}");
    let missing = only_flaw("[[source]]\nkind = 'auto'\n");
    assert!(missing.contains("needs a root"), "{missing}");
    let no_list = only_flaw("[source]\nroot = '/a'\n");
    assert!(no_list.contains("[[source]]"), "{no_list}");
}

#[test]
fn a_data_directory_of_a_later_layer_brings_its_socket_along() {
    let text = "[agent]\nsocket = '/run/x.sock'\ndata_dir = '/data'\n";
    let mut place = Place::empty().file("plexmesh.toml", text);
    let socket = |place: &Place| Settings::of(&place.config()).unwrap().socket;
    assert_eq!(socket(&place), Path::new("/run/x.sock"));
    place.flags.data_dir = Some("/other".into());
    assert_eq!(socket(&place), Path::new("/other/agent.sock"));
    place.flags.socket = Some("/mine.sock".into());
    assert_eq!(socket(&place), Path::new("/mine.sock"));
}

#[test]
fn the_socket_of_a_variable_beats_the_data_directory_of_a_flag() {
    let mut place = Place::empty().variable("PLEXMESH_SOCKET", "/x.sock");
    place.flags.data_dir = Some("/other".into());
    let settings = Settings::of(&place.config()).unwrap();
    assert_eq!(settings.socket, Path::new("/x.sock"));
}

#[test]
fn a_path_of_a_variable_is_not_said_to_be_of_a_flag() {
    let mut place = Place::empty()
        .variable("PLEXMESH_DATA_DIR", "/data")
        .variable("PLEXMESH_SOCKET", "/x.sock");
    // The command line hands the variables on with its flags.
    place.flags.data_dir = Some("/data".into());
    place.flags.socket = Some("/y.sock".into());
    let config = place.config();
    assert_eq!(shown(&config, &AGENT_DATA_DIR), "/data from environment PLEXMESH_DATA_DIR");
    assert_eq!(shown(&config, &AGENT_SOCKET), "/y.sock from flag --socket");
}

#[test]
fn the_log_variable_beats_the_flags_which_beat_the_file() {
    let mut place = Place::empty().file("plexmesh.toml", "log.filter = 'error'");
    let loud = crate::cli::logging::Loudness { flag: "--verbose", filter: "debug".to_owned() };
    place.flags.loudness = Some(loud);
    assert_eq!(shown(&place.config(), &LOG_FILTER), "debug from flag --verbose");
    let place = place.variable("PLEXMESH_LOG", "trace");
    assert_eq!(shown(&place.config(), &LOG_FILTER), "trace from environment PLEXMESH_LOG");
}

#[test]
fn the_file_that_init_writes_sets_nothing() {
    let place = Place::empty().file("plexmesh.toml", &template());
    assert_eq!(place.config(), Place::empty().config());
}

#[test]
fn every_line_that_init_comments_out_may_be_put_in() {
    let text: String = template()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(|c: char| c.is_alphabetic() || c == '[') => {
                format!("{setting}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let place = Place::empty().file("plexmesh.toml", &text);
    assert_eq!(place.flaws(), Vec::<String>::new());
    let defaults = Place::empty().config();
    for (setting, default) in place.config().settings().iter().zip(defaults.settings()) {
        assert!(matches!(setting.origin, Origin::File { .. }), "{:?}", setting.key);
        if default.value.is_some() {
            assert_eq!(setting.value, default.value, "{:?}", setting.key);
        }
    }
}

#[test]
fn settings_are_what_the_configuration_says() {
    let text = "[scrub]\ndeadline = '7d'\nmax_bytes_per_second = '20MiB'\n\
                [agent]\ndata_dir = '/data'\nsocket_group = 'backup'\n[[source]]\nroot = '/srv'\n";
    let settings = Settings::of(&Place::empty().file("plexmesh.toml", text).config()).unwrap();
    assert_eq!(settings.scrub.deadline, Duration::from_secs(7 * 86_400));
    assert_eq!(settings.scrub.max_bytes_per_second, Some(20 << 20));
    assert_eq!(settings.socket_group.as_deref(), Some("backup"));
    assert_eq!(settings.sources[0].root, Path::new("/srv"));
}

#[test]
fn reading_again_takes_what_can_change_and_names_the_rest() {
    let old =
        Place::empty().file("plexmesh.toml", "peer.name = 'a'\nscrub.deadline = '1h'").config();
    let text = "peer.name = 'b'\nscrub.deadline = '2h'\nscrub.max_bytes_per_second = '1MiB'";
    let new = Place::empty().file("plexmesh.toml", text).config();
    let reloaded = reload(&old, &new);
    let said = |changes: &[reload::Change]| -> Vec<String> {
        changes.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        said(&reloaded.taken),
        ["scrub.deadline 1h -> 2h", "scrub.max_bytes_per_second unset -> 1MiB"]
    );
    assert_eq!(said(&reloaded.waiting), ["peer.name a -> b"]);
    assert_eq!(reloaded.config.text(&PEER_NAME), Some("a"));
    assert_eq!(reloaded.config.bytes(&SCRUB_MAX_RATE), Some(1 << 20));
}

#[test]
fn no_text_of_a_file_stops_the_reader() {
    for text in [
        "\0",
        "[",
        "a.b.c.d = 1",
        "[scrub]\ndeadline = {",
        "source = [1, 2]",
        "net = 1",
        "[[net]]",
        "x = [[[[[[[[[[",
        "[scrub.deadline]",
        "\u{feff}[peer]",
        "=",
        "[net]\nseeds = [1]",
    ] {
        let place = Place::empty().file("plexmesh.toml", text);
        let flaws = place.flaws();
        assert!(text.contains("[peer]") || !flaws.is_empty(), "{text}");
    }
}

/// The table of all keys, as the operations guide has it.
fn table_of_keys() -> String {
    let mut table = "| key | takes | if not set | a change |\n|---|---|---|---|\n".to_owned();
    let fields = keys::SOURCE_FIELDS.into_iter();
    for key in KEYS.into_iter().filter(|key| *key != &SOURCE).chain(fields) {
        let usual = match key.usual {
            Usual::Value(value) => format!("`{value}`"),
            Usual::Unset { meaning, .. } => meaning.to_owned(),
        };
        let change = if key.reloadable { "on SIGHUP" } else { "at a restart" };
        let name =
            if key.section == "source" { format!("[[source]] {}", key.name) } else { key.path() };
        let takes = key.kind.allowed();
        table += &format!("| `{name}` | {takes} | {usual} | {change} |\n");
    }
    table
}

#[test]
fn the_operations_guide_has_all_keys() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let table = table_of_keys();
    let guide = fs::read_to_string(guide).unwrap();
    assert!(guide.contains(&table), "docs/operations.md is to have this table:\n{table}");
}
