//! Whether the host's clock agrees with the mesh and with the world.

use std::path::Path;

use super::agent::Asked;
use super::{DoctorArea, ok, unknown, warn};
use crate::api::schema::DoctorCheck;

const AREA: DoctorArea = DoctorArea::Clock;
/// systemd's time service makes this file once it has set the clock.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";
/// The finding about clocks.
const CODE: &str = "CLOCK_SKEW";

pub(super) fn checks(asked: &Asked) -> Vec<DoctorCheck> {
    vec![against_mesh(asked), against_world(Path::new(SYNCHRONIZED))]
}

fn against_mesh(asked: &Asked) -> DoctorCheck {
    let what = "against the mesh";
    let Some(status) = &asked.status else {
        return unknown(AREA, what, "no agent answers that could compare").fixed_by("plexmesh run");
    };
    let status = &status.body.item;
    let Some(finding) = status.findings.iter().find(|it| it.code == CODE) else {
        return match status.reachable {
            0 | 1 => unknown(AREA, what, "no other peer is in reach to compare with"),
            peers => ok(AREA, what, format!("no skew among {peers} peers in reach")),
        };
    };
    let whose = finding.peer.as_ref().map_or("a peer", |it| it.name.as_deref().unwrap_or(&it.id));
    warn(AREA, what, format!("{whose}: {}", finding.evidence)).fixed_by("timedatectl status")
}

pub(super) fn against_world(synchronized: &Path) -> DoctorCheck {
    let what = "time service";
    if synchronized.exists() {
        return ok(AREA, what, "systemd-timesyncd has set the clock");
    }
    let found = "systemd-timesyncd has not set the clock since the host was started; whether \
        another service does cannot be seen from here";
    unknown(AREA, what, found).fixed_by("timedatectl show -p NTPSynchronized")
}
