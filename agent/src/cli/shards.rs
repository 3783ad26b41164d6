//! The verbs about shards: those of all peers, those of this one, and its scrub.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::args::{
    ChosenArgs, IntegrityArgs, ScrubArgs, ScrubVerb, ShardsArgs, VerifyArgs, WatchArgs,
};
use super::client::{Client, encoded, read_document};
use super::output::Output;
use super::verbs::{UNHEALTHY, View};
use crate::api::problem::{Code, Problem};
use crate::api::schema::{
    Envelope, Health, Integrity, One, Scrub, ScrubAction, ScrubRequest, ShardItems, Verdict,
};
use crate::render;
use crate::scrub::ACCEPTABLE;

/// Between two questions whether a shard was read.
const VERIFY_POLL: Duration = Duration::from_millis(100);
/// Shards that are asked for while one is waited for: a few whose ids begin with its id.
const VERIFY_LIMIT: usize = 1_000;

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
    if args.backups {
        let path = format!("/v1/backups?limit={}", args.limit);
        View::new(path, args.repeat.watch, render::shards::backups).show(client, output).await?;
        return Ok(());
    }
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

/// Shows how the scrub gets on, or tells it what to do. Gives the exit code.
pub(super) async fn scrub(
    args: ScrubArgs,
    client: &mut Client,
    output: &Output,
) -> anyhow::Result<u8> {
    let (action, chosen) = match args.what {
        None => return status(args.repeat, client, output).await,
        Some(ScrubVerb::Status(repeat)) => return status(repeat, client, output).await,
        Some(ScrubVerb::Verify(verify)) => return self::verify(&verify, client, output).await,
        Some(ScrubVerb::Pause(pause)) => {
            let pause_seconds = Some(pause.span.as_secs());
            let request =
                ScrubRequest { action: ScrubAction::Pause, pause_seconds, ..Default::default() };
            output.document(&tell(&request, client).await?, render::shards::scrub)?;
            return Ok(0);
        }
        Some(ScrubVerb::Resume) => {
            let request = ScrubRequest { action: ScrubAction::Resume, ..Default::default() };
            output.document(&tell(&request, client).await?, render::shards::scrub)?;
            return Ok(0);
        }
        Some(ScrubVerb::Start(chosen)) => (ScrubAction::Read, chosen),
        Some(ScrubVerb::Accept(chosen)) => {
            refuse_unacceptable(&chosen)?;
            (ScrubAction::Accept, chosen)
        }
    };
    let named = chosen.shards.clone();
    let (shards, verdicts) = (chosen.shards, chosen.verdict);
    let request = ScrubRequest { action, shards, verdicts, pause_seconds: None };
    let document = tell(&request, client).await?;
    if document.body.item.chosen_shards == Some(0) && !named.is_empty() {
        return Err(none_of(&named).into());
    }
    output.document(&document, render::shards::scrub)?;
    Ok(0)
}

async fn status(repeat: WatchArgs, client: &mut Client, output: &Output) -> anyhow::Result<u8> {
    View::new("/v1/scrub", repeat.watch, render::shards::scrub).show(client, output).await?;
    Ok(0)
}

async fn tell(request: &ScrubRequest, client: &mut Client) -> anyhow::Result<One<Scrub>> {
    Ok(read_document(&client.post("/v1/scrub", serde_json::to_vec(request)?.into()).await?)?)
}

fn none_of(named: &[String]) -> Problem {
    let message = format!("no shard that this can be done with: {}", named.join(", "));
    Problem::new(Code::NotFound, message)
        .because("ids have to be given in full, and a shard without a file cannot be read")
        .then(format!("plexmesh shards {}", named.first().map_or("", String::as_str)))
}

/// Has one shard read, and waits for what comes out.
async fn verify(args: &VerifyArgs, client: &mut Client, output: &Output) -> anyhow::Result<u8> {
    let (action, shards) = (ScrubAction::Read, vec![args.shard.clone()]);
    let request = ScrubRequest { action, shards, ..Default::default() };
    let told = tell(&request, client).await?;
    if let Some(until) = told.body.item.paused_until {
        return Err(Problem::new(Code::Refused, format!("nothing is read until {until}"))
            .because("the scrub is paused")
            .then("plexmesh scrub resume")
            .into());
    }
    let (asked_at, can_be_read) = (told.stamp.observed_at, told.body.item.chosen_shards != Some(0));
    let path = format!("/v1/shards?limit={VERIFY_LIMIT}&id={}", encoded(&args.shard));
    let waited = timeout(args.timeout, async {
        loop {
            let bytes = client.get(&path).await?;
            let mut document: Envelope<ShardItems> = read_document(&bytes)?;
            document.body.items.retain(|shard| shard.id == args.shard);
            let known = document.body.items.first();
            let is_read = known.is_some_and(|it| it.verified_at.is_some_and(|at| at >= asked_at));
            // What needs no reading is certain already.
            let is_certain = !can_be_read && known.is_some_and(|it| it.verdict.is_some());
            if known.is_none() || is_read || is_certain {
                return anyhow::Ok(document);
            }
            sleep(VERIFY_POLL).await;
        }
    });
    let Ok(document) = waited.await else {
        return Err(Problem::new(Code::TimedOut, format!("{} was not read in time", args.shard))
            .because("the scrub reads it at its pace, and what looks wrong twice")
            .then("plexmesh scrub status")
            .into());
    };
    let document = document?;
    let Some(shard) = document.body.items.first() else {
        return Err(none_of(std::slice::from_ref(&args.shard)).into());
    };
    let intact = matches!(shard.verdict, Some(Verdict::Ok | Verdict::Replaced));
    output.document(&document, render::shards::shards)?;
    Ok(if intact { 0 } else { UNHEALTHY })
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
