//! Scenario files: the shipped ones, and what is said about wrong ones.

use super::action::Action;
use super::device_kind::{ApiGeneration, Chassis, DeviceKind, Relay};
use super::fault::Fault;
use super::relays::Position;
use super::scenario::{Happening, Scenario, Target};
use super::world::World;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::collections::HashSet;
use std::mem::discriminant;
use std::time::Duration;

const FAULTS: &str = include_str!("../../config/scenarios/faults.toml");

#[test]
fn the_lively_scenario_is_possible_and_ends_well() {
    let scenario = Scenario::lively();
    scenario.check_devices(&["sim-1", "sim-2"]).unwrap();
    assert!(
        scenario
            .steps
            .iter()
            .any(|step| step.at < Duration::from_secs(10))
    );
    for (id, chassis) in [("sim-1", Chassis::M3000), ("sim-2", Chassis::M500)] {
        let mut world = World::new(
            DeviceKind::new(chassis, ApiGeneration::V10),
            false,
            Timestamp::UNIX_EPOCH,
        );
        let mut moved = HashSet::new();
        for step in &scenario.steps {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::try_from(step.at).unwrap();
            let own = step.target == Target::All || step.target == Target::Device(id.to_owned());
            if let (true, Happening::Action(action)) = (own, &step.happening) {
                world.apply(action, now).unwrap();
                moved.extend(relays_in(&world, Position::Nc));
            }
        }
        assert_eq!(relays_in(&world, Position::Nc), [], "{id} is well at the end");
        assert_eq!(
            moved.len(),
            3 * chassis.relay_modules().len(),
            "every relay of {id} has moved"
        );
    }
}

fn relays_in(world: &World, position: Position) -> Vec<(&'static str, Relay)> {
    let modules = world.kind().chassis.relay_modules().iter();
    let relays = modules.flat_map(|m| [Relay::A, Relay::B, Relay::C].map(|relay| (m.slot, relay)));
    relays
        .filter(|(slot, relay)| world.relay(slot, *relay) == Some(position))
        .collect()
}

#[test]
fn the_lively_scenario_leaves_the_relay_modules_to_which_the_readme_sends_commands() {
    let scenario = Scenario::lively();
    let readme = include_str!("../../README.md");
    for step in &scenario.steps {
        if let (Target::Device(id), Happening::Action(Action::PowerOff(slot))) =
            (&step.target, &step.happening)
        {
            let commands = format!("lantime/{id}/{slot}/relay/a/events/set");
            assert!(!readme.contains(&commands), "{commands}");
        }
        let disturbs = step.target != Target::Device("sim-2".to_owned())
            && matches!(step.happening, Happening::Fault(..));
        assert!(!disturbs, "sim-1 answers all the time");
    }
}

#[test]
fn the_fault_scenario_has_every_fault() {
    let scenario = Scenario::parse(FAULTS).unwrap();
    let faults = scenario.steps.iter().filter_map(|step| match &step.happening {
        Happening::Fault(fault, _) => Some(fault),
        _ => None,
    });
    let seen: HashSet<_> = faults.clone().map(discriminant).collect();
    // A new fault ends up here: count it, and add a step to the file.
    let count = |fault: &Fault| match fault {
        Fault::Unauthorized | Fault::Forbidden | Fault::NotFound | Fault::ServerError => 25,
        Fault::Unavailable | Fault::Hang | Fault::SlowBody { .. } | Fault::CutBody { .. } => 25,
        Fault::HugeBody { .. } | Fault::WrongJson | Fault::MissingKeys { .. } => 25,
        Fault::Restart { .. } | Fault::ExpiredToken | Fault::ReadOnly | Fault::BusyConfiguration => 25,
        Fault::HangOnWrite | Fault::HangOnApply | Fault::CutAfterWrite | Fault::CutAfterApply => 25,
        Fault::FailingApply | Fault::SnmpSilence | Fault::LateApply { .. } | Fault::WrongBoots { .. } => 25,
        Fault::StaleStatus | Fault::SlowChange { .. } => 25,
    };
    assert_eq!(seen.len(), count(&Fault::Hang));
    assert!(
        faults
            .into_iter()
            .any(|f| matches!(f, Fault::HugeBody { bytes } if *bytes > 8 << 20))
    );
}

