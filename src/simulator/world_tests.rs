//! What worlds do, as tables: actions on one side, relays, switch and events on the other.

use super::action::{Action, ActionError, RscMode, Signal};
use super::device_kind::{ApiGeneration, Chassis, Clock, DeviceKind, Relay};
use super::relays::Position;
use super::world::World;
use Action::*;
use Clock::{Clk1, Clk2};
use jiff::{SignedDuration, Timestamp};

const START: Timestamp = Timestamp::constant(1_790_000_000, 0);

fn world(chassis: Chassis) -> World {
    World::new(DeviceKind::new(chassis, ApiGeneration::V20), false, START)
}

/// Applies actions a second apart; the first comes a second after the start.
fn played(chassis: Chassis, actions: &[Action]) -> World {
    let mut world = world(chassis);
    for (action, second) in actions.iter().zip(1..) {
        world
            .apply(action, START + SignedDuration::from_secs(second))
            .unwrap();
    }
    world
}

/// All relays in NC, as `io3.a`.
fn fallen(world: &World) -> Vec<String> {
    let relays = [(Relay::A, 'a'), (Relay::B, 'b'), (Relay::C, 'c')];
    let modules = world.kind().chassis.relay_modules().iter();
    let all = modules.flat_map(|module| relays.map(|(relay, name)| (module.slot, relay, name)));
    all.filter(|(slot, relay, _)| world.relay(slot, *relay) == Some(Position::Nc))
        .map(|(slot, _, name)| format!("{slot}.{name}"))
        .collect()
}

/// All bad news that stands.
fn bad_news(world: &World) -> Vec<&'static str> {
    let bad = world
        .events
        .iter()
        .filter(|e| e.triggered && e.kind != super::events::EventType::Info);
    bad.map(|e| e.name).collect()
}

struct Case {
    actions: &'static [Action],
    fallen: &'static [&'static str],
    active: Clock,
    events: &'static [&'static str],
}

fn check(chassis: Chassis, cases: &[Case]) {
    for Case {
        actions,
        fallen: expected,
        active,
        events,
    } in cases
    {
        let world = played(chassis, actions);
        assert_eq!(fallen(&world), *expected, "relays after {actions:?}");
        assert_eq!(world.active_clock(), *active, "switch after {actions:?}");
        assert_eq!(bad_news(&world), *events, "events after {actions:?}");
    }
}

#[test]
fn redundant_systems_change_over() {
    check(
        Chassis::M3000,
        &[
            Case {
                actions: &[],
                fallen: &[],
                active: Clk1,
                events: &[],
            },
            Case {
                actions: &[LoseSync(Clk1)],
                fallen: &["io3.a", "io4.a"],
                active: Clk2,
                events: &["refclock-1-not-sync"],
            },
            // It does not go back by itself.
            Case {
                actions: &[LoseSync(Clk1), RegainSync(Clk1)],
                fallen: &[],
                active: Clk2,
                events: &[],
            },
            Case {
                actions: &[LoseSync(Clk1), RegainSync(Clk1), ChangeOver],
                fallen: &[],
                active: Clk1,
                events: &[],
            },
            // Both lost: it stays on the one it was on.
            Case {
                actions: &[LoseSync(Clk2), LoseSync(Clk1)],
                fallen: &["io3.a", "io3.b", "io3.c", "io4.a", "io4.b"],
                active: Clk1,
                events: &["ntp-not-sync", "refclock-1-not-sync", "refclock-2-not-sync"],
            },
            Case {
                actions: &[LoseSync(Clk2), LoseSync(Clk1), RegainSync(Clk2)],
                fallen: &["io3.a", "io4.a"],
                active: Clk2,
                events: &["refclock-1-not-sync"],
            },
        ],
    );
}

