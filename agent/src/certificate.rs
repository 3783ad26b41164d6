//! This peer's certificate: installing a renewed one, asking an enroller for it in time, and asking
//! whether it still counts when nobody lets this peer in.

use std::path::PathBuf;
use std::time::Duration;

use plexmesh_net::{AdmissionError, NetHandle, ask_admission};
use plexmesh_proto::ReplaceRefusal;
use plexmesh_proto::admission::request::{
    AdmissionAnswer, AdmissionRefusal, AdmissionRequest, Malformed,
};
use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::record::{AuthorityChange, Certificate, Role};
use plexmesh_proto::roster::Member;
use plexmesh_proto::types::PeerId;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};

use crate::clock;
use crate::identity::{NodeKeys, short_id};
use crate::mesh::{self, MeshError};
use crate::query::{DriverHandle, QueryError, Snapshot};

mod alone;

pub use alone::Denial;

/// The first look after a start: an agent has found its neighbours by then.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// Between two looks at the certificate: a small part of the month in which it can be renewed.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// How long an enroller may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// Enrollers asked in one go.
const MAX_ASKED: usize = 3;
/// Looks that are left out after all enrollers refused or were silent: an hour's worth.
const REST_LOOKS: u32 = 60;

/// Why a certificate was not taken over.
#[derive(Debug, Error)]
pub enum InstallError {
    /// It is not one of this peer that counts now.
    #[error("this is no certificate that makes this peer a member now")]
    NotOurs,
    /// It could not be written.
    #[error(transparent)]
    File(#[from] MeshError),
    /// The driver did not come round to it.
    #[error(transparent)]
    Driver(#[from] QueryError),
}

/// Why an authority key was not replaced.
#[derive(Debug, Error)]
pub enum ReplaceFailure {
    /// The protocol does not take it.
    #[error(transparent)]
    Refused(#[from] ReplaceRefusal),
    /// The certificate could not be written.
    #[error(transparent)]
    File(#[from] MeshError),
    /// The driver did not come round to it.
    #[error(transparent)]
    Driver(#[from] QueryError),
}

/// Why an enroller gave no certificate.
#[derive(Debug, Error)]
enum AskError {
    #[error(transparent)]
    Unanswered(#[from] AdmissionError),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Refused(#[from] AdmissionRefusal),
}

/// Takes over renewed certificates of this peer.
#[derive(Clone, Debug)]
pub struct Installer {
    driver: DriverHandle,
    net: NetHandle,
    dir: PathBuf,
}

impl Installer {
    /// An installer for the peer in `dir`.
    #[must_use]
    pub const fn new(driver: DriverHandle, net: NetHandle, dir: PathBuf) -> Self {
        Self { driver, net, dir }
    }

    /// Takes a certificate over: checks it, writes it down, and shows it to others from now on.
    ///
    /// # Errors
    /// [`InstallError`]; the former one holds then.
    pub async fn install(&self, certificate: Certificate) -> Result<(), InstallError> {
        let taken = certificate.clone();
        let shown = self.driver.change(move |node, now| {
            node.set_certificate(taken, now).then(|| node.credential().encode())
        });
        let Some(shown) = shown.await? else { return Err(InstallError::NotOurs) };
        // A credential is below the limit of a hello.
        let _ = self.net.set_certificate(&shown);
        self.net.set_admitting(certificate.has_role(Role::Enroller));
        let lapses_s = certificate.not_after_s;
        self.write(certificate).await.map_err(|_| InstallError::Driver(QueryError::Stopped))??;
        tracing::info!(lapses_s, "a renewed certificate was taken over");
        Ok(())
    }

    /// Takes over that an authority key was replaced, with a certificate of this peer that counts after it; `chain` ends with what is new.
    ///
    /// # Errors
    /// [`ReplaceFailure`]; if it was the certificate's file, the mesh knows of the replacement already.
    pub async fn replace_authority(
        &self,
        chain: Vec<AuthorityChange>,
        certificate: Certificate,
    ) -> Result<(), ReplaceFailure> {
        let taken = certificate.clone();
        let replaced =
            self.driver.change(move |node, now| node.replace_authority(&chain, taken, now));
        replaced.await??;
        self.write(certificate)
            .await
            .map_err(|_| ReplaceFailure::Driver(QueryError::Stopped))??;
        Ok(())
    }

    async fn write(&self, certificate: Certificate) -> Result<Result<(), MeshError>, JoinError> {
        let dir = self.dir.clone();
        spawn_blocking(move || mesh::write_certificate(&dir, &certificate)).await
    }
}

/// Renews the certificate of a plain member in time, and tells `denied` what an enroller says if
/// nobody lets this peer in. Ends with the driver.
pub async fn keep(installer: Installer, keys: NodeKeys, denied: watch::Sender<Option<Denial>>) {
    tokio::join!(keep_renewed(&installer, &keys), alone::watch(&installer, &keys, &denied));
}

async fn keep_renewed(installer: &Installer, keys: &NodeKeys) {
    let (mut rest, mut wait) = (0, FIRST_LOOK);
    loop {
        tokio::time::sleep(wait).await;
        wait = LOOK_INTERVAL;
        if rest > 0 {
            rest -= 1;
            continue;
        }
        match installer.driver.read(whom_to_ask).await {
            Err(QueryError::Stopped) => return,
            Err(QueryError::Busy) | Ok(None) => {}
            Ok(Some(enrollers)) => {
                if !renew(installer, keys, enrollers).await {
                    rest = REST_LOOKS;
                }
            }
        }
    }
}

/// An enroller, and where it is.
type Address = (PeerId, Vec<String>);

/// Enrollers that are up with their addresses; `None` while there is nothing to renew, or nobody
/// but an authority can.
fn whom_to_ask(moment: &Snapshot<'_>) -> Option<Vec<Address>> {
    let own = moment.node.certificate();
    let plain = own.roles.iter().all(|role| *role == Role::Member);
    let authorities = moment.node.authorities();
    // Better today than when the time of a replaced authority key is over.
    let hangs_on_old =
        |certificate: &Certificate| !authorities.is_in_force(&certificate.authority());
    let due = moment.now.wall_s() >= own.renewal_s();
    if !plain || !(due || hangs_on_old(own)) {
        return None;
    }
    let members = moment.node.roster().members().iter().zip(moment.node.evaluation().states());
    let up = members.filter(|(member, state)| {
        let theirs = member.certificate();
        *state == PeerState::Up && (due || theirs.is_some_and(|theirs| !hangs_on_old(theirs)))
    });
    let enrollers: Vec<_> = up.filter_map(|(member, _)| enroller(member)).take(MAX_ASKED).collect();
    (due || !enrollers.is_empty()).then_some(enrollers)
}

/// Where a member is that is an enroller.
fn enroller(member: &Member) -> Option<Address> {
    let enrolls = member.certificate()?.has_role(Role::Enroller);
    let addresses = member.profile()?.addresses.clone();
    (enrolls && !addresses.is_empty()).then(|| (member.id(), addresses))
}

/// Asks one enroller after the other; whether a certificate came.
async fn renew(installer: &Installer, keys: &NodeKeys, enrollers: Vec<Address>) -> bool {
    for (enroller, addresses) in enrollers {
        match ask(keys, enroller, addresses).await {
            Ok(certificate) => match installer.install(certificate).await {
                Ok(()) => return true,
                Err(error) => tracing::warn!(%error, "a renewed certificate was not taken over"),
            },
            Err(reason) => {
                tracing::info!(enroller = short_id(&enroller), %reason, "no renewed certificate");
            }
        }
    }
    tracing::warn!(
        "the certificate is to be renewed, and no enroller that is up does it; it will be asked \
         for again in an hour"
    );
    false
}

async fn ask(
    keys: &NodeKeys,
    enroller: PeerId,
    addresses: Vec<String>,
) -> Result<Certificate, AskError> {
    let request = AdmissionRequest {
        wall_ms: clock::wall_ms(),
        secret: None,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let identity = keys.identity();
    let answer =
        ask_admission(identity, enroller.0, addresses, request.encode(), ASK_TIMEOUT).await?;
    Ok(AdmissionAnswer::decode(&answer)?.outcome?.certificate)
}
