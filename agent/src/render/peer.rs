//! Peers, one or all.

use super::header::header;
use super::page::Page;
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::{Names, clean, offset};
use super::topology;
use crate::api::schema::{Heartbeat, Many, One, Peer, PeerDetail, Rtt, State};
use crate::time::{millis, span, span_of_seconds};

/// All peers: this one first, then the worst.
#[must_use]
pub fn peers(screen: &Screen, document: &Many<Peer>) -> Page {
    let mut peers: Vec<&Peer> = document.body.items.iter().collect();
    peers.sort_by_key(|peer| {
        (!peer.is_self, std::cmp::Reverse(peer.state), peer.name.clone(), peer.id.clone())
    });
    let names = names(screen, &document.body.items);
    let table =
        if screen.wide { wide(screen, &peers, &names) } else { narrow(screen, &peers, &names) };
    let mut page = Page::new("peers");
    page.line(header(screen, &document.stamp));
    page.gap();
    page.table(table);
    page
}

/// One peer in full. CSV has what it has of each of all peers, as names and values.
#[must_use]
pub fn peer(screen: &Screen, document: &One<PeerDetail>) -> Page {
    let detail = &document.body.item;
    let peer = &detail.peer;
    let own = (peer.id.as_str(), peer.name.as_deref());
    let others = detail.neighbours.iter().map(|it| (it.id.as_str(), it.name.as_deref()));
    let names = Names::new(screen, others.chain([own]));
    let mut page = Page::new("peer");
    page.line(header(screen, &document.stamp));
    page.gap();
    let mut facts = Table::facts();
    for (name, value) in facts_of(screen, peer) {
        facts.row([Cell::painted(Paint::Dim, name), value]);
    }
    page.table(facts);
    page.data(wide(screen, &[peer], &names).first_as_facts());
    for (title, edges) in [("watches", &detail.watches), ("watched by", &detail.watched_by)] {
        if !edges.is_empty() {
            page.gap();
            page.heading(title);
            page.table(topology::edge_table(screen, edges, &names));
        }
    }
    page
}

pub(super) fn names(screen: &Screen, peers: &[Peer]) -> Names {
    Names::new(screen, peers.iter().map(|peer| (peer.id.as_str(), peer.name.as_deref())))
}

pub(super) fn state_cell(screen: &Screen, peer: &Peer) -> Cell {
    let text = format!("{} {}", screen.glyph(peer.state), peer.state.word());
    Cell::painted(Paint::of_state(peer.state), text).exact(peer.state.word())
}

fn narrow(screen: &Screen, peers: &[&Peer], names: &Names) -> Table {
    let mut table = Table::new(["STATE", "NAME", "ID", "RTT MS", "ZONE", "HEARTBEAT", "WHY"]);
    for peer in peers {
        table.row([
            state_cell(screen, peer),
            label(screen, peer.name.as_deref()),
            names.id(&peer.id).into(),
            rtt(peer.rtt),
            label(screen, peer.zone.as_deref()),
            peer.heartbeat.as_ref().map_or_else(Cell::unknown, age),
            reason(screen, peer),
        ]);
    }
    table
}