#[test]
fn problems_name_step_key_value_and_remedy() {
    let step = |rest: &str| {
        format!("[[step]]\nat = \"1s\"\ndevice = \"sim-1\"\naction = \"recover\"\n[[step]]\n{rest}")
    };
    let cases = [
        (
            "at = \"1s\"\ndevice = \"all\"\naction = \"lose-synk\"",
            "step 2: action = \"lose-synk\": ",
            "lose-sync",
        ),
        (
            "at = \"1s\"\ndevice = \"all\"\naction = { lose-sync = \"clk3\" }",
            "clk3",
            "clk2",
        ),
        (
            "at = \"1s\"\ndevice = \"all\"\nfault = { restart = { down = 5 } }",
            "step 2: fault = ",
            "string",
        ),
        (
            "at = \"1s\"\ndevice = \"all\"\nfault = { cut-body = { aftr-bytes = 5 } }",
            "aftr-bytes",
            "after-bytes",
        ),
        (
            "at = \"soon\"\ndevice = \"all\"\nfault = \"hang\"",
            "step 2: at = \"soon\": not a duration",
            "\"5s\"",
        ),
        (
            "at = \"-5s\"\ndevice = \"all\"\nfault = \"hang\"",
            "step 2: at = \"-5s\"",
            "negative",
        ),
        (
            "at = \"9999h\"\ndevice = \"all\"\nfault = \"hang\"",
            "step 2: at = \"9999h\"",
            "above a week",
        ),
        (
            "at = 5\ndevice = \"all\"\nfault = \"hang\"",
            "step 2: at = 5: not a duration",
            "\"5s\"",
        ),
        (
            "device = \"all\"\nfault = \"hang\"",
            "step 2: at = (nothing): ",
            "say when",
        ),
        (
            "at = \"1s\"\nfault = \"hang\"",
            "step 2: device = (nothing): ",
            "say who",
        ),
        (
            "at = \"1s\"\ndevice = \"all\"",
            "step 2: action = (nothing): ",
            "exactly one",
        ),
        (
            "at = \"1s\"\ndevice = \"all\"\nfault = \"hang\"\naction = \"recover\"",
            "action and fault",
            "exactly one",
        ),
        (
            "at = \"1s\"\ndevice = \"all\"\naction = \"recover\"\nfor = \"5s\"",
            "step 2: for = \"5s\": ",
            "only a fault",
        ),
        (
            "at = \"1s\"\ndevice = \"all\"\nfault = \"expired-token\"\nfor = \"5s\"",
            "step 2: for = 5s: ",
            "by itself",
        ),
        (
            "at = \"1s\"\ndevice = \"all\"\nclear-fault = false",
            "step 2: clear-fault = false: ",
            "clear-fault = true",
        ),
        (
            "at = \"1s\"\ndevice = \"all\"\nfault = \"hang\"\nuntil = 3",
            "step 2: until = 3: unknown key",
            "clear-fault",
        ),
    ];
    for (rest, start, remedy) in cases {
        let error = Scenario::parse(&step(rest)).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(start) && text.contains(remedy),
            "{rest}\ngave: {text}"
        );
        assert_eq!(error.problems.len(), 1, "{text}");
        assert_eq!(error.problems[0].step, Some(2));
    }
}

#[test]
fn problems_of_the_whole_file_are_reported_together() {
    let text = "repeat_every = \"1s\"\nspeed = 2\n[[step]]\nat = \"1s\"\ndevice = \"all\"\nfault = \"hang\"\nfor = \"1s\"";
    let reported = Scenario::parse(text).unwrap_err().to_string();
    assert!(
        reported.contains("scenario: speed = 2: unknown key"),
        "{reported}"
    );
    assert!(
        reported.contains("repeat_every = 1s: the last step ends at 2s"),
        "{reported}"
    );
    assert!(
        Scenario::parse("")
            .unwrap_err()
            .to_string()
            .contains("at least one [[step]]")
    );
    assert!(
        Scenario::parse("step = 3")
            .unwrap_err()
            .to_string()
            .contains("at least one [[step]]")
    );
    assert!(
        Scenario::parse("[[step]")
            .unwrap_err()
            .to_string()
            .contains("scenario: TOML")
    );
    let scenario =
        Scenario::parse("[[step]]\nat = \"0s\"\ndevice = \"sim-9\"\naction = \"recover\"").unwrap();
    let reported = scenario.check_devices(&["sim-1"]).unwrap_err().to_string();
    assert!(
        reported.contains("step 1: device = \"sim-9\"") && reported.contains("sim-1"),
        "{reported}"
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".*") {
        _ = Scenario::parse(&text);
    }

    #[test]
    fn no_step_makes_the_reader_panic(
        at in "\"[0-9a-z .-]{0,8}\"|[0-9]{1,3}|\\[\\]",
        kind in "action|fault|clear-fault|for|when",
        value in "\"[a-z-]{0,12}\"|true|\\{ [a-z-]{1,10} = \"[a-z0-9]{0,5}\" \\}|\\{ restart = \\{ down = \"[0-9]{1,20}h\" \\} \\}",
    ) {
        let text = format!("repeat_every = {at}\n[[step]]\nat = {at}\ndevice = \"all\"\n{kind} = {value}");
        if let Err(error) = Scenario::parse(&text) {
            prop_assert!(!error.problems.is_empty());
        }
    }

    #[test]
    fn what_is_written_is_read_again(number in 0_u32.., text in "[a-z0-9-]{0,12}", pick in 0_usize..10) {
        let fault = [
            Fault::Hang,
            Fault::SlowBody { bytes_per_second: number },
            Fault::HugeBody { bytes: number.into() },
            Fault::MissingKeys { keys: vec![text.clone()] },
            Fault::Restart { down: Duration::from_millis(number.into()) },
            Fault::CutAfterWrite,
        ][pick % 6].clone();
        let action = [
            Action::FireEvent(text.clone()),
            Action::Recover,
            Action::EventActions { event: text.clone(), actions: vec![text.clone()], apply: pick > 5 },
        ][pick % 3].clone();
        let read = |key: &str, value: toml::Value| {
            let step = toml::toml! { at = "0s" device = "all" };
            let mut step = step;
            step.insert(key.to_owned(), value);
            let file: toml::Table = [("step".to_owned(), vec![toml::Value::Table(step)].into())].into_iter().collect();
            Scenario::parse(&file.to_string()).unwrap().steps.remove(0).happening
        };
        prop_assert_eq!(read("fault", toml::Value::try_from(&fault).unwrap()), Happening::Fault(fault, None));
        prop_assert_eq!(read("action", toml::Value::try_from(&action).unwrap()), Happening::Action(action));
    }
}
