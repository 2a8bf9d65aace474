//! What the edge node says of changes.

use prost::Message as _;

use super::*;
use crate::config::Sparkplug;
use crate::hub::Fleet;
use crate::model::{EventName, EventState, Problem, SlotId, SlotState, SlotView, Update};
use crate::sparkplug::protobuf::{self, Payload};

fn node(devices: &[&str]) -> Node {
    let settings = Sparkplug {
        group: "g".to_owned(),
        edge_node: "n".to_owned(),
        primary_host: None,
    };
    let mut node = Node::new(Topics::new(&settings), devices.iter().map(|device| id(device)));
    node.reset(7);
    node
}

fn id(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

/// Devices, and what the hub gives of their changes.
struct World(Fleet);

impl World {
    fn of(devices: &[&str]) -> World {
        World(Fleet::new(devices.iter().map(|device| id(device))))
    }

    fn change(&mut self, device: &str, change: Change) -> Option<DeviceUpdate> {
        let device = id(device);
        let known = self.0.devices.get(&device);
        let mut view = known.map(|known| known.view.clone()).unwrap_or_default();
        apply(Arc::make_mut(&mut view), &change);
        self.apply(&Update::Device {
            device,
            view,
            changes: Vec::new(),
            transitions: Vec::new(),
            recorded: None,
        })
    }

    fn remove(&mut self, device: &str) -> Option<DeviceUpdate> {
        self.apply(&Update::Removed { device: id(device) })
    }

    fn apply(&mut self, update: &Update) -> Option<DeviceUpdate> {
        self.0.apply(update, Timestamp::UNIX_EPOCH).pop()
    }
}

/// What may change in a device.
#[derive(Debug, Clone)]
enum Change {
    Availability(Availability),
    Problem(Option<Problem>),
    Event(EventName, Option<EventState>),
    /// The state of the slot `io3`, or that it is no longer there.
    Slot(Option<SlotState>),
}

/// Makes that change in a device.
fn apply(view: &mut DeviceView, change: &Change) {
    match change {
        Change::Availability(availability) => view.availability = Some(*availability),
        Change::Problem(problem) => view.problem.clone_from(problem),
        Change::Event(name, new) => {
            let others = view.events.iter().filter(|event| event.name != *name).cloned();
            view.events = others.chain(new.clone()).collect();
        }
        Change::Slot(None) => drop(view.slots.remove(&slot_id())),
        Change::Slot(Some(state)) => {
            let unseen = || SlotView::unseen(None, [], [], Timestamp::UNIX_EPOCH);
            view.slots.entry(slot_id()).or_insert_with(unseen).state = *state;
        }
    }
}

fn slot_id() -> SlotId {
    SlotId::new("io3").unwrap()
}

fn availability(availability: Availability) -> Change {
    Change::Availability(availability)
}

fn slot(state: Option<SlotState>) -> Change {
    Change::Slot(state)
}

/// The messages of everything that is due.
fn births(node: &mut Node) -> Vec<Message> {
    std::iter::from_fn(|| node.next_due(Timestamp::UNIX_EPOCH))
        .flatten()
        .collect()
}

/// The kind of a message, the device, and its `seq`.
fn reported(messages: &[Message]) -> Vec<(String, Option<u64>)> {
    let reported = |message: &Message| {
        let levels: Vec<_> = message.topic.split('/').collect();
        let (kind, device) = (levels[2], levels.get(4).copied().unwrap_or_default());
        let payload = Payload::decode(&message.payload[..]).unwrap();
        (format!("{kind} {device}").trim_end().to_owned(), payload.seq)
    };
    messages.iter().map(reported).collect()
}

fn kinds(messages: &[Message]) -> Vec<String> {
    reported(messages).into_iter().map(|(kind, _)| kind).collect()
}

#[test]
fn before_its_birth_it_says_nothing_and_then_everything() {
    let mut world = World::of(&["m1", "m2"]);
    let mut node = node(&["m1", "m2"]);
    assert!(
        node.take(world.change("m1", availability(Availability::Online)))
            .is_empty()
    );
    assert!(
        node.take(world.change("m1", slot(Some(SlotState::Online))))
            .is_empty()
    );
    let mut messages = node.rebirth(Timestamp::UNIX_EPOCH);
    messages.extend(births(&mut node));
    let expected = [("NBIRTH", 0), ("DBIRTH m1", 1), ("DBIRTH m1:io3", 2)];
    let expected = expected.map(|(kind, seq)| (kind.to_owned(), Some(seq)));
    assert_eq!(reported(&messages), expected, "m2 was not heard yet");
}

#[test]
fn a_birth_and_a_death_of_the_edge_node_are_of_one_session() {
    let mut node = node(&[]);
    let birth = node.rebirth(Timestamp::UNIX_EPOCH).remove(0);
    let death = node.death(Timestamp::UNIX_EPOCH);
    let session = |message: &Message| {
        let payload = Payload::decode(&message.payload[..]).unwrap();
        (payload.metrics[0].name.clone(), payload.metrics[0].value.clone())
    };
    let expected = (Some("bdSeq".to_owned()), Some(protobuf::Value::Long(7)));
    assert_eq!((session(&birth), session(&death)), (expected.clone(), expected));
    assert_eq!(reported(&[death]), [("NDEATH".to_owned(), None)]);
}

#[test]
fn what_changes_is_data_and_what_comes_is_a_birth() {
    let mut world = World::of(&["m1"]);
    let mut node = node(&["m1"]);
    node.rebirth(Timestamp::UNIX_EPOCH);
    births(&mut node);
    let mut take = |update| kinds(&node.take(update));
    let online = world.change("m1", availability(Availability::Online));
    assert_eq!(take(online), ["NDATA", "DBIRTH m1"]);
    let slot_comes = world.change("m1", slot(Some(SlotState::Online)));
    assert_eq!(take(slot_comes), ["DBIRTH m1:io3"]);
    let absent = world.change("m1", slot(Some(SlotState::Absent)));
    assert_eq!(take(absent), ["DDATA m1:io3"]);
    let again = world.change("m1", slot(Some(SlotState::Absent)));
    assert!(take(again).is_empty(), "nothing has changed");
    let slot_goes = world.change("m1", slot(None));
    assert_eq!(take(slot_goes), ["DDEATH m1:io3"]);
    let offline = world.change("m1", availability(Availability::Offline));
    assert_eq!(take(offline), ["NDATA", "DDEATH m1"]);
}

#[test]
fn devices_that_come_and_go_make_the_edge_node_publish_its_birth_again() {
    let mut world = World::of(&["m1"]);
    let mut node = node(&["m1"]);
    node.rebirth(Timestamp::UNIX_EPOCH);
    let comes = world.change("m2", availability(Availability::Online));
    assert_eq!(kinds(&node.take(comes)), ["NBIRTH"]);
    assert_eq!(kinds(&births(&mut node)), ["DBIRTH m2"]);
    let goes = world.remove("m2");
    assert_eq!(kinds(&node.take(goes)), ["DDEATH m2", "NBIRTH"]);
}

#[test]
fn devices_that_come_together_are_one_birth() {
    let mut world = World::of(&["m1"]);
    let mut node = node(&["m1"]);
    node.rebirth(Timestamp::UNIX_EPOCH);
    births(&mut node);
    let slot_comes = world.change("m2", slot(Some(SlotState::Online)));
    let updates = [
        world.change("m1", availability(Availability::Online)),
        slot_comes,
        world.change("m2", availability(Availability::Online)),
        world.change("m3", availability(Availability::Online)),
        world.remove("m3"),
    ];
    assert_eq!(
        kinds(&node.take(updates.into_iter().flatten())),
        ["NDATA", "DBIRTH m1", "NBIRTH"]
    );
    assert_eq!(
        kinds(&births(&mut node)),
        ["DBIRTH m1", "DBIRTH m2", "DBIRTH m2:io3"]
    );
}

#[test]
fn what_the_broker_would_not_take_uses_up_no_number() {
    let mut world = World::of(&["m1"]);
    let mut node = node(&["m1"]);
    node.take(world.change("m1", availability(Availability::Online)));
    let birth = node.rebirth(Timestamp::UNIX_EPOCH);
    assert_eq!(reported(&birth), [("NBIRTH".to_owned(), Some(0))]);
    node.set_limit(Some(100));
    assert!(births(&mut node).is_empty());
    let offline = world.change("m1", availability(Availability::Offline));
    assert_eq!(
        reported(&node.take(offline)),
        [("NDATA".to_owned(), Some(1))],
        "and no death of what was not born"
    );
}

mod followed;
