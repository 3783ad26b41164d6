//! Shards: how those of all peers are, which ones of this peer are wrong, how the scrub gets on.

use indicatif::HumanBytes;

use super::header::header;
use super::page::{Line, Page};
use super::status::{health_paint, severity_paint};
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::{Names, clean};
use crate::api::schema::{
    Backup, BackupItems, Envelope, Health, Integrity, One, PeerIntegrity, PieceRange, Scrub,
    Severity, Shard, ShardItems, ShardSource, Verdict, Verdicts,
};
use crate::text::counted;
use crate::time::{WallTime, span, span_of_seconds};

/// The shards of all peers. Its first word is the one word on them.
#[must_use]
pub fn integrity(screen: &Screen, document: &One<Integrity>) -> Page {
    let it = &document.body.item;
    let names = Names::of(screen, it.peers.iter().map(|peer| &peer.peer));
    let mut page = Page::new("integrity");
    page.heading(word(screen, it.status, &it.summary));
    page.line(header(screen, &document.stamp));
    page.gap();
    page.line(verdicts(screen, &it.verdicts, it.pending_shards));
    page.gap();
    let mut table =
        Table::new(["PEER", "STATE", "SHARDS", "OK", "WRONG", "OLDEST", "AS OF", "WHAT"]);
    let mut peers: Vec<&PeerIntegrity> = it.peers.iter().collect();
    peers.sort_by_key(|peer| {
        let worst = peer.findings.first().map(|finding| finding.severity);
        (std::cmp::Reverse(worst), names.label(&peer.peer.id))
    });
    for peer in &peers {
        table.row(row(screen, peer, &names));
    }
    page.table(table.called("OLDEST", "oldest_verification_seconds").called("AS OF", "as_of"));
    for peer in peers.iter().filter(|peer| !peer.findings.is_empty()) {
        page.gap();
        page.heading(names.label(&peer.peer.id));
        let mut table = Table::new(["SEVERITY", "CODE", "COUNT", "SINCE"]);
        for finding in &peer.findings {
            table.row([
                Cell::painted(severity_paint(finding.severity), finding.severity.word()),
                finding.code.as_str().into(),
                Cell::new(finding.count.to_string()).right(),
                ago(screen, finding.since),
            ]);
        }
        page.table(table);
    }
    page
}

/// Shards of this peer.
#[must_use]
pub fn shards(screen: &Screen, document: &Envelope<ShardItems>) -> Page {
    let it = &document.body;
    let mut page = Page::new("shards");
    page.line(header(screen, &document.stamp));
    page.gap();
    if it.items.is_empty() {
        page.line("no such shards on this peer");
        return page;
    }
    let head = [
        "VERDICT",
        "SHARD",
        "SIZE",
        "SINCE",
        "VERIFIED",
        "EXPECTED SHA-256",
        "DIGESTS",
        "BLAKE3",
        "SOURCE",
    ];
    let mut table =
        Table::new(head).called("SIZE", "size_bytes").called("EXPECTED SHA-256", "expected_sha256");
    if !screen.wide {
        table = table.hidden(["EXPECTED SHA-256", "DIGESTS", "BLAKE3", "SOURCE"]);
    }
    for shard in &it.items {
        table.row(shard_row(screen, shard));
    }
    page.table(table);
    let more = it.matching_shards.saturating_sub(it.items.len());
    if more > 0 {
        page.gap();
        page.line(
            Line::from(format!("and {more} more: "))
                .code(format!("plexmesh shards --limit {}", it.matching_shards)),
        );
    }
    page
}

