//! Commands, dead letters, HTTP sessions and records, as a user of mosquitto's command line clients meets them: the
//! real program, a real broker, simulated devices. One file per promise.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod causes;
mod conflicts;
mod dead_letters;
mod delivery;
mod faults;
mod hanging;
mod history;
mod http_sessions;
mod nonexistent;
mod refused_by_device;
mod refused_payloads;
mod refused_relays;
mod scene;
mod secrets;
mod selection;
mod stale;
mod unknown;
