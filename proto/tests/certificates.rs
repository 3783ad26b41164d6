//! Certificates: who may let whom in, and for how long.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{Keys, MESH, NOW_S};
use plexmesh_proto::record::{Certificate, CertificateError, MeshId, Role};
use proptest::prelude::*;

const ALL_ROLES: [Role; 3] = [Role::Member, Role::Enroller, Role::Admin];
const LAPSES_S: u64 = 9_000;

struct Mesh {
    authority: Keys,
    enroller: Keys,
    joiner: Keys,
}

impl Mesh {
    fn new() -> Self {
        Self { authority: Keys::new(250), enroller: Keys::new(1), joiner: Keys::new(2) }
    }

    fn by_authority(&mut self, roles: &[Role], not_after_s: u64) -> Certificate {
        let (issuer, peer) = (self.authority.id(), self.enroller.id());
        Certificate::issue(&mut self.authority, issuer, MESH, peer, roles.to_vec(), 0, not_after_s)
    }

    fn by_enroller(&mut self, enroller: &Certificate, not_after_s: u64) -> Certificate {
        let peer = self.joiner.id();
        Certificate::issue_by_enroller(&mut self.enroller, enroller, peer, 0, not_after_s)
    }

    /// What a peer that sees the bytes of the joiner's certificate says.
    fn judge(&self, certificate: &Certificate, wall_s: u64) -> Result<(), CertificateError> {
        self.judge_bytes(&certificate.encode(), wall_s)
    }

    fn judge_bytes(&self, bytes: &[u8], wall_s: u64) -> Result<(), CertificateError> {
        let authorities = vec![self.authority.id()].into();
        Certificate::parse(bytes)?.check(
            &mut Keys::new(0),
            &MESH,
            &authorities,
            &self.joiner.id(),
            wall_s,
        )
    }
}

fn let_in() -> (Mesh, Certificate) {
    let mut mesh = Mesh::new();
    let enroller = mesh.by_authority(&ALL_ROLES, LAPSES_S);
    let joined = mesh.by_enroller(&enroller, LAPSES_S);
    (mesh, joined)
}

#[test]
fn whom_an_enroller_lets_in_is_a_plain_member() {
    let (mesh, joined) = let_in();
    assert_eq!(mesh.judge(&joined, NOW_S), Ok(()));
    assert_eq!(joined.roles, [Role::Member]);
    assert_eq!(joined.enroller(), Some(mesh.enroller.id()));
}

#[test]
fn a_certificate_with_its_enrollers_survives_its_encoding() {
    let (_, joined) = let_in();
    let read = Certificate::parse(&joined.encode()).expect("parses");
    assert_eq!((&read, read.encode()), (&joined, joined.encode()));
}

#[test]
fn nobody_stays_longer_than_the_enroller_that_let_it_in() {
    let mut mesh = Mesh::new();
    let enroller = mesh.by_authority(&ALL_ROLES, 2_000);
    let joined = mesh.by_enroller(&enroller, LAPSES_S);
    assert_eq!(joined.not_after_s, 2_000);
    assert_eq!(mesh.judge(&joined, 1_999), Ok(()));
    assert_eq!(mesh.judge(&joined, 2_000), Err(CertificateError::Lapsed));
}

#[test]
fn a_member_that_is_no_enroller_lets_nobody_in() {
    let mut mesh = Mesh::new();
    for roles in [&[Role::Member][..], &[Role::Member, Role::Admin]] {
        let plain = mesh.by_authority(roles, LAPSES_S);
        let joined = mesh.by_enroller(&plain, LAPSES_S);
        assert_eq!(mesh.judge(&joined, NOW_S), Err(CertificateError::NotEnroller));
    }
}

#[test]
fn whom_an_enroller_let_in_lets_nobody_in() {
    let (mut mesh, joined) = let_in();
    let third = Keys::new(3).id();
    let chained = Certificate::issue_by_enroller(&mut mesh.joiner, &joined, third, 0, LAPSES_S);
    assert_eq!(Certificate::parse(&chained.encode()), Err(CertificateError::Malformed));
}

#[test]
fn an_enroller_of_another_mesh_lets_nobody_in() {
    let mut mesh = Mesh::new();
    let (issuer, peer) = (mesh.authority.id(), mesh.enroller.id());
    let other = MeshId([8; 32]);
    let roles = ALL_ROLES.to_vec();
    let foreign = Certificate::issue(&mut mesh.authority, issuer, other, peer, roles, 0, LAPSES_S);
    let joined = mesh.by_enroller(&foreign, LAPSES_S);
    assert_eq!(mesh.judge(&joined, NOW_S), Err(CertificateError::OtherMesh));
}

#[test]
fn an_enroller_that_made_itself_lets_nobody_in() {
    let mut mesh = Mesh::new();
    let me = mesh.enroller.id();
    let roles = ALL_ROLES.to_vec();
    let own = Certificate::issue(&mut mesh.enroller, me, MESH, me, roles, 0, LAPSES_S);
    let joined = mesh.by_enroller(&own, LAPSES_S);
    assert_eq!(mesh.judge(&joined, NOW_S), Err(CertificateError::UnknownAuthority));
}

#[test]
fn the_certificate_of_another_enroller_does_not_help() {
    let mut mesh = Mesh::new();
    let enroller = mesh.by_authority(&ALL_ROLES, LAPSES_S);
    let peer = mesh.joiner.id();
    let joined = Certificate::issue_by_enroller(&mut Keys::new(9), &enroller, peer, 0, LAPSES_S);
    assert_eq!(mesh.judge(&joined, NOW_S), Err(CertificateError::Forged));
}

#[test]
fn a_certificate_without_the_members_role_makes_no_member() {
    let mut mesh = Mesh::new();
    let (issuer, peer) = (mesh.authority.id(), mesh.joiner.id());
    let roles = vec![Role::Admin];
    let certificate =
        Certificate::issue(&mut mesh.authority, issuer, MESH, peer, roles, 0, LAPSES_S);
    assert_eq!(mesh.judge(&certificate, NOW_S), Err(CertificateError::NotMember));
}

proptest! {
    #[test]
    fn a_certificate_with_any_byte_changed_makes_nobody_a_member(
        at in any::<proptest::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let (mesh, joined) = let_in();
        let mut bytes = joined.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(mesh.judge_bytes(&bytes, NOW_S).is_err(), "byte {}", at);
    }

    #[test]
    fn no_bytes_make_parsing_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        let _ = Certificate::parse(&bytes);
    }
}

#[test]
fn golden_bytes_of_an_enrollers_certificate() {
    let (mesh, joined) = let_in();
    let bytes = joined.encode();
    let start = *blake3::hash(&bytes).as_bytes().first_chunk::<8>().expect("32 bytes");
    assert_eq!((bytes.len(), start), GOLDEN_LENGTH_AND_HASH);
    assert_eq!(mesh.judge_bytes(&bytes, NOW_S), Ok(()));
}

/// Another length or hash means that peers of before do not read certificates of today, or sign other bytes.
const GOLDEN_LENGTH_AND_HASH: (usize, [u8; 8]) = (393, [54, 32, 183, 183, 188, 37, 78, 16]);