/// Backups of which pieces are here. A gap is nothing bad: other peers have what lies in it.
#[must_use]
pub fn backups(screen: &Screen, document: &Envelope<BackupItems>) -> Page {
    let BackupItems { items, matching_backups } = &document.body;
    let mut page = Page::new("shards");
    page.heading(Line::from(counted(*matching_backups, "backup")));
    page.line(header(screen, &document.stamp));
    page.gap();
    let mut table =
        Table::new(["BACKUP", "PRESENT", "LACKING", "HIGHEST", "ELSEWHERE", "GAPS", "DIRECTORY"]);
    for it in items {
        let lacking = it.lacking_pieces.to_string();
        table.row([
            clean(screen, &it.id).into(),
            Cell::new(it.present_pieces.to_string()).right(),
            if it.lacking_pieces > 0 {
                Cell::painted(Paint::Bad, lacking).right()
            } else {
                Cell::new(lacking).right()
            },
            Cell::new(it.highest_piece.to_string()).right(),
            Cell::new(it.absent_pieces.to_string()).right(),
            gaps(it).into(),
            clean(screen, &it.source).into(),
        ]);
    }
    page.table(table);
    if *matching_backups > items.len() {
        page.line(format!("the first {} of {matching_backups}; see --limit", items.len()));
    }
    page
}

/// Numbers of pieces that are not here; three dots if not all are listed.
fn gaps(backup: &Backup) -> String {
    let one = |gap: &PieceRange| match gap.from == gap.to {
        true => gap.from.to_string(),
        false => format!("{}-{}", gap.from, gap.to),
    };
    let mut words: Vec<String> = backup.gaps.iter().map(one).collect();
    let listed: u64 = backup.gaps.iter().map(|gap| u64::from(gap.to - gap.from) + 1).sum();
    if listed < backup.absent_pieces {
        words.push("...".to_owned());
    }
    words.join(", ")
}

/// How the scrub gets on.
#[must_use]
pub fn scrub(screen: &Screen, document: &One<Scrub>) -> Page {
    let it = &document.body.item;
    let mut page = Page::new("scrub");
    page.heading(word(screen, it.status, &it.summary));
    page.line(header(screen, &document.stamp));
    page.gap();
    if let Some(chosen) = it.chosen_shards {
        page.line(format!("this concerns {}", counted(chosen, "shard")));
    }
    page.line(format!(
        "every shard is read once within {}; {} to be read now; {} read since the start, {}",
        span_of_seconds(it.deadline_seconds),
        counted(it.due_shards, "shard"),
        counted(usize::try_from(it.files_read).unwrap_or(usize::MAX), "file"),
        HumanBytes(it.read_bytes),
    ));
    page.line(reading(screen, it));
    if it.unsaved_changes > 0 {
        page.line(format!("{} not on disk yet", counted(it.unsaved_changes, "change")));
    }
    page.gap();
    if it.sources.is_empty() {
        page.line(
            Line::from("no directory is configured; see ").code("plexmesh config show source"),
        );
        return page;
    }
    let mut table = Table::new([
        "DIRECTORY",
        "LAYOUT",
        "REGION",
        "TIER",
        "SHARDS",
        "REFUSED",
        "LOOKED AT",
        "NOTE",
    ]);
    for source in &it.sources {
        table.row([
            clean(screen, &source.root).into(),
            source.kind.word().into(),
            label(screen, source.region.as_ref()),
            label(screen, source.tier.as_ref()),
            Cell::new(source.shards.to_string()).right(),
            Cell::new(source.refused.to_string()).right(),
            source.looked_at.map_or_else(Cell::unknown, |at| ago(screen, at)),
            note(screen, source),
        ]);
    }
    page.table(table);
    page
}

