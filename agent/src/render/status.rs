//! Is the mesh well? What is wrong, and what to do now.

use super::header::header;
use super::page::{Line, Notice, Page};
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::{Names, clean, offset};
use crate::api::schema::{Finding, Health, One, Partition, PeerRef, Severity, State, Status};
use crate::time::span_of_seconds;

/// Findings that are shown unless `-o wide` asks for all: a screen of them.
const SHOWN_FINDINGS: usize = 8;
/// Names of the other side of a cut that are shown.
const SHOWN_NAMES: usize = 12;

/// The status. CSV has its figures, and a row for each finding. Its first word is the one word on the mesh.
#[must_use]
pub fn status(screen: &Screen, document: &One<Status>) -> Page {
    let status = &document.body.item;
    let names = names(screen, status);
    let mut page = Page::new("status");
    page.heading(
        Line::new()
            .painted(health_paint(status.status), status.status.word())
            .plain(format!("  {}", clean(screen, &status.summary))),
    );
    page.line(header(screen, &document.stamp));
    page.gap();
    page.line(states(screen, status));
    if let Some(cut) = &status.partition {
        page.line(partition(screen, cut, &names));
    }
    if status.local_health > 0 {
        let text = format!(
            "this agent doubts itself (local health {}): it was late, or lost many peers at once",
            status.local_health
        );
        page.line(Line::new().painted(Paint::Warn, text));
    }
    let shown = if screen.wide { usize::MAX } else { SHOWN_FINDINGS };
    for it in status.findings.iter().take(shown) {
        page.gap();
        page.notice(finding(screen, it, &names));
    }
    let hidden = status.findings.len().saturating_sub(shown) + status.omitted_findings;
    if hidden > 0 {
        page.gap();
        page.line(format!("and {hidden} more: plexmesh status -o wide"));
    }
    if screen.wide {
        page.gap();
        let (lines, table) = agent(screen, status);
        page.drawn(lines, table);
    }
    page.data(figures(screen, status, &names));
    page
}

pub(super) const fn severity_paint(severity: Severity) -> Paint {
    match severity {
        Severity::Critical | Severity::High => Paint::Bad,
        Severity::Medium => Paint::Warn,
        Severity::Low => Paint::Dim,
    }
}

/// A cut in one sentence.
pub(super) fn partition(screen: &Screen, cut: &Partition, names: &Names) -> Line {
    let shown: Vec<String> =
        cut.outside.iter().take(SHOWN_NAMES).map(|peer| names.label(&peer.id)).collect();
    let more = cut.outside.len().saturating_sub(shown.len());
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    let since = cut.since.map_or_else(String::new, |since| {
        format!(" since {} ago", crate::time::span(screen.now.since(since)))
    });
    let text = format!(
        "cut{since}: {} on this side, {} on the other: {}{tail}",
        cut.inside,
        cut.outside.len(),
        shown.join(", ")
    );
    Line::new().painted(Paint::Bad, text)
}

pub(super) const fn health_paint(health: Health) -> Paint {
    match health {
        Health::Ok => Paint::Good,
        Health::Warn => Paint::Warn,
        Health::Crit => Paint::Bad,
        Health::Unknown => Paint::Unknown,
    }
}

fn states(screen: &Screen, status: &Status) -> Line {
    let mut line = Line::new();
    for state in State::ALL {
        let count = status.states.get(&state).copied().unwrap_or(0);
        if count > 0 {
            let text = format!("{} {count} {}", screen.glyph(state), state.word());
            line = line.painted(Paint::of_state(state), text).plain("   ");
        }
    }
    if line == Line::new() {
        line = line.plain("   ");
    }
    line.plain(format!("({} of {} members reachable)", status.reachable, status.members))
}

fn names(screen: &Screen, status: &Status) -> Names {
    let findings = status.findings.iter().flat_map(|it| [it.peer.as_ref(), it.other.as_ref()]);
    let outside = status.partition.iter().flat_map(|cut| &cut.outside);
    let peers: Vec<&PeerRef> = findings.flatten().chain(outside).collect();
    Names::of(screen, peers)
}

fn finding(screen: &Screen, finding: &Finding, names: &Names) -> Notice {
    let severity = finding.severity.word().to_uppercase();
    let head = Line::new()
        .painted(severity_paint(finding.severity), severity)
        .plain(" ")
        .painted(Paint::Bold, &finding.code)
        .plain(format!("  {}{}", whom(screen, finding, names), clean(screen, &finding.title)));
    let mut text = vec![clean(screen, &finding.evidence)];
    // What a root cause explains needs no advice of its own.
    if let Some(cause) = &finding.because_of {
        text.push(format!("because of {cause}"));
        return Notice { head, text, ..Notice::default() };
    }
    let commands = finding.advice.iter().map(|line| clean(screen, line)).collect();
    Notice { head, text, commands, see: Some(finding.docs.clone()) }
}

