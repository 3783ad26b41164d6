//! Tokens, memberships that were ended, and keys of the sample's mesh.

use super::{ALPHA, BETA, GAMMA, NOW, refer, stamp};
use crate::api::schema::{
    AuthorityList, Envelope, Invite, Item, Items, Joined, Keys, Kind, MadeToken, Many, One,
    OwnCertificate, PeerKeys, ReplacedAuthority, Revocation, RevocationCause, Signer,
};
use crate::time::WallTime;

const HOUR_MS: u64 = 3_600_000;

pub(crate) fn token() -> One<MadeToken> {
    let item = MadeToken {
        token: "plexmesh1abcdefgh".to_owned(),
        id: "00112233".to_owned(),
        uses: 2,
        for_peer: None,
        expires_at: WallTime::from_ms(NOW + HOUR_MS),
        addresses: vec!["/ip4/192.0.2.1/udp/6374/quic-v1".to_owned()],
    };
    Envelope::new(Kind::Token, stamp(), Item { item })
}

pub(crate) fn invites() -> Many<Invite> {
    let open = Invite {
        id: "00112233".to_owned(),
        made_by: refer(ALPHA),
        uses: 2,
        used: 1,
        barred: 0,
        for_peer: None,
        expires_at: WallTime::from_ms(NOW + HOUR_MS),
        note: Some("rack 7".to_owned()),
        peers: vec![refer(BETA)],
    };
    let overused = Invite {
        id: "44556677".to_owned(),
        uses: 1,
        barred: 1,
        for_peer: Some(refer(GAMMA)),
        note: None,
        peers: vec![refer(GAMMA)],
        ..open.clone()
    };
    Envelope::new(Kind::InviteList, stamp(), Items { items: vec![open, overused] })
}

pub(crate) fn revocations() -> Many<Revocation> {
    let item = Revocation {
        peer: refer(GAMMA),
        cause: RevocationCause::Revoked,
        reason: Some("stolen".to_owned()),
        by: refer(ALPHA),
        at: WallTime::from_ms(NOW - HOUR_MS),
        members_up: 2,
        acknowledged: 1,
        waiting_for: vec![refer(BETA)],
    };
    Envelope::new(Kind::RevocationList, stamp(), Items { items: vec![item] })
}

pub(crate) fn keys() -> One<Keys> {
    let holds = |peer, epoch, up| PeerKeys { peer: refer(peer), epoch, up };
    let item = Keys {
        epoch: Some(2),
        latest_epoch: Some(2),
        members_up: 2,
        up_to_date: 1,
        peers: vec![
            holds(ALPHA, Some(2), true),
            holds(BETA, Some(1), true),
            holds(GAMMA, None, false),
        ],
    };
    Envelope::new(Kind::Keys, stamp(), Item { item })
}

pub(crate) fn joined() -> Joined {
    Joined {
        mesh: "00ff".to_owned(),
        peer: BETA.0.to_owned(),
        data_dir: "/srv/plexmesh".to_owned(),
        enroller: ALPHA.0.to_owned(),
        certificate_lapses_at: WallTime::from_ms(NOW + HOUR_MS),
        clock_offset_seconds: -0.4,
    }
}

pub(crate) fn authorities() -> One<AuthorityList> {
    let key = |digit: &str| digit.repeat(64);
    let replaced = ReplacedAuthority {
        key: key("a"),
        replaced_by: key("c"),
        signed_by: key("b"),
        stolen: false,
        ends_at: WallTime::from_ms(NOW + HOUR_MS),
        ended: false,
    };
    let item = AuthorityList {
        in_force: vec![key("c"), key("b")],
        replaced: vec![replaced],
        founding: vec![key("a"), key("b")],
        changes: vec!["00ff".to_owned()],
    };
    Envelope::new(Kind::Authorities, stamp(), Item { item })
}

pub(crate) fn certificate() -> One<OwnCertificate> {
    let item = OwnCertificate {
        peer: ALPHA.0.to_owned(),
        roles: vec!["member".to_owned(), "enroller".to_owned()],
        signed_by: Signer::Authority,
        renewal_at: WallTime::from_ms(NOW),
        certificate_lapses_at: WallTime::from_ms(NOW + HOUR_MS),
        certificate: "00ff".to_owned(),
    };
    Envelope::new(Kind::Certificate, stamp(), Item { item })
}
