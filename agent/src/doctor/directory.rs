//! The data directory: there, private, writable, with room.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{DoctorArea, Host, check, crit, ok, quoted, unknown, warn};
use crate::api::problem::Problem;
use crate::api::schema::{DoctorCheck, Health};
use crate::host::room::FULL_BYTES;
use crate::mesh::moved;

const AREA: DoctorArea = DoctorArea::DataDirectory;
const MIB: u64 = 1024 * 1024;
/// Room that an agent does well with, in bytes: store, inventory and logs take less in a year.
const ENOUGH_BYTES: u64 = 256 * MIB;
/// On a small disk a part of it is enough, in percent.
const ENOUGH_PERCENT: u64 = 5;
/// What the owner of a directory needs to use it.
const OWNER: u32 = 0o700;
const OTHERS_WRITE: u32 = 0o022;
const OTHERS: u32 = 0o077;

pub(super) fn checks(host: &Host) -> Vec<DoctorCheck> {
    let dir = &host.data_dir;
    let what = dir.display().to_string();
    match std::fs::metadata(dir) {
        Ok(metadata) if !metadata.is_dir() => {
            vec![crit(AREA, what, "it is no directory").fixed_by(format!("ls -ld {}", quoted(dir)))]
        }
        Ok(metadata) => {
            let mut checks = vec![
                owner(host, &metadata),
                mode(dir, metadata.mode() & 0o7777),
                writable(host, &metadata),
            ];
            checks.extend(room(dir));
            checks.extend(moved(dir));
            checks
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let found = "it does not exist; `plexmesh run` makes it, and a mesh of one in it";
            vec![
                warn(AREA, what, found)
                    .fixed_by(format!("plexmesh init --data-dir {}", quoted(dir))),
            ]
        }
        Err(error) => {
            let found = format!("it cannot be looked at: {error}");
            vec![unknown(AREA, what, found).fixed_by("sudo plexmesh doctor")]
        }
    }
}

fn owner(host: &Host, metadata: &Metadata) -> DoctorCheck {
    let (owner, user) = (metadata.uid(), host.agent_uid);
    if owner == user {
        return ok(AREA, "owner", format!("user {owner}, whom the agent runs as"));
    }
    let found = format!("user {owner}, but the agent runs as user {user}");
    // Root may use what others own; what it leaves there, the owner may not.
    let status = if user == 0 { Health::Warn } else { Health::Crit };
    check(AREA, "owner", status, found)
        .fixed_by(format!("sudo chown -R {user} {}", quoted(&host.data_dir)))
}

fn mode(dir: &Path, mode: u32) -> DoctorCheck {
    let fix = format!("chmod 700 {}", quoted(dir));
    let text = format!("{mode:04o}");
    if mode & OWNER != OWNER {
        return crit(AREA, "mode", format!("{text}: not even the owner may use it")).fixed_by(fix);
    }
    if mode & OTHERS_WRITE != 0 {
        let found = format!("{text}: others may write, and so replace the identity");
        return crit(AREA, "mode", found).fixed_by(fix);
    }
    if mode & OTHERS != 0 {
        return warn(AREA, "mode", format!("{text}: others may look into it")).fixed_by(fix);
    }
    ok(AREA, "mode", text)
}

/// Makes a file and removes it, if that shows what the agent can do.
fn writable(host: &Host, metadata: &Metadata) -> DoctorCheck {
    let dir = &host.data_dir;
    if !host.is_agents_view() {
        // Root may write anywhere but to a disk that is read-only, and the mode tells the rest.
        let allowed = metadata.uid() == host.agent_uid && metadata.mode() & OWNER == OWNER;
        return if allowed {
            ok(AREA, "writable", "by its mode; this user is not the agent's and did not try")
        } else {
            unknown(AREA, "writable", "this user is not the agent's and cannot try")
                .fixed_by("sudo plexmesh doctor")
        };
    }
    match tempfile::Builder::new().prefix(".doctor-").tempfile_in(dir) {
        Ok(_) => ok(AREA, "writable", "a file could be made"),
        Err(error) => {
            let fix = match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem => format!("findmnt -T {}", quoted(dir)),
                io::ErrorKind::StorageFull => format!("df -h {}", quoted(dir)),
                _ => format!("ls -ld {}", quoted(dir)),
            };
            crit(AREA, "writable", format!("no file can be made: {error}")).fixed_by(fix)
        }
    }
}

fn room(dir: &Path) -> Vec<DoctorCheck> {
    let stat = match rustix::fs::statvfs(dir) {
        Ok(stat) => stat,
        Err(error) => return vec![unknown(AREA, "free space", error.to_string())],
    };
    let (free, total) =
        (stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize));
    let mut checks = vec![space(dir, free, total)];
    // File systems that make inodes as they need them say 0 of both.
    if stat.f_files > 0 && stat.f_favail == 0 {
        let fix = format!("df -i {}", quoted(dir));
        checks.push(crit(AREA, "free inodes", "none is left").fixed_by(fix));
    }
    checks
}

/// What is to be told of a directory whose peer was moved away: no agent starts there.
fn moved(dir: &Path) -> Option<DoctorCheck> {
    let moved = moved::refuse(dir).err()?;
    let fix = format!("rm {}", quoted(moved.mark()));
    let problem = Problem::from(moved);
    let cause = problem.likely_cause.unwrap_or_default();
    Some(crit(AREA, "moved", format!("{}; {cause}", problem.message)).fixed_by(fix))
}

pub(super) fn space(dir: &Path, free: u64, total: u64) -> DoctorCheck {
    let percent = free.saturating_mul(100).checked_div(total).unwrap_or(0);
    let found = format!("{} MiB, {percent} %", free / MIB);
    let fix = format!("df -h {}", quoted(dir));
    if free < FULL_BYTES {
        return crit(AREA, "free space", format!("{found}: the disk is full")).fixed_by(fix);
    }
    if free < ENOUGH_BYTES && percent < ENOUGH_PERCENT {
        let needed = format!("{} MiB or {ENOUGH_PERCENT} % are to be free", ENOUGH_BYTES / MIB);
        return warn(AREA, "free space", format!("{found}; {needed}")).fixed_by(fix);
    }
    ok(AREA, "free space", found)
}
