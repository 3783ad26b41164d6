//! Whose certificates count, whatever replacements of authority keys are known, and in whatever order they came.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Keys, MESH};
use plexmesh_proto::record::{
    Authorities, AuthorityChange, AuthorityError, Certificate, CertificateError,
    MAX_AUTHORITY_CHANGES, MAX_CHANGE_BYTES, MeshId, Replacement, Role,
};
use plexmesh_proto::types::PeerId;
use proptest::prelude::*;

const DAILY: u8 = 250;
const SPARE: u8 = 251;
const UNTIL_S: u64 = 5_000;

fn id(key: u8) -> PeerId {
    Keys::new(key).id()
}

fn founding() -> Authorities {
    vec![id(DAILY), id(SPARE)].into()
}

const fn lost(lost: PeerId, new: PeerId) -> Replacement {
    Replacement { lost, new, until_s: UNTIL_S, stolen: false }
}

fn replaced(
    before: &Authorities,
    signer: u8,
    replacement: Replacement,
) -> Result<Authorities, AuthorityError> {
    before.replace(&mut Keys::new(signer), id(signer), &MESH, replacement)
}

/// What somebody who knows the founding keys alone makes of the bytes.
fn told(chain: &[AuthorityChange]) -> Result<Authorities, AuthorityError> {
    let bytes: Vec<Vec<u8>> = chain.iter().map(AuthorityChange::encode).collect();
    founding().of_chain(&mut Keys::new(0), &MESH, &AuthorityChange::parse_all(&bytes)?)
}

fn certificate_of(authority: u8) -> Certificate {
    let peer = id(7);
    let roles = vec![Role::Member];
    Certificate::issue(&mut Keys::new(authority), id(authority), MESH, peer, roles, 0, 9_000)
}

fn judge(certificate: &Certificate, by: &Authorities, wall_s: u64) -> Result<(), CertificateError> {
    certificate.check(&mut Keys::new(0), &MESH, by, &id(7), wall_s)
}

#[test]
fn the_spare_replaces_a_lost_key_whose_certificates_count_for_the_grace() {
    let after = replaced(&founding(), SPARE, lost(id(DAILY), id(1))).unwrap();
    assert_eq!(told(after.changes()), Ok(after.clone()));
    assert_eq!(after.in_force(), [id(1), id(SPARE)]);
    assert_eq!(judge(&certificate_of(1), &after, 9), Ok(()));
    assert_eq!(judge(&certificate_of(DAILY), &after, UNTIL_S - 1), Ok(()));
    let ended = Err(CertificateError::AuthorityReplaced);
    assert_eq!(judge(&certificate_of(DAILY), &after, UNTIL_S), ended);
    assert_eq!(after.lapses_s(&certificate_of(DAILY)), UNTIL_S);
    assert_eq!(after.lapses_s(&certificate_of(SPARE)), 9_000);
    let unknown = Err(CertificateError::UnknownAuthority);
    assert_eq!(judge(&certificate_of(1), &founding(), 9), unknown);
}

#[test]
fn whoever_hangs_on_an_enroller_falls_with_the_key_of_the_enroller() {
    let after = replaced(&founding(), SPARE, lost(id(DAILY), id(1))).unwrap();
    let roles = vec![Role::Member, Role::Enroller];
    let (mut daily, mut enroller) = (Keys::new(DAILY), Keys::new(2));
    let own = Certificate::issue(&mut daily, id(DAILY), MESH, id(2), roles, 0, 9_000);
    let joined = Certificate::issue_by_enroller(&mut enroller, &own, id(7), 0, 9_000);
    assert_eq!(joined.authority(), id(DAILY));
    assert_eq!(judge(&joined, &after, UNTIL_S - 1), Ok(()));
    assert_eq!(judge(&joined, &after, UNTIL_S), Err(CertificateError::AuthorityReplaced));
}

#[test]
fn nothing_counts_that_hangs_on_a_stolen_key_whatever_date_it_bears() {
    let stolen = Replacement { stolen: true, ..lost(id(DAILY), id(1)) };
    let after = replaced(&founding(), SPARE, stolen).unwrap();
    assert!(!after.is_void(&id(DAILY), UNTIL_S - 1));
    assert!(after.is_void(&id(DAILY), UNTIL_S));
    let only_lost = replaced(&founding(), SPARE, lost(id(DAILY), id(1))).unwrap();
    assert!(!only_lost.is_void(&id(DAILY), UNTIL_S));
    assert!(only_lost.vouches(&id(DAILY), UNTIL_S - 1));
}

