//! SNMP, with net-snmp's tools at the other end: the device's traps in, and the events of its relays chosen.

#[path = "../common/mod.rs"]
mod common;

mod fallback;
mod hanging;
mod scene;
mod snmpd;
mod standing;
mod storms;
mod tools;
mod traps;
mod writes;
