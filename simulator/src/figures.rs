//! Figures that the protocol promises, measured.

pub mod coordinates;
