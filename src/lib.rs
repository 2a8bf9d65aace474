//! The map.
pub mod config;
pub mod model;
pub mod mqtt;
pub mod records;
pub mod tls;
