//! How a stranger asks to be let in: one request and one answer, inside the connection upgrade.
//!
//! ```text
//! dialler   "/plexmesh/1/admit" length (2, big endian) request
//! listener  status [length (2, big endian) answer, when the status is 0]
//! status  = 0 answered, 3 malformed, 4 busy, 5 admits nobody
//! ```
//!
//! It takes the place of the hello. The connection ends with the answer and never becomes one of
//! the swarm, so a stranger reaches nothing but this. What request and answer mean is the
//! agent's business. The numbers 3 and 4 mean the same in a hello, hence a listener that knows
//! only hellos gives an answer that is understood.

mod ask;
mod desk;
mod rates;

pub use ask::{AdmissionError, ask_admission};
pub(crate) use desk::{Desk, Visit};
pub(crate) use rates::Origin;

/// Largest request for admission. It holds a secret, a clock reading and a version.
pub const MAX_ADMISSION_REQUEST_BYTES: usize = 2 * 1024;

/// Largest answer to a request for admission. It holds a certificate with its enroller's, mesh
/// secrets, and addresses of some dozen peers.
pub const MAX_ADMISSION_ANSWER_BYTES: usize = 16 * 1024;

/// Stands where a hello has its own tag, and is as long.
pub(crate) const TAG: &[u8; 17] = b"/plexmesh/1/admit";

/// How the listener's answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Answered = 0,
    Malformed = 3,
    Busy = 4,
    AdmitsNobody = 5,
}

impl Status {
    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Answered,
            4 => Self::Busy,
            5 => Self::AdmitsNobody,
            _ => Self::Malformed,
        }
    }
}
