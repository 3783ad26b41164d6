//! One agent, from its flags to its orderly end.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use plexmesh_net::{NetConfig, NetEvent, NetHandle, peer_id_text};
use plexmesh_proto::admission::credential::Credential;
use plexmesh_proto::record::Profile;
use plexmesh_proto::types::{PeerId, Version};
use plexmesh_proto::{Config, Node};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::api::group;
use crate::api::problem::{Code, Problem};
use crate::api::server::Server;
use crate::api::socket;
use crate::audit::AuditLog;
use crate::certificate::{self, Installer};
use crate::cli::args::RunArgs;
use crate::cli::logging::Logging;
use crate::clock;
use crate::config::{self, Inputs};
use crate::driver::{AddressBook, Announcement, Driver, Ended, Parts, Welcome};
use crate::host::resources::{self, Sampler};
use crate::host::room;
use crate::identity::{NodeKeys, short_id};
use crate::mesh::secret::MeshSecrets;
use crate::mesh::{self, Gate, Labels, Membership, MeshAdmission, Seed, format, moved};
use crate::query::{AgentNode, DriverHandle, QUERY_QUEUE};
use crate::scrub::ScrubHandle;
use crate::settings::Settings;
use crate::store::{AgentStore, Loaded, StoreCloser};
use crate::supervisor::{self, Supervisor};
use crate::text::quoted;

mod lock;
pub mod ports;
mod reload;
mod stop;

pub use lock::{DirectoryLock, FILE as LOCK_FILE, LockError};

use reload::Reload;

/// Events that a follower may lag behind before it is told that it missed some.
const EVENT_QUEUE: usize = 1_024;
/// Samples of the host that wait for the driver: one, as a newer one replaces it.
const SAMPLE_QUEUE: usize = 1;
/// How long the transport may take to name its listening addresses. It takes milliseconds; without
/// them the agent starts all the same and announces them later.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(1);
/// After an address was named, the next interface's follows within this time.
const LISTEN_QUIET: Duration = Duration::from_millis(50);

/// Runs an agent until SIGTERM, SIGINT or `plexmesh leave`. SIGHUP has it read its configuration
/// again; `logging` follows that.
///
/// # Errors
/// If it cannot start, with what to do about it; or if its transport failed.
pub async fn run(args: RunArgs, logging: Logging) -> anyhow::Result<()> {
    let hangups = reload::hangups()?;
    let die_with_stdin = args.die_with_stdin;
    let inputs = Inputs::of_run(args);
    let config = config::load(&inputs).sound().map_err(Problem::from)?;
    let settings = Settings { die_with_stdin, ..Settings::of(&config)? };
    logging.set_filter(&settings.log_filter);
    // Before anything is made: an agent that nobody can ask is of no use.
    socket::refuse_long(&settings.socket)?;
    let stop = stop::on_signals()?;
    if settings.die_with_stdin {
        stop::with_stdin(stop.clone());
    }
    let supervisor = Supervisor::of_environment();
    let agent = Agent::start_under(settings, supervisor.clone()).await?;
    let settings = agent.settings.clone();
    let reload = Reload { inputs, config, settings, logging, supervisor };
    let reload = tokio::spawn(reload.run(hangups));
    let mut stopped = stop.subscribe();
    let asked = stopped.wait_for(|stopped| *stopped);
    let ended = agent.run_until(async move { asked.await.map_or((), drop) }).await;
    reload.abort();
    ended
}

/// An agent that has started.
#[derive(Debug)]
pub struct Agent {
    driver: JoinHandle<Ended>,
    stop_driver: watch::Sender<bool>,
    server: JoinHandle<()>,
    stop_server: watch::Sender<bool>,
    sampler: JoinHandle<()>,
    net: NetHandle,
    store: Option<StoreCloser>,
    handle: DriverHandle,
    scrub: ScrubHandle,
    reconfigured: JoinHandle<()>,
    supervisor: Supervisor,
    told: JoinHandle<()>,
    certificate: JoinHandle<()>,
    room: JoinHandle<()>,
    settings: watch::Sender<Arc<Settings>>,
    _lock: DirectoryLock,
}

