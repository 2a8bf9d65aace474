//! Several bridges as one, as processes of their own, between simulated devices, a real etcd and a real broker: who works for
//! the devices, and that nobody who reads topics notices when it becomes another one.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod asking;
#[path = "../web/browser.rs"]
mod browser;
mod commands;
mod dead_letters;
mod demo;
mod draining;
mod etcd_faults;
mod etcd_unreachable;
mod held;
mod history;
mod members;
mod operator;
mod page;
mod reload;
mod standing_still;
mod take_over;
#[path = "../snmp/tools.rs"]
mod tools;
mod traps;
mod unreachable;
mod whole_history;
