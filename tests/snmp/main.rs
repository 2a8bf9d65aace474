//! SNMP, with net-snmp's tools at the other end: the device's traps in.

#[path = "../common/mod.rs"]
mod common;

mod scene;
mod second_way;
mod storms;
mod tools;
mod traps;
