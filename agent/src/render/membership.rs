//! Who is let in, who is put out, and the certificate that says so.

use super::header::header;
use super::page::{Line, Page};
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::{Names, clean};
use crate::api::schema::{
    Invite, Joined, Keys, MadeToken, Many, One, OwnCertificate, Revocation, Signer,
};

/// A token that was made, and what to do with it.
#[must_use]
pub fn token(screen: &Screen, document: &One<MadeToken>) -> Page {
    let made = &document.body.item;
    let peers = if made.uses == 1 { "1 peer".to_owned() } else { format!("{} peers", made.uses) };
    let whom = made.for_peer.as_deref().map_or(peers, |peer| clean(screen, peer));
    let mut page = Page::new("invite");
    page.line(made.token.as_str());
    page.gap();
    page.line(format!(
        "lets {whom} in until {}; whoever has it can join, so keep it as a password",
        made.expires_at
    ));
    page.line(Line::from("next, on the new peer: ").code("plexmesh join -"));
    let mut table = Table::facts();
    table.row(["token".into(), made.token.as_str().into()]);
    table.row(["id".into(), made.id.as_str().into()]);
    table.row(["uses".into(), made.uses.to_string().into()]);
    table.row(["for peer".into(), made.for_peer.as_deref().unwrap_or_default().into()]);
    table.row(["expires".into(), made.expires_at.to_string().into()]);
    for address in &made.addresses {
        table.row(["address".into(), address.as_str().into()]);
    }
    page.data(table);
    page
}

/// All tokens that the mesh knows.
#[must_use]
pub fn invites(screen: &Screen, document: &Many<Invite>) -> Page {
    let items = &document.body.items;
    let peers =
        items.iter().flat_map(|it| it.peers.iter().chain(&it.for_peer).chain([&it.made_by]));
    let names = Names::of(screen, peers);
    let mut page = Page::new("invite list");
    page.line(header(screen, &document.stamp));
    page.gap();
    if items.is_empty() {
        page.line("no token is known that could still be used, or that let in anybody");
    }
    let head = ["TOKEN", "USED", "UNTIL", "FOR", "MADE BY", "NOTE", "LET IN"];
    let mut table = Table::new(head);
    for item in items {
        let open = item.used < item.uses && screen.now < item.expires_at;
        let paint = if open { Paint::Good } else { Paint::Dim };
        let used = match item.barred {
            0 => format!("{}/{}", item.used, item.uses),
            barred => format!("{}/{}, {barred} barred", item.used, item.uses),
        };
        let for_peer =
            item.for_peer.as_ref().map_or_else(|| "anybody".into(), |it| names.cell(&it.id));
        let let_in: Vec<String> = item.peers.iter().map(|peer| names.label(&peer.id)).collect();
        table.row([
            item.id.as_str().into(),
            Cell::painted(paint, used),
            item.expires_at.to_string().into(),
            for_peer,
            names.cell(&item.made_by.id),
            clean(screen, item.note.as_deref().unwrap_or_default()).into(),
            let_in.join(", ").into(),
        ]);
    }
    page.table(table);
    page
}

/// Peers that were put out, and who knows.
#[must_use]
pub fn revocations(screen: &Screen, document: &Many<Revocation>) -> Page {
    let items = &document.body.items;
    let peers = items.iter().flat_map(|it| it.waiting_for.iter().chain([&it.peer, &it.by]));
    let names = Names::of(screen, peers);
    let mut page = Page::new("revoke");
    page.line(header(screen, &document.stamp));
    page.gap();
    if items.is_empty() {
        page.line("nobody was put out");
    }
    let mut table = Table::new(["PEER", "CAUSE", "AT", "BY", "KNOWN TO", "WAITING FOR", "REASON"]);
    for item in items {
        let known = format!("{}/{}", item.acknowledged, item.members_up);
        let paint = if item.acknowledged == item.members_up { Paint::Good } else { Paint::Warn };
        let waiting: Vec<String> =
            item.waiting_for.iter().map(|peer| names.label(&peer.id)).collect();
        table.row([
            names.cell(&item.peer.id),
            item.cause.word().into(),
            item.at.to_string().into(),
            names.cell(&item.by.id),
            Cell::painted(paint, known),
            waiting.join(", ").into(),
            clean(screen, item.reason.as_deref().unwrap_or_default()).into(),
        ]);
    }
    page.table(table);
    page
}

/// Who holds which epoch of the mesh's secret.
#[must_use]
pub fn keys(screen: &Screen, document: &One<Keys>) -> Page {
    let keys = &document.body.item;
    let names = Names::of(screen, keys.peers.iter().map(|it| &it.peer));
    let epoch = |epoch: Option<u32>| epoch.map_or_else(|| "none".to_owned(), |it| it.to_string());
    let mut page = Page::new("keys");
    page.line(format!(
        "{} of {} peers that are up hold the mesh's secret of epoch {}",
        keys.up_to_date,
        keys.members_up,
        epoch(keys.latest_epoch)
    ));
    page.line(header(screen, &document.stamp));
    page.gap();
    let mut table = Table::new(["PEER", "EPOCH", "UP"]);
    for item in &keys.peers {
        let cell = match item.epoch {
            None => Cell::unknown(),
            same if same == keys.latest_epoch => Cell::painted(Paint::Good, epoch(same)),
            other => Cell::painted(Paint::Warn, epoch(other)),
        };
        let up = if item.up { "yes" } else { "no" };
        table.row([names.cell(&item.peer.id), cell.right(), up.into()]);
    }
    page.table(table);
    page
}

/// A peer that joined.
#[must_use]
pub fn joined(_: &Screen, document: &One<Joined>) -> Page {
    let joined = &document.body.item;
    let facts = [
        ("mesh", joined.mesh.clone()),
        ("peer", joined.peer.clone()),
        ("data", joined.data_dir.clone()),
        ("enroller", joined.enroller.clone()),
        ("certificate until", joined.certificate_lapses_at.to_string()),
        ("clock of the enroller", ahead(joined.clock_offset_seconds)),
    ];
    let mut table = Table::facts();
    for (name, value) in &facts {
        table.row([(*name).into(), value.as_str().into()]);
    }
    let lines = facts.iter().map(|(name, value)| format!("  {name:21}  {value}").into()).collect();
    let mut page = Page::new("join");
    page.line("this peer is a member now");
    page.drawn(lines, table);
    page.gap();
    page.line(Line::from("next: ").code(format!("plexmesh run --data-dir {}", joined.data_dir)));
    page
}

fn ahead(seconds: f64) -> String {
    let word = if seconds < 0.0 { "behind" } else { "ahead" };
    format!("{:.1} s {word}", seconds.abs())
}

/// This peer's certificate.
#[must_use]
pub fn certificate(screen: &Screen, document: &One<OwnCertificate>) -> Page {
    let own = &document.body.item;
    let signer = match own.signed_by {
        Signer::Authority => "an authority",
        Signer::Enroller => "an enroller",
    };
    let facts = [
        ("peer", own.peer.clone()),
        ("roles", own.roles.join(", ")),
        ("signed by", signer.to_owned()),
        ("renew from", own.renewal_at.to_string()),
        ("lapses", own.certificate_lapses_at.to_string()),
    ];
    let mut table = Table::facts();
    for (name, value) in &facts {
        table.row([(*name).into(), value.as_str().into()]);
    }
    let lines = facts.iter().map(|(name, value)| format!("  {name:10}  {value}").into()).collect();
    let mut page = Page::new("certificate");
    page.line(header(screen, &document.stamp));
    page.gap();
    page.drawn(lines, table);
    page
}