/// How fast it gets on, and how old what is known is.
fn reading(screen: &Screen, it: &Scrub) -> Line {
    let waits = HumanBytes(it.due_bytes);
    let mut line = if let Some(until) = it.paused_until {
        Line::new()
            .painted(Paint::Warn, format!("nothing is read until {until}"))
            .plain("; end it with ")
            .code("plexmesh scrub resume")
    } else if it.due_shards == 0 {
        Line::from("nothing waits")
    } else if let Some(at) = it.opens_at {
        Line::from(format!("{waits} wait until {at}; what is asked for is read at any time"))
    } else if let Some(seconds) = it.done_in_seconds {
        let seconds = span_of_seconds(seconds.max(1.0).round());
        Line::from(format!("{waits} wait and will be read in {seconds}"))
    } else {
        Line::from(format!("{waits} wait"))
    };
    if let Some(rate) = it.read_bytes_per_second {
        line = line.plain(format!("; {} a second while it reads", HumanBytes(rate as u64)));
    }
    if let Some(oldest) = it.oldest_read_at {
        line =
            line.plain(format!("; the oldest reading is {} old", span(screen.now.since(oldest))));
    }
    if it.never_read_shards > 0 {
        line = line.plain(format!("; {} never read", counted(it.never_read_shards, "shard")));
    }
    line
}

fn word(screen: &Screen, status: Health, summary: &str) -> Line {
    Line::new()
        .painted(health_paint(status), status.word())
        .plain(format!("  {}", clean(screen, summary)))
}

/// What all shards are, the worst last.
fn verdicts(screen: &Screen, verdicts: &Verdicts, pending: u64) -> Line {
    let mut line = Line::new();
    let shown = verdicts.iter().filter(|(verdict, count)| **count > 0 || **verdict == Verdict::Ok);
    for (place, (verdict, count)) in shown.enumerate() {
        if place > 0 {
            line = line.plain("   ");
        }
        let text = format!("{} {count} {}", glyph(screen, *verdict), verdict.word());
        line = line.painted(paint(*verdict), text);
    }
    if pending > 0 {
        line = line.plain("   ").painted(Paint::Unknown, format!("{pending} not read yet"));
    }
    line
}

fn row(screen: &Screen, peer: &PeerIntegrity, names: &Names) -> [Cell; 8] {
    let figure = |count: Option<u64>| {
        count.map_or_else(Cell::unknown, |count| Cell::new(count.to_string()).right())
    };
    let of = |wanted: &dyn Fn(Verdict) -> bool| {
        let verdicts = peer.verdicts.as_ref()?;
        Some(verdicts.iter().filter(|(verdict, _)| wanted(**verdict)).map(|(_, count)| count).sum())
    };
    let state = format!("{} {}", screen.glyph(peer.state), peer.state.word());
    let what: Vec<&str> = match &peer.unknown_because {
        Some(reason) => vec![reason],
        None => peer.findings.iter().map(|finding| finding.code.as_str()).collect(),
    };
    let oldest = peer.oldest_verification_seconds.map_or_else(Cell::unknown, |seconds| {
        Cell::new(span(std::time::Duration::from_secs(seconds))).exact(seconds)
    });
    [
        names.cell(&peer.peer.id),
        Cell::painted(Paint::of_state(peer.state), state).exact(peer.state.word()),
        figure(peer.shards),
        figure(of(&|verdict| verdict == Verdict::Ok)),
        figure(of(&|verdict| verdict != Verdict::Ok)),
        oldest,
        peer.as_of.map_or_else(Cell::unknown, |at| ago(screen, at)),
        Cell::painted(
            peer.findings.first().map_or(Paint::Dim, |worst| severity_paint(worst.severity)),
            what.join(", "),
        ),
    ]
}

