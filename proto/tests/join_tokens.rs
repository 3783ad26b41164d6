//! Join tokens: what people copy wrong is found, and what is secret is not shown.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{Keys, MESH, NOW_S};
use plexmesh_proto::admission::token::{
    Enroller, JoinToken, MAX_ENROLLER_ADDRESSES, MAX_ENROLLERS, MAX_TOKEN_CHARS, Secret, TokenError,
};
use plexmesh_proto::types::PeerId;
use proptest::prelude::*;

const EXPIRES_S: u64 = NOW_S + 3_600;

fn enroller(seed: u8, addresses: &[&str]) -> Enroller {
    let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
    Enroller { peer: Keys::new(seed).id(), addresses }
}

fn token(seed: u8) -> JoinToken {
    let enrollers = vec![enroller(seed, &["/ip4/192.0.2.1/udp/6374/quic-v1"])];
    JoinToken::new(MESH, Secret::generate(&mut Keys::new(seed)), EXPIRES_S, enrollers)
        .expect("has an address")
}

fn tokens() -> impl Strategy<Value = JoinToken> {
    let address = "/[a-z0-9]{1,8}/[a-z0-9./]{0,40}";
    let addresses = proptest::collection::vec(address, 1..=MAX_ENROLLER_ADDRESSES);
    let one = (any::<[u8; 32]>(), addresses)
        .prop_map(|(peer, addresses)| Enroller { peer: PeerId(peer), addresses });
    let enrollers = proptest::collection::vec(one, 1..=MAX_ENROLLERS);
    (any::<[u8; 16]>(), NOW_S + 1..u64::MAX, enrollers).prop_map(
        |(secret, expires_s, enrollers)| {
            let secret = Secret::from_slice(&secret).expect("16 bytes");
            JoinToken::new(MESH, secret, expires_s, enrollers).expect("has an address")
        },
    )
}

proptest! {
    #[test]
    fn a_token_survives_its_text(token in tokens()) {
        let text = token.to_text();
        prop_assert!(text.len() <= MAX_TOKEN_CHARS);
        prop_assert_eq!(JoinToken::parse(&format!(" {text}\n"), NOW_S), Ok(token));
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "(plexmesh1)?[a-z2-7]{0,300}|.{0,80}") {
        let _ = JoinToken::parse(&text, NOW_S);
    }

    #[test]
    fn a_part_of_a_token_is_no_token(token in tokens(), cut in any::<proptest::sample::Index>()) {
        let text = token.to_text();
        prop_assert!(JoinToken::parse(&text[..cut.index(text.len())], NOW_S).is_err());
    }
}

#[test]
fn every_single_wrong_character_is_found() {
    for seed in [1, 2, 3] {
        let text = token(seed).to_text();
        for place in 0..text.len() {
            for wrong in (0x20..0x7f_u8).filter(|wrong| *wrong != text.as_bytes()[place]) {
                let mut copy = text.clone().into_bytes();
                copy[place] = wrong;
                let copy = String::from_utf8(copy).expect("ASCII");
                assert!(JoinToken::parse(&copy, NOW_S).is_err(), "{place}: {}", char::from(wrong));
            }
        }
    }
}

#[test]
fn every_two_swapped_neighbours_are_found() {
    for seed in 1..40 {
        let text = token(seed).to_text().into_bytes();
        for place in 0..text.len() - 1 {
            let mut copy = text.clone();
            copy.swap(place, place + 1);
            let copy = String::from_utf8(copy).expect("ASCII");
            let same = copy.as_bytes() == text;
            assert_eq!(JoinToken::parse(&copy, NOW_S).is_ok(), same, "{seed}: {place}");
        }
    }
}

