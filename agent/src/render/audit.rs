//! Who changed what.

use super::header::header;
use super::page::{Line, Notice, Page};
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::clean;
use crate::api::schema::{AuditChain, AuditEntry, AuditItems, AuditOutcome, Envelope};

/// Characters of a hash that tell one chain from another.
const SHORT_HASH: usize = 16;

/// The entries of the audit log, the oldest first, and whether its chain holds.
#[must_use]
pub fn audit(screen: &Screen, document: &Envelope<AuditItems>) -> Page {
    let body = &document.body;
    let mut page = Page::new("events --audit");
    page.line(verdict(screen, &body.chain));
    page.line(header(screen, &document.stamp));
    page.gap();
    for broken in &body.chain.breaks {
        page.notice(Notice {
            head: Line::new().painted(Paint::Bad, "CHAIN BROKEN").plain(format!(
                "  {}, line {}",
                clean(screen, &broken.file),
                broken.line
            )),
            text: vec![clean(screen, &broken.reason)],
            ..Notice::default()
        });
    }
    if let Some(fault) = &body.chain.fault {
        page.notice(Notice {
            head: Line::new().painted(Paint::Bad, "NOT WRITABLE").plain("  changes are refused"),
            text: vec![clean(screen, fault)],
            commands: vec!["plexmesh doctor".to_owned()],
            ..Notice::default()
        });
    }
    match body.omitted {
        0 => {}
        1 => page.line("1 older entry is left out"),
        more => page.line(format!("{more} older entries are left out")),
    }
    if body.items.is_empty() {
        page.line("nothing was changed");
    }
    page.table(table(screen, &body.items));
    page
}

fn verdict(screen: &Screen, chain: &AuditChain) -> Line {
    let word = match (chain.holds, chain.fault.is_some()) {
        (true, false) => Line::new().painted(Paint::Good, "OK"),
        _ => Line::new().painted(Paint::Bad, "CRIT"),
    };
    let range = match (chain.first_sequence, chain.last_sequence) {
        (Some(first), Some(last)) => format!("lines {first} to {last}"),
        _ => "no lines yet".to_owned(),
    };
    let holds = if chain.holds {
        "the chain holds".to_owned()
    } else {
        match chain.break_count {
            1 => "the chain is broken at 1 place".to_owned(),
            places => format!("the chain is broken at {places} places"),
        }
    };
    let torn = match chain.torn_lines {
        0 => String::new(),
        lines => format!(", {lines} cut short by a crash"),
    };
    let head = chain.head.as_deref().map_or_else(String::new, |head| {
        let shown = if screen.wide || screen.full_ids {
            head
        } else {
            head.get(..SHORT_HASH).unwrap_or(head)
        };
        format!(", head {}", clean(screen, shown))
    });
    word.plain(format!("  {holds}: {range}{torn}{head}"))
}

fn table(screen: &Screen, items: &[AuditEntry]) -> Table {
    let mut head = vec!["TIME", "NUMBER", "USER", "WHAT", "OUTCOME", "ASKED"];
    if screen.wide {
        head.extend(["PID", "BEFORE", "AFTER"]);
    }
    let mut table = Table::new(head);
    let json = |value: &serde_json::Value| match value {
        serde_json::Value::Null => Cell::unknown(),
        value => Cell::new(clean(screen, &value.to_string())),
    };
    for it in items {
        let user = match (&it.user, it.uid) {
            (Some(user), _) => Cell::new(clean(screen, user)),
            (None, Some(uid)) => Cell::new(uid.to_string()),
            (None, None) => Cell::unknown(),
        };
        let mut row = vec![
            it.at.to_string().into(),
            Cell::new(it.sequence.to_string()).right(),
            user,
            clean(screen, &format!("{} {}", it.method, it.path)).into(),
            outcome(it),
            json(&it.asked),
        ];
        if screen.wide {
            let pid = it.pid.map_or_else(Cell::unknown, |pid| Cell::new(pid.to_string()).right());
            row.extend([pid, json(&it.before), json(&it.after)]);
        }
        table.row(row);
    }
    table
}

fn outcome(entry: &AuditEntry) -> Cell {
    let word = entry.outcome.word();
    match (entry.outcome, entry.code) {
        (AuditOutcome::Done, _) => Cell::painted(Paint::Good, word),
        (AuditOutcome::Begun, _) => Cell::painted(Paint::Warn, "begun, end unknown").exact(word),
        (AuditOutcome::Refused, Some(code)) => {
            Cell::painted(Paint::Bad, format!("{word}: {}", code.word()))
        }
        (AuditOutcome::Refused, None) => Cell::painted(Paint::Bad, word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::{audit as sample, screen};

    #[test]
    fn a_chain_that_is_broken_is_told_first_and_by_its_line() {
        let mut document = sample();
        document.body.chain.holds = false;
        document.body.chain.break_count = 1;
        document.body.chain.breaks.push(crate::api::schema::AuditBreak {
            file: "/srv/audit.log".to_owned(),
            line: 7,
            reason: "the line was changed after it was written".to_owned(),
        });
        let text = audit(&screen(), &document).text(&screen());
        assert!(text.starts_with("CRIT  the chain is broken at 1 place:"), "{text}");
        assert!(text.contains("CHAIN BROKEN  /srv/audit.log, line 7\n  the line was changed"));
    }
}