impl Agent {
    /// Starts an agent. Has to be called inside of a tokio runtime.
    ///
    /// # Errors
    /// If its files, its socket or its addresses cannot be had.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        Self::start_under(settings, Supervisor::default()).await
    }

    /// Starts an agent that tells a supervisor when it is ready, how it is, and that it ends.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_under(settings: Settings, supervisor: Supervisor) -> anyhow::Result<Self> {
        let started_ms = clock::wall_ms();
        // Before anything is made.
        settings.socket_group.as_deref().map(group::find).transpose()?;
        let (lock, membership) = take_directory(&settings)?;
        let (store, loaded) = open_store(&settings.data_dir, &membership).await?;
        let closer = store.closer();
        let gate = Gate::new(membership.authorities.clone());
        let (net, net_events, early_events, listening) =
            open_net(&settings, &membership, gate.clone()).await?;

        let (query_sender, queries) = mpsc::channel(QUERY_QUEUE);
        let (events, _) = broadcast::channel(EVENT_QUEUE);
        let (sample_sender, samples) = mpsc::channel(SAMPLE_QUEUE);
        let handle = DriverHandle::new(query_sender, events.clone());
        let announcement = announcement(&settings, &membership.labels, listening);
        let seeds = [settings.seeds.clone(), membership.seeds.clone()].concat();
        let secret = inventory_secret(&membership.keys);
        let keys = membership.keys.clone();
        let welcome = welcome(&membership, &settings.data_dir);
        let installer = Installer::new(handle.clone(), net.clone(), settings.data_dir.clone());
        let node = node(membership, store, announcement.profile(), &seeds, loaded.last_version);
        let company = !seeds.is_empty() || node.roster().members().len() > 1;
        let scrub = start_scrub(&settings, secret).await?;
        let server =
            bind(&settings, handle.clone(), scrub.clone(), installer.clone(), company).await?;
        log_start(&node, &server, &settings, loaded.records);
        let (stop_driver, driver_stopped) = watch::channel(false);
        let (stop_server, server_stopped) = watch::channel(false);
        let (denial_sender, denial) = watch::channel(None);
        let (trouble_sender, troubles) = watch::channel(Vec::new());
        let driver = Driver::new(Parts {
            node,
            net: net.clone(),
            net_events,
            early_events,
            queries,
            events,
            samples,
            shards: scrub.report(),
            troubles,
            denial,
            announcement,
            addresses: AddressBook::new(seeds),
            welcome,
            gate,
            started_ms,
            watchdog: supervisor.watchdog(),
        });
        let data_dir = settings.data_dir.clone();
        let changed = watch::Sender::new(Arc::new(settings));
        Ok(Self {
            driver: tokio::spawn(driver.run(driver_stopped)),
            stop_driver,
            server: tokio::spawn(serve(server, server_stopped)),
            stop_server,
            sampler: tokio::spawn(resources::run(Sampler::new(&data_dir), sample_sender)),
            net,
            store: closer,
            told: tokio::spawn(supervisor::tell(supervisor.clone(), handle.clone(), company)),
            supervisor,
            handle,
            room: tokio::spawn(room::watch(changed.subscribe(), trouble_sender)),
            certificate: tokio::spawn(certificate::keep(installer, keys, denial_sender)),
            reconfigured: tokio::spawn(reconfigure(scrub.clone(), changed.subscribe())),
            scrub,
            settings: changed,
            _lock: lock,
        })
    }

    /// Asks this agent without going through its socket.
    #[must_use]
    pub const fn handle(&self) -> &DriverHandle {
        &self.handle
    }

    /// Takes over certificates for this agent.
    #[must_use]
    pub fn installer(&self) -> Installer {
        let dir = self.settings.borrow().data_dir.clone();
        Installer::new(self.handle.clone(), self.net.clone(), dir)
    }

    /// What the agent runs with, as of the last time that its configuration was read.
    #[must_use]
    pub fn settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// Lets the agent run until `stop` is ready or it ends by itself, and then ends it in order: no
    /// more answers, records on disk, connections closed so that the others see it.
    ///
    /// # Errors
    /// If it ended because of a fault.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let early = tokio::select! {
            () = stop => None,
            ended = &mut self.driver => Some(ended),
        };
        tracing::info!("agent stops");
        self.supervisor.stopping();
        let _ = self.stop_driver.send(true);
        let ended = match early {
            Some(ended) => ended,
            None => (&mut self.driver).await,
        };
        self.sampler.abort();
        self.reconfigured.abort();
        self.told.abort();
        self.certificate.abort();
        self.room.abort();
        let scrub = self.scrub.clone();
        tokio::task::spawn_blocking(move || scrub.stop()).await.context("ending the scrub")?;
        if let Some(store) = self.store.take() {
            tokio::task::spawn_blocking(move || store.close())
                .await
                .context("closing the store")?;
        }
        self.net.shutdown().await;
        let _ = self.stop_server.send(true);
        self.server.await.context("the local socket's task failed")?;
        match ended.context("the driver failed; please report this with the log")? {
            Ended::Stopped | Ended::Left => Ok(()),
            Ended::PutOut => Err(put_out().into()),
            Ended::NetworkGone => bail!(
                "the network task ended by itself; please report this \
                with the log"
            ),
        }
    }
}