fn wide(screen: &Screen, peers: &[&Peer], names: &Names) -> Table {
    let mut table = Table::new([
        "STATE",
        "NAME",
        "ID",
        "RTT MS",
        "REGION",
        "ZONE",
        "TIER",
        "LINK",
        "HEARTBEAT",
        "UPTIME",
        "CPU",
        "MEMORY",
        "DISK FREE",
        "VERSION",
        "ADDRESSES",
        "WHY",
        "RTT ESTIMATED",
        "SINCE",
    ])
    .called("HEARTBEAT", "heartbeat_age_seconds")
    .called("UPTIME", "uptime_seconds")
    .called("CPU", "cpu_percent")
    .called("MEMORY", "memory_percent")
    .called("DISK FREE", "disk_free_bytes")
    .hidden(["RTT ESTIMATED", "SINCE"]);
    for peer in peers {
        let beat = peer.heartbeat.as_ref();
        let link = if peer.connected { "connected".into() } else { Cell::new("-").exact("") };
        table.row([
            state_cell(screen, peer),
            label(screen, peer.name.as_deref()),
            names.id(&peer.id).into(),
            rtt(peer.rtt),
            label(screen, peer.region.as_deref()),
            label(screen, peer.zone.as_deref()),
            label(screen, peer.tier.as_deref()),
            link,
            beat.map_or_else(Cell::unknown, age),
            beat.map_or_else(Cell::unknown, |it| Cell::new(uptime(it)).exact(it.uptime_seconds)),
            percent(beat.and_then(|it| it.cpu_percent)),
            percent(beat.and_then(|it| it.memory_percent)),
            bytes(beat.and_then(|it| it.disk_free_bytes)),
            label(screen, peer.agent_version.as_deref()),
            label(screen, Some(&peer.addresses.join(" "))),
            reason(screen, peer),
            peer.rtt.map_or_else(Cell::unknown, |it| it.estimated.to_string().into()),
            peer.since.map_or_else(Cell::unknown, |it| it.to_string().into()),
        ]);
    }
    table
}

fn facts_of(screen: &Screen, peer: &Peer) -> Vec<(&'static str, Cell)> {
    let beat = peer.heartbeat.as_ref();
    let since = troubled_for(screen, peer)
        .map_or_else(String::new, |since| format!(", losses reported {since} ago"));
    let availability = match peer.sleep_grace_seconds {
        Some(grace) => format!("may sleep for {}", span_of_seconds(grace.into())),
        None => "expected to be up always".to_owned(),
    };
    let lapses = match span(peer.certificate_lapses_at.since(screen.now)) {
        left if peer.certificate_lapses_at > screen.now => format!("lapses in {left}"),
        _ => "has lapsed".to_owned(),
    };
    let [region, zone, tier] = [&peer.region, &peer.zone, &peer.tier]
        .map(|it| it.as_deref().map_or_else(|| "-".to_owned(), |it| clean(screen, it)));
    let me = if peer.is_self { " (the peer that was asked)" } else { "" };
    vec![
        ("name", label(screen, peer.name.as_deref())),
        ("id", format!("{}{me}", peer.id).into()),
        ("state", state_cell(screen, peer)),
        ("why", format!("{}{since}", peer.reason.sentence()).into()),
        ("reachable", yes_no(peer.reachable)),
        ("connected", yes_no(peer.connected)),
        ("round trip", round_trip(peer.rtt)),
        ("clock", peer.clock_ahead_seconds.map_or_else(Cell::unknown, |it| clock(it).into())),
        ("place", format!("region {region}, zone {zone}, tier {tier}").into()),
        ("addresses", label(screen, Some(&peer.addresses.join(" ")))),
        ("availability", availability.into()),
        ("certificate", format!("{lapses} ({})", peer.certificate_lapses_at).into()),
        ("agent", label(screen, peer.agent_version.as_deref())),
        ("heartbeat", beat.map_or_else(Cell::unknown, |it| heartbeat(it).into())),
        ("host", beat.map_or_else(Cell::unknown, |it| host(it).into())),
    ]
}

/// A clock against that of the peer that was asked.
fn clock(ahead_seconds: f64) -> String {
    format!("{} the clock of the peer that was asked", offset(ahead_seconds))
}

fn heartbeat(beat: &Heartbeat) -> String {
    format!("{} old; its agent had been up for {}", span_of_seconds(beat.age_seconds), uptime(beat))
}

fn host(beat: &Heartbeat) -> String {
    let part = |name: &str, value: Option<String>| {
        format!("{name} {}", value.unwrap_or_else(|| "unknown".to_owned()))
    };
    let disk = beat.disk_free_bytes.zip(beat.disk_total_bytes);
    [
        part("cpu", beat.cpu_percent.map(|it| format!("{it:.1} %"))),
        part("memory", beat.memory_percent.map(|it| format!("{it:.1} %"))),
        part("disk free", disk.map(|(free, all)| format!("{} of {}", size(free), size(all)))),
        part("load", beat.load_average.map(|it| format!("{it:.2}"))),
    ]
    .join(", ")
}

