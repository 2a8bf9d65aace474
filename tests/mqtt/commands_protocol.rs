//! What the way in says to a broker that is odd, and when.

use std::time::Duration;

use lantime2mqtt::mqtt::connection::RECEIVE_MAXIMUM;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, SubscribeReasonCode};

use crate::fake_broker::{Conversation, FakeBroker};
use crate::taker::{Taker, payloads};

fn granted(_: &str) -> SubscribeReasonCode {
    SubscribeReasonCode::Success(rumqttc::v5::mqttbytes::QoS::AtLeastOnce)
}

/// What the next four packets unsubscribe from.
async fn unsubscribed(conversation: &mut Conversation) -> Vec<String> {
    let mut filters = Vec::new();
    for _ in 0..4 {
        match conversation.next_but_pings().await {
            Packet::Unsubscribe(unsubscribe) => filters.extend(unsubscribe.filters),
            other => panic!("the end of a subscription, not {other:?}"),
        }
    }
    filters
}

async fn acknowledged(conversation: &mut Conversation) -> u16 {
    match conversation.next_but_pings().await {
        Packet::PubAck(ack) => ack.pkid,
        other => panic!("an acknowledgement, not {other:?}"),
    }
}

#[tokio::test]
async fn the_session_is_one_that_the_broker_keeps_and_a_flood_waits_there() {
    let broker = FakeBroker::start().await;
    let settings = broker.settings();
    let taker = Taker::begin(settings.clone(), &["m1"]);
    let (_conversation, hello) = broker.accept_with_hello().await;
    let Packet::Connect(connect, will, _) = hello else {
        panic!("a hello");
    };
    assert_eq!(
        (connect.client_id.as_str(), connect.clean_start, will),
        ("bridge-commands", false, None)
    );
    let properties = connect.properties.unwrap();
    assert_eq!(
        properties.session_expiry_interval,
        Some(settings.session_expiry.as_secs() as u32)
    );
    assert_eq!(properties.receive_maximum, Some(RECEIVE_MAXIMUM));
    assert_eq!(properties.max_packet_size, Some(1024 * 1024));
    taker.crash().await;
}

#[tokio::test]
async fn a_refused_subscription_is_reported_and_asked_for_again_with_each_connection() {
    let broker = FakeBroker::start().await;
    let mut taker = Taker::begin(broker.settings(), &["m1"]);
    let mut conversation = broker.accept().await;
    conversation
        .subscriptions(1, |filter| match filter {
            "lantime/m1/refresh" => SubscribeReasonCode::NotAuthorized,
            "lantime/m1/http/sessions/set" => SubscribeReasonCode::Success(QoS::AtMostOnce),
            _ => granted(filter),
        })
        .await;
    let status = taker.until("answered", |status| status.subscribed).await;
    let refused: Vec<_> = status
        .refused
        .iter()
        .map(|refused| (refused.filter.as_str(), refused.reason.as_str()))
        .collect();
    let expected = [
        ("lantime/m1/refresh", "not authorized"),
        (
            "lantime/m1/http/sessions/set",
            "granted with QoS 0 only: commands may get lost",
        ),
    ];
    assert_eq!(refused, expected);

    drop(conversation);
    let mut conversation = broker.accept().await;
    conversation.subscriptions(1, granted).await;
    taker
        .until("all is well", |status| {
            status.subscribed && status.refused.is_empty()
        })
        .await;
    taker.crash().await;
}

#[tokio::test]
async fn devices_come_and_go() {
    let broker = FakeBroker::start().await;
    let taker = Taker::begin(broker.settings(), &["m1", "m2"]);
    let mut conversation = broker.accept().await;
    conversation.subscriptions(2, granted).await;
    taker.set_devices(&["m2", "m3"]);
    let of = |id: &str| {
        [
            "+/relay/+/events/set",
            "refresh",
            "http/sessions/set",
            "faults/acknowledge",
        ]
        .map(|command| format!("lantime/{id}/{command}"))
    };
    assert_eq!(unsubscribed(&mut conversation).await, of("m1"));
    assert_eq!(conversation.subscriptions(1, granted).await, [of("m3")]);

    // What has left is unsubscribed from again: nobody knows whether the broker has heard of it.
    drop(conversation);
    let mut conversation = broker.accept().await;
    assert_eq!(unsubscribed(&mut conversation).await, of("m1"));
    let replay = "lantime/bridge/b1/dead-letters/replay".to_owned();
    let all: Vec<_> = [replay].into_iter().chain(of("m2")).chain(of("m3")).collect();
    assert_eq!(conversation.subscriptions(2, granted).await.concat(), all);
    taker.crash().await;
}