#[test]
fn what_an_authority_may_not_do_is_refused_by_name() {
    let stranger = replaced(&founding(), 3, lost(id(DAILY), id(1)));
    assert_eq!(stranger, Err(AuthorityError::UnknownSigner));
    let oneself = replaced(&founding(), DAILY, lost(id(DAILY), id(1)));
    assert_eq!(oneself, Err(AuthorityError::NotReplaceable));
    let nobody = replaced(&founding(), SPARE, lost(id(9), id(1)));
    assert_eq!(nobody, Err(AuthorityError::NotReplaceable));
    let known = replaced(&founding(), SPARE, lost(id(DAILY), id(SPARE)));
    assert_eq!(known, Err(AuthorityError::KnownKey));
    let after = replaced(&founding(), SPARE, lost(id(DAILY), id(1))).unwrap();
    let back = replaced(&after, SPARE, lost(id(1), id(DAILY)));
    assert_eq!(back, Err(AuthorityError::KnownKey));
    let by_lost = replaced(&after, DAILY, lost(id(SPARE), id(2)));
    assert_eq!(by_lost, Err(AuthorityError::UnknownSigner));
}

#[test]
fn a_chain_that_is_changed_cut_or_of_another_mesh_does_not_count() {
    let first = replaced(&founding(), SPARE, lost(id(DAILY), id(1))).unwrap();
    let both = replaced(&first, 1, lost(id(SPARE), id(2))).unwrap();
    assert_eq!(told(both.changes()), Ok(both.clone()));
    assert_eq!(told(&both.changes()[1..]), Err(AuthorityError::OutOfOrder));
    let other = founding().of_chain(&mut Keys::new(0), &MeshId([9; 32]), both.changes());
    assert_eq!(other, Err(AuthorityError::OtherMesh));
    for change in both.changes() {
        let good = change.encode();
        assert!(good.len() <= MAX_CHANGE_BYTES, "{}", good.len());
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            let chain = AuthorityChange::parse(&bad).map(|bad| {
                both.changes()
                    .iter()
                    .map(|it| if it == change { bad.clone() } else { it.clone() })
                    .collect::<Vec<_>>()
            });
            let counts = chain.and_then(|chain| told(&chain));
            assert!(counts.is_err(), "byte {position}");
        }
    }
}

#[test]
fn a_mesh_bears_so_many_replacements_and_no_more() {
    let (mut after, mut current) = (founding(), DAILY);
    for new in (1..).take(MAX_AUTHORITY_CHANGES) {
        after = replaced(&after, SPARE, lost(id(current), id(new))).unwrap();
        current = new;
    }
    let more = replaced(&after, SPARE, lost(id(current), id(200)));
    assert_eq!(more, Err(AuthorityError::TooMany));
    assert_eq!(told(after.changes()), Ok(after));
}

#[test]
fn of_two_that_replace_each_other_the_spare_wins_everywhere() {
    let by_spare = replaced(&founding(), SPARE, lost(id(DAILY), id(1))).unwrap();
    let by_daily = replaced(&founding(), DAILY, lost(id(SPARE), id(2))).unwrap();
    assert!(by_spare.supersedes(&by_daily) && !by_daily.supersedes(&by_spare));
    // However long the other one makes his chain.
    let longer = replaced(&by_daily, 2, lost(id(DAILY), id(3))).unwrap();
    assert!(by_spare.supersedes(&longer) && !longer.supersedes(&by_spare));
}

/// A chain of replacements: who of the two signs, and by which new key the other one is replaced.
fn chain(steps: &[(bool, u8)]) -> Authorities {
    let mut now = founding();
    let mut keys = [DAILY, SPARE];
    for (by_second, new) in steps {
        let (signer, other) = if *by_second { (1, 0) } else { (0, 1) };
        // A key of its own for each place of each chain.
        let new = new + 16 * u8::try_from(now.changes().len()).unwrap();
        now = replaced(&now, keys[signer], lost(id(keys[other]), id(new))).unwrap();
        keys[other] = new;
    }
    now
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_who_know_the_same_chains_take_the_same_one(
        steps in proptest::collection::vec(proptest::collection::vec((any::<bool>(), 1..4u8), 0..4), 1..5)
            .prop_flat_map(|steps| (Just(steps.clone()), Just(steps).prop_shuffle())),
    ) {
        let take = |steps: &[Vec<(bool, u8)>]| {
            steps.iter().map(|steps| chain(steps)).fold(founding(), |held, heard| {
                if heard.supersedes(&held) { heard } else { held }
            })
        };
        prop_assert_eq!(take(&steps.0), take(&steps.1));
    }

    #[test]
    fn one_of_two_chains_counts_unless_they_are_the_same(
        one in proptest::collection::vec((any::<bool>(), 1..4u8), 0..4),
        other in proptest::collection::vec((any::<bool>(), 1..4u8), 0..4),
    ) {
        let (one, other) = (chain(&one), chain(&other));
        let counts = usize::from(one.supersedes(&other)) + usize::from(other.supersedes(&one));
        prop_assert_eq!(counts, usize::from(one != other));
    }
}
