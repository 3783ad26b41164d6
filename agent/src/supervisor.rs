//! Tells whoever supervises this process how it is: systemd, and what else speaks the protocol of
//! `sd_notify(3)`. Where nobody asks, nothing is said.
//!
//! Every message is one datagram that is sent without waiting. A supervisor that hangs must not
//! hold up the driver, which is why a message that does not go out at once is lost.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;

mod status;

pub(crate) use status::tell;

/// Where the supervisor listens.
pub(crate) const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";
/// Within how many microseconds it wants a sign of life again.
const WATCHDOG_VARIABLE: &str = "WATCHDOG_USEC";
/// Whose sign of life it wants; not set if that of the process that it started.
const WATCHDOG_PID_VARIABLE: &str = "WATCHDOG_PID";
/// Signs of life in the time within which one is wanted: one may be late or lost.
const FEEDS_A_DEADLINE: u32 = 2;
/// Longest status line, in characters: what fits into a line of `systemctl status`.
const MAX_STATUS_CHARS: usize = 200;

/// The supervisor of this process; cheap to clone. By default there is none.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    socket: Option<Arc<UnixDatagram>>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The supervisor that this process's environment names. One that cannot be reached is a
    /// warning: the agent is of use without it.
    #[must_use]
    pub fn of_environment() -> Self {
        Self::named(|variable| std::env::var_os(variable))
    }

    fn named(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let Some(name) = variable(SOCKET_VARIABLE).filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let socket = connect(&name).inspect_err(|error| {
            tracing::warn!(socket = %name.display(), %error, "the supervisor cannot be told anything");
        });
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let of_us = match variable(WATCHDOG_PID_VARIABLE) {
            Some(_) => number(WATCHDOG_PID_VARIABLE) == Some(std::process::id().into()),
            None => true,
        };
        let watchdog = number(WATCHDOG_VARIABLE).filter(|micros| of_us && *micros > 0);
        Self { socket: socket.ok().map(Arc::new), watchdog: watchdog.map(Duration::from_micros) }
    }

    /// Whether anybody listens.
    #[must_use]
    pub const fn listens(&self) -> bool {
        self.socket.is_some()
    }

    /// The agent does its work: its socket answers, its driver runs.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// How the agent is, in one line for people.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", one_line(text)));
    }

    /// The configuration is being read again; [`Self::ready`] ends that.
    pub fn reloading(&self) {
        // The supervisor tells by the time which of its requests this answers.
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::awake_micros()));
    }

    /// The agent begins to end.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// What gives signs of life.
    #[must_use]
    pub fn watchdog(&self) -> Watchdog {
        let every = self.watchdog.filter(|_| self.listens()).map(|it| it / FEEDS_A_DEADLINE);
        Watchdog { supervisor: self.clone(), every, due: Instant::now() }
    }

    fn send(&self, message: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::debug!(%error, message, "the supervisor did not take a message");
        }
    }
}

/// Feeds the supervisor's watchdog. It has no clock and no task of its own: only who calls
/// [`Self::stepped`] feeds, so a driver that is stuck does not.
#[derive(Debug)]
pub struct Watchdog {
    supervisor: Supervisor,
    /// `None` if nobody wants to be fed.
    every: Option<Duration>,
    due: Instant,
}

impl Watchdog {
    /// Nobody wants to be fed.
    #[must_use]
    pub fn none() -> Self {
        Supervisor::default().watchdog()
    }

    /// The driver has done a step. Feeds if half of the watchdog's time has passed.
    pub fn stepped(&mut self, now: Instant) {
        if self.is_due(now) {
            self.supervisor.send("WATCHDOG=1");
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let Some(every) = self.every.filter(|_| self.due <= now) else { return false };
        self.due = now + every;
        true
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address(name)?)?;
    Ok(socket)
}

/// The socket of this name; one that begins with `@` lies in no directory.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;
        if let [b'@', abstract_name @ ..] = name.as_bytes() {
            return SocketAddr::from_abstract_name(abstract_name);
        }
    }
    SocketAddr::from_pathname(name)
}

/// A text that cannot pass for another message: peers choose their names, and a message ends with
/// its line.
fn one_line(text: &str) -> String {
    let letters = text.chars().map(|letter| if letter.is_control() { '?' } else { letter });
    letters.take(MAX_STATUS_CHARS).collect()
}

#[cfg(test)]
mod tests;
