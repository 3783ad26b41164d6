//! The verbs that let peers in and put them out, and the one about this peer's certificate.

use std::time::{Duration, Instant};

use plexmesh_net::parse_peer_id;
use plexmesh_proto::record::Certificate;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::{
    CertificateArgs, ForgetArgs, InviteArgs, InviteVerb, KeysArgs, KeysVerb, RevokeArgs,
};
use super::client::{Client, encoded, read_document};
use super::output::Output;
use super::verbs::{View, confirm};
use crate::api::problem::{Code, Problem};
use crate::api::schema::{
    CertificateRequest, InviteRequest, Keys, MadeToken, Many, One, OwnCertificate, PeerDetail,
    PeerRef, Revocation, RevokeRequest,
};
use crate::mesh;
use crate::mesh::files::from_hex;
use crate::render;
use crate::text::hex;
use crate::time::WallTime;

/// Between two looks at who knows already.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Makes a token, or lists them.
pub(super) async fn invite(
    args: InviteArgs,
    client: &mut Client,
    output: &Output,
) -> anyhow::Result<()> {
    if let Some(InviteVerb::List) = args.what {
        View::new("/v1/invites", None, render::membership::invites).show(client, output).await?;
        return Ok(());
    }
    let request = InviteRequest {
        uses: args.uses,
        for_peer: args.for_peer,
        lifetime_seconds: args.expires.as_secs(),
        note: args.note,
    };
    let document: One<MadeToken> = post(client, "/v1/invites", &request).await?;
    output.document(&document, render::membership::token)?;
    Ok(())
}

/// Ends a membership and waits until everybody knows, or lists those that were ended.
pub(super) async fn revoke(
    args: RevokeArgs,
    client: &mut Client,
    output: &Output,
) -> anyhow::Result<()> {
    const LIST: &str = "/v1/revocations";
    let Some(peer) = args.peer else {
        View::new(LIST, None, render::membership::revocations).show(client, output).await?;
        return Ok(());
    };
    let found = look_up(&peer, client).await?;
    if !args.yes {
        let name = render::text::clean(&output.screen(), &called(&found));
        confirm(
            &format!("Cut {name} off for good? Only a new identity would let it in again."),
            &format!("plexmesh revoke {} --yes", found.id),
        )?;
    }
    let request = RevokeRequest {
        peer: found.id.clone(),
        reason: args.reason,
        with_enrolled: args.with_enrolled,
    };
    let mut document: Many<Revocation> = post(client, LIST, &request).await?;
    let give_up = Instant::now() + args.timeout;
    let waits = |document: &Many<Revocation>| {
        document.body.items.iter().any(|it| it.acknowledged < it.members_up)
    };
    while waits(&document) && Instant::now() < give_up {
        tokio::time::sleep(LOOK_INTERVAL).await;
        document = client.document(LIST).await?;
        document.body.items.retain(|it| it.peer.id == found.id);
    }
    output.document(&document, render::membership::revocations)?;
    if waits(&document) && !args.timeout.is_zero() {
        return Err(Problem::new(Code::TimedOut, "not all peers that are up know of it yet")
            .because("they are busy, or a part of the mesh is cut off; it will reach them")
            .then("plexmesh revoke")
            .into());
    }
    Ok(())
}

/// Gives a peer up.
pub(super) async fn forget(
    args: ForgetArgs,
    client: &mut Client,
    output: &Output,
) -> anyhow::Result<()> {
    let found = look_up(&args.peer, client).await?;
    if !args.yes {
        let name = render::text::clean(&output.screen(), &called(&found));
        confirm(
            &format!("Give {name} up? It would have to join again."),
            &format!("plexmesh forget {} --yes", found.id),
        )?;
    }
    let request = RevokeRequest { peer: found.id, reason: args.reason, with_enrolled: false };
    let document: Many<Revocation> = post(client, "/v1/forgotten", &request).await?;
    output.document(&document, render::membership::revocations)?;
    Ok(())
}

/// Shows who holds which epoch of the mesh's secret, or replaces it and waits until all do.
pub(super) async fn keys(
    args: KeysArgs,
    client: &mut Client,
    output: &Output,
) -> anyhow::Result<()> {
    const PATH: &str = "/v1/keys";
    let Some(KeysVerb::Rotate(rotate)) = args.what else {
        let view = View::new(PATH, args.repeat.watch, render::membership::keys);
        view.show(client, output).await?;
        return Ok(());
    };
    let mut document: One<Keys> = post(client, PATH, &serde_json::json!({})).await?;
    let give_up = Instant::now() + rotate.timeout;
    let waits = |document: &One<Keys>| {
        let keys = &document.body.item;
        keys.up_to_date < keys.members_up
    };
    while waits(&document) && Instant::now() < give_up {
        tokio::time::sleep(LOOK_INTERVAL).await;
        document = client.document(PATH).await?;
    }
    output.document(&document, render::membership::keys)?;
    if waits(&document) && !rotate.timeout.is_zero() {
        let message = "not all peers that are up hold the new secret yet";
        return Err(Problem::new(Code::TimedOut, message)
            .because("they say so with a heartbeat; those that are cut off get it later")
            .then("plexmesh keys")
            .into());
    }
    Ok(())
}

/// Shows this peer's certificate, or renews it with an authority key. The key is read here; the agent
/// sees only what it signed.
pub(super) async fn certificate(
    args: CertificateArgs,
    client: &mut Client,
    output: &Output,
) -> anyhow::Result<()> {
    const PATH: &str = "/v1/certificate";
    let Some(authority) = args.renew_with else {
        View::new(PATH, None, render::membership::certificate).show(client, output).await?;
        return Ok(());
    };
    let own: One<OwnCertificate> = client.document(PATH).await?;
    let own = from_hex(&own.body.item.certificate)
        .and_then(|bytes| Certificate::parse(&bytes).ok())
        .ok_or_else(|| Problem::new(Code::Failed, "the agent's certificate makes no sense"))?;
    let renewed =
        mesh::renew(&authority, &own, WallTime::now().ms() / 1_000).map_err(Problem::from)?;
    let request = CertificateRequest { certificate: hex(&renewed.encode()) };
    let document: One<OwnCertificate> = post(client, PATH, &request).await?;
    output.document(&document, render::membership::certificate)?;
    Ok(())
}

async fn post<T: DeserializeOwned>(
    client: &mut Client,
    path: &str,
    body: &impl Serialize,
) -> anyhow::Result<T> {
    let bytes = client.post(path, serde_json::to_vec(body)?.into()).await?;
    Ok(read_document(&bytes)?)
}

/// The one peer that a text stands for.
async fn look_up(text: &str, client: &mut Client) -> Result<PeerRef, Problem> {
    let path = format!("/v1/peers/{}", encoded(text));
    match client.document::<One<PeerDetail>>(&path).await {
        Ok(found) => {
            let peer = found.body.item.peer;
            Ok(PeerRef { id: peer.id, name: peer.name })
        }
        // Somebody may be put out who was never seen, by the full id.
        Err(problem) if problem.code == Code::NotFound && parse_peer_id(text).is_ok() => {
            Ok(PeerRef { id: text.to_owned(), name: None })
        }
        Err(problem) => Err(problem),
    }
}

fn called(peer: &PeerRef) -> String {
    peer.name.as_ref().map_or_else(|| peer.id.clone(), |name| format!("{name} ({})", peer.id))
}
