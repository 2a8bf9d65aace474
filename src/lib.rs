//! The map.
pub mod config;
pub mod model;
pub mod tls;
