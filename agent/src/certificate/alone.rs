//! A peer that nobody lets in any more asks an enroller whether it is still a member.
//!
//! Whoever refuses a peer tells it nothing of why, so one that was revoked while it was away sees no
//! more than a cut. What an enroller says is one peer's word: it is shown, and stops nothing.

use plexmesh_proto::admission::request::AdmissionRefusal;
use plexmesh_proto::types::PeerId;
use tokio::sync::watch;

use super::{Address, AskError, FIRST_LOOK, Installer, LOOK_INTERVAL, MAX_ASKED, ask, enroller};
use crate::identity::{NodeKeys, short_id};
use crate::query::{QueryError, Snapshot};

/// Looks that are left out after enrollers were asked: ten minutes' worth. A peer that was put out
/// may be left running for months, and is to cost an enroller nothing.
const REST_LOOKS: u32 = 10;

/// An enroller says that this peer is no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Who says so.
    pub by: PeerId,
    /// What it says.
    pub refusal: AdmissionRefusal,
}

/// Asks as long as nobody lets this peer in, and takes back what was told when somebody does. Ends
/// with the driver.
pub(super) async fn watch(
    installer: &Installer,
    keys: &NodeKeys,
    denied: &watch::Sender<Option<Denial>>,
) {
    let (mut rest, mut wait, mut refusals) = (0, FIRST_LOOK, 0);
    loop {
        tokio::time::sleep(wait).await;
        wait = LOOK_INTERVAL;
        let (now_refused, alone) = match installer.driver.read(look).await {
            Err(QueryError::Stopped) => return,
            Err(QueryError::Busy) => continue,
            Ok(moment) => moment,
        };
        let refused = std::mem::replace(&mut refusals, now_refused) != now_refused;
        let Some(enrollers) = alone else {
            rest = 0;
            denied.send_if_modified(|denial| denial.take().is_some());
            continue;
        };
        if rest > 0 {
            rest -= 1;
        } else if refused {
            rest = REST_LOOKS;
            if let Some(denial) = ask_all(installer, keys, enrollers).await {
                denied.send_replace(Some(denial));
            }
        }
    }
}

/// How often others have refused this peer, and the enrollers that it knows if it is connected with
/// nobody of its mesh.
fn look(moment: &Snapshot<'_>) -> (u64, Option<Vec<Address>>) {
    let (node, me) = (moment.node, moment.node.me());
    let is_alone = node.connected().next().is_none();
    let others = node.roster().members().iter().filter(|member| member.id() != me);
    let enrollers = || others.filter_map(enroller).take(MAX_ASKED).collect();
    (moment.net.refused_by_them, is_alone.then(enrollers))
}

/// The first word that this peer is no member.
async fn ask_all(
    installer: &Installer,
    keys: &NodeKeys,
    enrollers: Vec<Address>,
) -> Option<Denial> {
    for (by, addresses) in enrollers {
        let enroller = short_id(&by);
        match ask(keys, by, addresses).await {
            Err(AskError::Refused(
                refusal @ (AdmissionRefusal::Barred | AdmissionRefusal::NotMember),
            )) => {
                tracing::warn!(enroller, %refusal, "nobody lets this peer in, and an enroller says why");
                return Some(Denial { by, refusal });
            }
            Err(reason) => {
                tracing::info!(enroller, %reason, "nobody lets this peer in; an enroller was asked");
            }
            // It is a member still, and those that refused it may know no more than its old one.
            Ok(certificate) => {
                if let Err(error) = installer.install(certificate).await {
                    tracing::warn!(%error, "a renewed certificate was not taken over");
                }
                return None;
            }
        }
    }
    None
}
