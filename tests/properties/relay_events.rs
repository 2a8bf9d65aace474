//! Changes of the events that switch a relay are plain set semantics, and touch nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use lantime2mqtt::lantime::relay_events::RelayConfig;
use lantime2mqtt::lantime::rest::{Profile, Profiles};
use lantime2mqtt::model::{EventName, EventState, EventType, EventsChange, LastTriggered};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::any::{any_json, text};
use super::config;

/// The action of the relay in question.
const WORD: &str = "io4-relay-a";
/// Each with the spelling of another generation, where there is one.
const EVENTS: [[&str; 2]; 6] = [
    ["ntp-not-sync", "NTP-not-sync"],
    ["antenna-faulty", "antenna-faulty"],
    ["faillock:-user-banned", "faillock-user-banned"],
    ["leapsecond-announced", "leap-second-announced"],
    ["network-link-down", "network-link-down"],
    ["sync-monitor", "sync-monitor"],
];

/// A device's actions by event, in the device's own spelling.
type Device = BTreeMap<&'static str, Vec<String>>;

fn device() -> impl Strategy<Value = Device> {
    let action = prop_oneof![
        select(&["email", "snmp", "relais", WORD, "io4-relay-c"][..]).prop_map(str::to_owned),
        "[a-z0-9-]{1,8}",
    ];
    let device = btree_map(0..EVENTS.len(), vec(action, 0..5), EVENTS.len());
    device.prop_map(|events| {
        events
            .into_iter()
            .map(|(index, actions)| (EVENTS[index][0], actions))
            .collect()
    })
}

/// Names in any spelling.
fn names() -> impl Strategy<Value = Vec<usize>> {
    vec(0..2 * EVENTS.len(), 0..5)
}

/// What a command asks for: replace, or add and remove; the numbers are events and spellings.
type Asked = (Option<Vec<usize>>, Vec<usize>, Vec<usize>);

fn asked() -> impl Strategy<Value = Asked> {
    (proptest::option::of(names()), names(), names())
}

fn spellings(numbers: &[usize]) -> Vec<String> {
    numbers
        .iter()
        .map(|number| EVENTS[number / 2][number % 2].to_owned())
        .collect()
}

fn canonical(names: &[String]) -> BTreeSet<EventName> {
    let canonical = |name: &String| EventName::canonical(name).expect("each is a name");
    names.iter().map(canonical).collect()
}

/// The change, and what plain sets make of it.
fn change(asked: &Asked, before: &BTreeSet<EventName>) -> (EventsChange, BTreeSet<EventName>) {
    match asked {
        (Some(names), ..) => {
            let names = spellings(names);
            let after = canonical(&names);
            (EventsChange::Replace(names), after)
        }
        (None, add, remove) => {
            let (add, mut remove) = (spellings(add), spellings(remove));
            let added = canonical(&add);
            remove.retain(|name| !added.contains(&EventName::canonical(name).expect("each is a name")));
            let after = before.union(&added).cloned().collect::<BTreeSet<_>>();
            let after = &after - &canonical(&remove);
            (EventsChange::Edit { add, remove }, after)
        }
    }
}

fn known() -> Vec<EventState> {
    let state = |[name, _]: [&str; 2]| EventState {
        name: EventName::canonical(name).expect("each is a name"),
        name_on_device: Some(Box::new(name.into())),
        triggered: Some(false),
        kind: EventType::Error,
        last_triggered: LastTriggered::Never,
    };
    EVENTS.map(state).to_vec()
}

static PROFILE: LazyLock<Profile> = LazyLock::new(|| Profiles::built_in().for_version(Some(20)).clone());

fn read(device: &Device) -> RelayConfig {
    let events: Vec<Value> = device
        .iter()
        .map(|(name, actions)| json!({ "object-id": name, "actions": actions }))
        .collect();
    let document =
        json!({ "data": { "revision": 1, "events": events }, "changes": { "pending-changes": 0 } });
    RelayConfig::read(document.to_string().as_bytes(), &PROFILE).expect("it is what the profile says")
}

