//! `plexmesh doctor`: what is right and wrong with this host and its agent, and how to put it right.
//!
//! Works with and without a running agent, and changes nothing: a file that it makes to see whether
//! that is possible is gone again at once. What cannot be known from here is said to be unknown, with
//! the reason.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::api::schema::{Doctor, DoctorArea, DoctorCheck, Health};
use crate::api::socket::places_here;
use crate::config::{self, Inputs};
use crate::settings::Settings;
use crate::text::quoted;
use crate::time::WallTime;

mod agent;
mod clock;
mod configuration;
mod directory;
mod identity;
mod limits;
mod network;
mod sources;

#[cfg(test)]
mod tests;

use agent::Asked;

/// How long all checks of one kind that wait for something may take together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes all checks. Blocks for file reads in between; a command that does nothing else may.
pub async fn examine(inputs: &Inputs) -> Doctor {
    let loaded = config::load(inputs);
    let mut checks = configuration::checks(&loaded);
    let settings = match Settings::of(&loaded.config) {
        Ok(settings) => settings,
        Err(error) => {
            let found = format!("{error:#}");
            checks.push(
                crit(DoctorArea::DataDirectory, "its place", found)
                    .fixed_by("plexmesh --data-dir /var/lib/plexmesh doctor"),
            );
            return summed_up(checks, None);
        }
    };
    let (socket, data_dir) = loaded.config.socket_or_data_dir();
    let places = places_here(socket, data_dir);
    let (asked, of_agent) = Asked::ask(places, &settings.data_dir).await;
    let host = Host::of(&settings, &asked);
    checks.extend(directory::checks(&host));
    checks.extend(identity::checks(&host));
    checks.extend(of_agent);
    checks.extend(network::checks(&settings, &asked).await);
    checks.extend(clock::checks(&asked));
    checks.extend(sources::checks(&settings, &asked));
    checks.extend(limits::checks(&asked));
    summed_up(checks, asked.answers)
}

/// Where the checks look, and as whom.
struct Host {
    data_dir: PathBuf,
    /// User that the agent runs as, or is to run as.
    agent_uid: u32,
    /// User that the checks are made as.
    uid: u32,
    now: WallTime,
}

impl Host {
    /// The agent's user is whoever answers, else the owner of the data directory, else whoever looks.
    fn of(settings: &Settings, asked: &Asked) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let owner = || std::fs::metadata(&settings.data_dir).ok().map(|it| it.uid());
        Self {
            data_dir: settings.data_dir.clone(),
            agent_uid: asked.uid.or_else(owner).unwrap_or(uid),
            uid,
            now: WallTime::now(),
        }
    }

    /// Whether a check that was made shows what the agent would meet.
    const fn is_agents_view(&self) -> bool {
        self.uid == self.agent_uid
    }
}

fn check(
    area: DoctorArea,
    what: impl Into<String>,
    status: Health,
    found: impl Into<String>,
) -> DoctorCheck {
    DoctorCheck { area, what: what.into(), status, found: found.into(), fix: None }
}

fn ok(area: DoctorArea, what: impl Into<String>, found: impl Into<String>) -> DoctorCheck {
    check(area, what, Health::Ok, found)
}

fn warn(area: DoctorArea, what: impl Into<String>, found: impl Into<String>) -> DoctorCheck {
    check(area, what, Health::Warn, found)
}

fn crit(area: DoctorArea, what: impl Into<String>, found: impl Into<String>) -> DoctorCheck {
    check(area, what, Health::Crit, found)
}

fn unknown(area: DoctorArea, what: impl Into<String>, found: impl Into<String>) -> DoctorCheck {
    check(area, what, Health::Unknown, found)
}

impl DoctorCheck {
    fn fixed_by(mut self, command: impl Into<String>) -> Self {
        self.fix = Some(command.into());
        self
    }
}

fn summed_up(checks: Vec<DoctorCheck>, agent_answers: Option<bool>) -> Doctor {
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let (bad, odd, open) = (count(Health::Crit), count(Health::Warn), count(Health::Unknown));
    let status = match (bad, odd, open) {
        (1.., _, _) => Health::Crit,
        (0, 1.., _) => Health::Warn,
        (0, 0, 1..) => Health::Unknown,
        _ => Health::Ok,
    };
    let summary = format!(
        "{} checks: {bad} critical, {odd} to be looked at, {open} that cannot be made from here",
        checks.len()
    );
    Doctor { status, summary, agent_answers, checks }
}

/// Hands out what is left of [`PATIENCE`].
struct Deadline(Instant);

impl Deadline {
    fn new() -> Self {
        Self(Instant::now() + PATIENCE)
    }

    fn left(&self, most: Duration) -> Duration {
        self.0.saturating_duration_since(Instant::now()).min(most)
    }
}

/// The first few of many, and how many more there are.
fn first_few(texts: impl IntoIterator<Item = String>, most: usize) -> String {
    let mut shown: Vec<String> = texts.into_iter().collect();
    let more = shown.len().saturating_sub(most);
    shown.truncate(most);
    let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{tail}", shown.join("; "))
}
