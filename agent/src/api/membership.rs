//! Routes about who is let in and who is put out.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use plexmesh_net::{parse_peer_id, peer_id_text};
use plexmesh_proto::admission::token::{Enroller, JoinToken, MAX_ENROLLERS};
use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::record::{Certificate, RevocationCause, Role};
use plexmesh_proto::types::PeerId;
use plexmesh_proto::{InviteRefusal, InviteReport, InviteTerms, Invited, RevokeRefusal};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::answer::{self, envelope, filled, refer, time_of};
use super::guard::Effect;
use super::problem::{Code, Problem};
use super::routes::Agent;
use super::schema::{
    CertificateRequest, Envelope, Invite, InviteRequest, Item, Items, Keys, Kind, MadeToken, Many,
    One, OwnCertificate, PeerKeys, PeerRef, Revocation, RevokeRequest, Signer, State as Word,
};
use super::select::select;
use crate::audit::Changed;
use crate::certificate::InstallError;
use crate::mesh::files::from_hex;
use crate::query::{AgentNode, Snapshot};
use crate::text::hex;
use crate::time::WallTime;

pub(super) type Done<T> = Result<(Extension<Effect>, Json<T>), Problem>;

pub(super) fn done<T>(changed: Changed, document: T) -> Done<T> {
    Ok((Extension(Effect(changed)), Json(document)))
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("the request body is not as it should be: {error}");
        Problem::new(Code::BadRequest, message)
    })
}

pub(super) async fn invite(State(agent): State<Arc<Agent>>, body: Bytes) -> Done<One<MadeToken>> {
    let request: InviteRequest = parse(&body)?;
    let for_peer = request.for_peer.as_deref().map(peer_id).transpose()?;
    let terms = InviteTerms {
        uses: request.uses,
        for_peer,
        lifetime_s: request.lifetime_seconds,
        note: request.note,
    };
    let enrollers = agent.read(enrollers).await?;
    if enrollers.is_empty() {
        return Err(Problem::new(
            Code::Refused,
            "this peer has no address for a newcomer to ask at",
        )
        .because("it listens nowhere; net.listen or net.announce may be empty")
        .then("plexmesh config show --origin net"));
    }
    let invited = agent.change(move |node, now| node.invite(terms, now)).await?;
    let Invited { secret, expires_s, uses } = invited.map_err(refused_invite)?;
    let stamp = agent.read(answer::stamp).await?;
    let mesh = agent.read(|moment| moment.node.certificate().mesh).await?;
    let addresses = enrollers.iter().flat_map(|it| it.addresses.clone()).collect();
    let token = JoinToken::new(mesh, secret, expires_s, enrollers)
        .map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    let item = MadeToken {
        token: token.to_text(),
        id: token.id().to_string(),
        uses,
        for_peer: for_peer.map(|peer| peer_id_text(&peer.0)),
        expires_at: WallTime::from_s(expires_s),
        addresses,
    };
    let after = json!({ "token": item.id, "uses": uses, "expiresAt": item.expires_at });
    let changed = Changed { after, ..Changed::default() };
    done(changed, Envelope::new(Kind::Token, stamp, Item { item }))
}

/// Where newcomers may ask: here, and at other enrollers that are up.
fn enrollers(moment: &Snapshot<'_>) -> Vec<Enroller> {
    let node = moment.node;
    let me = node.me();
    let members = node.roster().members().iter().zip(node.evaluation().states());
    let mut found: Vec<Enroller> = members
        .filter(|(member, state)| {
            let enrolls = member.certificate().is_some_and(|it| it.has_role(Role::Enroller));
            enrolls && *state == PeerState::Up
        })
        .filter_map(|(member, _)| {
            let addresses = member.profile()?.addresses.clone();
            Some(Enroller { peer: member.id(), addresses })
        })
        .filter(|enroller| !enroller.addresses.is_empty())
        .collect();
    // An agent that has just started has not published yet where it is.
    found.retain(|enroller| enroller.peer != me);
    let own = node.profile().addresses.clone();
    if node.certificate().has_role(Role::Enroller) && !own.is_empty() {
        found.insert(0, Enroller { peer: me, addresses: own });
    }
    found.truncate(MAX_ENROLLERS);
    found
}

fn refused_invite(refusal: InviteRefusal) -> Problem {
    match refusal {
        InviteRefusal::NotEnroller => Problem::new(Code::Refused, refusal.to_string())
            .because("only an authority key gives that role; ask on a peer that has it")
            .then("plexmesh peers -o wide"),
        _ => Problem::new(Code::BadRequest, refusal.to_string()),
    }
}

