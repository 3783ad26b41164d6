//! Figures that the protocol promises, measured.

pub mod coordinates;
pub mod reconciliation;