/// What a device makes of a body; how many events it lists.
fn write(device: &mut Device, body: &[u8]) -> usize {
    let body: Value = serde_json::from_slice(body).expect("a body is JSON");
    let events = body["data"]["events"].as_array().expect("a list of events");
    for event in events {
        let name = event["object-id"].as_str().expect("a name");
        let actions = device
            .get_mut(name)
            .expect("an event of the device, in its own spelling");
        *actions = serde_json::from_value(event["actions"].clone()).expect("a list of words");
    }
    events.len()
}

fn other_words(device: &Device) -> Vec<Vec<String>> {
    let others = |actions: &Vec<String>| actions.iter().filter(|action| *action != WORD).cloned().collect();
    device.values().map(others).collect()
}

fn any_events() -> impl Strategy<Value = Value> {
    let actions = prop_oneof![any_json(), vec(text(), 0..4).prop_map(Value::from)];
    let event =
        (text(), actions).prop_map(|(name, actions)| json!({ "object-id": name, "actions": actions }));
    vec(event, 0..4).prop_map(Value::from)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_sequence_of_changes_is_plain_set_semantics(mut device in device(), changes in vec(asked(), 1..6)) {
        let others = other_words(&device);
        for asked in changes {
            let config = read(&device);
            let before = config.events_of(WORD);
            let (change, after) = change(&asked, &before);
            let desired = config.desired(WORD, &change, &known());
            prop_assert_eq!(&desired, &Ok(after.clone()));
            let plan = config.plan(WORD, &after);
            prop_assert_eq!(plan.is_empty(), before == after);
            prop_assert_eq!(config.confirms(WORD, &after), before == after);
            if !plan.is_empty() {
                let written = write(&mut device, &plan.body(&PROFILE));
                prop_assert_eq!(written, before.symmetric_difference(&after).count());
                prop_assert!(plan.differing(&read(&device)).is_empty());
            }
            let config = read(&device);
            prop_assert_eq!(config.events_of(WORD), after.clone());
            prop_assert!(config.confirms(WORD, &after));
            prop_assert!(config.plan(WORD, &after).is_empty());
            prop_assert_eq!(config.desired(WORD, &change, &known()), Ok(after), "a second run changes nothing");
            prop_assert_eq!(other_words(&device), others.clone());
        }
    }

    #[test]
    fn another_action_on_an_event_concerned_is_noticed(
        mut device in device(),
        event in select(&EVENTS[..]),
        intruder in "[a-z]{9,12}",
    ) {
        let config = read(&device);
        let name = EventName::canonical(event[0]).expect("each is a name");
        let mut after = config.events_of(WORD);
        if !after.remove(&name) {
            after.insert(name.clone());
        }
        let plan = config.plan(WORD, &after);
        prop_assert!(!plan.is_empty(), "one event changes");
        write(&mut device, &plan.body(&PROFILE));
        device.get_mut(event[0]).expect("the device has them all").push(intruder);
        prop_assert_eq!(plan.differing(&read(&device)), BTreeSet::from([name]));
    }

    #[test]
    fn any_answer_is_a_configuration_or_an_error(
        events in prop_oneof![any_json(), any_events()],
        revision in any_json(),
        pending in any_json(),
        bytes in vec(any::<u8>(), 0..64),
    ) {
        let document =
            json!({ "data": { "revision": revision, "events": events }, "changes": { "pending-changes": pending } });
        for body in [document.to_string().into_bytes(), bytes] {
            let Ok(config) = RelayConfig::read(&body, &PROFILE) else { continue };
            let wanted = known().into_iter().map(|event| event.name).collect();
            let body = config.plan(WORD, &wanted).body(&PROFILE);
            prop_assert!(serde_json::from_slice::<Value>(&body).is_ok());
        }
    }

    #[test]
    fn any_name_is_taken_or_refused_with_a_remedy(device in device(), name in any::<String>()) {
        let config = read(&device);
        let change = EventsChange::Replace(vec![name]);
        if let Err(refusal) = config.desired(WORD, &change, &known()) {
            prop_assert!(!refusal.remedy.is_empty());
        }
    }
}
