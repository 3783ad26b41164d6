//! Addresses and ports: whether they can be had, and whether others reach this peer there.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::agent::Asked;
use super::{Deadline, DoctorArea, crit, ok, unknown, warn};
use crate::api::schema::{DoctorCheck, EdgeStatus, Why};
use crate::run::ports::{self, Transport, parse};
use crate::settings::Settings;

const AREA: DoctorArea = DoctorArea::Network;
/// How long a connection to an address of this host may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Addresses that are tried: more than the interfaces of a host.
const MAX_ADDRESSES: usize = 32;

pub(super) async fn checks(settings: &Settings, asked: &Asked) -> Vec<DoctorCheck> {
    match (&asked.status, asked.answers) {
        (Some(status), _) => {
            let mut checks = connections(&status.body.item.listening).await;
            checks.push(reachability(asked.why.as_ref()));
            checks
        }
        (None, Some(false)) => {
            let mut checks: Vec<DoctorCheck> =
                settings.listen.iter().take(MAX_ADDRESSES).map(|it| bindable(it)).collect();
            let found = "no agent runs, so that no other peer can try";
            checks.push(unknown(AREA, "reachability", found).fixed_by("plexmesh run"));
            checks
        }
        (None, _) => {
            let found = "this user may not ask the agent, and must not take its ports";
            vec![unknown(AREA, "ports", found).fixed_by("sudo plexmesh doctor")]
        }
    }
}

/// Takes a port for an instant.
fn bindable(multiaddr: &str) -> DoctorCheck {
    let Some((transport, address)) = parse(multiaddr) else {
        return unknown(AREA, multiaddr, "it has no numeric IP address that could be tried");
    };
    match ports::take(transport, address) {
        Ok(()) => ok(AREA, multiaddr, "it is free, and this user may have it"),
        Err(error) => {
            let (found, fix) = ports::explained(address, &error);
            crit(AREA, multiaddr, found).fixed_by(fix)
        }
    }
}

/// Connects to the agent's own TCP addresses, as a peer on this host would.
async fn connections(listening: &[String]) -> Vec<DoctorCheck> {
    if listening.is_empty() {
        let found = "the agent listens nowhere: others cannot reach it";
        return vec![crit(AREA, "ports", found).fixed_by("plexmesh config show --origin net")];
    }
    let deadline = Deadline::new();
    let mut checks = Vec::new();
    for multiaddr in listening.iter().take(MAX_ADDRESSES) {
        let Some((Transport::Tcp, address)) = parse(multiaddr) else { continue };
        let connected = timeout(deadline.left(CONNECT_TIMEOUT), TcpStream::connect(address)).await;
        let refused = match connected {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        checks.push(match refused {
            None => ok(AREA, multiaddr, "it takes connections from this host"),
            Some(reason) => {
                let found = format!("it takes no connection from this host: {reason}");
                warn(AREA, multiaddr, found).fixed_by("sudo nft list ruleset")
            }
        });
    }
    let quic = listening.iter().filter(|it| matches!(parse(it), Some((Transport::Udp, _)))).count();
    if checks.is_empty() && quic == 0 {
        let found = "the agent listens on no numeric IP address that could be tried";
        checks.push(unknown(AREA, "ports", found));
    }
    checks
}

/// What other peers say. They reach this one over UDP or TCP; which of them is not told.
pub(super) fn reachability(why: Option<&Why>) -> DoctorCheck {
    let what = "reachability";
    let Some(why) = why else {
        return unknown(AREA, what, "the agent does not say what others see of this peer");
    };
    let word = |status| why.observers.iter().filter(|it| it.status == Some(status)).count();
    let (heard, lost) =
        (word(EdgeStatus::Heard), word(EdgeStatus::Lost) + word(EdgeStatus::NoPath));
    let told = why.observers.iter().filter(|it| it.status.is_some()).count();
    match (heard, lost) {
        _ if told == 0 => {
            let found = "no other peer has said yet whether it reaches this one; whether UDP comes \
                through a firewall cannot be tried from here";
            unknown(AREA, what, found).fixed_by("plexmesh topology")
        }
        (_, 0) => ok(AREA, what, format!("{heard} of {told} observers hear this peer")),
        (0, lost) => {
            crit(AREA, what, format!("none of {told} observers hears this peer, {lost} lost it"))
                .fixed_by("plexmesh topology -o wide")
        }
        (heard, lost) => {
            warn(AREA, what, format!("{heard} of {told} observers hear this peer, {lost} do not"))
                .fixed_by("plexmesh topology -o wide")
        }
    }
}
