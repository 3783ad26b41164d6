//! Is the mesh well? What is wrong, and what to do now.

use std::fmt::Write;

use super::header::header;
use super::terminal::{Paint, Screen};
use super::text::{Names, clean};
use crate::api::schema::{Finding, Health, One, Partition, PeerRef, Severity, State, Status};
use crate::time::span_of_seconds;

/// Findings that are shown unless `-o wide` asks for all: a screen of them.
const SHOWN_FINDINGS: usize = 8;
/// Names of the other side of a cut that are shown.
const SHOWN_NAMES: usize = 12;

/// The status. Its first word is the one word on the mesh.
#[must_use]
pub fn status(screen: &Screen, document: &One<Status>) -> String {
    let status = &document.body.item;
    let names = names(screen, status);
    let mut out = format!(
        "{}  {}\n",
        screen.paint(health_paint(status.status), status.status.word()),
        clean(screen, &status.summary)
    );
    out.push_str(&header(screen, &document.stamp));
    let _ = writeln!(out, "\n{}", states(screen, status));
    if let Some(cut) = &status.partition {
        let _ = writeln!(out, "{}", partition(screen, cut, &names));
    }
    if status.local_health > 0 {
        let text = format!(
            "this agent doubts itself (local health {}): it was late, or lost many peers at once",
            status.local_health
        );
        let _ = writeln!(out, "{}", screen.paint(Paint::Warn, &text));
    }
    let shown = if screen.wide { usize::MAX } else { SHOWN_FINDINGS };
    for it in status.findings.iter().take(shown) {
        out.push('\n');
        out.push_str(&finding(screen, it, &names));
    }
    let hidden = status.findings.len().saturating_sub(shown) + status.omitted_findings;
    if hidden > 0 {
        let _ = writeln!(out, "\nand {hidden} more: plexmesh status -o wide");
    }
    if screen.wide {
        out.push_str(&agent(screen, status));
    }
    out
}

pub(super) const fn severity_paint(severity: Severity) -> Paint {
    match severity {
        Severity::Critical | Severity::High => Paint::Bad,
        Severity::Medium => Paint::Warn,
        Severity::Low => Paint::Dim,
    }
}

/// A cut in one sentence.
pub(super) fn partition(screen: &Screen, cut: &Partition, names: &Names) -> String {
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
    screen.paint(Paint::Bad, &text)
}

const fn health_paint(health: Health) -> Paint {
    match health {
        Health::Ok => Paint::Good,
        Health::Warn => Paint::Warn,
        Health::Crit => Paint::Bad,
        Health::Unknown => Paint::Unknown,
    }
}

fn states(screen: &Screen, status: &Status) -> String {
    let counted = State::ALL.iter().filter_map(|state| {
        let count = status.states.get(state).copied().filter(|count| *count > 0)?;
        let text = format!("{} {count} {}", screen.glyph(*state), state.word());
        Some(screen.paint(Paint::of_state(*state), &text))
    });
    let counted: Vec<String> = counted.collect();
    format!(
        "{}   ({} of {} members reachable)",
        counted.join("   "),
        status.reachable,
        status.members
    )
}

fn names(screen: &Screen, status: &Status) -> Names {
    let findings = status.findings.iter().flat_map(|it| [it.peer.as_ref(), it.other.as_ref()]);
    let outside = status.partition.iter().flat_map(|cut| &cut.outside);
    let peers: Vec<&PeerRef> = findings.flatten().chain(outside).collect();
    Names::of(screen, peers)
}

fn finding(screen: &Screen, finding: &Finding, names: &Names) -> String {
    let whom = match (&finding.peer, &finding.other) {
        (Some(peer), Some(other)) => {
            format!("{} {} {}: ", names.label(&peer.id), screen.arrow(), names.label(&other.id))
        }
        (Some(peer), None) | (None, Some(peer)) => format!("{}: ", names.label(&peer.id)),
        (None, None) => String::new(),
    };
    let severity = finding.severity.word().to_uppercase();
    let mut out = format!(
        "{} {}  {whom}{}\n  {}\n",
        screen.paint(severity_paint(finding.severity), &severity),
        screen.paint(Paint::Bold, &finding.code),
        clean(screen, &finding.title),
        clean(screen, &finding.evidence),
    );
    // What a root cause explains needs no advice of its own.
    if let Some(cause) = &finding.because_of {
        let _ = writeln!(out, "  because of {cause}");
        return out;
    }
    for (place, line) in finding.advice.iter().enumerate() {
        let lead = if place == 0 { "do now:" } else { "" };
        let _ = writeln!(out, "  {lead:<8}{}", clean(screen, line));
    }
    let _ = writeln!(out, "  {:<8}{}", "see:", finding.docs);
    out
}

fn agent(screen: &Screen, status: &Status) -> String {
    let listening: Vec<String> =
        status.listening.iter().map(|address| clean(screen, address)).collect();
    format!(
        "\nagent       version {}, up for {}, {} connections, {} records\nlistening   {}\n",
        clean(screen, &status.agent_version),
        span_of_seconds(status.uptime_seconds),
        status.connections,
        status.records,
        listening.join("\n            "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::{screen, status as sample};

    #[test]
    fn a_status_begins_with_its_word_and_ends_with_what_to_do() {
        assert_eq!(
            status(&screen(), &sample()),
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
        assert!(!status(&screen(), &sample()).contains('\x1b'));
        let colored = status(&Screen { color: true, ..screen() }, &sample());
        assert!(colored.contains("\x1b[31mCRIT\x1b[0m"));
    }
}
