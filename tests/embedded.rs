//! The broker in this process.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;

use lantime2mqtt::config::Broker;
use lantime2mqtt::mqtt::embedded::EmbeddedBroker;
use rumqttc::{AsyncClient, Event, MqttOptions, Outgoing, Packet, QoS};
use support::{PATIENCE, Watcher};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Begins to serve; gives the way to stop it.
fn serve(broker: EmbeddedBroker) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move { broker.run(stopped).await.unwrap() });
    (stop, task)
}

async fn publish(address: SocketAddr, topics: usize) {
    let options = MqttOptions::new("publisher", address.ip().to_string(), address.port());
    let (client, mut eventloop) = AsyncClient::new(options, 8);
    let sending = tokio::spawn(async move {
        for n in 0..topics {
            client
                .publish(format!("t/{n}"), QoS::AtLeastOnce, true, n.to_string())
                .await
                .unwrap();
        }
        client
    });
    let mut acknowledged = 0;
    while acknowledged < topics {
        match eventloop.poll().await.unwrap() {
            Event::Incoming(Packet::PubAck(_)) => acknowledged += 1,
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
    sending.await.unwrap().disconnect().await.unwrap();
    while !matches!(
        eventloop.poll().await.unwrap(),
        Event::Outgoing(Outgoing::Disconnect)
    ) {}
}

#[tokio::test]
async fn a_late_subscriber_gets_everything_and_a_stop_ends_it() {
    let broker = EmbeddedBroker::bind(ANY, None).await.unwrap();
    let address = broker.address();
    assert_ne!(address.port(), 0);
    assert_eq!(broker.websocket_address(), None);
    let Broker::Remote { host, port, .. } = broker.for_clients() else {
        panic!("clients come by TCP");
    };
    assert_eq!((host.as_str(), port), ("127.0.0.1", address.port()));
    let (stop, task) = serve(broker);
    timeout(PATIENCE, publish(address, 2_000)).await.unwrap();
    let mut late = Watcher::connect(address).await;
    late.until("all of it", |seen| {
        seen.topics.keys().filter(|topic| topic.starts_with("t/")).count() == 2_000
    })
    .await;
    stop.cancel();
    timeout(PATIENCE, task).await.unwrap().unwrap();
    TcpListener::bind(address).await.expect("the port is free again");
}

#[tokio::test]
async fn a_stop_before_it_is_ready_is_heard() {
    let broker = EmbeddedBroker::bind(ANY, Some(ANY)).await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    timeout(PATIENCE, broker.run(stop)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_key() {
    let taken = TcpListener::bind(ANY).await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = EmbeddedBroker::bind(address, None).await.unwrap_err().to_string();
    let port = address.port().to_string();
    assert!(
        error.contains(&port) && error.contains("mqtt.embedded.listen"),
        "{error}"
    );
    let error = EmbeddedBroker::bind(ANY, Some(address))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&port) && error.contains("mqtt.embedded.websocket"),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_of_another_machine_is_refused_with_a_remedy() {
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
    let error = EmbeddedBroker::bind(elsewhere, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("192.0.2.1") && error.contains("address of this machine"),
        "{error}"
    );
}
