//! The first steps of a newcomer: from nothing to a device in MQTT, and what keeps an installation from working.

#[path = "../support/mod.rs"]
mod support;

mod doctor;
mod init;
mod terminal;
