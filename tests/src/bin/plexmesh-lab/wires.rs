//! The cables of the switch: one TUN device for each host, a thread that reads it, and one thread that hands over what is due.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use plexmesh_proto::types::Time;
use plexmesh_simulator::report::Traffic;
use plexmesh_simulator::script::Deed;
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::namespaces::{Namespaces, ip, ip_batch};
use crate::switch::{Counts, Switch, address};

/// MTU of the devices: Ethernet's, as most paths of the Internet have it.
const MTU: u16 = 1_500;
/// Longest sleep of the thread that hands packets over: it then looks whether the lab is over.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// A switch with its cables.
#[derive(Debug)]
pub(crate) struct Wires {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    switch: Mutex<Switch>,
    /// Something is due earlier than the thread sleeps.
    earlier: Condvar,
    began: Instant,
    over: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Switch> {
        // A thread that panicked left a switch that is whole: every method ends what it begins.
        self.switch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        Time(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

impl Wires {
    /// Lays a cable to each of so many hosts. Time counts from `began`. Gives the namespaces.
    pub(crate) fn lay(
        switch: Switch,
        hosts: usize,
        namespaces: &mut Namespaces,
        began: Instant,
    ) -> anyhow::Result<(Self, Vec<String>)> {
        let (switch, over) = (Mutex::new(switch), AtomicBool::new(false));
        let shared = Arc::new(Shared { switch, earlier: Condvar::new(), began, over });
        let (mut names, mut devices) = (Vec::new(), Vec::new());
        for host in 0..hosts {
            let namespace = namespaces.add(host)?;
            devices.push(Arc::new(cable(host, &namespace)?));
            names.push(namespace);
        }
        for (host, device) in devices.iter().enumerate() {
            let (shared, device) = (shared.clone(), device.clone());
            spawn(format!("from {host}"), move || read(&shared, host, &device))?;
        }
        let hands = shared.clone();
        spawn("deliver".to_owned(), move || deliver(&hands, &devices))?;
        Ok((Self { shared }, names))
    }

    pub(crate) fn set_off(&self, host: usize, off: bool) {
        self.shared.lock().set_off(host, off);
    }

    pub(crate) fn act(&self, deed: &Deed) {
        let mut switch = self.shared.lock();
        switch.act(self.shared.now(), deed);
    }

    pub(crate) fn heal(&self) -> bool {
        let mut switch = self.shared.lock();
        switch.heal(self.shared.now())
    }

    pub(crate) fn reset_traffic(&self) {
        let mut switch = self.shared.lock();
        switch.reset_traffic(self.shared.now());
    }

    pub(crate) fn traffic(&self) -> (Traffic, Counts, BTreeMap<usize, u64>) {
        let switch = self.shared.lock();
        switch.traffic(self.shared.now())
    }

    /// Since when both ways between two hosts are open; `None` while they are not.
    pub(crate) fn joined_since(&self, a: usize, b: usize) -> Option<Time> {
        self.shared.lock().paths().joined_since(a, b)
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        // Readers end when their devices go with the namespaces, or with the process.
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    thread::Builder::new().name(name).spawn(work).context("cannot start a thread")?;
    Ok(())
}

/// The device of a host, moved into its namespace. Its descriptor stays here.
fn cable(host: usize, namespace: &str) -> anyhow::Result<SyncDevice> {
    // Names of devices have 15 characters at most.
    let name = format!("pl{}-{host}", std::process::id());
    let device = DeviceBuilder::new()
        .name(&name)
        .enable(false)
        .build_sync()
        .with_context(|| format!("cannot make the TUN device {name}"))?;
    ip(&["link", "set", &name, "netns", namespace])?;
    // No IPv6 addresses: the kernel would look for routers with them.
    let commands = format!(
        "link set dev {name} addrgenmode none\nlink set dev {name} mtu {MTU} up\naddr add {}/32 dev {name}\nroute add default dev {name}\n",
        address(host)
    );
    ip_batch(namespace, &commands)?;
    Ok(device)
}

fn read(shared: &Shared, host: usize, device: &SyncDevice) {
    let mut buffer = vec![0; usize::from(MTU)];
    while !shared.over.load(Ordering::Relaxed) {
        let Ok(length) = device.recv(&mut buffer) else { return };
        let mut switch = shared.lock();
        let before = switch.next_due();
        switch.take(shared.now(), host, buffer.get(..length).unwrap_or_default());
        let is_earlier = switch.next_due() != before;
        drop(switch);
        if is_earlier {
            shared.earlier.notify_one();
        }
    }
}

fn deliver(shared: &Shared, devices: &[Arc<SyncDevice>]) {
    let mut switch = shared.lock();
    while !shared.over.load(Ordering::Relaxed) {
        if let Some(packet) = switch.due(shared.now()) {
            drop(switch);
            let taken =
                devices.get(packet.to).is_some_and(|device| device.send(&packet.bytes).is_ok());
            switch = shared.lock();
            if !taken {
                switch.not_taken();
            }
            continue;
        }
        let wait = switch.next_due().map_or(LONGEST_SLEEP, |due| {
            Duration::from_micros(due.since(shared.now())).min(LONGEST_SLEEP)
        });
        let woken = shared.earlier.wait_timeout(switch, wait);
        switch = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
}
