//! What is published of relays and signals is read back as it was, in every layout.

use std::sync::Arc;

use jiff::Timestamp;
use lantime2mqtt::config::Layout;
use lantime2mqtt::contract::read_back::ReadBack;
use lantime2mqtt::contract::topics::{DeviceTopic, SlotTopic, Topics};
use lantime2mqtt::hub::Device;
use lantime2mqtt::model::{
    Acknowledged, Cause, Detail, DeviceId, DeviceView, EventName, EventState, EventType, Identity, LastFault,
    LastTriggered, Position, Provenance, Relay, RelayEventsState, RelayState, ShardId, Signal, SignalState,
    SlotId, SlotState, SlotView, Status, UnknownReason, Via,
};
use lantime2mqtt::mqtt::payload::Payloads;
use litemap::LiteMap;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::config;

const NAMES: [&str; 3] = ["clock-not-sync", "antenna-faulty", "pps-failed"];

/// As precise as payloads are.
fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_i64)
        .prop_map(|millis| Timestamp::from_millisecond(millis).expect("before the year 2100"))
}

fn reason() -> impl Strategy<Value = Option<UnknownReason>> {
    option::of(select(vec![
        UnknownReason::NotReported,
        UnknownReason::Offline,
        UnknownReason::Missing,
        UnknownReason::InfoOnly,
        UnknownReason::Unclear,
    ]))
}

fn relay() -> impl Strategy<Value = RelayState> {
    let position = || select(vec![Position::No, Position::Nc, Position::Unknown]);
    let driver = option::of(select(Signal::ALL.to_vec()));
    let cause = || select(NAMES.to_vec()).prop_map(str::to_owned);
    let causes = vec(
        (cause(), time()).prop_map(|(name, since)| Cause { name, since }),
        0..3,
    );
    let last = option::of((position(), time()));
    let last_fault = option::of(
        (
            time(),
            option::of(time()),
            option::of(cause()),
            option::of((time(), option::of(cause()))),
        )
            .prop_map(|(since, until, cause, acknowledged)| LastFault {
                since,
                until,
                cause: cause.map(Into::into),
                acknowledged: acknowledged.map(|(at, by)| Acknowledged {
                    at,
                    by: by.map(Into::into),
                }),
            }),
    );
    let parts = (
        position(),
        driver,
        option::of(cause()),
        causes,
        reason(),
        time(),
        last,
        last_fault,
    );
    parts.prop_map(
        |(position, driven_by, cause, causes, unknown_reason, since, last, last_fault)| RelayState {
            position,
            driven_by,
            cause,
            causes,
            provenance: Provenance::Unseen,
            unknown_reason,
            stale: false,
            via: Via::Rest,
            since,
            last,
            last_fault: last_fault.map(Box::new),
        },
    )
}

fn signal() -> impl Strategy<Value = SignalState> {
    let status = || select(vec![Status::Ok, Status::Fail, Status::Absent, Status::Unknown]);
    let parts = (status(), reason(), time(), option::of((status(), time())));
    parts.prop_map(|(status, unknown_reason, since, last)| SignalState {
        status,
        provenance: Provenance::Unseen,
        unknown_reason,
        stale: false,
        via: Via::Rest,
        since,
        detail: [("oscillator", Detail::Text("warmed-up".into()))].into(),
        last,
    })
}

fn relay_events() -> impl Strategy<Value = RelayEventsState> {
    let name = select(NAMES.to_vec()).prop_map(|name| EventName::canonical(name).expect("a name"));
    (option::of(btree_set(name, 0..3)), any::<bool>(), time()).prop_map(|(events, confirmed, since)| {
        RelayEventsState {
            events: events.map(|names| names.into_iter().collect()),
            confirmed,
            via: None,
            since,
        }
    })
}

