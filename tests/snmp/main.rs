//! SNMP, with net-snmp's tools at the other end: the device's traps in, and the events of its relays selected.

#[path = "../support/mod.rs"]
mod support;

mod fallback;
mod hanging;
mod scene;
mod snmpd;
mod standing;
mod storms;
mod tools;
mod traps;
mod writes;
