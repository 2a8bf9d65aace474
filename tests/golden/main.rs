//! All that the program publishes, held against golden files: state, records, discovery, Sparkplug's births, metrics,
//! the JSON API and an snmpwalk; and a store of an earlier version, opened with all that is in it.
//!
//! `expected/` has a folder for each scene and a line for each value. The folder of the first scene shows everything,
//! later ones only what differs from the scene before. With `UPDATE_EXPECTED=1` they are written again; the store is made
//! again by `UPDATE_STORE=1`.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

mod capture;
mod expected;
mod fleet;
#[expect(dead_code, reason = "a part of what the tests of Sparkplug use")]
#[path = "../sparkplug/host.rs"]
mod host;
mod live;
mod normalise;
mod scene;
mod steps;
mod store;
mod store_made;
#[path = "../support/mod.rs"]
mod support;
#[path = "../snmp/tools.rs"]
mod tools;
