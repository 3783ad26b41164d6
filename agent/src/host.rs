//! What the host says of itself.

pub mod resources;
pub mod room;
