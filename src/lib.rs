//! The map.
pub mod config;
pub mod lantime;
pub mod model;
pub mod tls;
