//! SNMP, with net-snmp's tools at the other end: the device's traps in, and the events of its relays chosen.

#[path = "../common/mod.rs"]
mod common;

mod scene;
mod second_way;
mod snmpd;
mod standing;
mod storms;
mod tools;
mod traps;
mod writes;
