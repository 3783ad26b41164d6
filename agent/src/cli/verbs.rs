//! The verbs that ask an agent, and `init`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use hyper::body::Bytes;
use serde::de::DeserializeOwned;

use super::args::{EventsArgs, Format, InitArgs, LatencyArgs, LeaveArgs, StatusArgs, Verb};
use super::client::{Client, encoded, read_document};
use super::output::Output;
use super::{check, form, membership, metrics, shards, wait};
use crate::api::problem::{Code, Problem};
use crate::api::routes::MAX_REASON_BYTES;
use crate::api::schema::{Event, Health, Kind, Leave, MadeMesh, One, Status, Topology};
use crate::audit::Since;
use crate::mesh::{self, Labels};
use crate::render;
use crate::render::page::Page;
use crate::render::terminal::Screen;
use crate::settings;
use crate::text::hex;
use crate::time::WallTime;

/// Exit code of `status --exit-code` for anything but OK.
pub(super) const UNHEALTHY: u8 = 10;

/// Asks the agent what `verb` asks. Gives the exit code.
///
/// # Errors
/// A [`Problem`], or what standard output failed with.
pub async fn ask(verb: Verb, client: &mut Client, output: &Output) -> anyhow::Result<u8> {
    match verb {
        Verb::Status(args) => return status(&args, client, output).await,
        Verb::Check(args) => return check::check(&args, client, output).await,
        Verb::Peers(args) => {
            let view = View::new("/v1/peers", args.repeat.watch, render::peer::peers);
            view.show(client, output).await?;
        }
        Verb::Peer(args) => {
            let path = format!("/v1/peers/{}", encoded(&args.peer));
            let view = View::new(path, args.repeat.watch, render::peer::peer);
            view.show(client, output).await?;
        }
        Verb::Why(args) => {
            let path = format!("/v1/why/{}", encoded(&args.peer));
            let view = View::new(path, args.repeat.watch, render::why::why);
            view.show(client, output).await?;
        }
        Verb::Topology(args) => {
            let draw = match output.format() {
                Format::Dot => graph,
                _ => render::topology::topology,
            };
            View::new("/v1/topology", args.repeat.watch, draw).show(client, output).await?;
        }
        Verb::Latency(args) => {
            let path = latency_path(&args, output);
            let view = View::new(path, args.repeat.watch, render::latency::latency);
            view.show(client, output).await?;
        }
        Verb::Integrity(args) => return shards::integrity(&args, client, output).await,
        Verb::Shards(args) => shards::list(&args, client, output).await?,
        Verb::Scrub(args) => return shards::scrub(args, client, output).await,
        Verb::Events(args) => events(&args, client, output).await?,
        Verb::Metrics(args) => metrics::metrics(&args, client, output).await?,
        Verb::Wait(args) => wait::wait(&args, client, output).await?,
        Verb::Invite(args) => membership::invite(args, client, output).await?,
        Verb::Authority(args) => super::authority::authority(args, client, output).await?,
        Verb::Certificate(args) => membership::certificate(args, client, output).await?,
        Verb::Keys(args) => membership::keys(args, client, output).await?,
        Verb::Revoke(args) => membership::revoke(args, client, output).await?,
        Verb::Forget(args) => membership::forget(args, client, output).await?,
        Verb::Leave(args) => leave(args, client, output).await?,
        // These become an agent, or make one, and ask none.
        Verb::Completions(_)
        | Verb::Config(_)
        | Verb::Demo(_)
        | Verb::Doctor
        | Verb::ExportIdentity(_)
        | Verb::ImportIdentity(_)
        | Verb::Init(_)
        | Verb::Join(_)
        | Verb::Man(_)
        | Verb::Run(_)
        | Verb::Store(_) => {}
    }
    Ok(0)
}

/// The topology as a graph.
fn graph(_: &Screen, document: &One<Topology>) -> Page {
    let mut page = Page::new("topology");
    page.script(render::topology::dot(document));
    page
}

/// A document, once or again and again.
pub(super) struct View<T> {
    path: String,
    interval: Option<Duration>,
    draw: fn(&Screen, &T) -> Page,
}

impl<T: DeserializeOwned> View<T> {
    pub(super) fn new(
        path: impl Into<String>,
        interval: Option<Duration>,
        draw: fn(&Screen, &T) -> Page,
    ) -> Self {
        Self { path: path.into(), interval, draw }
    }

    /// Shows the view. Gives the JSON of the last one.
    pub(super) async fn show(&self, client: &mut Client, output: &Output) -> anyhow::Result<Bytes> {
        if self.interval.is_some() {
            form::refuse_repeated(output.format(), "--watch")?;
        }
        let bytes = client.get(&self.path).await?;
        let Some(interval) = self.interval else {
            // What the agent said, with what this command does not know of.
            let document: Option<serde_json::Value> =
                output.format().is_document().then(|| read_document(&bytes)).transpose()?;
            match document {
                Some(document) => output.document(&document, |_, _| Page::new(""))?,
                None => output.page(&self.drawn(&bytes, output)?)?,
            }
            return Ok(bytes);
        };
        let json = output.format().is_document();
        let mut bytes = Ok(bytes);
        loop {
            match bytes {
                Ok(bytes) if json => output.text(&line(&bytes))?,
                Ok(bytes) => {
                    let page = self.drawn(&bytes, output)?;
                    output.redraw(&page.text(&output.screen()))?;
                }
                // An agent that is being restarted comes back.
                Err(problem) if json => output.problem(&problem),
                Err(problem) => output.redraw(&output.problem_text(&problem))?,
            }
            tokio::time::sleep(interval).await;
            bytes = client.get(&self.path).await;
        }
    }