#[tokio::test]
async fn filters_come_in_packets_of_eight() {
    let broker = FakeBroker::start().await;
    let ids: Vec<_> = (0..50).map(|n| format!("d{n}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let mut taker = Taker::begin(broker.settings(), &ids);
    let mut conversation = broker.accept().await;
    let packets = conversation.subscriptions(26, granted).await;
    let sizes: Vec<_> = packets.iter().map(Vec::len).collect();
    assert_eq!((&sizes[..25], sizes[25]), (&[8; 25][..], 1));
    taker.until("answered", |status| status.subscribed).await;
    taker.crash().await;
}

#[tokio::test]
async fn a_refusal_that_cannot_be_read_costs_its_filter_and_no_other() {
    // 0x90 is a code of MQTT 5, but not one of SUBACK.
    const TOPIC_NAME_INVALID: u8 = 0x90;
    let broker = FakeBroker::start().await;
    let mut taker = Taker::begin(broker.settings(), &["m1", "m2", "m3"]);
    let mut conversation = broker.accept().await;
    conversation.subscriptions(1, granted).await;
    let together = conversation.refuse_subscription(TOPIC_NAME_INVALID).await;
    let second = [
        "lantime/m2/faults/acknowledge",
        "lantime/m3/+/relay/+/events/set",
        "lantime/m3/refresh",
        "lantime/m3/http/sessions/set",
        "lantime/m3/faults/acknowledge",
    ];
    assert_eq!(together, second);

    // From now on one by one.
    let mut conversation = broker.accept().await;
    let packets = conversation.subscriptions(8, granted).await;
    assert!(packets.iter().all(|packet| packet.len() == 1), "{packets:?}");
    let alone = conversation.refuse_subscription(TOPIC_NAME_INVALID).await;
    assert_eq!(alone, together[..1]);

    let mut conversation = broker.accept().await;
    let packets = conversation.subscriptions(12, granted).await;
    assert_eq!(packets[8..].concat(), together[1..]);
    let status = taker.until("answered", |status| status.subscribed).await;
    let refused: Vec<_> = status
        .refused
        .iter()
        .map(|refused| (refused.filter.as_str(), refused.reason.as_str()))
        .collect();
    assert_eq!(
        refused,
        [(
            "lantime/m2/faults/acknowledge",
            "topic name invalid, reason code 0x90"
        )]
    );
    taker.crash().await;
}

/// A broker that refuses one kind of command for each device is understood after few connections, which come soon.
#[tokio::test]
async fn refusals_of_one_kind_that_cannot_be_read_cost_few_connections() {
    let broker = FakeBroker::start().await;
    let ids: Vec<_> = (0..100).map(|n| format!("d{n:02}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let mut taker = Taker::begin(broker.settings(), &ids);
    let mut conversation = broker.accept().await;
    conversation.refuse_subscription(0x90).await;
    // One that is dropped with something unread may take the answers along.
    let mut standing = vec![conversation];
    for device in 0..3 {
        let mut conversation = broker.accept().await;
        // The bridge's own, and of the devices before it the three that are granted.
        conversation.subscriptions(1 + 3 * device + 1, granted).await;
        let refused = conversation.refuse_subscription(0x90).await;
        assert_eq!(refused, [format!("lantime/d{device:02}/refresh")]);
        standing.push(conversation);
    }
    let mut conversation = broker.accept().await;
    let packets = conversation.subscriptions(1 + 3 * 100, granted).await;
    assert!(
        !packets
            .iter()
            .flatten()
            .any(|filter| filter.ends_with("/refresh"))
    );
    let status = taker.until("answered", |status| status.subscribed).await;
    assert_eq!((status.refused.len(), status.link.connections), (100, 5));
    taker.crash().await;
}

/// The client library reads several packets at once, and an error in the last one must not cost the others.
#[tokio::test]
async fn answers_that_are_read_together_with_a_bad_one_count() {
    let broker = FakeBroker::start().await;
    let mut taker = Taker::begin(broker.settings(), &["m1"]);
    let mut conversation = broker.accept().await;
    conversation.refuse_subscription(0x90).await;

    let mut conversation = broker.accept().await;
    let packets = conversation.answer_together(&[1, 1, 0x90]).await;
    let mut conversation = broker.accept().await;
    conversation.subscriptions(4, granted).await;
    let status = taker.until("answered", |status| status.subscribed).await;
    let refused: Vec<_> = status.refused.iter().map(|refused| &refused.filter).collect();
    assert_eq!(refused, [&packets[2][0]]);
    taker.crash().await;
}

#[tokio::test]
async fn a_broker_without_wildcards_is_asked_for_the_others() {
    let broker = FakeBroker::start().await;
    let mut taker = Taker::begin(broker.settings(), &["m1"]);
    let mut conversation = broker
        .accept_announcing(|properties| properties.wildcard_subscription_available = Some(0))
        .await;
    let packets = conversation.subscriptions(1, granted).await;
    assert!(
        !packets[0].iter().any(|filter| filter.contains('+')),
        "{packets:?}"
    );
    let status = taker.until("answered", |status| status.subscribed).await;
    assert_eq!(status.refused.len(), 1);
    assert_eq!(status.refused[0].filter, "lantime/m1/+/relay/+/events/set");
    assert!(status.refused[0].reason.contains("wildcard"), "{status:?}");
    taker.crash().await;
}

#[tokio::test]
async fn a_session_that_is_shortened_or_lost_is_reported() {
    let broker = FakeBroker::start().await;
    let mut taker = Taker::begin(broker.settings(), &["m1"]);
    let mut conversation = broker
        .accept_announcing(|properties| properties.session_expiry_interval = Some(300))
        .await;
    conversation.subscriptions(1, granted).await;
    let status = taker.until("answered", |status| status.subscribed).await;
    assert_eq!(
        (status.kept_for, status.sessions_lost),
        (Some(Duration::from_secs(300)), 0)
    );
    drop(conversation);

    let mut conversation = broker.accept().await;
    conversation.subscriptions(1, granted).await;
    let status = taker.until("again", |status| status.sessions_lost == 1).await;
    assert_eq!(status.kept_for, None);
    taker.crash().await;
}

#[tokio::test]
async fn acknowledgements_come_once_all_is_stored_and_in_order_of_arrival() {
    let broker = FakeBroker::start().await;
    let mut taker = Taker::begin(broker.settings(), &["m1"]);
    let mut conversation = broker.accept().await;
    conversation.subscriptions(1, granted).await;
    conversation
        .publish(7, QoS::AtLeastOnce, "lantime/m1/refresh")
        .await;
    let first = taker.next().await;
    // What is no command for us, between others, has to wait for its turn; so has one that should not come at all.
    conversation
        .publish(3, QoS::AtLeastOnce, "lantime/m1/state")
        .await;
    conversation
        .publish(9, QoS::AtLeastOnce, "lantime/m2/refresh")
        .await;
    conversation
        .publish(5, QoS::ExactlyOnce, "lantime/m1/refresh")
        .await;
    conversation
        .publish(1, QoS::AtLeastOnce, "lantime/m1/http/sessions/set")
        .await;
    // A device that is not ours any more is unsubscribed from at once. That also says that all of them have arrived.
    unsubscribed(&mut conversation).await;
    first.stored();
    for pkid in [7, 3, 9] {
        assert_eq!(acknowledged(&mut conversation).await, pkid);
    }
    let second = taker.next().await.stored();
    let mut taken = second.len();
    let packet = conversation.next_but_pings().await;
    assert!(
        matches!(&packet, Packet::PubRec(received) if received.pkid == 5),
        "{packet:?}"
    );
    while taken < 2 {
        taken += taker.next().await.stored().len();
    }
    assert_eq!(acknowledged(&mut conversation).await, 1);
    taker.crash().await;
}

#[tokio::test]
async fn an_acknowledgement_dies_with_its_connection() {
    let broker = FakeBroker::start().await;
    let mut taker = Taker::begin(broker.settings(), &["m1"]);
    let mut conversation = broker.accept().await;
    conversation.subscriptions(1, granted).await;
    conversation
        .publish(1, QoS::AtLeastOnce, "lantime/m1/refresh")
        .await;
    let old = taker.next().await;
    drop(conversation);

    // In the new connection the same packet id is another command.
    let mut conversation = broker.accept().await;
    conversation.subscriptions(1, granted).await;
    taker.until("connected", |status| status.subscribed).await;
    conversation
        .publish(1, QoS::AtLeastOnce, "lantime/m1/http/sessions/set")
        .await;
    old.stored();
    let new = taker.next().await;
    assert_eq!(payloads(&new.commands), ["lantime/m1/http/sessions/set"]);
    conversation
        .publish(2, QoS::AtLeastOnce, "lantime/m1/refresh")
        .await;
    new.failed();
    // Nothing was acknowledged by then: what comes next is a ping.
    assert!(matches!(conversation.next().await, Packet::PingReq(_)));
    taker.crash().await;
}
