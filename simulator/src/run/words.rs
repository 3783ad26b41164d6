//! What happened, for a person.

use crate::scenario::{Direction, Span};
use crate::script::{Ailment, Deed};

/// Peers that a line names before it counts the rest.
const NAMED: usize = 8;

/// A deed in words; `None` if it only goes on with something.
#[must_use]
pub fn of(deed: &Deed) -> Option<String> {
    let text = match deed {
        Deed::Stop { hosts, process_only: false } => format!("{} crashed", peers(hosts)),
        Deed::Stop { hosts, process_only: true } => format!("{} stopped", peers(hosts)),
        Deed::Start { hosts, lose_state: false } => format!("{} started again", peers(hosts)),
        Deed::Start { hosts, lose_state: true } => {
            format!("{} started again with an empty disk", peers(hosts))
        }
        Deed::Pause(hosts) => format!("{} paused", peers(hosts)),
        Deed::Resume(hosts) => format!("{} resumed", peers(hosts)),
        Deed::Sleep(hosts) => format!("{} fell asleep", peers(hosts)),
        Deed::Wake(hosts) => format!("{} woke up", peers(hosts)),
        Deed::Ail { id, hosts, ailment } => {
            format!("{}: {} (fault {id})", peers(hosts), ailing(ailment))
        }
        Deed::Cure { id } => format!("fault {id} ended"),
        Deed::Flip { id, hosts, direction, off, on, is_off: false, .. } => {
            let way = match direction {
                Direction::In => "what comes in",
                Direction::Out => "what goes out",
                Direction::Both => "what comes in and goes out",
            };
            let (off, on) = (Span(*off), Span(*on));
            format!("{}: {way} is off for {off}, then on for {on} (fault {id})", peers(hosts))
        }
        Deed::Flip { is_off: true, .. } => return None,
        Deed::Cut { from, to, both_ways } => {
            format!("no packet from {} to {}{}", peers(from), peers(to), back(*both_ways))
        }
        Deed::Mend { from, to, both_ways } => {
            format!("packets again from {} to {}{}", peers(from), peers(to), back(*both_ways))
        }
        Deed::Part(sides) => {
            let sides: Vec<String> = sides.iter().map(|side| peers(side)).collect();
            format!("the mesh fell apart: {} | the rest", sides.join(" | "))
        }
        Deed::Unite => "the sides came together".to_owned(),
        Deed::Jump { hosts, by_ms } => {
            format!("the wall clock of {} jumped by {by_ms} ms", peers(hosts))
        }
        Deed::Lie { hosts, lie } => format!("{} began to lie ({lie:?})", peers(hosts)),
        Deed::Join(hosts) => format!("{} joined", peers(hosts)),
        Deed::Leave(hosts) => format!("{} left", peers(hosts)),
        Deed::Depart(_) => return None,
        Deed::Corrupt(hosts) => format!("a shard of {} went bad", peers(hosts)),
        Deed::Repair(hosts) => format!("the shard of {} is whole again", peers(hosts)),
        Deed::ComeAndGo { host, is_away: false, .. } => format!("peer {host} went"),
        Deed::ComeAndGo { host, lose_state: false, .. } => format!("peer {host} came back"),
        Deed::ComeAndGo { host, .. } => format!("peer {host} came back with an empty disk"),
    };
    Some(text)
}

fn ailing(ailment: &Ailment) -> String {
    match ailment {
        Ailment::Slow(delay) => format!("everything is {} late", Span(*delay)),
        Ailment::Starved { run, stall } => {
            format!("runs for {}, then stands still for {}", Span(*run), Span(*stall))
        }
        Ailment::Loss { ingress, egress } => {
            format!("loses {:.1}% in and {:.1}% out", ingress * 100.0, egress * 100.0)
        }
        Ailment::Degraded(_) => "other conditions".to_owned(),
    }
}

const fn back(both_ways: bool) -> &'static str {
    if both_ways { ", nor back" } else { "" }
}

fn peers(hosts: &[usize]) -> String {
    match hosts {
        [one] => format!("peer {one}"),
        hosts => {
            let named: Vec<String> = hosts.iter().take(NAMED).map(usize::to_string).collect();
            let rest = match hosts.len().saturating_sub(NAMED) {
                0 => String::new(),
                rest => format!(" and {rest} more"),
            };
            format!("peers {}{rest}", named.join(", "))
        }
    }
}
