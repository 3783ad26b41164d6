//! Who is barred follows from the records alone, in whatever order they came.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{Keys, MESH};
use plexmesh_proto::admission::token::TokenId;
use plexmesh_proto::admission::{Admissions, Bar};
use plexmesh_proto::record::{
    Certificate, Enrolment, Invite, Payload, Record, Revocation, RevocationCause, Role,
};
use plexmesh_proto::types::{PeerId, Version};
use proptest::prelude::*;

const EXPIRES_S: u64 = 1_000_000;
const LAPSES_S: u64 = 2_000_000;

fn roles_of(keys: &Keys) -> Certificate {
    let (mut authority, roles) = (Keys::new(99), vec![Role::Member, Role::Enroller, Role::Admin]);
    let issuer = authority.id();
    Certificate::issue(&mut authority, issuer, MESH, keys.id(), roles, 0, LAPSES_S)
}

fn signed(keys: &mut Keys, version: u64, payload: Payload) -> Arc<Record> {
    let id = keys.id();
    Arc::new(Record::sign(keys, &MESH, id, Version(version), EXPIRES_S, payload))
}

fn revoked(admin: u8, peer: u8, version: u64, cause: RevocationCause) -> Arc<Record> {
    let (mut admin, peer) = (Keys::new(admin), Keys::new(peer).id());
    let certificate = Box::new(roles_of(&admin));
    let (reason, name) = (String::new(), String::new());
    let revocation = Revocation { peer, cause, reason, name, certificate };
    signed(&mut admin, version, Payload::Revocation(Box::new(revocation)))
}

fn enrolled(enroller: u8, token: u8, peer: u8, uses: u32, version: u64) -> Arc<Record> {
    let (mut enroller, peer) = (Keys::new(enroller), Keys::new(peer).id());
    let enrolment = Enrolment { token: TokenId([token; 16]), peer, uses };
    signed(&mut enroller, version, Payload::Enrolment(enrolment))
}

fn invited(enroller: u8, token: u8, version: u64) -> Arc<Record> {
    let invite = Invite { secret_hash: [token; 32], uses: 1, for_peer: None, note: String::new() };
    signed(&mut Keys::new(enroller), version, Payload::Invite(invite))
}

fn records() -> impl Strategy<Value = Vec<Arc<Record>>> {
    let one =
        (0..4u8, 0..4u8, 0..6u8, 1..40u64, 1..3u32).prop_map(|(form, by, about, version, n)| {
            match form {
                0 => revoked(by, about, version, RevocationCause::Revoked),
                1 => revoked(by, about, version, RevocationCause::Forgotten),
                2 => enrolled(by, about % 2, 10 + about, n, version),
                _ => invited(by, about, version),
            }
        });
    proptest::collection::vec(one, 0..24)
}

fn bar(admissions: &Admissions, peer: u8) -> Option<Bar> {
    let keys = Keys::new(peer);
    admissions.bar(&keys.id(), &roles_of(&keys))
}

fn by_enroller(enroller: u8, peer: u8) -> (PeerId, Certificate) {
    let (mut enroller, peer) = (Keys::new(enroller), Keys::new(peer).id());
    let own = roles_of(&enroller);
    (peer, Certificate::issue_by_enroller(&mut enroller, &own, peer, 10, LAPSES_S))
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter(
        (records, shuffled) in records().prop_flat_map(|records| {
            (Just(records.clone()), Just(records).prop_shuffle())
        }),
    ) {
        let (one, other) = (Admissions::of_records(records), Admissions::of_records(shuffled));
        prop_assert_eq!(one.acknowledgement(), other.acknowledgement());
        prop_assert_eq!(one, other);
    }

    #[test]
    fn hearing_a_record_again_changes_nothing(records in records()) {
        let twice = [records.clone(), records.clone()].concat();
        prop_assert_eq!(Admissions::of_records(twice), Admissions::of_records(records));
    }

    #[test]
    fn no_token_lets_in_more_than_its_first_use_says(records in records()) {
        let admissions = Admissions::of_records(records);
        for token in [TokenId([0; 16]), TokenId([1; 16])] {
            let standing = admissions.uses(&token).map_or(0, |uses| uses.standing.len());
            prop_assert!(standing <= 2);
        }
    }
}

