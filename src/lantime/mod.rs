//! The only place that knows Meinberg's interfaces.
//!
//! [`rest`] speaks the REST API; [`device`] is the task that owns everything about one device.

pub mod device;
mod letters;
pub mod rest;
pub mod schedule;
