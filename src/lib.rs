//! The map.
pub mod simulator;