/// What is said by an agent whose peer was put out.
fn put_out() -> Problem {
    Problem::new(Code::Refused, "this peer is no member of the mesh any more")
        .because(
            "an admin revoked it or gave it up, or what let it in; any peer of the mesh says who",
        )
        .then("plexmesh revoke")
}

/// Takes a data directory for this agent alone, and reads or makes the peer in it. Nothing is made
/// there but the lock if the agent could not listen.
fn take_directory(settings: &Settings) -> Result<(DirectoryLock, Membership), Problem> {
    let data_dir = settings.data_dir.as_path();
    mesh::files::make_private_dir(data_dir)?;
    let lock = DirectoryLock::take(data_dir)?;
    ports::refuse_taken(&settings.listen)?;
    claim(data_dir)?;
    moved::refuse(data_dir)?;
    Ok((lock, membership(data_dir)?))
}

fn welcome(membership: &Membership, data_dir: &Path) -> Welcome {
    Welcome {
        mesh: membership.mesh,
        authorities: membership.authorities.clone(),
        secrets: membership.secrets.clone(),
        data_dir: data_dir.to_owned(),
    }
}

fn log_start(node: &AgentNode, server: &Server, settings: &Settings, records: usize) {
    tracing::info!(
        peer = peer_id_text(&node.me().0), socket = %server.path().display(),
        data = %settings.data_dir.display(), records, "agent started"
    );
}

/// Makes sure that this version may use the data directory.
fn claim(data_dir: &Path) -> Result<(), Problem> {
    if let Some(version) = format::claim(data_dir)? {
        tracing::info!(%version, "another version used this data directory before");
    }
    Ok(())
}

/// The protocol node of a member, not started yet.
fn node(
    membership: Membership,
    store: AgentStore,
    profile: Profile,
    seeds: &[Seed],
    last_version: Version,
) -> AgentNode {
    // One peer may have several addresses.
    let seeds: BTreeSet<PeerId> = seeds.iter().map(|seed| seed.peer).collect();
    let config = Config {
        mesh: membership.mesh,
        authorities: membership.authorities,
        certificate: membership.certificate,
        profile,
        seeds: seeds.into_iter().collect(),
        last_version,
        key_epoch: membership.secrets.as_ref().map_or(0, MeshSecrets::newest),
    };
    Node::new(config, membership.keys, store, clock::now())
}

/// What this peer says of itself, with the addresses that it listens on.
fn announcement(settings: &Settings, of_mesh: &Labels, listening: Vec<String>) -> Announcement {
    let mut announcement = Announcement::new(settings.profile(of_mesh), settings.announce.clone());
    for address in listening {
        announcement.add_listening(address);
    }
    announcement
}

/// Binds the local socket and gives it to its group.
async fn bind(
    settings: &Settings,
    driver: DriverHandle,
    scrub: ScrubHandle,
    installer: Installer,
    expects_company: bool,
) -> anyhow::Result<Server> {
    let dir = settings.data_dir.clone();
    let audit = tokio::task::spawn_blocking(move || AuditLog::open(&dir));
    let audit = Arc::new(audit.await.context("opening the audit log")?);
    let server = Server::bind(&settings.socket, driver, scrub, audit, installer, expects_company)
        .map_err(Problem::from)?;
    if let Some(group) = &settings.socket_group {
        group::give(server.path(), &group::find(group)?)?;
    }
    Ok(server)
}

/// Answers on the local socket until told to stop.
async fn serve(server: Server, mut stopped: watch::Receiver<bool>) {
    server.serve(async move { stopped.wait_for(|it| *it).await.map_or((), drop) }).await;
}

/// Starts the scrub over the configured directories.
async fn start_scrub(settings: &Settings, secret: [u8; 32]) -> anyhow::Result<ScrubHandle> {
    let (dir, config) = (settings.data_dir.clone(), settings.scrub_config());
    let started = tokio::task::spawn_blocking(move || ScrubHandle::start(&dir, secret, config));
    Ok(started.await.context("starting the scrub")?.map_err(Problem::from)?)
}

