//! The line that tells people how the agent is.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Supervisor;
use crate::api::answer;
use crate::query::{DriverHandle, QueryError, Snapshot};

/// Between two looks at whether the line has changed: people read it, and each look walks the
/// view.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Tells the supervisor that the agent is ready, once its driver has answered, and from then on in a
/// line how the mesh is, when that changes. Ends with the driver.
///
/// `expects_company`: the agent was told of other peers.
pub(crate) async fn tell(supervisor: Supervisor, driver: DriverHandle, expects_company: bool) {
    if !supervisor.listens() {
        return;
    }
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut settled) = (None, false);
    loop {
        looks.tick().await;
        let look = move |moment: &Snapshot<'_>| {
            let settled = settled || answer::is_settled(moment, expects_company);
            (settled, line(moment, settled))
        };
        match driver.read(look).await {
            Ok((is_settled, line)) => {
                settled = is_settled;
                if told.is_none() {
                    supervisor.ready();
                }
                if told.as_ref() != Some(&line) {
                    supervisor.status(&line);
                    told = Some(line);
                }
            }
            Err(QueryError::Busy) => {}
            Err(QueryError::Stopped) => return,
        }
    }
}

/// Word and figures of `plexmesh status`, and what is worst.
fn line(moment: &Snapshot<'_>, settled: bool) -> String {
    let status = answer::status(moment, settled).body.item;
    let worst = status.findings.first().map(|finding| format!(": {}", finding.code));
    let (word, worst) = (status.status.word(), worst.unwrap_or_default());
    format!("{word} {}{worst}", status.summary)
}