#[test]
fn the_earlier_use_of_a_token_stands_and_the_later_is_barred() {
    let records = vec![enrolled(2, 7, 11, 1, 20), enrolled(1, 7, 10, 1, 10)];
    let admissions = Admissions::of_records(records.clone());
    let (first, second) = (by_enroller(1, 10), by_enroller(2, 11));
    assert_eq!(admissions.bar(&first.0, &first.1), None);
    let token = TokenId([7; 16]);
    assert_eq!(admissions.bar(&second.0, &second.1), Some(Bar::TokenOverused(token)));
    // With a token of its own it is in again.
    let again = Admissions::of_records([records, vec![enrolled(1, 8, 11, 1, 30)]].concat());
    assert_eq!(again.bar(&second.0, &second.1), None);
}

#[test]
fn what_a_revoked_admin_says_later_does_not_count_and_what_it_said_before_does() {
    let before = revoked(1, 3, 10, RevocationCause::Revoked);
    let after = revoked(1, 4, 30, RevocationCause::Revoked);
    let own = revoked(2, 1, 20, RevocationCause::Revoked);
    let admissions = Admissions::of_records(vec![after.clone(), own, before.clone()]);
    assert_eq!(bar(&admissions, 1), Some(Bar::Revoked));
    assert_eq!(bar(&admissions, 3), Some(Bar::Revoked));
    assert_eq!(bar(&admissions, 4), None);
    assert!(admissions.is_unwanted(&after) && !admissions.is_unwanted(&before));
}

#[test]
fn nobody_undoes_the_revocation_of_himself_with_an_earlier_version() {
    let (word, answer) =
        (revoked(1, 2, 20, RevocationCause::Revoked), revoked(2, 1, 10, RevocationCause::Revoked));
    let admissions = Admissions::of_records(vec![answer.clone(), word.clone()]);
    let barred = (bar(&admissions, 1), bar(&admissions, 2));
    assert_eq!(barred, (Some(Bar::Revoked), Some(Bar::Revoked)));
    assert!(!admissions.is_unwanted(&word) && !admissions.is_unwanted(&answer));
}

#[test]
fn whom_a_revoked_enroller_let_in_is_barred_with_it() {
    let admissions = Admissions::of_records(vec![
        enrolled(2, 7, 11, 1, 5),
        revoked(1, 2, 20, RevocationCause::Revoked),
    ]);
    let (peer, certificate) = by_enroller(2, 11);
    assert_eq!(admissions.bar(&peer, &certificate), Some(Bar::WithEnroller(Keys::new(2).id())));
    let (peer, certificate) = by_enroller(3, 11);
    assert_eq!(admissions.bar(&peer, &certificate), None, "renewed by another");
}

#[test]
fn who_was_forgotten_comes_back_with_a_later_certificate_and_who_was_revoked_does_not() {
    let at = Version::at_ms(50_000).0;
    let forgotten = Admissions::of_records(vec![revoked(1, 11, at, RevocationCause::Forgotten)]);
    let distrusted = Admissions::of_records(vec![revoked(1, 11, at, RevocationCause::Revoked)]);
    let (peer, old) = by_enroller(2, 11);
    let mut enroller = Keys::new(2);
    let own = roles_of(&enroller);
    let new = Certificate::issue_by_enroller(&mut enroller, &own, peer, 51, LAPSES_S);
    assert_eq!(forgotten.bar(&peer, &old), Some(Bar::Forgotten));
    assert_eq!(forgotten.bar(&peer, &new), None);
    assert_eq!(distrusted.bar(&peer, &new), Some(Bar::Revoked));
}

#[test]
fn a_summary_of_no_revocations_is_0_and_of_others_differs() {
    let none = Admissions::of_records(vec![invited(1, 1, 1)]);
    let one = Admissions::of_records(vec![revoked(1, 3, 10, RevocationCause::Revoked)]);
    let other = Admissions::of_records(vec![revoked(1, 4, 10, RevocationCause::Revoked)]);
    assert_eq!(none.acknowledgement(), 0);
    assert!(one.acknowledgement() != 0 && one.acknowledgement() != other.acknowledgement());
}