/// What is read of a relay: causes only in a fault, since when not by the scalar layout, and nothing that is to come.
fn expected_relay(relay: RelayState, layout: Layout, now: Timestamp) -> RelayState {
    let since = relay.since.min(now);
    let is_fault = relay.position == Position::Nc;
    let causes = relay.causes.into_iter().filter(|_| is_fault).map(|cause| Cause {
        since: match layout {
            Layout::Scalar => since,
            Layout::Json | Layout::Both => cause.since.min(now),
        },
        ..cause
    });
    RelayState {
        causes: causes.collect(),
        cause: relay.cause.filter(|_| is_fault),
        since,
        last: relay
            .last
            .filter(|(position, _)| *position != Position::Unknown)
            .map(|(position, at)| (position, at.min(now))),
        last_fault: relay.last_fault.map(|fault| {
            Box::new(LastFault {
                since: fault.since.min(now),
                until: fault.until.map(|until| until.min(now)),
                acknowledged: fault.acknowledged.map(|acknowledged| Acknowledged {
                    at: acknowledged.at.min(now),
                    ..acknowledged
                }),
                ..*fault
            })
        }),
        ..relay
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_published_is_read_back(
        relay in relay(),
        signal in signal(),
        events in relay_events(),
        layout in select(vec![Layout::Json, Layout::Scalar, Layout::Both]),
        is_reversed in any::<bool>(),
        now in time(),
    ) {
        let (device, slot) = (DeviceId::new("m1").expect("an id"), SlotId::new("io3").expect("an id"));
        let view = SlotView {
            state: SlotState::Online,
            module: None,
            wiring: None,
            relays: LiteMap::from_iter([(Relay::A, relay.clone())]),
            relay_events: LiteMap::from_iter([(Relay::A, events.clone())]),
            signals: LiteMap::from_iter([(Signal::Clk1, signal.clone())]),
        };
        let shown = Device {
            view: Arc::new(DeviceView {
                slots: LiteMap::from_iter([(slot.clone(), view)]),
                ..DeviceView::default()
            }),
            ..Device::default()
        };
        let topics = Topics::new("lantime", DeviceId::new("b1").expect("an id"));
        let payloads = Payloads::new(topics.clone(), layout);
        let objects = [SlotTopic::Relay(Relay::A), SlotTopic::RelayEvents(Relay::A), SlotTopic::Signal(Signal::Clk1)];
        let mut messages: Vec<_> = objects
            .into_iter()
            .flat_map(|below| payloads.of_device(&device, &DeviceTopic::Slot(slot.clone(), below), &shown))
            .collect();
        if is_reversed {
            messages.reverse();
        }
        let mut read = ReadBack::default();
        for message in &messages {
            read.take(&topics, &message.topic, message.payload.as_deref().expect("a payload"));
        }
        let expected = expected_relay(relay, layout, now);
        prop_assert_eq!(read.relay(&device, &slot, Relay::A, now), Some(expected));
        let since = events.since.min(now);
        let expected = RelayEventsState { confirmed: false, since, ..events };
        prop_assert_eq!(read.relay_events(&device, &slot, Relay::A, now), Some(expected));
        let last = signal.last.filter(|(status, _)| *status != Status::Unknown);
        let expected = SignalState {
            detail: [].into(),
            since: signal.since.min(now),
            last: last.map(|(status, at)| (status, at.min(now))),
            ..signal
        };
        prop_assert_eq!(read.signal(&device, &slot, Signal::Clk1, now), Some(expected));
    }

    #[test]
    fn what_another_bridge_has_published_of_events_is_read_back(
        triggered in option::of(any::<bool>()),
        last in option::of(time()),
        layout in select(vec![Layout::Json, Layout::Scalar, Layout::Both]),
    ) {
        let device = DeviceId::new("m1").expect("an id");
        let never = if triggered.is_some() { LastTriggered::Never } else { LastTriggered::Unclear };
        let event = EventState {
            name: EventName::canonical("ntp-not-sync").expect("a name"),
            name_on_device: Some(Box::new("NTP Not Sync".into())),
            triggered,
            kind: EventType::Error,
            last_triggered: last.map_or(never, LastTriggered::at),
        };
        let identity = Identity {
            serial_number: Some("0815".into()),
            web_interface: "http://10.0.0.7".into(),
            ..Identity::default()
        };
        let shown = Device {
            view: Arc::new(DeviceView {
                identity: Some(identity.into()),
                events: [event.clone()].into(),
                ..DeviceView::default()
            }),
            ..Device::default()
        };
        let topics = Topics::new("lantime", DeviceId::new("b1").expect("an id")).of_shard(ShardId(0));
        let payloads = Payloads::new(topics.clone(), layout);
        let mut read = ReadBack::of_another();
        for below in [DeviceTopic::Info, DeviceTopic::Event(event.name.clone())] {
            for message in payloads.of_device(&device, &below, &shown) {
                read.take(&topics, &message.topic, message.payload.as_deref().expect("a payload"));
            }
        }
        let expected = EventState { name_on_device: None, kind: EventType::Unknown, ..event };
        prop_assert_eq!(read.events().remove(&device), Some(vec![expected]));
        prop_assert_eq!(read.owner(&device), DeviceId::new("b1"));
        prop_assert_eq!(read.serial_number(&device), Some("0815".to_owned()));
    }

    /// Anybody may have written there.
    #[test]
    fn whatever_is_retained_is_no_harm(
        path in select(vec!["", "/position", "/since", "/last", "/last/at", "/causes", "/events", "/a/b/c"]),
        payload in prop_oneof![any::<String>(), select(vec!["NO", "{}", "[]", "null", "{\"since\":1}"]).prop_map(str::to_owned)],
        again in any::<String>(),
    ) {
        let topics = Topics::new("lantime", DeviceId::new("b1").expect("an id"));
        let (device, slot) = (DeviceId::new("m1").expect("an id"), SlotId::new("io3").expect("an id"));
        let mut read = ReadBack::default();
        read.take(&topics, &format!("lantime/m1/io3/relay/a{path}"), payload.as_bytes());
        read.take(&topics, "lantime/m1/io3/relay/a/last/at", again.as_bytes());
        prop_assert_eq!(read.relay(&device, &slot, Relay::A, Timestamp::MAX), None);
    }
}

#[test]
fn what_no_bridge_has_published_is_not_taken_over() {
    let topics = Topics::new("lantime", DeviceId::new("b1").expect("an id"));
    let (device, slot) = (
        DeviceId::new("m1").expect("an id"),
        SlotId::new("io3").expect("an id"),
    );
    let relay = |position: &str| {
        let json = format!(
            r#"{{"position":"{position}","since":"2026-01-01T00:00:00.000Z","cause":"<b>","causes":[{{"cause":"<b>",
            "since":"2026-01-01T00:00:00.000Z"}},{{"cause":"ntp-not-sync","since":"2026-01-01T00:00:00.000Z"}}]}}"#
        );
        let mut read = ReadBack::default();
        read.take(&topics, "lantime/m1/io3/relay/a", json.as_bytes());
        let relay = read
            .relay(&device, &slot, Relay::A, Timestamp::MAX)
            .expect("a relay");
        let causes: Vec<_> = relay.causes.into_iter().map(|cause| cause.name).collect();
        (relay.cause, causes)
    };
    assert_eq!(relay("NC"), (None, vec!["ntp-not-sync".to_owned()]));
    assert_eq!(relay("unknown"), (None, Vec::new()));
}
