//! The way to devices and brokers: OpenSSL's certificates and its server, and names with several addresses. One file per
//! promise.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod broker;
mod device;
mod signature;
mod sudden_end;

use lantime2mqtt::simulator::ApiGeneration;
use support::scene::Setup;

/// The status document of a healthy device.
async fn document() -> Vec<u8> {
    let fleet = Setup::single(&[ApiGeneration::V10]).fleet().await;
    fleet.devices()[0].document().to_vec()
}
