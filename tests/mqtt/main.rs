//! The publisher's promises and those of the way commands come in, kept towards real brokers: one file per promise.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod bridge;
mod commands;
mod commands_protocol;
mod conflict;
mod discovery;
mod disk;
mod earlier_runs;
mod fake_broker;
mod handed_on;
mod odd_brokers;
mod outage;
mod overwritten;
mod read_back;
mod reconnect;
mod records;
mod records_refused;
mod refused;
mod state;
mod taker;

use std::net::SocketAddr;
use std::time::Duration;

use lantime2mqtt::config::{Broker, Layout, Mqtt, MqttVersion, Transport};
use lantime2mqtt::model::DeviceId;
use lantime2mqtt::records::store::{self, Store};
use lantime2mqtt::tls::ClientTls;

fn remote(transport: Transport, address: SocketAddr, path: &str) -> Broker {
    let (host, port, path) = (address.ip().to_string(), address.port(), path.to_owned());
    Broker::Remote {
        transport,
        host,
        port,
        path,
    }
}

fn settings(address: SocketAddr) -> Mqtt {
    Mqtt {
        broker: remote(Transport::Tcp, address, ""),
        version: MqttVersion::V5,
        prefix: "lantime".to_owned(),
        layout: Layout::Json,
        client_id: "bridge".to_owned(),
        credentials: None,
        tls: ClientTls::default(),
        keep_alive: Duration::from_secs(5),
        session_expiry: Duration::from_secs(3600),
    }
}

fn store_options() -> store::Options {
    store::Options::new(device("b1"))
}

fn memory_store() -> Store {
    Store::in_memory(store_options())
}

fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}
