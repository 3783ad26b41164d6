//! `plexmesh join`: asks the enrollers that a token names, and makes this peer a member.

use std::fs;
use std::path::Path;
use std::time::Duration;

use plexmesh_net::{AdmissionError, ask_admission, peer_id_text};
use plexmesh_proto::admission::request::{
    AdmissionAnswer, AdmissionRefusal, AdmissionRequest, Admitted,
};
use plexmesh_proto::admission::token::{Enroller, JoinToken};

use super::args::JoinArgs;
use super::output::Output;
use crate::api::problem::{Code, Problem};
use crate::api::schema::{Joined as Document, Kind, One};
use crate::identity::NodeKeys;
use crate::mesh::join::{Answer, Joined, Newcomer};
use crate::mesh::{Labels, Seed, files};
use crate::render;
use crate::run::{DirectoryLock, LOCK_FILE};
use crate::text::hex;
use crate::time::WallTime;

/// How long one enroller may take: many times a slow path, short enough to try the next.
const ASK_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes the peer of `dir` a member of the mesh that the token leads to.
///
/// # Errors
/// If the token is no good, no enroller lets this peer in, or a file cannot be written. Nothing of
/// a mesh is in the directory then.
pub async fn join(args: JoinArgs, dir: &Path, output: &Output) -> anyhow::Result<()> {
    let now_s = WallTime::now().ms() / 1_000;
    let read = args.token.read(now_s)?;
    if let Some(warning) = read.warning {
        output.note(&warning);
    }
    let labels = Labels { name: args.name, region: args.region, zone: args.zone, tier: args.tier };
    let was_there = dir.exists();
    let lock_was_there = dir.join(LOCK_FILE).exists();
    files::make_private_dir(dir).map_err(Problem::from)?;
    let lock = DirectoryLock::take(dir).map_err(Problem::from)?;
    let newcomer = Newcomer::prepare(dir).map_err(Problem::from)?;
    let asked = ask_all(newcomer.keys(), &read.token).await;
    let (enroller, admitted, offset_ms) = match asked {
        Ok(answer) => answer,
        Err(Refused { problem, key_is_known }) => {
            if !key_is_known {
                newcomer.abandon();
                clear(dir, was_there, lock_was_there);
            }
            return Err(problem.into());
        }
    };
    let joined =
        newcomer.join(read.token.mesh(), answer(admitted), labels, now_s).map_err(Problem::from)?;
    drop(lock);
    let document = One::local(Kind::Joined, item(&joined, &enroller, dir, offset_ms));
    output.document(&document, render::membership::joined)?;
    Ok(())
}

/// Removes what was made for an attempt that came to nothing. The caller still holds the lock, so that
/// nobody else's goes.
fn clear(dir: &Path, was_there: bool, lock_was_there: bool) {
    if !lock_was_there {
        let _ = fs::remove_file(dir.join(LOCK_FILE));
    }
    if !was_there {
        // Only an empty one goes.
        let _ = fs::remove_dir(dir);
    }
}

/// Nobody let this peer in.
struct Refused {
    problem: Problem,
    /// An enroller may have let the key in and its answer been lost: the same key has to ask again.
    key_is_known: bool,
}

/// Asks one enroller after the other until one decides.
async fn ask_all(keys: &NodeKeys, token: &JoinToken) -> Result<(Enroller, Admitted, i64), Refused> {
    let mut last = Refused { problem: nobody(), key_is_known: false };
    for enroller in token.enrollers() {
        match ask(keys, enroller, token).await {
            Ok((Ok(admitted), offset_ms)) => return Ok((enroller.clone(), admitted, offset_ms)),
            Ok((Err(refusal), _)) => {
                let known = last.key_is_known;
                last = Refused { problem: explained(refusal), key_is_known: known };
                // Another enroller may know of the token already.
                let another_may = matches!(
                    refusal,
                    AdmissionRefusal::UnknownToken
                        | AdmissionRefusal::NotEnroller
                        | AdmissionRefusal::OutlivesEnroller
                );
                if !another_may {
                    return Err(last);
                }
            }
            Err(error) => {
                let known = last.key_is_known || may_have_been_served(&error);
                last = Refused { problem: unreached(enroller, &error), key_is_known: known };
            }
        }
    }
    Err(last)
}

