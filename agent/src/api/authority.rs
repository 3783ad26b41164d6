//! Routes about the keys whose certificates make members.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use plexmesh_proto::ReplaceRefusal;
use plexmesh_proto::record::{AuthorityChange, Certificate};
use serde_json::json;

use super::answer::envelope;
use super::membership::{Done, done, parse};
use super::problem::{Code, Problem};
use super::routes::Agent;
use super::schema::{AuthorityList, AuthorityRequest, Item, Kind, One, ReplacedAuthority};
use crate::audit::Changed;
use crate::certificate::ReplaceFailure;
use crate::mesh::files::from_hex;
use crate::query::Snapshot;
use crate::text::hex;
use crate::time::WallTime;

pub(super) async fn authorities(
    State(agent): State<Arc<Agent>>,
) -> Result<Json<One<AuthorityList>>, Problem> {
    agent.read(list).await.map(Json)
}

pub(super) async fn replace(
    State(agent): State<Arc<Agent>>,
    body: Bytes,
) -> Done<One<AuthorityList>> {
    let AuthorityRequest { changes, certificate } = parse(&body)?;
    let bad = |what: &str| Problem::new(Code::BadRequest, format!("{what} in hexadecimal"));
    let certificate = from_hex(&certificate)
        .and_then(|bytes| Certificate::parse(&bytes).ok())
        .ok_or_else(|| bad("this is no certificate"))?;
    let changes: Option<Vec<_>> = changes.iter().map(|text| from_hex(text)).collect();
    let changes = changes
        .and_then(|changes| AuthorityChange::parse_all(&changes).ok())
        .ok_or_else(|| bad("these are no replacements of authority keys"))?;
    let before = agent.read(in_force).await?;
    let replaced = agent.installer.replace_authority(changes, certificate).await;
    replaced.map_err(|error| match error {
        ReplaceFailure::Refused(refusal) => refused(refusal),
        ReplaceFailure::Driver(error) => error.into(),
        ReplaceFailure::File(error) => Problem::new(Code::Failed, format!("{error:#}")),
    })?;
    let document = agent.read(list).await?;
    let after = document.body.item.in_force.clone();
    let named = |keys| json!({ "authorities": keys });
    done(Changed { before: named(before), after: named(after) }, document)
}

fn refused(refusal: ReplaceRefusal) -> Problem {
    Problem::new(Code::Refused, refusal.to_string())
        .because("the authority keys of the mesh are others than those that were worked with")
        .then("plexmesh authority")
}

fn in_force(moment: &Snapshot<'_>) -> Vec<String> {
    moment.node.authorities().in_force().iter().map(|key| hex(&key.0)).collect()
}

fn list(moment: &Snapshot<'_>) -> One<AuthorityList> {
    let authorities = moment.node.authorities();
    let replaced = authorities.changes().iter().map(|change| {
        let it = change.replacement();
        ReplacedAuthority {
            key: hex(&it.lost.0),
            replaced_by: hex(&it.new.0),
            signed_by: hex(&change.signer().0),
            stolen: it.stolen,
            ends_at: WallTime::from_s(it.until_s),
            ended: it.until_s <= moment.now.wall_s(),
        }
    });
    let item = AuthorityList {
        in_force: in_force(moment),
        replaced: replaced.collect(),
        founding: authorities.founding().iter().map(|key| hex(&key.0)).collect(),
        changes: authorities.changes().iter().map(|it| hex(&it.encode())).collect(),
    };
    envelope(moment, Kind::Authorities, Item { item })
}
