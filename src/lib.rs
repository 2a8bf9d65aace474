//! SNMP/MQTT protocol bridge for the error relay module (REL1000) of Meinberg LANTIME IMS time servers.
//!
//! The bridge polls each device, works out in which position each relay stands and why, and publishes that
//! as retained MQTT topics. Data flows one way:
//!
//! ```text
//! LANTIME --GET /api/status--> lantime::device --Update--> hub --> mqtt::publisher --> broker
//!                               | lantime::rest  (answer -> snapshot, by an API profile)
//!                               | model          (snapshot -> view -> changes)
//! ```
//!
//! - [`cli`] is the command line; [`app`] makes every task and channel, and stops them.
//! - [`command`]: what a command asks for, and its answer.
//! - [`cluster`]: which of several bridges owns which devices.
//! - [`model`]: the domain, pure. Imports nothing of ours.
//! - [`lantime`]: the only place that knows Meinberg's interfaces; one task per device.
//! - [`contract`]: what leaves as JSON, and at which topic.
//! - [`mqtt`]: the connection, and the publisher, the only sender of state.
//! - [`incidents`]: conditions that last, and when each is reported.
//! - [`hub`]: the latest view of every device, and who gets each change.
//! - [`records`]: what has to outlive the process.
//! - [`simulator`]: simulated devices on real sockets, for the demo, tests and load runs.
//! - [`homeassistant`], [`sparkplug`]: what is published, in other people's conventions.
//! - [`snmp_agent`]: what is published, for SNMP managers. [`snmp`]: what the sides of SNMP share.
//! - `open_files`: how many descriptors this process may have.
//! - `logging`: lines on stderr, for people, machines and the journal.
//! - [`boot_time`]: a clock that counts the time for which the machine was suspended.
//! - `net`: connecting to a host with several addresses. `http_failure`: why a request got no answer.
//! - [`config`]: the configuration, checked and typed. [`tls`]: whom to trust. [`web`]: the bridge's own
//!   HTTP server, for others and for the command line.

pub mod app;
pub mod boot_time;
pub mod cli;
pub mod cluster;
pub mod command;
pub mod config;
pub mod contract;
mod fault_point;
pub mod history;
pub mod homeassistant;
mod http_failure;
pub mod hub;
pub mod incidents;
pub mod lantime;
mod logging;
pub mod model;
pub mod mqtt;
mod net;
mod open_files;
pub mod records;
pub mod simulator;
pub mod snmp;
pub mod snmp_agent;
pub mod sparkplug;
pub mod tls;
pub mod web;
mod wording;

/// The example of an output in the documentation of the architecture.
#[cfg(doctest)]
#[doc = include_str!("../docs/architecture.md")]
mod architecture {}