fn peer_id(text: &str) -> Result<PeerId, Problem> {
    parse_peer_id(text).map(PeerId).map_err(|error| {
        Problem::new(Code::BadRequest, format!("`{text}` is no peer id: {error}"))
            .because("it takes the full id, as the peer's agent logs it at its start")
    })
}

pub(super) async fn invites(
    State(agent): State<Arc<Agent>>,
) -> Result<Json<Many<Invite>>, Problem> {
    let document = agent.read(|moment| {
        let items = moment.node.invites().into_iter();
        let items = items.map(|report| invite_item(moment.node, report)).collect();
        envelope(moment, Kind::InviteList, Items { items })
    });
    document.await.map(Json)
}

fn invite_item(node: &AgentNode, report: InviteReport) -> Invite {
    let count = |peers: &[PeerId]| u32::try_from(peers.len()).unwrap_or(u32::MAX);
    Invite {
        id: report.token.to_string(),
        made_by: refer(node, &report.origin),
        uses: report.invite.uses,
        used: count(&report.standing),
        barred: count(&report.void),
        for_peer: report.invite.for_peer.map(|peer| refer(node, &peer)),
        expires_at: WallTime::from_s(report.expires_s),
        note: filled(&report.invite.note),
        peers: report.standing.iter().map(|peer| refer(node, peer)).collect(),
    }
}

pub(super) async fn revocations(
    State(agent): State<Arc<Agent>>,
) -> Result<Json<Many<Revocation>>, Problem> {
    agent.read(|moment| revocation_list(moment, None)).await.map(Json)
}

pub(super) async fn revoke(State(agent): State<Arc<Agent>>, body: Bytes) -> Done<Many<Revocation>> {
    end(&agent, &body, RevocationCause::Revoked).await
}

pub(super) async fn forget(State(agent): State<Arc<Agent>>, body: Bytes) -> Done<Many<Revocation>> {
    end(&agent, &body, RevocationCause::Forgotten).await
}

async fn end(agent: &Agent, body: &[u8], cause: RevocationCause) -> Done<Many<Revocation>> {
    let RevokeRequest { peer, reason, with_enrolled } = parse(body)?;
    let named = peer.clone();
    let found = agent.read(move |moment| select(&named, &answer::directory(moment)));
    let peer = match found.await? {
        Ok(found) => found,
        // Somebody may be put out who was never seen, by the full id.
        Err(problem) => parse_peer_id(&peer).map(PeerId).map_err(|_| problem)?,
    };
    let ended =
        agent.change(move |node, now| node.revoke(peer, cause, reason, with_enrolled, now)).await?;
    let id = peer_id_text(&peer.0);
    ended.map_err(|refusal| refused_revocation(refusal, &id))?;
    let document = agent.read(move |moment| revocation_list(moment, Some(peer))).await?;
    let changed = Changed { before: json!("member"), after: json!({ "ended": id }) };
    done(changed, document)
}

fn refused_revocation(refusal: RevokeRefusal, peer: &str) -> Problem {
    let problem = Problem::new(Code::Refused, refusal.to_string());
    match refusal {
        RevokeRefusal::NotAdmin => problem
            .because("only an authority key gives that role; ask on a peer that has it")
            .then("plexmesh peers -o wide"),
        RevokeRefusal::Oneself => problem.then("plexmesh leave"),
        RevokeRefusal::NotMember => {
            Problem { code: Code::NotFound, ..problem }.then("plexmesh peers")
        }
        RevokeRefusal::NotGone(state) => Problem { message: not_gone(state), ..problem }
            .because("a peer that lives is revoked, or leaves by itself")
            .then(format!("plexmesh revoke {peer}")),
        RevokeRefusal::LetOthersIn(_) => problem
            .because(
                "whoever has its key could make certificates like theirs; they have to join again",
            )
            .then(format!("plexmesh revoke {peer} --with-enrolled")),
    }
}

fn not_gone(state: PeerState) -> String {
    let state = Word::from(state).word();
    format!("this peer is {state}; only one that is down, unreachable or left can be given up")
}