#[test]
fn the_switch_stays_in_manual_mode_and_without_power() {
    check(
        Chassis::M3000,
        &[
            Case {
                actions: &[RscMode(RscMode::Manual), LoseSync(Clk1)],
                fallen: &["io3.a", "io3.c", "io4.a"],
                active: Clk1,
                events: &["refclock-1-not-sync"],
            },
            Case {
                actions: &[
                    RscMode(RscMode::Manual),
                    LoseSync(Clk1),
                    RscMode(RscMode::Automatic),
                ],
                fallen: &["io3.a", "io4.a"],
                active: Clk2,
                events: &["refclock-1-not-sync"],
            },
        ],
    );
    let world = played(Chassis::M3000, &[PowerOff("rsc1".to_owned()), LoseSync(Clk1)]);
    assert_eq!(
        (world.active_clock(), fallen(&world).contains(&"io3.c".to_owned())),
        (Clk1, true)
    );
    for first in [
        RscMode(RscMode::Manual),
        LoseSync(Clk2),
        PowerOff("rsc1".to_owned()),
    ] {
        let mut world = played(Chassis::M3000, &[first]);
        let before = world.generation();
        assert!(matches!(
            world.apply(&ChangeOver, START),
            Err(ActionError::StaysPut(_))
        ));
        assert_eq!((world.active_clock(), world.generation()), (Clk1, before));
    }
}

#[test]
fn antennas_and_signals() {
    check(
        Chassis::M3000,
        &[
            Case {
                actions: &[AntennaOff(Clk2)],
                fallen: &["io4.c"],
                active: Clk1,
                events: &["antenna-faulty"],
            },
            Case {
                actions: &[AntennaOff(Clk2), AntennaOff(Clk1), AntennaOn(Clk2)],
                fallen: &["io4.c"],
                active: Clk1,
                events: &["antenna-faulty"],
            },
            Case {
                actions: &[AntennaOff(Clk2), AntennaOn(Clk2)],
                fallen: &[],
                active: Clk1,
                events: &[],
            },
        ],
    );
    check(
        Chassis::M500,
        &[
            Case {
                actions: &[FailSignal(Signal::Pps)],
                fallen: &["io1.b"],
                active: Clk1,
                events: &[],
            },
            Case {
                actions: &[FailSignal(Signal::TenMhz)],
                fallen: &["io1.c"],
                active: Clk1,
                events: &[],
            },
            Case {
                actions: &[FailSignal(Signal::Pps), RestoreSignal(Signal::Pps)],
                fallen: &[],
                active: Clk1,
                events: &[],
            },
            Case {
                actions: &[LoseSync(Clk1)],
                fallen: &["io1.a"],
                active: Clk1,
                events: &["ntp-not-sync", "refclock-1-not-sync"],
            },
        ],
    );
}

#[test]
fn without_power_a_clock_or_a_relay_module_is_missing() {
    let off = |slot: &str| PowerOff(slot.to_owned());
    let world = played(Chassis::M3000, &[off("clk1")]);
    assert_eq!(fallen(&world), ["io3.a", "io4.a"]);
    assert_eq!(
        bad_news(&world),
        ["refclock-1-not-responding", "refclock-1-not-sync"]
    );
    assert_eq!(world.active_clock(), Clk2);
    let world = played(Chassis::M3000, &[off("clk1"), PowerOn("clk1".to_owned())]);
    assert!(fallen(&world).is_empty() && bad_news(&world).is_empty());
    let world = played(
        Chassis::M3000,
        &[LoseSync(Clk1), off("clk1"), PowerOn("clk1".to_owned())],
    );
    assert_eq!(
        bad_news(&world),
        ["refclock-1-not-sync"],
        "it is as it was before"
    );
    let world = played(Chassis::M3000, &[off("io4")]);
    assert_eq!(fallen(&world), ["io4.a", "io4.b", "io4.c"]);
    let world = played(Chassis::M500, &[off("clk1")]);
    assert_eq!(fallen(&world), ["io1.a", "io1.b", "io1.c"]);
}

