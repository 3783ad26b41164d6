//! What happens to the data directory.

use std::fs;

use super::*;

const NOW_S: u64 = 1_800_000_000;

fn named(name: &str) -> Labels {
    Labels { name: Some(name.to_owned()), ..Labels::default() }
}

fn text_of(error: MeshError) -> String {
    error.to_string()
}

#[test]
fn a_made_mesh_loads_with_all_roles_and_ninety_days() {
    let dir = tempfile::tempdir().unwrap();
    let made = init(dir.path(), Labels::default(), NOW_S).unwrap();
    let loaded = load(dir.path(), NOW_S).unwrap().unwrap();
    assert_eq!((loaded.mesh, loaded.keys.peer()), (made.mesh, made.peer));
    assert_eq!(loaded.certificate.roles, [Role::Member, Role::Enroller, Role::Admin]);
    assert_eq!(loaded.certificate.not_after_s, NOW_S + 90 * 86_400);
    assert_eq!(loaded.authorities.in_force().len(), 2);
    assert!(made.authority_files.iter().all(|path| path.exists()));
}

#[test]
fn an_existing_mesh_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let made = init(dir.path(), Labels::default(), NOW_S).unwrap();
    assert!(text_of(init(dir.path(), Labels::default(), NOW_S).unwrap_err()).contains("already"));
    assert_eq!(load(dir.path(), NOW_S).unwrap().unwrap().mesh, made.mesh);
}

#[test]
fn an_empty_directory_holds_no_mesh() {
    let dir = tempfile::tempdir().unwrap();
    assert!(load(dir.path(), NOW_S).unwrap().is_none());
}

#[test]
fn an_identity_of_an_interrupted_attempt_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let made = init(dir.path(), Labels::default(), NOW_S).unwrap();
    for missing in [&["mesh.toml"][..], &["mesh.toml", "certificate"]] {
        for file in missing {
            fs::remove_file(dir.path().join(file)).unwrap();
        }
        assert_eq!(init(dir.path(), Labels::default(), NOW_S).unwrap().peer, made.peer);
    }
}

#[test]
fn a_mesh_whose_description_is_gone_is_made_again_where_it_was_made_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let made = init(dir.path(), Labels::default(), NOW_S).unwrap();
    fs::remove_file(dir.path().join("mesh.toml")).unwrap();
    // In its ninety days and after.
    for now_s in [NOW_S, made.certificate_lapses_s] {
        assert_eq!(init(dir.path(), Labels::default(), now_s).unwrap().mesh, made.mesh);
        fs::remove_file(dir.path().join("mesh.toml")).unwrap();
    }
    fs::remove_file(dir.path().join("authority.key")).unwrap();
    let certificate = fs::read(dir.path().join("certificate")).unwrap();
    let refused = init(dir.path(), Labels::default(), NOW_S).unwrap_err();
    assert!(matches!(refused, MeshError::Undescribed(_)), "{refused}");
    assert_eq!(fs::read(dir.path().join("certificate")).unwrap(), certificate);
    assert!(!dir.path().join("authority.key").exists());
}

#[test]
fn a_damaged_identity_is_an_error_and_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), Labels::default(), NOW_S).unwrap();
    let path = dir.path().join("identity.key");
    fs::write(&path, "garbage").unwrap();
    let text = text_of(load(dir.path(), NOW_S).unwrap_err());
    assert!(text.contains("identity.key") && text.contains("backup"), "{text}");
    fs::remove_file(dir.path().join("mesh.toml")).unwrap();
    assert!(init(dir.path(), Labels::default(), NOW_S).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "garbage");
}

#[test]
fn a_missing_identity_is_an_error_and_is_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), Labels::default(), NOW_S).unwrap();
    let path = dir.path().join("identity.key");
    fs::remove_file(&path).unwrap();
    assert!(text_of(load(dir.path(), NOW_S).unwrap_err()).contains("identity.key"));
    assert!(!path.exists());
}

#[test]
fn a_lapsed_certificate_is_named() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), Labels::default(), NOW_S).unwrap();
    let text = text_of(load(dir.path(), NOW_S + CERTIFICATE_LIFETIME_S).unwrap_err());
    assert!(text.contains("lapsed") && text.contains("enroller"), "{text}");
}