fn round_trip(rtt: Option<Rtt>) -> Cell {
    match rtt {
        Some(it) if it.estimated => {
            format!("~{} ms, estimated from coordinates", millis(it.micros)).into()
        }
        Some(it) => format!("{} ms", millis(it.micros)).into(),
        None => Cell::unknown(),
    }
}

fn rtt(rtt: Option<Rtt>) -> Cell {
    let Some(it) = rtt else { return Cell::unknown().right() };
    let mark = if it.estimated { "~" } else { "" };
    Cell::new(format!("{mark}{}", millis(it.micros))).exact(millis(it.micros)).right()
}

fn reason(screen: &Screen, peer: &Peer) -> Cell {
    let since =
        troubled_for(screen, peer).map_or_else(String::new, |since| format!(" ({since} ago)"));
    let sentence = peer.reason.sentence();
    Cell::painted(Paint::Dim, format!("{sentence}{since}")).exact(sentence)
}

/// How long ago the losses were reported that a peer's state rests on. A peer that is up may have a
/// lossy edge too, but its state does not come from there.
fn troubled_for(screen: &Screen, peer: &Peer) -> Option<String> {
    let since = peer.since.filter(|_| peer.state != State::Up)?;
    Some(span(screen.now.since(since)))
}

fn age(beat: &Heartbeat) -> Cell {
    Cell::new(span_of_seconds(beat.age_seconds)).exact(beat.age_seconds)
}

fn uptime(beat: &Heartbeat) -> String {
    span_of_seconds(beat.uptime_seconds.into())
}

fn label(screen: &Screen, text: Option<&str>) -> Cell {
    match text {
        Some(text) if !text.is_empty() => clean(screen, text).into(),
        _ => Cell::unknown(),
    }
}

fn yes_no(it: bool) -> Cell {
    if it { "yes".into() } else { Cell::painted(Paint::Warn, "no") }
}

fn percent(it: Option<f64>) -> Cell {
    it.map_or_else(Cell::unknown, |it| Cell::new(format!("{it:.0} %")).exact(it)).right()
}

fn bytes(it: Option<u64>) -> Cell {
    it.map_or_else(Cell::unknown, |it| Cell::new(size(it)).exact(it)).right()
}

/// A size in the largest binary unit that leaves at least one whole.
#[allow(clippy::cast_precision_loss)] // Three digits are shown.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 || value >= 100.0 {
        format!("{value:.0} {name}")
    } else {
        format!("{value:.1} {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::{detail, peer_list, screen};

    #[test]
    fn peers_are_listed_with_this_one_first_and_then_the_worst() {
        assert_eq!(
            peers(&screen(), &peer_list()).text(&screen()),
            "seen by alpha (12D3KooWAlphaA), just now, 2/2 neighbours agree, \
             heartbeats: none missing, oldest 12 s\n\n\
             STATE   NAME   ID              RTT MS  ZONE  HEARTBEAT  WHY\n\
             ● up    alpha  12D3KooWAlphaA       -  z1    12 s       \
             this is the peer that was asked\n\
             ✖ down  gamma  12D3KooWGammaG       -  -     -          \
             at least 3 of its observers, and more than half of those able to see it, \
             lost it (30 s ago)\n\
             ● up    beta   12D3KooWBetaBB    0.41  z1    12 s       its observers hear it\n"
        );
    }

    #[test]
    fn one_peer_is_shown_with_what_it_sees_and_who_sees_it() {
        let text = peer(&screen(), &detail()).text(&screen());
        for part in [
            "round trip    0.41 ms\n",
            "place         region -, zone z1, tier -\n",
            "host          cpu 1.5 %, memory unknown, disk free unknown, load unknown\n",
            "\nwatched by\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn a_plain_locale_gets_plain_characters() {
        let plain = Screen { unicode: false, ..screen() };
        let text = peers(&plain, &peer_list()).text(&plain);
        assert!(text.is_ascii() && text.contains("x down"));
    }

    #[test]
    fn sizes_are_in_binary_units() {
        assert_eq!([size(512), size(1_536), size(3 << 40)], ["512 B", "1.5 KiB", "3.0 TiB"]);
    }
}
