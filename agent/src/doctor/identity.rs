//! Whether key, certificate and mesh can be used, and for how long.

use std::time::Duration;

use plexmesh_net::peer_id_text;
use plexmesh_proto::record::CertificateError;

use super::{DoctorArea, Host, crit, ok, quoted, unknown, warn};
use crate::api::schema::DoctorCheck;
use crate::mesh::files::FileError;
use crate::mesh::{self, CERTIFICATE_LIFETIME_S, Membership, MeshError};
use crate::time::{WallTime, span};

const AREA: DoctorArea = DoctorArea::Identity;
/// Time left at which a certificate is to be renewed: a third of its life.
const RENEWAL_S: u64 = CERTIFICATE_LIFETIME_S / 3;

pub(super) fn checks(host: &Host) -> Vec<DoctorCheck> {
    let dir = &host.data_dir;
    match mesh::load(dir, host.now.ms() / 1_000) {
        Ok(Some(membership)) => vec![key(&membership), certificate(&membership, host.now)],
        Ok(None) => {
            let fix = format!("plexmesh init --data-dir {}", quoted(dir));
            vec![warn(AREA, "mesh", "the data directory holds no mesh yet").fixed_by(fix)]
        }
        Err(error) => vec![failed(host, &error)],
    }
}

fn key(membership: &Membership) -> DoctorCheck {
    let peer = peer_id_text(&membership.keys.peer().0);
    ok(AREA, "identity.key", format!("peer {peer}; key and certificate match"))
}

fn certificate(membership: &Membership, now: WallTime) -> DoctorCheck {
    let lapses = WallTime::from_s(membership.authorities.lapses_s(&membership.certificate));
    let left = lapses.since(now);
    let found = format!("until {lapses}, {} left", span(left));
    if left < Duration::from_secs(RENEWAL_S) {
        let found = format!("{found}: an enroller of the mesh is to issue a new one");
        return warn(AREA, "certificate", found);
    }
    ok(AREA, "certificate", found)
}

fn failed(host: &Host, error: &MeshError) -> DoctorCheck {
    let reason = format!("{:#}", anyhow::format_err!("{error}"));
    match error {
        MeshError::Certificate { source: CertificateError::Lapsed, .. } => {
            let found = "it has lapsed: others do not let this peer in until an enroller of the \
                mesh issues a new one; or the clock of this host is wrong";
            crit(AREA, "certificate", found).fixed_by("date -u")
        }
        MeshError::Certificate { .. } => crit(AREA, "certificate", reason),
        MeshError::File(FileError::Exposed { path, .. }) => {
            crit(AREA, path.display().to_string(), reason)
                .fixed_by(format!("chmod 600 {}", quoted(path)))
        }
        MeshError::File(FileError::Read { path, source }) => {
            let (what, found) = (path.display().to_string(), format!("cannot be read: {source}"));
            let denied = source.kind() == std::io::ErrorKind::PermissionDenied;
            if denied && !host.is_agents_view() {
                return unknown(AREA, what, found).fixed_by("sudo plexmesh doctor");
            }
            crit(AREA, what, found).fixed_by(format!("ls -l {}", quoted(&host.data_dir)))
        }
        _ => crit(AREA, "mesh", reason).fixed_by(format!("ls -l {}", quoted(&host.data_dir))),
    }
}