fn revocation_list(moment: &Snapshot<'_>, only: Option<PeerId>) -> Many<Revocation> {
    let known = moment.node.acknowledgements(moment.now);
    let waiting = known.iter().filter(|(_, knows)| !knows);
    let waiting: Vec<PeerRef> = waiting.map(|(peer, _)| refer(moment.node, peer)).collect();
    let revocations = moment.node.admissions().revocations();
    let chosen = revocations.filter(|(_, it)| only.is_none_or(|only| it.peer == only));
    let items = chosen.map(|(record, it)| Revocation {
        peer: PeerRef { id: peer_id_text(&it.peer.0), name: filled(&it.name) },
        cause: it.cause.into(),
        reason: filled(&it.reason),
        by: refer(moment.node, &record.origin()),
        at: time_of(record.version()),
        members_up: known.len(),
        acknowledged: known.len() - waiting.len(),
        waiting_for: waiting.clone(),
    });
    envelope(moment, Kind::RevocationList, Items { items: items.collect() })
}

pub(super) async fn keys(State(agent): State<Arc<Agent>>) -> Result<Json<One<Keys>>, Problem> {
    agent.read(key_epochs).await.map(Json)
}

pub(super) async fn rotate(State(agent): State<Arc<Agent>>) -> Done<One<Keys>> {
    let before = agent.read(|moment| moment.node.key_epoch()).await?;
    let secret = rand::random();
    let rotated = agent.change(move |node, now| node.rotate_keys(secret, now)).await?;
    let rotation = rotated.map_err(|refusal| {
        Problem::new(Code::Refused, refusal.to_string())
            .because("only an authority key gives the role of an admin")
            .then("plexmesh certificate")
    })?;
    let after = json!({ "epoch": rotation.epoch, "recipients": rotation.recipients });
    let changed = Changed { before: json!({ "epoch": before }), after };
    done(changed, agent.read(key_epochs).await?)
}

fn key_epochs(moment: &Snapshot<'_>) -> One<Keys> {
    let node = moment.node;
    let known = |epoch: u32| (epoch > 0).then_some(epoch);
    let peers: Vec<PeerKeys> = node
        .key_progress(moment.now)
        .into_iter()
        .map(|(peer, epoch)| PeerKeys {
            peer: refer(node, &peer),
            epoch: epoch.and_then(known),
            up: node.state_of(&peer) == Some(PeerState::Up),
        })
        .collect();
    let latest_epoch = peers.iter().filter_map(|peer| peer.epoch).max();
    let up = || peers.iter().filter(|peer| peer.up);
    let item = Keys {
        epoch: known(node.key_epoch()),
        latest_epoch,
        members_up: up().count(),
        up_to_date: up().filter(|peer| peer.epoch.is_some() && peer.epoch == latest_epoch).count(),
        peers,
    };
    envelope(moment, Kind::Keys, Item { item })
}

pub(super) async fn certificate(
    State(agent): State<Arc<Agent>>,
) -> Result<Json<One<OwnCertificate>>, Problem> {
    agent.read(own_certificate).await.map(Json)
}

fn own_certificate(moment: &Snapshot<'_>) -> One<OwnCertificate> {
    let own = moment.node.certificate();
    let lapses_s = moment.node.authorities().lapses_s(own);
    let role = |role: &Role| match role {
        Role::Member => "member",
        Role::Enroller => "enroller",
        Role::Admin => "admin",
    };
    let item = OwnCertificate {
        peer: peer_id_text(&own.peer.0),
        roles: own.roles.iter().map(|it| role(it).to_owned()).collect(),
        signed_by: own.enroller().map_or(Signer::Authority, |_| Signer::Enroller),
        renewal_at: WallTime::from_s(own.renewal_s().min(lapses_s)),
        certificate_lapses_at: WallTime::from_s(lapses_s),
        certificate: hex(&own.encode()),
    };
    envelope(moment, Kind::Certificate, Item { item })
}

pub(super) async fn install_certificate(
    State(agent): State<Arc<Agent>>,
    body: Bytes,
) -> Done<One<OwnCertificate>> {
    let request: CertificateRequest = parse(&body)?;
    let certificate = from_hex(&request.certificate)
        .and_then(|bytes| Certificate::parse(&bytes).ok())
        .ok_or_else(|| Problem::new(Code::BadRequest, "this is no certificate in hexadecimal"))?;
    let before = agent.read(|moment| moment.node.certificate().not_after_s).await?;
    let after = certificate.not_after_s;
    agent.installer.install(certificate).await.map_err(|error| match error {
        InstallError::NotOurs => Problem::new(Code::Refused, error.to_string())
            .because("it is another peer's or mesh's, has lapsed, or no authority signed it"),
        InstallError::Driver(error) => error.into(),
        InstallError::File(error) => Problem::new(Code::Failed, format!("{error:#}")),
    })?;
    let document = agent.read(own_certificate).await?;
    let at = |s| json!({ "certificateLapsesAt": WallTime::from_s(s) });
    done(Changed { before: at(before), after: at(after) }, document)
}
