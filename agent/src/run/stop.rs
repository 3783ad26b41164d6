//! What ends an agent from outside.

use std::io::Read;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// A switch that SIGTERM and SIGINT turn on. A second signal, for an end that hangs, kills the
/// process the hard way.
pub(super) fn on_signals() -> anyhow::Result<watch::Sender<bool>> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = watch::Sender::new(false);
    let switch = stop.clone();
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        switch.send_replace(true);
        either(&mut terminate, &mut interrupt).await;
        tracing::warn!("second signal: the agent ends at once");
        std::process::exit(1);
    });
    Ok(stop)
}

/// Turns the switch on when standard input closes, which it does when the parent is gone, however
/// it went.
pub(super) fn with_stdin(stop: watch::Sender<bool>) {
    // A stopped process cannot notice a closed pipe; the kernel can still kill it. Best effort: not
    // every system has that.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    // A thread of its own: tokio's standard input would keep the runtime from ending.
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        let mut stdin = std::io::stdin().lock();
        // Whatever is written is ignored; an error is an end as well.
        while stdin.read(&mut buffer).is_ok_and(|read| read > 0) {}
        stop.send_replace(true);
    });
}

async fn either(first: &mut Signal, second: &mut Signal) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}
