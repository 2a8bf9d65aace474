//! The SNMP side of simulated devices: an agent each with objects of the vendor's MIB, and notifications to whoever
//! is to get them.
//!
//! It has the numbers of the MIB in a table of its own (`mib`), so that a wrong one in the bridge is not wrong here
//! as well. Not here: what moves a world, and the REST API.

mod endpoint;
mod handler;
mod mib;
mod mib_actions;
mod objects;
mod options;
mod sender;
mod service;
#[cfg(test)]
mod tests;

pub(super) use endpoint::Endpoint;
pub use options::{SnmpOptions, SnmpUser, TrapReceiver, TrapWay, Traps};
pub(super) use service::{Life, Service};
