//! What becomes of a change of the configuration: nothing before it is applied, everything at once then.

use super::action::{Action, ActionError};
use super::configuration::EventActions;
use super::device_kind::{ApiGeneration, Chassis, DeviceKind, Relay};
use super::events::EventState;
use super::relays::Position;
use super::world::World;
use jiff::Timestamp;
use std::collections::BTreeSet;

const START: Timestamp = Timestamp::constant(1_790_000_000, 0);
const LATER: Timestamp = Timestamp::constant(1_790_000_060, 0);

fn world(api: ApiGeneration) -> World {
    World::new(DeviceKind::new(Chassis::M3000, api), false, START)
}

fn change(event: &str, actions: &[&str]) -> EventActions {
    EventActions {
        event: event.to_owned(),
        actions: actions.iter().map(|&action| action.to_owned()).collect(),
    }
}

fn staged(world: &World, event: &str) -> Vec<String> {
    let mut all = world.configuration.staged();
    all.find(|(name, _)| *name == event).unwrap().1.to_vec()
}

fn fallen(world: &World) -> Vec<Relay> {
    let both = [Relay::A, Relay::C].into_iter();
    both.filter(|relay| world.relay("io4", *relay) == Some(Position::Nc))
        .collect()
}

#[test]
fn a_fresh_device_has_other_actions_beside_the_relays() {
    assert_eq!(
        staged(&world(ApiGeneration::V20), "ntp-not-sync"),
        ["email", "snmp", "io4-relay-a"]
    );
    assert_eq!(
        staged(&world(ApiGeneration::V16), "antenna-faulty"),
        ["snmp", "relais"]
    );
    assert!(staged(&world(ApiGeneration::V16), "ntp-stopped").is_empty());
    let world = world(ApiGeneration::V20);
    assert_eq!(
        world.relay_events("io4", Relay::C),
        BTreeSet::from(["antenna-faulty"])
    );
    for (slot, relay) in [("io4", Relay::B), ("io3", Relay::A), ("io9", Relay::A)] {
        assert!(
            world.relay_events(slot, relay).is_empty(),
            "no event can switch it"
        );
    }
}

#[test]
fn before_generation_20_one_action_switches_all_relays() {
    for api in [ApiGeneration::V10, ApiGeneration::V16] {
        let mut world = world(api);
        world
            .apply(&Action::FireEvent("antenna-faulty".to_owned()), START)
            .unwrap();
        assert_eq!(fallen(&world), [Relay::A, Relay::C]);
        let none = Action::RelayEvents {
            slot: "io4".to_owned(),
            relay: Relay::C,
            events: Vec::new(),
        };
        world.apply(&none, START).unwrap();
        assert!(fallen(&world).is_empty());
        assert!(world.relay_events("io4", Relay::A).is_empty());
    }
}

#[test]
fn what_is_written_takes_effect_when_it_is_applied() {
    let mut world = world(ApiGeneration::V20);
    world
        .apply(&Action::FireEvent("network-link-down".to_owned()), START)
        .unwrap();
    let (revision, generation) = (world.configuration.revision(), world.generation());
    let changes = [
        change("network-link-down", &["email", "io4-relay-c"]),
        change("antenna-faulty", &["snmp"]),
    ];
    world.write(&changes).unwrap();
    assert_eq!(staged(&world, "network-link-down"), ["email", "io4-relay-c"]);
    assert_eq!(
        (world.pending_changes(), world.configuration.revision()),
        (2, revision + 1)
    );
    assert_eq!(
        world.relay_events("io4", Relay::C),
        BTreeSet::from(["antenna-faulty"])
    );
    assert!(fallen(&world).is_empty());

    world.apply_changes(LATER);
    assert_eq!(fallen(&world), [Relay::C]);
    assert_eq!((world.pending_changes(), world.generation()), (0, generation + 2));
    let reported = |world: &World| {
        world
            .event("device-configuration-changed")
            .and_then(|event: &EventState| event.last_triggered)
    };
    assert_eq!(reported(&world), Some(LATER));
    world.apply_changes(START);
    assert_eq!(reported(&world), Some(LATER), "nothing was applied");
}

#[test]
fn a_change_is_taken_in_as_a_whole_or_not_at_all() {
    let cases = [
        change("coffee-empty", &[]),
        change("faillock:-user-banned", &["email"]),
        change("antenna-faulty", &["siren"]),
        change("antenna-faulty", &["relais"]),
        change("antenna-faulty", &["io4-relay-b"]),
        change("antenna-faulty", &["io1-relay-a"]),
        change("normal-operation", &["io4-relay-a"]),
        change("normal-operation", &["led"]),
    ];
    for wrong in cases {
        let mut world = world(ApiGeneration::V20);
        let name = wrong.event.clone();
        let refused = world
            .write(&[change("ntp-stopped", &["email"]), wrong])
            .unwrap_err();
        assert!(refused.to_string().contains(&name), "{refused}");
        assert_eq!(
            (
                world.pending_changes(),
                world.configuration.revision(),
                world.generation()
            ),
            (0, 1, 0)
        );
    }
    let mut world = world(ApiGeneration::V20);
    world
        .write(&[
            change("normal-operation", &["snmp"]),
            change("antenna-faulty", &["led"]),
        ])
        .unwrap();
}

#[test]
fn somebody_else_changes_the_same_configuration() {
    let mut world = world(ApiGeneration::V20);
    let someone = |actions: &[&str], apply| Action::EventActions {
        event: "ntp-stopped".to_owned(),
        actions: actions.iter().map(|&action| action.to_owned()).collect(),
        apply,
    };
    world.apply(&someone(&["io4-relay-a"], false), START).unwrap();
    assert_eq!((world.pending_changes(), world.configuration.revision()), (1, 2));
    let choose = Action::RelayEvents {
        slot: "io4".to_owned(),
        relay: Relay::C,
        events: vec!["faillock:-user-banned".to_owned()],
    };
    world.apply(&choose, START).unwrap();
    assert_eq!((world.pending_changes(), world.configuration.revision()), (0, 3));
    assert_eq!(
        world.relay_events("io4", Relay::C),
        BTreeSet::from(["faillock-user-banned"])
    );
    assert!(
        world.relay_events("io4", Relay::A).contains("ntp-stopped"),
        "it was pending"
    );
    assert_eq!(staged(&world, "antenna-faulty"), ["snmp"], "other actions stay");
    world.apply(&someone(&[], true), START).unwrap();
    assert!(!world.relay_events("io4", Relay::A).contains("ntp-stopped"));
    let impossible = world.apply(&someone(&["siren"], true), START).unwrap_err();
    assert!(matches!(impossible, ActionError::NoAction { .. }));
}
