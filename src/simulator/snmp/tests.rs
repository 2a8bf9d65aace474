//! What the SNMP side says and takes, without any socket.

use std::sync::Arc;

use async_snmp::{Oid, Value};
use jiff::Timestamp;

use super::endpoint::Endpoint;
use super::objects::{self, Object};
use super::options::{SnmpOptions, Traps};
use super::{mib, mib_actions};
use crate::simulator::action::Action;
use crate::simulator::device_kind::{ApiGeneration, Chassis, Clock, DeviceKind};
use crate::simulator::document::Identity;
use crate::simulator::world::World;

const START: Timestamp = Timestamp::constant(1_790_000_000, 0);

fn kind(chassis: Chassis, api: ApiGeneration) -> DeviceKind {
    DeviceKind::new(chassis, api)
}

fn words_of(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn one_action_stands_for_all_relays_on_notification() {
    use ApiGeneration::{V10, V20};
    let cases = [
        (V10, "email,relais", "email relais"),
        (V20, "email,relais", "email io4-relay-a io4-relay-c"),
        (V20, " led , snmp,led", "led snmp"),
        (V20, "", ""),
    ];
    for (api, text, actions) in cases {
        let read = mib_actions::read(kind(Chassis::M3000, api), "ntp-stopped", text);
        assert_eq!(read, Ok(words_of(actions)), "{text}");
    }
    assert_eq!(
        mib_actions::write(&words_of("io4-relay-c email io4-relay-a")),
        "relais,email"
    );
    assert_eq!(mib_actions::write(&[]), "");
}

#[test]
fn actions_outside_the_list_and_those_that_an_event_does_not_take_are_refused() {
    let v20 = kind(Chassis::M3000, ApiGeneration::V20);
    for (event, text) in [
        ("ntp-stopped", "email,siren"),
        ("ntp-stopped", "io4-relay-a"),
        ("ntp-stopped", "Relais"),
        ("ntp-stopped", "email,,snmp"),
        ("ntp-stopped", "n/a"),
        ("normal-operation", "relais"),
        ("normal-operation", "led"),
    ] {
        assert!(mib_actions::read(v20, event, text).is_err(), "{event}: {text}");
    }
    let no_relay = kind(Chassis::M500, ApiGeneration::V20);
    assert!(
        mib_actions::read(no_relay, "ntp-stopped", "relais").is_err(),
        "there is no relay that it could stand for"
    );
}

fn value(world: &World, oid: &str) -> Value {
    let who = Identity {
        number: 3,
        hostname: "lantime-3.sim.example".to_owned(),
        url: String::new(),
    };
    let oid = Oid::parse(oid).unwrap();
    let all = [objects::system(), objects::vendor(world)];
    let object: Object = *all.iter().find_map(|table| table.get(&oid)).unwrap();
    objects::value(object, &who, world, START)
}

/// A column of the table of clocks, for both of them.
fn clocks(world: &World, column: u32) -> [Value; 2] {
    [1, 2].map(|index| value(world, &format!("1.3.6.1.4.1.5597.30.0.1.2.1.{column}.{index}")))
}

#[test]
fn the_table_of_clocks_follows_the_world() {
    let int = Value::Integer;
    let mut world = World::new(kind(Chassis::M3000, ApiGeneration::V20), false, START);
    let mut happens = |action: Action| {
        world.apply(&action, START).unwrap();
        world.clone()
    };
    let fresh = happens(Action::Recover);
    assert_eq!(clocks(&fresh, 2), [int(30), int(30)], "gps180");
    assert_eq!(clocks(&fresh, 3), [int(3), int(1)], "primary, secondary");
    assert_eq!(clocks(&fresh, 4), [int(1), int(1)]);
    assert_eq!(clocks(&fresh, 5), [int(1), int(1)]);
    let lost = happens(Action::LoseSync(Clock::Clk1));
    assert_eq!(
        clocks(&lost, 3),
        [int(1), int(3)],
        "the switch has changed to clock 2"
    );
    assert_eq!(clocks(&lost, 4), [int(2), int(1)]);
    assert_eq!(clocks(&lost, 5), [int(2), int(1)]);
    assert_eq!(
        value(&lost, "1.3.6.1.4.1.5597.30.0.2.1.0"),
        int(2),
        "NTP has clock 2"
    );
    let both = happens(Action::LoseSync(Clock::Clk2));
    assert_eq!(value(&both, "1.3.6.1.4.1.5597.30.0.2.1.0"), int(1));
    assert_eq!(clocks(&happens(Action::AntennaOff(Clock::Clk1)), 5)[0], int(3));
    let off = happens(Action::PowerOff("clk2".to_owned()));
    for column in 2..=5 {
        assert_eq!(clocks(&off, column)[1], int(0), "not available");
    }
    assert_eq!(value(&off, "1.3.6.1.4.1.5597.30.0.1.1.0"), Value::Gauge32(1));
}

#[test]
fn a_device_says_who_it_is() {
    let world = World::new(kind(Chassis::M500, ApiGeneration::V10), false, START);
    assert_eq!(
        value(&world, "1.3.6.1.2.1.1.5.0"),
        Value::from("lantime-3.sim.example")
    );
    assert_eq!(
        value(&world, "1.3.6.1.4.1.5597.30.0.0.2.0"),
        Value::from("fw_7.06.014-light")
    );
    assert_eq!(
        value(&world, "1.3.6.1.4.1.5597.30.0.0.3.0"),
        Value::from("9000000003")
    );
    let eleven_days_and_three_hours = (11 * 24 + 3) * 3600 * 100;
    assert_eq!(
        value(&world, "1.3.6.1.2.1.1.3.0"),
        Value::TimeTicks(eleven_days_and_three_hours)
    );
    assert_eq!(
        value(&world, "1.3.6.1.4.1.5597.30.0.1.2.1.5.1"),
        Value::Integer(52),
        "lwSync"
    );
}

/// Numbers of the notifications of what `action` does.
fn notified(traps: Traps, action: &Action) -> Vec<u32> {
    let options = SnmpOptions {
        traps,
        ..SnmpOptions::default()
    };
    let side = Endpoint::new(1, Arc::new(options));
    let mut news = side.subscribe();
    let before = World::new(kind(Chassis::M500, ApiGeneration::V16), false, START);
    let mut after = before.clone();
    let later = Timestamp::constant(1_790_000_060, 0);
    after.apply(action, later).unwrap();
    side.notify_changes(&before, &after, later);
    let numbers = std::iter::from_fn(|| news.try_recv().ok());
    let mut numbers: Vec<_> = numbers.map(|news| *news.trap.arcs().last().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn what_is_triggered_is_notified() {
    let lost = Action::LoseSync(Clock::Clk1);
    assert_eq!(
        notified(Traps::Every, &lost),
        [1, 5],
        "ntp-not-sync, refclock-1-not-sync"
    );
    assert_eq!(notified(Traps::Selected, &lost), [1, 5]);
    let down = Action::FireEvent("network-link-down".to_owned());
    assert_eq!(notified(Traps::Every, &down), [17]);
    assert!(notified(Traps::Selected, &down).is_empty(), "it is mailed only");
    let unknown_to_the_mib = Action::FireEvent("sync-monitor".to_owned());
    assert!(notified(Traps::Every, &unknown_to_the_mib).is_empty());
}

#[test]
fn the_bridge_has_the_same_numbers() {
    use crate::lantime::snmp::oids;
    for api in [ApiGeneration::V10, ApiGeneration::V20] {
        let world = World::new(kind(Chassis::M3000, api), false, START);
        for event in world.events.iter() {
            let canonical = match event.name {
                "leapsecond-announced" => "leap-second-announced",
                "faillock:-user-banned" => "faillock-user-banned",
                name => name,
            };
            let known = oids::by_event(canonical);
            let number = mib::notification(event.name).and_then(|trap| oids::notification_number(&trap));
            assert_eq!(number, known.map(|known| known.number), "{canonical}");
            let actions = known.and_then(|known| known.actions).map(oids::actions);
            assert_eq!(mib::actions(event.name), actions, "{canonical}");
        }
    }
    let objects = objects::vendor(&World::new(
        kind(Chassis::M3000, ApiGeneration::V20),
        false,
        START,
    ));
    for (oid, object) in [
        (oids::firmware(), Object::Firmware),
        (oids::serial_number(), Object::SerialNumber),
        (oids::ntp_state(), Object::NtpState),
        (oids::execute(), Object::Execute),
        (
            oids::refclock(oids::Refclock::Substate, 2),
            Object::Refclock(objects::Column::Substate, Clock::Clk2),
        ),
    ] {
        assert_eq!(objects.get(&oid), Some(&object), "{oid}");
    }
    assert!(mib::trap_message().starts_with(&oids::message()));
}