/// Whom a finding is about, up to the colon; nothing if it is about the mesh.
fn whom(screen: &Screen, finding: &Finding, names: &Names) -> String {
    match (&finding.peer, &finding.other) {
        (Some(peer), Some(other)) => {
            format!("{} {} {}: ", names.label(&peer.id), screen.arrow(), names.label(&other.id))
        }
        (Some(peer), None) | (None, Some(peer)) => format!("{}: ", names.label(&peer.id)),
        (None, None) => String::new(),
    }
}

/// What there is to know of the agent: as lines, and as a table.
fn agent(screen: &Screen, status: &Status) -> (Vec<Line>, Table) {
    let listening: Vec<String> =
        status.listening.iter().map(|address| clean(screen, address)).collect();
    let facts = format!(
        "version {}, up for {}, {} connections, {} records",
        clean(screen, &status.agent_version),
        span_of_seconds(status.uptime_seconds),
        status.connections,
        status.records,
    );
    let mut table = Table::facts();
    table.row(["agent".into(), facts.as_str().into()]);
    table.row(["listening".into(), listening.join(" ").into()]);
    let mut lines = vec![Line::from(format!("agent       {facts}"))];
    if let Some(own) = &status.own_clock {
        let neighbours = own.neighbours;
        let text = format!("{} those of {neighbours} neighbours", offset(own.ahead_seconds));
        table.row(["clock".into(), text.as_str().into()]);
        lines.push(format!("clock       {text}").into());
    }
    let mut rest = listening.iter();
    let first = rest.next().map(String::as_str).unwrap_or_default();
    lines.push(format!("listening   {first}").into());
    lines.extend(rest.map(|address| Line::from(format!("            {address}"))));
    (lines, table)
}

/// The status as names and values.
fn figures(screen: &Screen, status: &Status, names: &Names) -> Table {
    let mut table = Table::facts();
    let mut fact = |name: &str, value: String| table.row([Cell::new(name), Cell::new(value)]);
    fact("status", status.status.word().to_owned());
    fact("summary", clean(screen, &status.summary));
    for (state, count) in &status.states {
        fact(&format!("peers {}", state.word()), count.to_string());
    }
    fact("members", status.members.to_string());
    fact("reachable", status.reachable.to_string());
    let outside = status.partition.as_ref().map_or(0, |cut| cut.outside.len());
    fact("peers cut off", outside.to_string());
    fact("local health", status.local_health.to_string());
    let ahead = status.own_clock.map(|own| own.ahead_seconds.to_string());
    fact("clock ahead seconds", ahead.unwrap_or_default());
    fact("connections", status.connections.to_string());
    fact("records", status.records.to_string());
    fact("uptime seconds", status.uptime_seconds.to_string());
    fact("agent version", clean(screen, &status.agent_version));
    fact("findings", (status.findings.len() + status.omitted_findings).to_string());
    for it in &status.findings {
        let (severity, code) = (it.severity.word(), &it.code);
        let what = format!("{}{}", whom(screen, it, names), clean(screen, &it.title));
        fact("finding", format!("{severity} {code} {what}"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::{screen, status as sample};

    #[test]
    fn a_status_begins_with_its_word_and_ends_with_what_to_do() {
        assert_eq!(
            status(&screen(), &sample()).text(&screen()),
            "CRIT  2 of 3 peers up, 1 finding\n\
             seen by alpha (12D3KooWAlphaA), just now, 2/2 neighbours agree, \
             heartbeats: none missing, oldest 12 s\n\n\
             ● 2 up   ✖ 1 down   (2 of 3 members reachable)\n\n\
             HIGH PEER_DOWN  gamma: a peer is down\n  \
             3 of 3 observers lost it\n  \
             do now: plexmesh why gamma\n          \
             plexmesh peer gamma\n  \
             see:    docs/health.md#peer_down\n"
        );
    }

    #[test]
    fn without_colour_there_is_no_escape_and_with_colour_the_words_stay() {
        assert!(!status(&screen(), &sample()).text(&screen()).contains('\x1b'));
        let color = Screen { color: true, ..screen() };
        let colored = status(&color, &sample()).text(&color);
        assert!(colored.contains("\x1b[31mCRIT\x1b[0m"));
    }
}
