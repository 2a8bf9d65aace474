//! The first steps of a newcomer: from nothing to a device in MQTT, what keeps an installation from working, and what
//! brings it back.

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod doctor;
mod faults;
mod init;
mod probe;
mod second_bridge;
mod terminal;
mod unanswered;
