//! The verbs about shards: those of all peers, those of this one, and its scrub.

use std::fmt::Write as _;

use super::args::{ChosenArgs, IntegrityArgs, ScrubArgs, ScrubVerb, ShardsArgs};
use super::client::{Client, encoded, read_document};
use super::output::Output;
use super::verbs::{UNHEALTHY, View};
use crate::api::problem::{Code, Problem};
use crate::api::schema::{Health, Integrity, One, Scrub, ScrubAction, ScrubRequest, Verdict};
use crate::render;
use crate::scrub::ACCEPTABLE;

/// Shows the shards of all peers. Gives the exit code.
pub(super) async fn integrity(
    args: &IntegrityArgs,
    client: &mut Client,
    output: &Output,
) -> anyhow::Result<u8> {
    let view = View::new("/v1/integrity", args.repeat.watch, render::shards::integrity);
    let bytes = view.show(client, output).await?;
    if !args.exit_code {
        return Ok(0);
    }
    let document: One<Integrity> = read_document(&bytes)?;
    Ok(if document.body.item.status == Health::Ok { 0 } else { UNHEALTHY })
}

/// Shows shards of this peer.
pub(super) async fn list(
    args: &ShardsArgs,
    client: &mut Client,
    output: &Output,
) -> anyhow::Result<()> {
    let mut path = format!("/v1/shards?limit={}", args.limit);
    if let Some(id) = &args.id {
        let _ = write!(path, "&id={}", encoded(id));
    }
    if !args.verdict.is_empty() {
        let words: Vec<&str> = args.verdict.iter().map(|verdict| verdict.word()).collect();
        let _ = write!(path, "&verdict={}", words.join(","));
    }
    View::new(path, args.repeat.watch, render::shards::shards).show(client, output).await?;
    Ok(())
}

/// Shows how the scrub gets on, or tells it what to do.
pub(super) async fn scrub(
    args: ScrubArgs,
    client: &mut Client,
    output: &Output,
) -> anyhow::Result<()> {
    let (action, chosen) = match args.what {
        None => {
            let view = View::new("/v1/scrub", args.repeat.watch, render::shards::scrub);
            view.show(client, output).await?;
            return Ok(());
        }
        Some(ScrubVerb::Start(chosen)) => (ScrubAction::Read, chosen),
        Some(ScrubVerb::Accept(chosen)) => {
            refuse_unacceptable(&chosen)?;
            (ScrubAction::Accept, chosen)
        }
    };
    let named = chosen.shards.clone();
    let request = ScrubRequest { action, shards: chosen.shards, verdicts: chosen.verdict };
    let bytes = client.post("/v1/scrub", serde_json::to_vec(&request)?.into()).await?;
    let document: One<Scrub> = read_document(&bytes)?;
    if document.body.item.chosen_shards == Some(0) && !named.is_empty() {
        let message = format!("no shard that this can be done with: {}", named.join(", "));
        return Err(Problem::new(Code::NotFound, message)
            .because("ids have to be given in full, and a shard without a file cannot be read")
            .then(format!("plexmesh shards {}", named.first().map_or("", String::as_str)))
            .into());
    }
    output.document(&document, render::shards::scrub)?;
    Ok(())
}

/// What a record contradicts cannot be accepted.
fn refuse_unacceptable(chosen: &ChosenArgs) -> Result<(), Problem> {
    let acceptable = ACCEPTABLE.map(Verdict::from);
    let Some(verdict) = chosen.verdict.iter().find(|verdict| !acceptable.contains(verdict)) else {
        return Ok(());
    };
    let words: Vec<&str> = acceptable.into_iter().map(Verdict::word).collect();
    Err(Problem::new(Code::Usage, format!("shards that are {} cannot be accepted", verdict.word()))
        .because(format!("nothing but {} can; the rest has to be repaired", words.join(", ")))
        .then(format!("plexmesh shards --verdict {}", verdict.word())))
}