#[test]
fn each_mistake_is_named() {
    let text = token(1).to_text();
    let parse = |text: &str| JoinToken::parse(text, NOW_S).expect_err("wrong");
    assert_eq!(parse("hunter2"), TokenError::NotAToken);
    assert_eq!(parse(""), TokenError::NotAToken);
    let (head, tail) = text.split_at(40);
    assert_eq!(parse(&[head, "\n", tail].concat()), TokenError::WhiteSpace { position: 41 });
    assert_eq!(parse(&[head, "0", &tail[1..]].concat()), TokenError::Character { position: 41 });
    assert_eq!(parse(head), TokenError::Mistyped);
    assert_eq!(parse(&[&text, &*"a".repeat(MAX_TOKEN_CHARS)].concat()), TokenError::TooLong);
    let wrong = if tail.starts_with('a') { "b" } else { "a" };
    assert_eq!(parse(&[head, wrong, &tail[1..]].concat()), TokenError::Mistyped);
}

#[test]
fn a_token_past_its_time_is_told_from_a_wrong_one() {
    let text = token(1).to_text();
    assert!(JoinToken::parse(&text, EXPIRES_S - 1).is_ok());
    assert_eq!(JoinToken::parse(&text, EXPIRES_S), Err(TokenError::Expired));
}

#[test]
fn a_token_without_an_address_is_not_made() {
    let secret = Secret::generate(&mut Keys::new(1));
    for addresses in [&[][..], &["192.0.2.1:6374"], &["/ip4/192.0.2.1 /udp/1"]] {
        let made = JoinToken::new(MESH, secret.clone(), EXPIRES_S, vec![enroller(1, addresses)]);
        assert!(matches!(made, Err(TokenError::Malformed(_))), "{addresses:?}");
    }
}

#[test]
fn the_largest_token_is_within_its_cap() {
    let long = format!("/dns4/{}", "a".repeat(122));
    let addresses = [&*long; MAX_ENROLLER_ADDRESSES + 1];
    let enrollers = (0..9).map(|seed| enroller(seed, &addresses)).collect();
    let secret = Secret::generate(&mut Keys::new(1));
    let token = JoinToken::new(MESH, secret, u64::MAX, enrollers).expect("has addresses");
    assert_eq!(token.enrollers().len(), MAX_ENROLLERS);
    assert!(token.to_text().len() <= MAX_TOKEN_CHARS);
    assert_eq!(JoinToken::parse(&token.to_text(), NOW_S), Ok(token));
}

#[test]
fn nothing_that_is_printed_of_a_token_is_its_secret() {
    let secret = [0x5a; 16];
    let enrollers = vec![enroller(1, &["/ip4/192.0.2.1/udp/6374/quic-v1"])];
    let token =
        JoinToken::new(MESH, Secret::from_slice(&secret).expect("16 bytes"), EXPIRES_S, enrollers)
            .expect("has an address");
    let printed = format!("{token:?} {token:#?} {}", token.id());
    for form in ["90, 90", "5a5a", "WlpaWlpa", &token.to_text()] {
        assert!(!printed.contains(form), "{printed}");
    }
}

#[test]
fn a_secret_fits_its_own_hash_alone() {
    let [one, other] = [1, 2].map(|byte| Secret::from_slice(&[byte; 16]).expect("16 bytes"));
    assert!(one.fits(&one.hash()));
    assert!(!one.fits(&other.hash()));
}

#[test]
fn golden_text_of_a_version_1_token() {
    let secret = Secret::from_slice(&[9; 16]).expect("16 bytes");
    let enrollers = vec![Enroller { peer: PeerId([8; 32]), addresses: vec!["/a/b".into()] }];
    let token = JoinToken::new(MESH, secret, 9_000, enrollers).expect("has an address");
    assert_eq!(token.to_text(), GOLDEN_TEXT);
    assert_eq!(token.id().to_string(), GOLDEN_ID);
}

/// Another text means that agents of another version do not read the tokens of this one.
const GOLDEN_TEXT: &str = "plexmesh1biqaobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyscaeqscijbeeqscijbeeqscijbeerrkcgeiuauiaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibajail3bf5rmnjjism";
const GOLDEN_ID: &str = "def2a3b2491d5738d0f89d7f2b68e179";