fn shard_row(screen: &Screen, shard: &Shard) -> [Cell; 9] {
    let verdict = shard.verdict.map_or_else(
        || Cell::painted(Paint::Unknown, "not read yet").exact(""),
        |verdict| {
            let text = format!("{} {}", glyph(screen, verdict), verdict.word());
            Cell::painted(paint(verdict), text).exact(verdict.word())
        },
    );
    let size = match (shard.size_bytes, shard.expected_size_bytes) {
        (Some(size), Some(expected)) if size != expected => {
            Cell::new(format!("{size} of {expected} B")).exact(size)
        }
        (Some(size), _) => Cell::new(HumanBytes(size).to_string()).exact(size),
        (None, _) => Cell::unknown(),
    };
    let time = |at: Option<WallTime>| at.map_or_else(Cell::unknown, |at| ago(screen, at));
    let text = |text: &Option<String>| text.as_deref().map_or_else(Cell::unknown, Cell::new);
    [
        verdict,
        clean(screen, &shard.id).into(),
        size.right(),
        time(shard.since),
        time(shard.verified_at),
        text(&shard.expected_sha256),
        shard.expected_algorithms.join("+").into(),
        text(&shard.blake3),
        clean(screen, &shard.source).into(),
    ]
}

fn note(screen: &Screen, source: &ShardSource) -> Cell {
    match (&source.fault, source.fault_since) {
        (Some(fault), since) => {
            let since = since.map_or_else(String::new, |since| {
                format!("since {}: ", span(screen.now.since(since)))
            });
            Cell::painted(Paint::Bad, format!("{since}{}", clean(screen, fault)))
        }
        (None, _) if source.stale_manifest => {
            Cell::painted(Paint::Warn, "the manifest is torn; an earlier copy stands in")
        }
        (None, _) => Cell::new(""),
    }
}

fn label(screen: &Screen, label: Option<&String>) -> Cell {
    label.map_or_else(Cell::unknown, |label| clean(screen, label).into())
}

fn ago(screen: &Screen, at: WallTime) -> Cell {
    Cell::new(format!("{} ago", span(screen.now.since(at)))).exact(at)
}

const fn glyph(screen: &Screen, verdict: Verdict) -> &'static str {
    let (fancy, plain) = match verdict {
        Verdict::Ok => ("●", "+"),
        Verdict::Unverified | Verdict::Disputed => ("◐", "?"),
        Verdict::Replaced | Verdict::Orphan | Verdict::Modified => ("≈", "~"),
        Verdict::Vanished | Verdict::Evicted | Verdict::Missing => ("○", "o"),
        Verdict::Truncated | Verdict::Corrupt | Verdict::Unreadable => ("✖", "x"),
    };
    if screen.unicode { fancy } else { plain }
}

const fn paint(verdict: Verdict) -> Paint {
    match verdict {
        Verdict::Ok => Paint::Good,
        Verdict::Unverified => Paint::Unknown,
        Verdict::Replaced | Verdict::Orphan => Paint::Dim,
        Verdict::Vanished => Paint::Warn,
        Verdict::Truncated
        | Verdict::Corrupt
        | Verdict::Missing
        | Verdict::Evicted
        | Verdict::Modified
        | Verdict::Unreadable
        | Verdict::Disputed => severity_paint(Severity::High),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn integrity_begins_with_its_word_and_counts_by_verdict() {
        let screen = sample::screen();
        let shown = integrity(&screen, &sample::integrity()).text(&screen);
        let mut lines = shown.lines();
        assert_eq!(lines.next(), Some("CRIT  8 of 9 shards on 1 peer ok"));
        assert!(shown.contains("● 8 ok   ✖ 1 corrupt\n"), "{shown}");
        assert!(shown.contains("it looks at no directory of shards"), "{shown}");
    }

    #[test]
    fn a_list_of_shards_says_what_it_leaves_out() {
        let screen = sample::screen();
        let shown = shards(&screen, &sample::shards()).text(&screen);
        assert!(shown.ends_with("and 2 more: plexmesh shards --limit 5\n"), "{shown}");
        assert!(!shown.contains("abab"), "digests are for wide views: {shown}");
    }

    #[test]
    fn a_directory_that_cannot_be_looked_at_says_why_and_since_when() {
        let screen = sample::screen();
        let shown = scrub(&screen, &sample::scrub()).text(&screen);
        assert!(shown.contains("since 1 min: /mnt/shards cannot be found"), "{shown}");
    }
}
