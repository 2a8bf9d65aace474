//! A LANTIME's SNMP: the vendor's MIB ([`oids`]), its traps ([`traps`]), asking a device and writing to it
//! ([`manager`]), the actions that events take there ([`actions`]), and which of them switch its relays
//! ([`relay_events`]).

pub mod actions;
pub mod manager;
pub mod oids;
pub mod relay_events;
pub mod status;
pub mod traps;