#[test]
fn an_enrolled_peer_is_a_plain_member_of_the_same_mesh_with_seeds() {
    let root = tempfile::tempdir().unwrap();
    let (first, second) = (root.path().join("a"), root.path().join("b"));
    let made = init(&first, Labels::default(), NOW_S).unwrap();
    let seed = Seed { peer: made.peer, address: "/ip4/127.0.0.1/tcp/6374".into() };
    let peer = enrol(&first, &second, named("beta"), vec![seed.clone()], NOW_S).unwrap();
    let loaded = load(&second, NOW_S).unwrap().unwrap();
    assert_eq!((loaded.mesh, loaded.keys.peer()), (made.mesh, peer));
    assert_eq!(loaded.certificate.roles, [Role::Member]);
    assert_eq!((loaded.seeds, loaded.labels), (vec![seed], named("beta")));
    assert_ne!(peer, made.peer);
    assert!(!second.join("authority.key").exists());
}

#[test]
fn a_new_mesh_has_a_secret_that_a_new_member_gets() {
    let root = tempfile::tempdir().unwrap();
    let (first, second) = (root.path().join("a"), root.path().join("b"));
    init(&first, Labels::default(), NOW_S).unwrap();
    enrol(&first, &second, Labels::default(), Vec::new(), NOW_S).unwrap();
    let secrets = |dir: &Path| load(dir, NOW_S).unwrap().unwrap().secrets.unwrap();
    assert_eq!(secrets(&first).iter().map(|(epoch, _)| epoch).collect::<Vec<_>>(), [1]);
    assert_eq!(secrets(&second), secrets(&first));
    let other = root.path().join("c");
    init(&other, Labels::default(), NOW_S).unwrap();
    assert_ne!(secrets(&other), secrets(&first));
}

#[test]
fn a_directory_from_before_the_secret_loads_and_none_is_made_up() {
    let root = tempfile::tempdir().unwrap();
    let (first, second) = (root.path().join("a"), root.path().join("b"));
    init(&first, Labels::default(), NOW_S).unwrap();
    fs::remove_file(first.join("mesh.secret")).unwrap();
    enrol(&first, &second, Labels::default(), Vec::new(), NOW_S).unwrap();
    for dir in [first, second] {
        assert_eq!(load(&dir, NOW_S).unwrap().unwrap().secrets, None);
        assert!(!dir.join("mesh.secret").exists());
    }
}

#[test]
fn an_enroller_lets_others_in_after_the_authority_keys_went_offline() {
    let root = tempfile::tempdir().unwrap();
    let dir = |name: &str| root.path().join(name);
    let made = init(&dir("a"), Labels::default(), NOW_S).unwrap();
    made.authority_files.iter().for_each(|path| fs::remove_file(path).unwrap());
    let peer = enrol(&dir("a"), &dir("b"), Labels::default(), Vec::new(), NOW_S).unwrap();
    let loaded = load(&dir("b"), NOW_S).unwrap().unwrap();
    assert_eq!((loaded.mesh, loaded.keys.peer()), (made.mesh, peer));
    assert_eq!(loaded.certificate.roles, [Role::Member]);
    assert_eq!(loaded.certificate.enroller(), Some(made.peer));
    let refused = enrol(&dir("b"), &dir("c"), Labels::default(), Vec::new(), NOW_S).unwrap_err();
    assert!(text_of(refused).contains("no enroller"));
    assert!(!dir("c").exists());
}

#[test]
fn with_the_key_of_another_mesh_nobody_is_enrolled() {
    let root = tempfile::tempdir().unwrap();
    let dir = |name: &str| root.path().join(name);
    init(&dir("a"), Labels::default(), NOW_S).unwrap();
    init(&dir("b"), Labels::default(), NOW_S).unwrap();
    fs::copy(dir("b").join("authority.key"), dir("a").join("authority.key")).unwrap();
    let refused = enrol(&dir("a"), &dir("c"), Labels::default(), Vec::new(), NOW_S).unwrap_err();
    assert!(text_of(refused).contains("not the key of an authority"));
    assert!(!dir("c").exists());
}