#[test]
fn events_move_only_the_relays_that_they_are_selected_for() {
    let fire = |name: &str| FireEvent(name.to_owned());
    let choose = |events: &[&str]| RelayEvents {
        slot: "io4".to_owned(),
        relay: Relay::C,
        events: events.iter().map(|&name| name.to_owned()).collect(),
    };
    let fallen_after = |actions: &[Action]| fallen(&played(Chassis::M3000, actions));
    assert!(fallen_after(&[fire("network-link-down")]).is_empty());
    assert_eq!(fallen_after(&[fire("ntp-not-sync")]), ["io4.a"]);
    assert!(fallen_after(&[fire("ntp-not-sync"), fire("ntp-sync")]).is_empty());
    assert_eq!(
        fallen_after(&[choose(&["network-link-down"]), fire("network-link-down")]),
        ["io4.c"]
    );
    assert!(
        fallen_after(&[choose(&["network-link-up"]), fire("network-link-up")]).is_empty(),
        "good news"
    );
    assert!(fallen_after(&[choose(&[]), fire("antenna-faulty")]).is_empty());
    assert_eq!(
        fallen_after(&[choose(&["faillock-user-banned"]), fire("faillock-user-banned")]),
        ["io4.c"]
    );
}

#[test]
fn events_have_a_time() {
    let world = played(
        Chassis::M3000,
        &[RscMode(RscMode::Automatic), LoseSync(Clk1), RegainSync(Clk1)],
    );
    let lost = world.event("refclock-1-not-sync").unwrap();
    let found = world.event("refclock-1-sync").unwrap();
    assert_eq!((lost.triggered, found.triggered), (false, true));
    assert_eq!(lost.last_triggered, Some(START + SignedDuration::from_secs(2)));
    assert_eq!(found.last_triggered, Some(START + SignedDuration::from_secs(3)));
    assert_eq!(world.event("ntp-stopped").unwrap().last_triggered, None);
}

#[test]
fn what_a_device_has_not_cannot_happen() {
    let text = str::to_owned;
    let cases = [
        (Chassis::M500, LoseSync(Clk2)),
        (Chassis::M500, ChangeOver),
        (Chassis::M500, RscMode(RscMode::Manual)),
        (Chassis::M500, FireEvent(text("refclock-2-not-sync"))),
        (Chassis::M500, PowerOff(text("clk2"))),
        (Chassis::M3000, FailSignal(Signal::Pps)),
        (Chassis::M3000, FireEvent(text("coffee-empty"))),
        (Chassis::M3000, PowerOff(text("cpu"))),
        (
            Chassis::M3000,
            RelayEvents {
                slot: text("io3"),
                relay: Relay::A,
                events: Vec::new(),
            },
        ),
        (
            Chassis::M3000,
            RelayEvents {
                slot: text("io4"),
                relay: Relay::B,
                events: Vec::new(),
            },
        ),
        (
            Chassis::M3000,
            RelayEvents {
                slot: text("io4"),
                relay: Relay::A,
                events: vec![text("x")],
            },
        ),
    ];
    for (chassis, action) in cases {
        let mut world = world(chassis);
        assert!(world.apply(&action, START).is_err(), "{action:?} on {chassis:?}");
        assert_eq!(world.generation(), 0);
        assert!(fallen(&world).is_empty() && bad_news(&world).is_empty());
    }
}

#[test]
fn a_generation_has_no_events_of_a_later_one() {
    let kind = DeviceKind::new(Chassis::M3000, ApiGeneration::V10);
    let mut world = World::new(kind, false, START);
    let later = ClearEvent("auto-update-failed".to_owned());
    assert!(world.apply(&later, START).is_err());
}

#[test]
fn recover_heals_everything_but_what_stands_from_the_start() {
    let kind = DeviceKind::new(Chassis::M3000, ApiGeneration::V20);
    let mut world = World::new(kind, true, START);
    let text = str::to_owned;
    let harm = [
        LoseSync(Clk1),
        AntennaOff(Clk1),
        PowerOff(text("clk2")),
        PowerOff(text("io3")),
        RscMode(RscMode::Manual),
        FireEvent(text("auto-update-failed")),
        FireEvent(text("low-system-resources")),
    ];
    for action in &harm {
        world.apply(action, START).unwrap();
    }
    assert_eq!(world.apply(&Recover, START), Ok(harm.len() as u64 + 1));
    assert_eq!(fallen(&world), [""; 0]);
    assert_eq!(bad_news(&world), ["self-signed-https-certificate-in-use"]);
    assert_eq!(
        (world.active_clock(), world.rsc_mode()),
        (Clk1, RscMode::Automatic)
    );
}
