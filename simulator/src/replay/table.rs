//! A replay for a person: one timeline, and who knew what.

use std::io::{self, Write};

use super::{Knowledge, Replay, Spread, Told, words};

/// Writes a replay.
///
/// # Errors
/// As the writer.
pub fn table(replay: &Replay, out: &mut impl Write) -> io::Result<()> {
    let Replay { name, seed, peers, from_seconds: from, until_seconds: until, .. } = replay;
    writeln!(out, "{name}: seed {seed}, {peers} peers, from {from:.3} s to {until:.3} s")?;
    let (first, later) = replay.knowledge.split_at(replay.knowledge.len().min(1));
    for knowledge in first {
        write_knowledge(knowledge, out)?;
    }
    writeln!(out, "\nWhat happened")?;
    for line in timeline(replay) {
        writeln!(out, "  {:>10.3}  {}", line.at_seconds, line.text)?;
    }
    for knowledge in later {
        write_knowledge(knowledge, out)?;
    }
    if replay.omitted > 0 {
        writeln!(
            out,
            "\n{} notes are missing: too much happened. A shorter --window or a --peer shows all.",
            replay.omitted
        )?;
    }
    Ok(())
}

/// A line of the timeline.
struct Line {
    at_seconds: f64,
    text: String,
}

fn timeline(replay: &Replay) -> Vec<Line> {
    let faults = replay.happenings.iter().map(|happened| Line {
        at_seconds: happened.at_seconds,
        text: format!("fault   {}", happened.what),
    });
    let mut lines: Vec<Line> = faults.collect();
    lines.extend(replay.records.iter().map(of_spread));
    lines.extend(alike(&replay.events).iter().map(Alike::line));
    // Stable: a fault comes before what it brings about.
    lines.sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
    lines
}

fn of_spread(spread: &Spread) -> Line {
    let Spread { id, says, reached, running, .. } = spread;
    let origin =
        spread.origin.map_or_else(|| "a stranger".to_owned(), |host| format!("peer {host}"));
    let mut steps = Vec::new();
    if let Some(at) = spread.published_seconds {
        steps.push(format!("published {at:.3}"));
    }
    let shares = [("first", spread.first_seconds), ("at 50 %", spread.half_seconds)];
    for (share, at) in shares.into_iter().chain([("at all", spread.all_seconds)]) {
        if let Some(at) = at {
            steps.push(format!("{share} {at:.3}"));
        }
    }
    if spread.all_seconds.is_none() {
        steps.push(format!("{reached} of {running} reached"));
    }
    let at_seconds = spread.published_seconds.or(spread.first_seconds).unwrap_or_default();
    let text = format!("record  {id} of {origin} ({says}): {}", steps.join(", "));
    Line { at_seconds, text }
}

/// The same event at several hosts.
struct Alike<'a> {
    what: &'a str,
    from_seconds: f64,
    until_seconds: f64,
    hosts: Vec<usize>,
}

impl Alike<'_> {
    fn line(&self) -> Line {
        let (hosts, what) = (words::hosts_text(&self.hosts), self.what);
        let text = match self.hosts.len() {
            1 => format!("event   at peer {hosts}: {what}"),
            count => {
                let until = self.until_seconds;
                format!("event   at {count} peers ({hosts}), until {until:.3}: {what}")
            }
        };
        Line { at_seconds: self.from_seconds, text }
    }
}

/// Puts the same event of several hosts on one line, until one of them tells it again.
fn alike(events: &[Told]) -> Vec<Alike<'_>> {
    let mut found: Vec<Alike<'_>> = Vec::new();
    let mut last = std::collections::BTreeMap::new();
    for Told { at_seconds, host, what } in events {
        let place = last.get(what.as_str()).copied();
        let group = place.and_then(|place: usize| found.get_mut(place));
        match group.filter(|group| !group.hosts.contains(host)) {
            Some(group) => {
                group.hosts.push(*host);
                group.until_seconds = *at_seconds;
            }
            None => {
                last.insert(what.as_str(), found.len());
                let (from_seconds, until_seconds) = (*at_seconds, *at_seconds);
                found.push(Alike { what, from_seconds, until_seconds, hosts: vec![*host] });
            }
        }
    }
    found
}

fn write_knowledge(knowledge: &Knowledge, out: &mut impl Write) -> io::Result<()> {
    let Knowledge { at_seconds, running, subjects } = knowledge;
    writeln!(out, "\nWho knew what at {at_seconds:.3} s ({running} processes)")?;
    if subjects.is_empty() {
        return writeln!(out, "  everybody called everybody up, rightly");
    }
    for subject in subjects {
        let says: Vec<String> =
            subject.says.iter().map(|(word, count)| format!("{count} say {word}")).collect();
        let truth = if subject.runs { "runs" } else { "does not run" };
        writeln!(out, "  peer {:<5} {truth:<13} {}", subject.subject, says.join(", "))?;
    }
    Ok(())
}
