//! `plexmesh check`: a plugin for Nagios and whatever else runs its plugins. One line, with figures
//! behind the bar; the exit code is 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN and nothing else.

use std::process::ExitCode;
use std::time::Duration;

use super::args::{CheckArgs, Format};
use super::client::{Client, read_document};
use super::form;
use super::output::{Output, OutputError};
use super::usage::eprint_quietly;
use crate::api::problem::{Code, Problem};
use crate::api::schema::{Health, One, State, Status};
use crate::render;
use crate::render::page::Page;
use crate::render::terminal::Screen;
use crate::render::text::clean;
use crate::time::span;

/// The verb.
pub(super) const NAME: &str = "check";
/// Exit code of a plugin that cannot tell.
const UNKNOWN: u8 = 3;
/// Longest line that is printed, in bytes: what old plugin runners read.
const MAX_LINE_BYTES: usize = 1_024;

/// Asks the agent how the mesh is. Gives the exit code.
///
/// # Errors
/// A [`Problem`], which is to be shown by [`failed`]; or what standard output failed with.
pub async fn check(args: &CheckArgs, client: &mut Client, output: &Output) -> anyhow::Result<u8> {
    let bytes = within(args.timeout, client).await?;
    let document: One<Status> = read_document(&bytes)?;
    let written = if output.format().is_document() {
        let value: serde_json::Value = read_document(&bytes)?;
        output.document(&value, |_, _| Page::new(NAME))
    } else {
        output.page(&page(&output.screen(), &document))
    };
    match written {
        // The exit code is the verdict even if nobody reads the line.
        Ok(()) | Err(OutputError::Closed) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(verdict(document.body.item.status).1)
}

async fn within(timeout: Duration, client: &mut Client) -> Result<hyper::body::Bytes, Problem> {
    let answer = tokio::time::timeout(timeout, client.get("/v1/status")).await;
    answer.unwrap_or_else(|_| {
        let message = format!("the agent did not answer within {}", span(timeout));
        Err(Problem::new(Code::TimedOut, message).then("plexmesh status"))
    })
}

/// Shows that a check could not be made, where plugins tell it: as the one line on standard output.
/// Forms for programs have it as a document on standard error.
pub(super) fn failed(problem: &Problem, format: Format, screen: &Screen) -> ExitCode {
    if matches!(format, Format::Table | Format::Wide | Format::Dot) {
        use std::io::Write;
        let first = problem.message.lines().next().unwrap_or_default();
        let line = one_line(&format!("PLEXMESH UNKNOWN - {}", clean(screen, first)));
        // The exit code says it, too.
        let _ = writeln!(std::io::stdout(), "{line}");
    } else {
        eprint_quietly(&form::problem_shown(format, screen, problem));
    }
    ExitCode::from(UNKNOWN)
}

/// The status as a plugin tells it. Its other forms are those of `plexmesh status`.
#[must_use]
pub fn page(screen: &Screen, document: &One<Status>) -> Page {
    if screen.full_ids {
        return render::status::status(screen, document);
    }
    let mut page = Page::new(NAME);
    page.line(line(screen, &document.body.item));
    page
}

fn line(screen: &Screen, status: &Status) -> String {
    let (word, _) = verdict(status.status);
    let mut text = format!("PLEXMESH {word} - {}", clean(screen, &status.summary));
    if let Some(worst) = status.findings.first() {
        let whom = worst.peer.as_ref().map_or_else(String::new, |peer| {
            format!(" {}", clean(screen, peer.name.as_deref().unwrap_or(&peer.id)))
        });
        text.push_str(&format!(": {}{whom}", worst.code));
    }
    format!("{} | {}", one_line(&text), figures(status).join(" "))
}

/// Figures as plugins write them: `name=value;warn;crit;min;max`.
fn figures(status: &Status) -> Vec<String> {
    let count = |state| status.states.get(&state).copied().unwrap_or(0);
    let members = status.members;
    let findings = status.findings.len() + status.omitted_findings;
    vec![
        format!("peers_up={};;;0;{members}", count(State::Up)),
        format!("peers_down={};;;0;{members}", count(State::Down)),
        format!("reachable={};;;0;{members}", status.reachable),
        format!("findings={findings};;;0;"),
        format!("local_health={};;;0;", status.local_health),
        format!("connections={};;;0;", status.connections),
        format!("records={};;;0;", status.records),
        format!("uptime={:.0}s;;;0;", status.uptime_seconds),
    ]
}

const fn verdict(health: Health) -> (&'static str, u8) {
    match health {
        Health::Ok => ("OK", 0),
        Health::Warn => ("WARNING", 1),
        Health::Crit => ("CRITICAL", 2),
        Health::Unknown => ("UNKNOWN", UNKNOWN),
    }
}

/// A text that ends neither the line nor the part in front of the figures.
fn one_line(text: &str) -> String {
    let mut line = text.replace(['\n', '\r'], " ").replace('|', "/");
    while line.len() > MAX_LINE_BYTES {
        line.pop();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn a_check_is_one_line_with_figures_behind_the_bar() {
        assert_eq!(
            page(&sample::screen(), &sample::status()).text(&sample::screen()),
            "PLEXMESH CRITICAL - 2 of 3 peers up, 1 finding: PEER_DOWN gamma | \
             peers_up=2;;;0;3 peers_down=1;;;0;3 reachable=2;;;0;3 findings=1;;;0; \
             local_health=0;;;0; connections=2;;;0; records=9;;;0; uptime=60s;;;0;\n"
        );
    }

    #[test]
    fn words_and_exit_codes_are_those_of_plugins() {
        let verdicts = [Health::Ok, Health::Warn, Health::Crit, Health::Unknown].map(verdict);
        assert_eq!(verdicts, [("OK", 0), ("WARNING", 1), ("CRITICAL", 2), ("UNKNOWN", 3)]);
    }

    #[test]
    fn a_name_cannot_begin_the_figures() {
        let mut document = sample::status();
        if let Some(peer) = document.body.item.findings[0].peer.as_mut() {
            peer.name = Some("x | peers_up=9\n".to_owned());
        }
        let text = page(&sample::screen(), &document).text(&sample::screen());
        assert_eq!(text.matches('|').count(), 1, "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
