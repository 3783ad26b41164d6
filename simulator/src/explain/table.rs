//! An explanation for a person.

use std::io::{self, Write};

use super::{Chain, Explanation, Word};

/// Writes an explanation.
///
/// # Errors
/// As the writer.
pub fn table(explanation: &Explanation, out: &mut impl Write) -> io::Result<()> {
    let Explanation { name, seed, observer, subject, at_seconds, rule, .. } = explanation;
    writeln!(out, "{name}: seed {seed}, at {at_seconds:.3} s")?;
    match explanation.state {
        Some(state) => writeln!(out, "To peer {observer}, peer {subject} is {state}: {rule}.")?,
        None => writeln!(out, "{rule}.")?,
    }
    let truth = if explanation.subject_runs { "runs" } else { "does not run" };
    writeln!(out, "In truth, the process of peer {subject} {truth}.")?;
    if let Some(chain) = &explanation.farewell {
        writeln!(out, "\nIts good-bye")?;
        write_chain(chain, out)?;
    }
    for word in &explanation.observers {
        write_word(word, out)?;
    }
    if let Some(chain) = &explanation.introduction {
        writeln!(out, "\nHow peer {observer} knows peer {subject} as a member")?;
        write_chain(chain, out)?;
    }
    if explanation.omitted > 0 {
        let omitted = explanation.omitted;
        writeln!(out, "\n{omitted} messages were not noted: too many. Chains may be broken.")?;
    }
    Ok(())
}

fn write_word(word: &Word, out: &mut impl Write) -> io::Result<()> {
    let who = word.observer.map_or_else(|| "a stranger".to_owned(), |host| format!("peer {host}"));
    let Some(status) = word.status else {
        return writeln!(out, "\nObserver {who} (ring {}) has not reported", word.ring);
    };
    writeln!(out, "\nObserver {who} (ring {}): {status}", word.ring)?;
    if let Some(evidence) = &word.evidence {
        writeln!(out, "  {evidence}")?;
    }
    let Some(chain) = &word.chain else {
        return writeln!(out, "  how the report came was not seen");
    };
    write_chain(chain, out)?;
    match &word.held {
        Some(held) if *held != chain.record => {
            writeln!(out, "  the later report {held}, which is held now, says the same")
        }
        _ => Ok(()),
    }
}

fn write_chain(chain: &Chain, out: &mut impl Write) -> io::Result<()> {
    let origin =
        chain.origin.map_or_else(|| "a stranger".to_owned(), |host| format!("peer {host}"));
    writeln!(out, "  record {} of {origin} ({})", chain.record, chain.says)?;
    if let Some(gap) = &chain.gap {
        writeln!(out, "  {gap}")?;
    }
    if let Some(at) = chain.published_seconds {
        writeln!(out, "  {at:>10.6}  published by {origin}")?;
    }
    for hop in &chain.hops {
        writeln!(
            out,
            "  {:>10.6}  peer {} to peer {}, {}",
            hop.at_seconds, hop.from, hop.to, hop.way
        )?;
    }
    Ok(())
}
