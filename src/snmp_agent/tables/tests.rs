//! Rows, their numbers, and the notifications of their changes.

use std::sync::Arc;

use async_snmp::Value;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::*;
use crate::hub::Queue;
use crate::model::{
    Availability, DeviceView, ErrorKind, ErrorReport, Identity, Operation, Position, Problem, Provenance,
    SlotState, Status, Update, diff,
};
use crate::snmp_agent::columns::device;

fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A device with one slot, its relay A and its first clock.
fn view(slot: &str, position: Position, status: Status, provenance: Provenance) -> DeviceView {
    let mut slot_view = SlotView::unseen(None, [Relay::A], [Signal::Clk1], at(0));
    slot_view.state = SlotState::Online;
    let relay = slot_view.relays.get_mut(&Relay::A).unwrap();
    (relay.position, relay.provenance) = (position, provenance);
    let signal = slot_view.signals.get_mut(&Signal::Clk1).unwrap();
    (signal.status, signal.provenance) = (status, provenance);
    DeviceView {
        availability: Some(Availability::Online),
        slots: [(SlotId::new(slot).unwrap(), slot_view)].into_iter().collect(),
        ..DeviceView::default()
    }
}

fn good(slot: &str) -> DeviceView {
    view(slot, Position::No, Status::Ok, Provenance::Derived)
}

fn bad(slot: &str) -> DeviceView {
    view(slot, Position::Nc, Status::Fail, Provenance::Derived)
}

/// The fleet of a hub, and the numbers as the agent gives them.
#[derive(Default)]
struct Site {
    fleet: Fleet,
    numbers: Numbers,
}

impl Site {
    fn of(devices: &[&str]) -> Site {
        let devices: Vec<_> = devices.iter().map(|id| device(id)).collect();
        Site {
            numbers: Numbers::new(&devices),
            fleet: Fleet::new(devices),
        }
    }

    /// The numbers of the notifications that this gives.
    fn apply(&mut self, update: &Update) -> Vec<Notice> {
        let updates = self.fleet.apply(update, at(0));
        let mut found = Vec::new();
        for update in &updates {
            self.numbers.add(&update.device);
            found.extend(notices(&self.numbers, update));
        }
        found
    }

    fn tables(&self) -> Tables<'_> {
        let Site { fleet, numbers } = self;
        Tables { numbers, fleet }
    }

    fn devices(&self) -> Vec<(u32, &str)> {
        let rows = self.tables().devices(0);
        rows.map(|(index, row)| (index[0], row.id.as_str())).collect()
    }

    /// How many relays and signals have rows.
    fn rows(&self) -> (usize, usize) {
        (self.tables().relays(0).count(), self.tables().signals(0).count())
    }

    fn device(&self) -> DeviceRow<'_> {
        self.tables().devices(0).next().expect("there is one").1
    }
}

fn update(id: &str, old: &DeviceView, new: &DeviceView) -> Update {
    let changes = diff(old, new);
    Update::Device {
        device: device(id),
        view: Arc::new(new.clone()),
        transitions: Transition::between(old, new, &changes),
        recorded: None,
        changes,
    }
}

fn numbers(notices: &[Notice]) -> Vec<u32> {
    notices.iter().map(|notice| notice.number).collect()
}

#[test]
fn configured_devices_have_rows_before_anything_is_known() {
    let site = Site::of(&["b", "a"]);
    assert_eq!(site.devices(), [(1, "b"), (2, "a")]);
    assert_eq!(device::cell(&site.device(), 4), None, "no poll, no time");
    assert_eq!(
        device::cell(&site.device(), device::STATE),
        Some(values::availability(None))
    );
}

