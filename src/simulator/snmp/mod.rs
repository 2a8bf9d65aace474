//! The SNMP side of simulated devices: an agent each with objects of the vendor's MIB, and notifications to whoever
//! is to get them.
//!
//! It has the numbers of the MIB in a table of its own (`mib`), so that a wrong one in the bridge is not wrong here
//! as well. Not here: what moves a world, and the REST API.

mod handler;
mod mib;
mod objects;
mod options;
mod sender;
mod service;
mod side;
#[cfg(test)]
mod tests;
mod words;

pub use options::{SnmpOptions, SnmpUser, TrapReceiver, TrapWay, Traps};
pub(super) use service::{Life, Service};
pub(super) use side::Side;
