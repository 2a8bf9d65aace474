//! A LANTIME's SNMP: the vendor's MIB ([`oids`]), its traps ([`traps`]), asking a device and writing to it
//! ([`manager`]), and its status ([`status`]).

pub(crate) mod event_names;
pub mod manager;
pub mod oids;
pub mod status;
pub mod traps;