#[test]
fn a_number_belongs_to_one_device() {
    let mut site = Site::of(&["a", "b"]);
    let nothing = DeviceView::default();
    site.apply(&update("a", &nothing, &good("io3")));
    site.apply(&update("b", &nothing, &good("io3")));
    site.apply(&Update::Removed { device: device("a") });
    assert_eq!(site.devices(), [(2, "b")]);
    assert_eq!(site.rows(), (1, 1));
    site.apply(&update("c", &nothing, &good("io3")));
    site.apply(&update("a", &nothing, &good("io3")));
    assert_eq!(site.devices(), [(1, "a"), (2, "b"), (3, "c")]);
    site.apply(&Update::Forgotten { device: device("b") });
    site.apply(&Update::Configured(vec![device("a"), device("d")]));
    assert_eq!(site.devices(), [(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
    assert_eq!(site.rows().0, 2, "what b's were is not known");
}

#[test]
fn an_index_is_device_slot_and_relay() {
    let mut site = Site::default();
    site.apply(&update("a", &DeviceView::default(), &good("io3")));
    let relays: Vec<_> = site.tables().relays(0).map(|(index, _)| index).collect();
    assert_eq!(relays, [[1, 3, 105, 111, 51, 1]]);
    let long = "x".repeat(MAX_SLOT + 1);
    site.apply(&update("b", &DeviceView::default(), &good(&long)));
    assert_eq!((site.devices().len(), site.rows()), (2, (1, 1)));
}

/// A manager walks by the index: a slot with a shorter id comes first.
#[test]
fn rows_are_in_the_order_of_their_index() {
    let mut site = Site::default();
    let mut view = good("io3");
    for slot in ["a10", "z9"] {
        view.slots.extend(good(slot).slots);
    }
    site.apply(&update("a", &DeviceView::default(), &view));
    site.apply(&update("b", &DeviceView::default(), &view));
    let names: Vec<_> = site.tables().relays(0).map(|(_, row)| row.name).collect();
    assert_eq!(
        names,
        ["a/z9/a", "a/a10/a", "a/io3/a", "b/z9/a", "b/a10/a", "b/io3/a"]
    );
    assert!(
        site.tables()
            .relays(0)
            .is_sorted_by(|(one, _), (next, _)| one < next)
    );
    assert_eq!(site.tables().signals(2).count(), 3);
}

#[test]
fn a_change_is_sent_with_what_there_was_and_what_there_is() {
    let mut site = Site::of(&["m1"]);
    site.apply(&update("m1", &DeviceView::default(), &good("io3")));
    let notices = site.apply(&update("m1", &good("io3"), &bad("io3")));
    assert_eq!(numbers(&notices), [1, 2]);
    let index = [1, 3, 105, 111, 51, 1];
    let place = |column| [&[1, 2, 1, column][..], &index].concat();
    let text = |text: &'static str| Value::OctetString(text.into());
    let expected = [
        (place(3), text("m1/io3/a")),
        (vec![1, 5, 1, 0], Value::Integer(1)),
        (place(4), Value::Integer(2)),
        (place(5), Value::Integer(1)),
        (place(6), Value::Integer(2)),
        (place(7), Value::Integer(7)),
        (place(8), text("")),
    ];
    assert_eq!(notices[0].objects, expected);
}

#[test]
fn a_device_that_goes_offline_and_comes_back_is_sent() {
    let mut site = Site::of(&["m1"]);
    site.apply(&update("m1", &DeviceView::default(), &good("io3")));
    let mut offline = good("io3");
    offline.go_offline(at(5), at(5));
    offline.problem = Some(Problem {
        id: uuid::Uuid::nil(),
        operation: Operation::Poll,
        error: ErrorReport::new(ErrorKind::Timeout, "", ""),
        first_at: at(5),
    });
    let notices = site.apply(&update("m1", &good("io3"), &offline));
    assert_eq!(numbers(&notices), [3, 1, 2]);
    let values: Vec<_> = notices[0]
        .objects
        .iter()
        .map(|(_, value)| value.clone())
        .collect();
    let expected = [Value::OctetString("m1".into())].into_iter();
    assert_eq!(
        values,
        expected.chain([1, 2, 2].map(Value::Integer)).collect::<Vec<_>>()
    );
    assert_eq!(
        numbers(&site.apply(&update("m1", &offline, &good("io3")))),
        [3, 1, 2]
    );
    let kinds = [device::ERROR, device::ERROR + 1].map(|column| device::cell(&site.device(), column));
    assert_eq!(
        kinds,
        [None, Some(ErrorKind::Timeout)].map(|kind| Some(values::error(kind)))
    );
}

#[test]
fn a_first_sight_is_not_sent() {
    let unseen = view("io3", Position::Unknown, Status::Unknown, Provenance::Unseen);
    let mut offline = unseen.clone();
    offline.go_offline(at(5), at(5));
    for old in [DeviceView::default(), unseen, offline] {
        let mut site = Site::of(&["m1"]);
        site.apply(&update("m1", &DeviceView::default(), &old));
        let notices = site.apply(&update("m1", &old, &good("io3")));
        // That the device, which was offline, is online now, is a change.
        let expected: &[u32] = match old.availability {
            Some(Availability::Offline) => &[3],
            _ => &[],
        };
        assert_eq!(numbers(&notices), expected, "{old:?}");
    }
    let mut site = Site::default();
    site.apply(&update("m1", &DeviceView::default(), &good("io3")));
    let removed = site.apply(&update("m1", &good("io3"), &DeviceView::default()));
    assert!(removed.is_empty());
    assert_eq!(site.rows(), (0, 0));
}

#[test]
fn what_the_device_says_of_itself_is_shown() {
    let mut site = Site::of(&["m1"]);
    let mut known = good("io3");
    let identity = Identity {
        serial_number: Some("0123".into()),
        ..Identity::default()
    };
    known.identity = Some(identity.into());
    site.apply(&update("m1", &DeviceView::default(), &known));
    let cell = |column| device::cell(&site.device(), column);
    assert_eq!(cell(8), Some(Value::OctetString("0123".into())));
    assert_eq!(cell(9), None, "it gives no firmware");
}

#[test]
fn an_agent_that_is_slow_sends_each_change() {
    let mut site = Site::of(&["m1"]);
    let (sender, mut waiting) = mpsc::channel(1);
    let mut queue = Queue::new("test", sender);
    let moves = [
        (DeviceView::default(), good("io3")),
        (good("io3"), bad("io3")),
        (bad("io3"), good("io3")),
    ];
    for (old, new) in &moves {
        let updates = site.fleet.apply(&update("m1", old, new), at(0));
        updates.iter().for_each(|update| queue.put(update));
    }
    let first = waiting.try_recv().unwrap();
    queue.flush();
    let merged = waiting.try_recv().unwrap();
    assert_eq!(merged.old, merged.new, "there and back");
    let sent = [first, merged].map(|update| numbers(&notices(&site.numbers, &update)));
    assert_eq!(sent, [vec![], vec![1, 2, 1, 2]]);
}