    fn drawn(&self, bytes: &[u8], output: &Output) -> Result<Page, Problem> {
        Ok((self.draw)(&output.screen(), &read_document(bytes)?))
    }
}

/// A document on one line.
fn line(bytes: &[u8]) -> String {
    format!("{}\n", String::from_utf8_lossy(bytes))
}

async fn status(args: &StatusArgs, client: &mut Client, output: &Output) -> anyhow::Result<u8> {
    let view = View::new("/v1/status", args.repeat.watch, render::status::status);
    let bytes = view.show(client, output).await?;
    if !args.exit_code {
        return Ok(0);
    }
    let document: One<Status> = read_document(&bytes)?;
    Ok(if document.body.item.status == Health::Ok { 0 } else { UNHEALTHY })
}

/// Asks for as many peers as can be shown; for all of them if a program asks.
fn latency_path(args: &LatencyArgs, output: &Output) -> String {
    let mut path = "/v1/latency?".to_owned();
    let rows = render::latency::rows_that_fit(&output.screen());
    if let Some(rows) = rows {
        let _ = write!(path, "limit={rows}&");
    }
    if !args.peers.is_empty() {
        let peers: Vec<String> = args.peers.iter().map(|peer| encoded(peer)).collect();
        let _ = write!(path, "peers={}", peers.join(","));
    }
    path
}

async fn events(args: &EventsArgs, client: &mut Client, output: &Output) -> anyhow::Result<()> {
    let mut path = if args.audit { "/v1/audit?" } else { "/v1/events?" }.to_owned();
    match args.since {
        Some(Since::Time(_)) if !args.audit => {
            let problem = Problem::new(Code::Usage, "events are counted, not found by their time")
                .because("--since TIME goes with --audit alone")
                .then("plexmesh events --since SEQUENCE");
            return Err(problem.into());
        }
        Some(since) => {
            let _ = write!(path, "since={since}&");
        }
        None => {}
    }
    if let Some(limit) = args.limit {
        let _ = write!(path, "limit={limit}&");
    }
    if args.audit {
        View::new(path, None, render::audit::audit).show(client, output).await?;
        return Ok(());
    }
    if !args.follow {
        View::new(path, None, render::event::events).show(client, output).await?;
        return Ok(());
    }
    form::refuse_repeated(output.format(), "--follow")?;
    path.push_str("follow=true");
    let mut lines = client.lines(&path).await?;
    while let Some(line) = lines.next().await? {
        if output.format().is_document() {
            output.text(&self::line(&line))?;
        } else {
            let document: One<Event> = read_document(&line)?;
            let screen = output.screen();
            output.line(&render::event::event(&screen, &document.body.item).text(&screen))?;
        }
    }
    output.note("the agent has stopped");
    Ok(())
}

async fn leave(args: LeaveArgs, client: &mut Client, output: &Output) -> anyhow::Result<()> {
    if args.reason.len() > MAX_REASON_BYTES {
        let message = format!("the reason may have {MAX_REASON_BYTES} bytes");
        return Err(Problem::new(Code::Usage, message).into());
    }
    if !args.yes {
        let status: One<Status> = client.document("/v1/status").await?;
        let stamp = status.stamp;
        let who = stamp.observed_by_name.or(stamp.observed_by).unwrap_or_default();
        let who = render::text::clean(&output.screen(), &who);
        let question = format!("Take {who} out of the mesh and stop its agent?");
        confirm(&question, "plexmesh leave --yes")?;
    }
    let body = serde_json::to_vec(&Leave { reason: args.reason })?;
    let bytes = client.post("/v1/leave", body.into()).await?;
    let document: One<Leave> = read_document(&bytes)?;
    output.document(&document, render::local::left)?;
    Ok(())
}

/// Asks the person at the terminal; `unasked` is what to type where there is nobody.
pub(super) fn confirm(question: &str, unasked: &str) -> Result<(), Problem> {
    if !io::stdin().is_terminal() {
        return Err(Problem::new(Code::Usage, "this asks first, and there is nobody to ask")
            .because("standard input is not a terminal")
            .then(unasked));
    }
    let failed = |error: io::Error| Problem::new(Code::Failed, error.to_string());
    write!(io::stderr(), "{question} [y/N] ").map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Problem::new(Code::Failed, "nothing was done"))
}

/// Makes a mesh with this peer as its first member.
///
/// # Errors
/// If there is one already, or its files cannot be written.
pub fn init(args: InitArgs, output: &Output) -> anyhow::Result<()> {
    let dir = settings::data_dir(args.data_dir.as_deref())?;
    let labels = Labels { name: args.name, region: args.region, zone: args.zone, tier: args.tier };
    let now = WallTime::now();
    let made = mesh::init(&dir, labels, now.ms() / 1_000).map_err(Problem::from)?;
    let item = MadeMesh {
        mesh: hex(&made.mesh.0),
        peer: plexmesh_net::peer_id_text(&made.peer.0),
        data_dir: dir.display().to_string(),
        certificate_lapses_at: WallTime::from_s(made.certificate_lapses_s),
        authority_files: made.authority_files.iter().map(|it| it.display().to_string()).collect(),
    };
    output.document(&One::local(Kind::MeshMade, item), render::local::made)?;
    Ok(())
}
