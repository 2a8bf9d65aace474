//! Commands are lost by nobody: what was not stored comes again, what was does not.

use std::net::SocketAddr;

use bytes::Bytes;
use lantime2mqtt::config::{Mqtt, MqttVersion};
use lantime2mqtt::mqtt::embedded::EmbeddedBroker;
use lantime2mqtt::records::MAX_PAYLOAD;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::settings;
use crate::support::PATIENCE;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::support::proxy::Proxy;
use crate::taker::{Post, Taker, VERSIONS, payloads, refreshes, send};

fn with(version: MqttVersion, address: SocketAddr) -> Mqtt {
    Mqtt {
        version,
        ..settings(address)
    }
}

#[tokio::test]
async fn a_command_brings_all_that_it_carries() {
    let broker = Mosquitto::start();
    for version in VERSIONS {
        let mut taker = Taker::start(with(version, broker.address()), &["m1"]).await;
        let topic = "lantime/m1/io3/relay/a/events/set";
        let properties = PublishProperties {
            response_topic: Some("my/inbox".to_owned()),
            correlation_data: Some(Bytes::from_static(b"\x00c1\xff")),
            message_expiry_interval: Some(600),
            ..PublishProperties::default()
        };
        let post = Post {
            properties,
            ..Post::new(topic, r#"{"add":[]}"#)
        };
        send(broker.address(), vec![post]).await;
        let [command] = &taker.take(1).await[..] else {
            panic!("one command");
        };
        assert_eq!(
            (command.topic.as_str(), &command.payload[..]),
            (topic, &br#"{"add":[]}"#[..])
        );
        assert_eq!(
            (command.payload_length, command.retained, command.local),
            (None, false, false)
        );
        let expires_in = command
            .expires_at
            .map(|at| at.duration_since(command.received_at).as_secs());
        let carried = (
            command.response_topic.as_deref(),
            command.correlation.as_deref(),
            expires_in,
        );
        match version {
            MqttVersion::V5 => assert_eq!(carried, (Some("my/inbox"), Some(&b"\x00c1\xff"[..]), Some(600))),
            MqttVersion::V311 => assert_eq!(carried, (None, None, None)),
        }
        taker.stop().await;
    }
}

/// What a broker must be good for: sessions that outlive crash, stop and broken networks.
async fn a_command_is_lost_by_nobody(version: MqttVersion, address: SocketAddr) {
    let proxy = Proxy::start(address).await;
    let mqtt = with(version, proxy.address());

    // Not stored when we crash: it comes again.
    let mut taker = Taker::start(mqtt.clone(), &["m1"]).await;
    send(address, refreshes("m1", 0..3)).await;
    let first = taker.next().await;
    assert_eq!(payloads(&first.commands)[0], "0");
    taker.crash().await;

    // Sent while we are not connected: it comes too, after the others.
    send(address, refreshes("m1", 3..5)).await;
    let mut taker = Taker::start(mqtt.clone(), &["m1"]).await;
    assert_eq!(payloads(&taker.take(5).await), ["0", "1", "2", "3", "4"]);
    taker
        .until("all acknowledged", |status| status.waiting == 0)
        .await;
    taker.stop().await;

    // Stored and acknowledged: it does not come again, neither after a stop nor after a cut.
    let mut taker = Taker::start(mqtt.clone(), &["m1"]).await;
    send(address, refreshes("m1", 5..6)).await;
    assert_eq!(payloads(&taker.take(1).await), ["5"]);

    // Not stored when the connection breaks: it comes again, once, and the first attempt's success acknowledges
    // nothing of the new connection.
    send(address, refreshes("m1", 6..8)).await;
    let old = taker.next().await;
    let count = old.commands.len();
    proxy.cut();
    taker
        .until("a new connection", |status| {
            status.link.connections == 2 && status.subscribed
        })
        .await;
    old.stored();
    assert_eq!(
        payloads(&taker.take(2).await),
        ["6", "7"],
        "after {count} were stored for nothing"
    );
    taker
        .until("all acknowledged", |status| status.waiting == 0)
        .await;
    taker.stop().await;

    // While the broker cannot be reached.
    let mut taker = Taker::start(mqtt, &["m1"]).await;
    proxy.refuse(true);
    taker
        .until("no connection", |status| !status.link.connected)
        .await;
    send(address, refreshes("m1", 8..9)).await;
    proxy.refuse(false);
    assert_eq!(payloads(&taker.take(1).await), ["8"]);
    taker.stop().await;
}

#[tokio::test]
async fn mosquitto_and_we_lose_no_command() {
    for version in VERSIONS {
        let broker = Mosquitto::start();
        a_command_is_lost_by_nobody(version, broker.address()).await;
    }
}

#[tokio::test]
async fn the_embedded_broker_and_we_lose_no_command() {
    for version in VERSIONS {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let broker = EmbeddedBroker::bind(any, None).await.unwrap();
        let address = broker.address();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(broker.run(stop.clone()));
        a_command_is_lost_by_nobody(version, address).await;
        stop.cancel();
        timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn commands_that_cannot_be_stored_are_tried_again_and_stay_at_the_broker() {
    let broker = Mosquitto::start();
    let mut taker = Taker::start(settings(broker.address()), &["m1"]).await;
    send(broker.address(), refreshes("m1", 0..1)).await;
    assert_eq!(payloads(&taker.next().await.failed()), ["0"]);
    let status = taker
        .until("the failure is shown", |status| status.failing.is_some())
        .await;
    assert!(status.failing.unwrap().contains("disk full"));
    assert_eq!(payloads(&taker.next().await.failed()), ["0"], "tried again");
    taker.crash().await;

    let mut taker = Taker::start(settings(broker.address()), &["m1"]).await;
    assert_eq!(
        payloads(&taker.next().await.failed()),
        ["0"],
        "the broker has kept it"
    );
    assert_eq!(payloads(&taker.take(1).await), ["0"]);
    taker
        .until("all is well", |status| {
            status.failing.is_none() && status.waiting == 0
        })
        .await;
    taker.stop().await;
}

#[tokio::test]
async fn a_stop_acknowledges_what_is_being_stored() {
    let broker = Mosquitto::start();
    let mut taker = Taker::start(settings(broker.address()), &["m1"]).await;
    send(broker.address(), refreshes("m1", 0..1)).await;
    let submission = taker.next().await;
    let (stop, task, submissions) = taker.stopping();
    stop.cancel();
    submission.stored();
    timeout(PATIENCE, task).await.expect("it ends").unwrap();
    drop(submissions);
    let mut taker = Taker::start(settings(broker.address()), &["m1"]).await;
    send(broker.address(), refreshes("m1", 1..2)).await;
    assert_eq!(
        payloads(&taker.take(1).await),
        ["1"],
        "the first one does not come again"
    );
    taker.stop().await;
}

#[tokio::test]
async fn a_retained_command_is_known_as_one() {
    let retained = |payload: &'static str| Post {
        retain: true,
        ..Post::new("lantime/m1/refresh", payload)
    };
    // With 3.1.1 the stored copy comes with its flag, and what comes at once has none.
    let broker = Mosquitto::start();
    send(broker.address(), vec![retained("stored")]).await;
    let mut taker = Taker::start(with(MqttVersion::V311, broker.address()), &["m1"]).await;
    let command = taker.take(1).await.remove(0);
    assert_eq!(
        (
            payloads(std::slice::from_ref(&command))[0].as_str(),
            command.retained
        ),
        ("stored", true)
    );
    taker.stop().await;

    // With MQTT 5 the stored copy does not come at all, and what comes at once has its flag.
    let broker = Mosquitto::start();
    send(broker.address(), vec![retained("stored")]).await;
    let mut taker = Taker::start(settings(broker.address()), &["m1"]).await;
    send(
        broker.address(),
        vec![retained("live"), Post::new("lantime/m1/refresh", "plain")],
    )
    .await;
    let commands = taker.take(2).await;
    let flags: Vec<_> = commands.iter().map(|command| command.retained).collect();
    assert_eq!(
        (payloads(&commands), flags),
        (vec!["live".to_owned(), "plain".to_owned()], vec![true, false])
    );
    taker.stop().await;
}

#[tokio::test]
async fn a_command_with_qos_0_is_taken_too() {
    let broker = Mosquitto::start();
    let mut taker = Taker::start(settings(broker.address()), &["m1"]).await;
    let post = Post {
        qos: QoS::AtMostOnce,
        ..Post::new("lantime/m1/refresh", "0")
    };
    let mut posts = vec![post];
    posts.extend(refreshes("m1", 1..2));
    send(broker.address(), posts).await;
    assert_eq!(payloads(&taker.take(2).await), ["0", "1"]);
    taker.stop().await;
}

#[tokio::test]
async fn an_overlong_payload_is_cut_and_ends_no_connection() {
    let broker = Mosquitto::start();
    for (version, bytes) in [(MqttVersion::V5, 100_000), (MqttVersion::V311, 2 * 1024 * 1024)] {
        let mut taker = Taker::start(with(version, broker.address()), &["m1"]).await;
        let mut posts = vec![Post::new("lantime/m1/refresh", vec![b'x'; bytes])];
        posts.extend(refreshes("m1", 0..1));
        send(broker.address(), posts).await;
        let commands = taker.take(2).await;
        let lengths: Vec<_> = commands
            .iter()
            .map(|command| (command.payload.len(), command.payload_length))
            .collect();
        assert_eq!(lengths, [(MAX_PAYLOAD, Some(bytes)), (1, None)]);
        assert_eq!(taker.status.borrow().link.connections, 1);
        taker.stop().await;
    }
}

#[tokio::test]
async fn what_a_broker_of_mqtt_5_may_not_send_us_holds_up_no_other() {
    let broker = Mosquitto::start();
    let mut taker = Taker::start(settings(broker.address()), &["m1"]).await;
    let mut posts = vec![Post::new("lantime/m1/refresh", vec![b'x'; 2 * 1024 * 1024])];
    posts.extend(refreshes("m1", 0..1));
    send(broker.address(), posts).await;
    assert_eq!(payloads(&taker.take(1).await), ["0"]);
    assert_eq!(taker.status.borrow().link.connections, 1);
    taker.stop().await;
}

#[tokio::test]
async fn a_flood_comes_in_order() {
    const COMMANDS: usize = 800;
    // As many at once as the network brings, and as few as brokers usually send.
    for inflight in [0, 20] {
        let broker = Mosquitto::start_with(Options {
            lines: vec![format!("max_inflight_messages {inflight}")],
            ..Options::default()
        });
        for version in VERSIONS {
            let mut taker = Taker::start(with(version, broker.address()), &["m1"]).await;
            send(broker.address(), refreshes("m1", 0..COMMANDS)).await;
            let mut taken = Vec::new();
            while taken.len() < COMMANDS {
                let submission = taker.next().await;
                taken.extend(submission.stored());
            }
            let expected: Vec<_> = (0..COMMANDS).map(|n| n.to_string()).collect();
            let taken = payloads(&taken);
            let differs = taken.iter().zip(&expected).position(|(got, want)| got != want);
            assert_eq!(
                differs.map(|at| &taken[at..]),
                None,
                "{version:?}, {inflight} at once"
            );
            assert_eq!(taken.len(), COMMANDS);
            taker
                .until("all acknowledged", |status| status.waiting == 0)
                .await;
            assert_eq!(taker.status.borrow().link.connections, 1);
            taker.stop().await;
        }
    }
}

#[tokio::test]
async fn commands_for_devices_of_an_earlier_configuration_are_not_ours() {
    let broker = Mosquitto::start();
    let taker = Taker::start(settings(broker.address()), &["m1", "m2"]).await;
    taker.stop().await;
    // The session still has the subscriptions of that run.
    for _ in 0..2 {
        let mut posts = refreshes("m1", 0..1);
        posts.extend(refreshes("m2", 1..2));
        posts.push(Post::new("lantime/bridge/b1/dead-letters/replay", "2"));
        send(broker.address(), posts).await;
        let mut taker = Taker::start(settings(broker.address()), &["m2"]).await;
        assert_eq!(payloads(&taker.take(2).await), ["1", "2"]);
        taker
            .until("all acknowledged", |status| status.waiting == 0)
            .await;
        taker.stop().await;
    }
}

#[tokio::test]
async fn many_devices_are_subscribed_to() {
    let broker = Mosquitto::start();
    let ids: Vec<_> = (0..150).map(|n| format!("d{n}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let mut taker = Taker::start(settings(broker.address()), &ids).await;
    let posts = ids.iter().flat_map(|id| refreshes(id, 0..1)).collect();
    send(broker.address(), posts).await;
    let taken = taker.take(ids.len()).await;
    assert!(
        taken
            .iter()
            .zip(&ids)
            .all(|(command, id)| command.topic == format!("lantime/{id}/refresh"))
    );
    taker.stop().await;
}
