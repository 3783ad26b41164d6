//! How the rest of the agent asks the driver: a closure that runs between two protocol steps and sees one consistent moment.

use std::collections::BTreeMap;
use std::time::Duration;

use plexmesh_net::NetStats;
use plexmesh_proto::{Node, types::Now};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::certificate::Denial;
use crate::events::{EventEntry, EventLog};
use crate::host::room::Trouble;
use crate::identity::NodeKeys;
use crate::store::AgentStore;

/// The node as the agent runs it.
pub type AgentNode = Node<NodeKeys, AgentStore>;

/// Queries that wait for the driver; one more is refused as "agent busy". A driver step takes microseconds, so a full queue means a stuck agent.
pub const QUERY_QUEUE: usize = 256;
/// How long a query waits for the driver.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// One consistent moment of the agent.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// The protocol node.
    pub node: &'a AgentNode,
    /// What the clocks show.
    pub now: Now,
    /// Unix milliseconds at which this agent started.
    pub started_ms: u64,
    /// Transport figures, at most a second old.
    pub net: &'a NetStats,
    /// Messages that did not decode, by kind of message and reason.
    pub malformed: &'a BTreeMap<&'static str, u64>,
    /// The latest events, oldest first.
    pub events: &'a EventLog,
    /// Addresses this agent listens on.
    pub listening: &'a [String],
    /// What an enroller says if nobody lets this peer in.
    pub denial: Option<Denial>,
    /// What is wrong with its data directory.
    pub troubles: &'a [Trouble],
}

/// The driver did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The driver has stopped.
    #[error("the agent is stopping")]
    Stopped,
    /// Too many queries wait, or the driver took too long.
    #[error("the agent is too busy to answer; see its log for late timers")]
    Busy,
}

/// What a query does with the moment that it is given.
pub type ReadJob = Box<dyn FnOnce(&Snapshot<'_>) + Send>;

/// What a change does with the node: one thing that the operator wants of the protocol.
pub type ChangeJob = Box<dyn FnOnce(&mut AgentNode, Now) + Send>;

/// What can be asked of the driver.
pub enum Query {
    /// Read.
    Read(ReadJob),
    /// Change something; the driver carries out what the node then wants.
    Change(ChangeJob),
    /// Publish a `Leave` and stop.
    Leave {
        /// Shown to others.
        reason: String,
        /// Answered when the leave is on its way.
        done: oneshot::Sender<()>,
    },
}

/// A handle to the driver; cheap to clone.
#[derive(Clone, Debug)]
pub struct DriverHandle {
    queries: mpsc::Sender<Query>,
    events: broadcast::Sender<EventEntry>,
}

impl DriverHandle {
    /// A handle over the driver's channels.
    #[must_use]
    pub const fn new(queries: mpsc::Sender<Query>, events: broadcast::Sender<EventEntry>) -> Self {
        Self { queries, events }
    }

    /// Runs `read` on one consistent moment and gives what it returns.
    ///
    /// # Errors
    /// [`QueryError`] if the driver is gone or does not come round to it.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot<'_>) -> T + Send + 'static,
    ) -> Result<T, QueryError> {
        let (done, answer) = oneshot::channel();
        let job: ReadJob = Box::new(move |moment| {
            // A caller that went away needs no answer.
            let _ = done.send(read(moment));
        });
        self.send(Query::Read(job))?;
        self.wait(answer).await
    }

    /// Has `change` change something between two protocol steps and gives what it returns. What the
    /// node wants done then is done before anything else.
    ///
    /// # Errors
    /// [`QueryError`] if the driver is gone or does not come round to it; a change that timed out may
    /// still be made.
    pub async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut AgentNode, Now) -> T + Send + 'static,
    ) -> Result<T, QueryError> {
        let (done, answer) = oneshot::channel();
        let job: ChangeJob = Box::new(move |node, now| {
            // A caller that went away needs no answer.
            let _ = done.send(change(node, now));
        });
        self.send(Query::Change(job))?;
        self.wait(answer).await
    }

    /// Takes this peer out of the mesh.
    ///
    /// # Errors
    /// [`QueryError`] if the driver is gone or does not come round to it.
    pub async fn leave(&self, reason: String) -> Result<(), QueryError> {
        let (done, answer) = oneshot::channel();
        self.send(Query::Leave { reason, done })?;
        self.wait(answer).await
    }

    /// Events from now on. A receiver that is too slow is told how many it missed.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<EventEntry> {
        self.events.subscribe()
    }

    fn send(&self, query: Query) -> Result<(), QueryError> {
        self.queries.try_send(query).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => QueryError::Busy,
            mpsc::error::TrySendError::Closed(_) => QueryError::Stopped,
        })
    }

    async fn wait<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, QueryError> {
        match tokio::time::timeout(QUERY_TIMEOUT, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(QueryError::Stopped),
            Err(_) => Err(QueryError::Busy),
        }
    }
}
