//! SNMP/MQTT protocol bridge for the error relay module (REL1000) of Meinberg LANTIME IMS time servers.
//!
//! The bridge polls each device, works out in which position each relay stands and why, and publishes that
//! as retained MQTT topics. Data flows one way:
//!
//! ```text
//! LANTIME --GET /api/status--> lantime::device --Update--> mqtt::publisher --> broker
//!                               | lantime::rest  (answer -> snapshot, by an API profile)
//!                               | model          (snapshot -> view -> changes)
//! ```
//!
//! - [`model`]: the domain, pure. Imports nothing of ours.
//! - [`lantime`]: the only place that knows Meinberg's interfaces; one task per device.
//! - [`simulator`]: simulated devices on real sockets, for the demo, tests and load runs.
//! - [`config`]: the configuration, checked and typed. [`tls`]: whom to trust.

pub mod config;
pub mod lantime;
pub mod model;
pub mod simulator;
pub mod tls;
