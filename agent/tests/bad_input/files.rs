//! Files of the data directory and the configuration that are damaged, gone, or something else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::host::{Host, contents, make_zeros, refused};

/// A file of the data directory and what it holds then.
type Damage = (&'static str, &'static str, fn(&[u8]) -> Vec<u8>);

fn half(whole: &[u8]) -> Vec<u8> {
    whole[..whole.len() / 2].to_vec()
}

fn nothing(_: &[u8]) -> Vec<u8> {
    Vec::new()
}

fn noise(whole: &[u8]) -> Vec<u8> {
    whole.iter().map(|byte| byte ^ 0xa5).collect()
}

/// Another digit in the middle of the second line, which all but the first character of it are.
fn another_digit(whole: &[u8]) -> Vec<u8> {
    let mut changed = whole.to_vec();
    let place = changed.len() - 20;
    changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
    changed
}

fn endless(whole: &[u8]) -> Vec<u8> {
    whole.iter().copied().cycle().take(1 << 20).collect()
}

fn a_wrong_key(whole: &[u8]) -> Vec<u8> {
    [whole, b"\nsede = []\n"].concat()
}

#[test]
fn a_damaged_file_of_the_data_directory_is_named_and_everything_is_left_as_it_is() {
    let damages: [Damage; 17] = [
        ("identity.key", "damaged", half),
        ("identity.key", "damaged", nothing),
        ("identity.key", "damaged", noise),
        ("identity.key", "too long", endless),
        // It is the key of another peer then, which shows at the certificate.
        ("identity.key", "another peer", another_digit),
        ("certificate", "certificate", half),
        ("certificate", "damaged", nothing),
        ("certificate", "damaged", noise),
        ("certificate", "certificate", another_digit),
        ("mesh.secret", "damaged", half),
        ("mesh.secret", "damaged", nothing),
        ("mesh.secret", "damaged", noise),
        ("mesh.toml", "cannot be used", half),
        ("mesh.toml", "cannot be used", nothing),
        ("mesh.toml", "damaged", noise),
        ("mesh.toml", "unknown field `sede`", a_wrong_key),
        ("format", "damaged", noise),
    ];
    let host = Host::with_peer();
    for (file, reason, damage) in damages {
        let path = host.path("data").join(file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, damage(&whole)).unwrap();
        let before = contents(&host.path("data"));
        refused(&host.refused_run("data"), 1, &[file, reason]);
        assert!(contents(&host.path("data")) == before, "{file} {reason}");
        fs::write(&path, whole).unwrap();
    }
    host.start("data", &[]);
}

#[test]
fn a_wrong_line_of_the_mesh_file_is_told_by_its_number() {
    let host = Host::with_peer();
    let path = host.path("data/mesh.toml");
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().count();
    fs::write(&path, format!("{text}region eu\n")).unwrap();
    refused(&host.refused_run("data"), 1, &["mesh.toml", &format!("line {}", lines + 1)]);
}

/// Puts things that are no files in the place of one, one after the other.
fn with_odd_things(path: &Path, mut then: impl FnMut(&str)) {
    let _ = fs::remove_file(path);
    mkfifoat(CWD, path, Mode::from_raw_mode(0o600)).unwrap();
    then("a pipe");
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
    then("a directory");
    fs::remove_dir(path).unwrap();
    if make_zeros(path) {
        then("a device");
        fs::remove_file(path).unwrap();
    }
    let socket = std::os::unix::net::UnixListener::bind(path).unwrap();
    then("a socket");
    drop(socket);
    fs::remove_file(path).unwrap();
}

#[test]
fn what_is_no_file_is_refused_in_the_place_of_one_at_once_and_stays() {
    for file in ["identity.key", "certificate", "mesh.toml", "mesh.secret", "format"] {
        let host = Host::with_peer();
        let path = host.path("data").join(file);
        with_odd_things(&path, |what| {
            let before = contents(&host.path("data"));
            let words = [file, &format!("is {what}")];
            refused(&host.refused_run("data"), 1, &words);
            if file == "mesh.toml" || file == "identity.key" {
                let again = ["export-identity", "peer.export", "--passphrase-file", "phrase"];
                fs::write(host.path("phrase"), "correct horse battery staple").unwrap();
                refused(&host.typed("data", &again), 1, &words);
            }
            assert!(contents(&host.path("data")) == before, "{file}, {what}");
        });
    }
}

#[test]
fn a_configuration_that_is_no_file_is_refused_at_once() {
    let host = Host::with_peer();
    with_odd_things(&host.path("x.toml"), |what| {
        let said = refused(&host.refused_run("data"), 2, &["x.toml"]);
        assert!(said.contains("not a regular file") || what == "a socket", "{said}");
    });
}

#[test]
fn a_lock_that_is_no_file_stops_nobody_for_long() {
    let host = Host::with_peer();
    let lock = host.path("data/agent.lock");
    let _ = fs::remove_file(&lock);
    mkfifoat(CWD, &lock, Mode::from_raw_mode(0o600)).unwrap();
    refused(&host.refused_run("data"), 1, &["agent.lock"]);
}

#[test]
fn a_link_that_leads_nowhere_is_a_file_that_is_gone_and_never_replaced() {
    let host = Host::with_peer();
    for file in ["mesh.toml", "identity.key", "mesh.secret", "certificate"] {
        let (path, aside) = (host.path("data").join(file), host.path(file));
        fs::rename(&path, &aside).unwrap();
        symlink(host.path("not-mounted"), &path).unwrap();
        let before = contents(&host.path("data"));
        refused(&host.refused_run("data"), 1, &[file, "leads nowhere"]);
        assert!(contents(&host.path("data")) == before, "{file}");
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        fs::remove_file(&path).unwrap();
        // A link that leads somewhere will do.
        symlink(&aside, &path).unwrap();
        drop(host.start("data", &[]));
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
}

#[test]
fn a_peer_whose_mesh_file_is_gone_does_not_make_another_mesh() {
    let host = Host::with_peer();
    fs::remove_file(host.path("data/mesh.toml")).unwrap();
    // What the mesh was made with was taken offline, as it should be.
    for key in ["authority.key", "authority-spare.key"] {
        fs::rename(host.path("data").join(key), host.path(key)).unwrap();
    }
    let before = contents(&host.path("data"));
    refused(&host.refused_run("data"), 1, &["mesh.toml", "certificate"]);
    refused(&host.typed("data", &["init"]), 1, &["mesh.toml", "certificate"]);
    assert!(contents(&host.path("data")) == before);
}