/// What keys the digest of this peer's shards that others see: nobody else can tell from it whether
/// two peers hold the same.
fn inventory_secret(keys: &NodeKeys) -> [u8; 32] {
    // Ed25519 signatures are deterministic, and only the key's owner can make this one.
    let signature = keys.identity().sign(b"plexmesh inventory digest");
    blake3::derive_key("plexmesh 2026-11 inventory digest", &signature)
}

/// Tells the scrub what changed in the configuration. Ends with its sender.
async fn reconfigure(scrub: ScrubHandle, mut settings: watch::Receiver<Arc<Settings>>) {
    let mut before = settings.borrow_and_update().scrub_config();
    while settings.changed().await.is_ok() {
        let config = settings.borrow_and_update().scrub_config();
        if config != before {
            before = config.clone();
            scrub.configure(config);
        }
    }
}

/// Reads what makes this peer a member; makes a mesh of one where there is none.
fn membership(data_dir: &Path) -> Result<Membership, Problem> {
    let wall_s = clock::now().wall_s();
    if let Some(membership) = mesh::load(data_dir, wall_s)? {
        return Ok(membership);
    }
    let made = mesh::init(data_dir, Labels::default(), wall_s)?;
    let [authority, spare] = made.authority_files;
    tracing::info!(
        data = %data_dir.display(), peer = short_id(&made.peer),
        "the data directory was empty: this peer is now a mesh of one"
    );
    tracing::info!(
        authority = %authority.display(), spare = %spare.display(),
        "these two keys let others into the mesh: take them offline"
    );
    mesh::load(data_dir, wall_s)?.ok_or_else(|| {
        Problem::new(Code::Failed, "the mesh that was just made is gone")
            .because("something else removes files from the data directory")
            .then(format!("ls -l {}", quoted(data_dir)))
    })
}

async fn open_store(
    data_dir: &Path,
    membership: &Membership,
) -> anyhow::Result<(AgentStore, Loaded)> {
    let (dir, mut keys, mesh) = (data_dir.to_owned(), membership.keys.clone(), membership.mesh);
    let opened = tokio::task::spawn_blocking(move || AgentStore::open(&dir, &mut keys, &mesh));
    let opened = opened.await.context("opening the store")?;
    let (store, loaded) = opened.map_err(Problem::from)?;
    if loaded.skipped > 0 {
        tracing::warn!(
            skipped = loaded.skipped,
            taken = loaded.records,
            "some stored records were damaged or of another mesh; the mesh brings back what is \
            missing"
        );
    }
    Ok((store, loaded))
}

type OpenNet = (NetHandle, mpsc::Receiver<NetEvent>, Vec<NetEvent>, Vec<String>);

/// Starts the transport and waits until it listens. What else happens meanwhile is kept for the
/// driver.
async fn open_net(
    settings: &Settings,
    membership: &Membership,
    gate: Gate,
) -> anyhow::Result<OpenNet> {
    let keys = &membership.keys;
    let admission = MeshAdmission::new(keys.clone(), membership.mesh, gate);
    let (certificate, authorities) = (&membership.certificate, &membership.authorities);
    let (certificate, changes) = (certificate.clone(), authorities.changes().to_vec());
    let certificate = Credential { certificate, changes }.encode();
    let mut config = NetConfig::new(keys.identity().clone(), membership.mesh.0, certificate);
    config.listen.clone_from(&settings.listen);
    let (net, mut events) = plexmesh_net::spawn(config, Arc::new(admission))?;
    let (mut early, mut listening) = (Vec::new(), Vec::new());
    let give_up_at = Instant::now() + LISTEN_TIMEOUT;
    let mut wait_until = give_up_at;
    while let Ok(Some(event)) = timeout_at(wait_until, events.recv()).await {
        if let NetEvent::Listening { addr } = event {
            listening.push(addr);
            if listening.len() >= settings.listen.len() {
                wait_until = give_up_at.min(Instant::now() + LISTEN_QUIET);
            }
        } else {
            early.push(event);
        }
        if settings.listen.is_empty() {
            break;
        }
    }
    if listening.len() < settings.listen.len() {
        tracing::warn!(?listening, wanted = ?settings.listen, "not all addresses are listened on \
            yet");
    }
    Ok((net, events, early, listening))
}
