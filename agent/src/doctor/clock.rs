//! Whether the host's clock agrees with the mesh and with the world.

use std::path::Path;

use super::agent::Asked;
use super::{DoctorArea, ok, unknown, warn};
use crate::api::schema::{DoctorCheck, Status};
use crate::render::text::offset;

const AREA: DoctorArea = DoctorArea::Clock;
/// systemd's time service makes this file once it has set the clock.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";
/// What is compared with the mesh.
const MESH: &str = "against the mesh";
/// The finding about clocks.
const CODE: &str = "CLOCK_SKEW";

pub(super) fn checks(asked: &Asked) -> Vec<DoctorCheck> {
    vec![against_mesh(asked), against_world(Path::new(SYNCHRONIZED))]
}

fn against_mesh(asked: &Asked) -> DoctorCheck {
    asked.status.as_ref().map_or_else(
        || unknown(AREA, MESH, "no agent answers that could compare").fixed_by("plexmesh run"),
        |status| judge(&status.body.item),
    )
}

/// What the agent measured of its own clock, and what it finds of others.
pub(super) fn judge(status: &Status) -> DoctorCheck {
    let measured = status.own_clock.map(|own| {
        let offset = offset(own.ahead_seconds);
        format!("the clock here is {offset} the median of {} neighbours", own.neighbours)
    });
    if let Some(finding) = status.findings.iter().find(|it| it.code == CODE) {
        let whose =
            finding.peer.as_ref().map_or("a peer", |it| it.name.as_deref().unwrap_or(&it.id));
        let measured = measured.map_or_else(String::new, |it| format!("; {it}"));
        let found = format!("{whose}: {}{measured}", finding.evidence);
        return warn(AREA, MESH, found).fixed_by("timedatectl status");
    }
    match (measured, status.reachable) {
        (Some(measured), _) => ok(AREA, MESH, measured),
        (None, 0 | 1) => unknown(AREA, MESH, "no other peer is in reach to compare with"),
        (None, _) => unknown(AREA, MESH, "no neighbour was compared yet; ask again in a minute"),
    }
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
