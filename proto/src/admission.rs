//! How a newcomer becomes a member, and how a membership ends: tokens, what is said when one is used, and what follows from the records.

pub mod credential;
pub mod request;
pub mod standing;
mod text;
pub mod token;

pub use standing::{Admissions, Bar};
