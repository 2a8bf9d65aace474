//! Whatever happens: a host that follows the edge node finds no gap in its numbers, and knows in the end what is so.

use proptest::prelude::*;
use prost::Message as _;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::*;
use crate::hub::Queue;
use crate::model::{
    ErrorKind, ErrorReport, EventName, EventState, EventType, LastTriggered, Operation, Problem,
};
use crate::sparkplug::protobuf::PropertySet;

/// Metrics by name: value and quality. Data does not name the type again.
type Known = BTreeMap<String, (Option<protobuf::Value>, Option<PropertySet>)>;

/// A host that accepts what it is to receive, and nothing else.
#[derive(Debug, Default, PartialEq)]
struct Host {
    next: u64,
    /// By device; the edge node is `""`.
    alive: BTreeMap<String, Known>,
}

fn known(payload: &[u8]) -> Known {
    let metrics = Payload::decode(payload).unwrap().metrics.into_iter();
    metrics
        .filter(|metric| metric.name() != BD_SEQ)
        .map(|metric| (metric.name().to_owned(), (metric.value, metric.properties)))
        .collect()
}

impl Host {
    fn hear(&mut self, message: &Message) -> Result<(), TestCaseError> {
        let (what, seq) = reported(std::slice::from_ref(message)).remove(0);
        let (kind, device) = what.split_once(' ').unwrap_or((&what, ""));
        let metrics = known(&message.payload);
        match kind {
            "NBIRTH" => {
                *self = Host {
                    next: 0,
                    alive: BTreeMap::from([(String::new(), metrics)]),
                }
            }
            "DBIRTH" => drop(self.alive.insert(device.to_owned(), metrics)),
            "DDEATH" => prop_assert!(self.alive.remove(device).is_some(), "{what}"),
            _ => {
                for (name, value) in metrics {
                    let metric = self.alive.get_mut(device).and_then(|known| known.get_mut(&name));
                    let Some(metric) = metric else {
                        return Err(TestCaseError::fail(format!("{what} {name}: not born")));
                    };
                    *metric = value;
                }
            }
        }
        prop_assert_eq!(seq, Some(self.next), "{}", what);
        self.next = (self.next + 1) % 256;
        Ok(())
    }
}

/// What a host has to know in the end.
fn truth(fleet: &Fleet) -> BTreeMap<String, Known> {
    let of = |metrics: &[Metric]| known(&encode(None, Timestamp::UNIX_EPOCH, metrics));
    let states = fleet.devices.iter();
    let states = states.flat_map(|(id, device)| of_state(id, &device.view));
    let of_edge_node: Vec<_> = of_node().into_iter().chain(states).collect();
    let mut truth = BTreeMap::from([(String::new(), of(&of_edge_node))]);
    for (id, device) in &fleet.devices {
        for (slot, metrics) in alive(&device.view) {
            let device = id.clone();
            truth.insert(Place { device, slot }.to_string(), of(&metrics));
        }
    }
    truth
}

#[derive(Debug, Clone)]
enum Step {
    Change(u8, Change),
    Remove(u8),
    /// The oldest update that waits, or all of them at once.
    Take,
    TakeAll,
    Rebirth,
    /// What is due of one device; others may change in between.
    NextDue,
    AllDue,
}

/// What is known of an event, or that it is no longer there.
fn event(triggered: Option<Option<bool>>) -> Change {
    let name = EventName::canonical("ntp-not-sync").unwrap();
    let state = |triggered| EventState {
        name: name.clone(),
        name_on_device: None,
        triggered,
        kind: EventType::Error,
        last_triggered: LastTriggered::Never,
    };
    Change::Event(name.clone(), triggered.map(state))
}

fn problem() -> Problem {
    Problem {
        id: Uuid::nil(),
        operation: Operation::Poll,
        error: ErrorReport::new(ErrorKind::Connect, "refused", "see"),
        first_at: Timestamp::UNIX_EPOCH,
    }
}

/// Updates that wait before they are merged.
const ROOM: usize = 3;

fn any_change() -> impl Strategy<Value = Change> {
    let states = [SlotState::Online, SlotState::Absent, SlotState::Mismatch];
    let any_event = prop::option::of(prop::option::of(any::<bool>()));
    prop_oneof![
        2 => any::<bool>().prop_map(|online| {
            availability(if online { Availability::Online } else { Availability::Offline })
        }),
        2 => prop::option::of(prop::sample::select(states.to_vec())).prop_map(slot),
        2 => any_event.prop_map(event),
        1 => any::<bool>().prop_map(|stands| Change::Problem(stands.then(problem))),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u8, any_change()).prop_map(|(device, change)| Step::Change(device, change)),
        1 => (0..3_u8).prop_map(Step::Remove),
        6 => Just(Step::Take),
        3 => Just(Step::TakeAll),
        1 => Just(Step::Rebirth),
        4 => Just(Step::NextDue),
        1 => Just(Step::AllDue),
    ]
}

proptest! {
    /// As in the task: updates wait, some are merged, and births go out whenever they may.
    #[test]
    fn numbers_have_no_gap_and_what_hosts_know_in_the_end_is_so(steps in prop::collection::vec(any_step(), 0..400)) {
        let (mut world, mut host) = (World::of(&["m0", "m1"]), Host::default());
        let (sender, mut waiting) = mpsc::channel(ROOM);
        let mut queue = Queue::new("test", sender);
        let mut node = node(&["m0", "m1"]);
        let ends = std::iter::repeat_n(Step::TakeAll, ROOM + 1).chain([Step::AllDue]);
        for step in std::iter::once(Step::Rebirth).chain(steps).chain(ends) {
            let update = match &step {
                Step::Change(device, change) => world.change(&format!("m{device}"), change.clone()),
                Step::Remove(device) => world.remove(&format!("m{device}")),
                _ => None,
            };
            update.iter().for_each(|update| queue.put(update));
            let made = match step {
                Step::Change(..) | Step::Remove(_) => Vec::new(),
                Step::Take => node.take(waiting.try_recv().ok()),
                Step::TakeAll => node.take(std::iter::from_fn(|| waiting.try_recv().ok())),
                Step::Rebirth => node.rebirth(Timestamp::UNIX_EPOCH),
                Step::NextDue => node.next_due(Timestamp::UNIX_EPOCH).unwrap_or_default(),
                Step::AllDue => births(&mut node),
            };
            queue.flush();
            for message in &made {
                host.hear(message)?;
            }
        }
        prop_assert_eq!(host.alive, truth(&world.0));
    }
}