type Decided = (Result<Admitted, AdmissionRefusal>, i64);

/// Asks one enroller. Gives what it decided, and how far its clock is ahead.
async fn ask(
    keys: &NodeKeys,
    enroller: &Enroller,
    token: &JoinToken,
) -> Result<Decided, AdmissionError> {
    let sent_ms = WallTime::now().ms();
    let request = AdmissionRequest {
        wall_ms: sent_ms,
        secret: Some(token.secret().clone()),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let (peer, addresses) = (enroller.peer.0, enroller.addresses.clone());
    let bytes =
        ask_admission(keys.identity(), peer, addresses, request.encode(), ASK_TIMEOUT).await?;
    let received_ms = WallTime::now().ms();
    let Ok(answer) = AdmissionAnswer::decode(&bytes) else {
        return Err(AdmissionError::NotUnderstood);
    };
    // As if the answer was made halfway between.
    let here_ms = sent_ms.midpoint(received_ms);
    let offset_ms = i128::from(answer.wall_ms) - i128::from(here_ms);
    Ok((answer.outcome, i64::try_from(offset_ms).unwrap_or(i64::MAX)))
}

const fn may_have_been_served(error: &AdmissionError) -> bool {
    matches!(
        error,
        AdmissionError::Broken { .. }
            | AdmissionError::Timeout { .. }
            | AdmissionError::NotUnderstood
    )
}

fn nobody() -> Problem {
    Problem::new(Code::Failed, "the token names nobody to ask")
}

fn unreached(enroller: &Enroller, error: &AdmissionError) -> Problem {
    let peer = peer_id_text(&enroller.peer.0);
    let message = format!("{peer} at {}: {error}", enroller.addresses.join(", "));
    Problem::new(Code::Failed, message)
        .because("its agent may be down, or a firewall in between lets neither UDP nor TCP through")
        .then("plexmesh doctor")
}

fn explained(refusal: AdmissionRefusal) -> Problem {
    let problem = Problem::new(Code::Refused, format!("not let in: {refusal}"));
    match refusal {
        AdmissionRefusal::Clock { .. } => {
            problem.because("clocks have to be right to a minute").then("timedatectl status")
        }
        AdmissionRefusal::UsedUp => problem
            .because("another peer came first, or --uses was too low")
            .then("on an enroller: plexmesh invite"),
        AdmissionRefusal::UnknownToken => problem
            .because("a token made a moment ago may need a second to get around")
            .then("on an enroller: plexmesh invite list"),
        _ => problem.then("on an enroller: plexmesh invite list"),
    }
}

fn answer(admitted: Admitted) -> Answer {
    let seeds = admitted.seeds.into_iter().flat_map(|seed| {
        let peer = seed.peer;
        seed.addresses.into_iter().map(move |address| Seed { peer, address })
    });
    Answer {
        certificate: admitted.certificate,
        mesh: admitted.mesh,
        founding: admitted.founding,
        changes: admitted.changes,
        seeds: seeds.collect(),
        secrets: admitted.secrets,
    }
}

#[allow(clippy::cast_precision_loss)] // Exact up to 285 000 years.
fn item(joined: &Joined, enroller: &Enroller, dir: &Path, offset_ms: i64) -> Document {
    Document {
        mesh: hex(&joined.mesh.0),
        peer: peer_id_text(&joined.peer.0),
        data_dir: dir.display().to_string(),
        enroller: peer_id_text(&enroller.peer.0),
        certificate_lapses_at: WallTime::from_s(joined.certificate_lapses_s),
        clock_offset_seconds: offset_ms as f64 / 1_000.0,
    }
}
