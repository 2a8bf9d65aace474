//! The algorithm at simulated devices, by both backends.

mod guarded;

use std::time::Duration;

use super::*;
use crate::lantime::rest::{HttpClients, Profiles};
use crate::model::derive::Slots;
use crate::model::{
    ErrorKind, EventName, EventState, EventType, LastTriggered, Relay, Signal, SlotId, SlotState, SlotView,
    Wiring, WiringSource,
};
use crate::simulator::{
    Action, ApiGeneration, Chassis, DeviceKind, Fault, Fleet, FleetOptions, SimulatedDevice, SnmpOptions,
};

const WIRING: Wiring = Wiring {
    a: Signal::Notification,
    b: Signal::Pps,
    c: Signal::Notification,
};

/// A simulated device, and both ways to it.
struct Scene {
    _fleet: Fleet,
    device: Arc<SimulatedDevice>,
    client: RestClient,
    profiles: Profiles,
    manager: Manager,
    selections: Selections,
    progress: watch::Sender<Progress>,
}

impl Scene {
    async fn start() -> Scene {
        Scene::with("snmp.write_community = \"private\"").await
    }

    async fn with(more: &str) -> Scene {
        let options = FleetOptions {
            devices: 1,
            kinds: vec![DeviceKind::new(Chassis::M3000, ApiGeneration::V16)],
            snmp: Some(SnmpOptions::default()),
            ..FleetOptions::default()
        };
        let fleet = Fleet::start(options).await.unwrap();
        let device = Arc::clone(&fleet.devices()[0]);
        let text = format!(
            "bridge.id = \"x\"\nmqtt.url = \"embedded\"\n[[devices]]\nid = \"x\"\nurl = \"{}\"\nusername = \"bridge\"\n\
             password = \"simulated\"\nsnmp.address = \"{}\"\nsnmp.community = \"public\"\n{more}\n",
            device.url(),
            device.snmp_address().unwrap()
        );
        let loaded = crate::config::from_table("test", text.parse().unwrap()).unwrap();
        let configured = &loaded.config.devices[0];
        let http = HttpClients::default().for_device(configured).unwrap();
        let slots = Slots::Listed(vec![(place(Relay::A).slot, Some(WIRING))]);
        Scene {
            _fleet: fleet,
            device,
            client: RestClient::new(http, configured),
            profiles: Profiles::named("api-16").unwrap(),
            manager: Manager::new(&configured.snmp).unwrap(),
            selections: Selections::new(&slots, Default::default(), false),
            progress: watch::Sender::default(),
        }
    }

    fn request(&self, events: &[&str]) -> Request {
        Request {
            place: place(Relay::A),
            change: EventsChange::Replace(events.iter().map(|event| (*event).to_owned()).collect()),
            view: Arc::new(view()),
            deadline: Instant::now() + Duration::from_secs(20),
            is_repeated: false,
            allow_unverified_writes: true,
            selections: self.selections.clone(),
        }
    }

    /// One attempt, and what the device task makes of it.
    async fn attempt(&mut self, via: Via, request: &Request) -> Result<Selected, Failure> {
        let mut backend = match via {
            Via::Rest => Backend::Rest(&mut self.client, self.profiles.for_version(None)),
            Via::Snmp => Backend::Snmp(&mut self.manager),
        };
        let selected = select(&mut backend, &mut DeviceGuard::default(), request, &self.progress).await;
        let found = selected.as_ref().ok().map(|selected| selected.found.clone());
        let progress = self.progress.borrow().clone();
        self.selections.ended(&progress, found);
        selected
    }

    /// How often the device was written to, and its changes were applied.
    fn writes(&self) -> (u64, u64) {
        let counters = self.device.counters();
        (
            counters.configuration_writes + counters.snmp_sets - counters.snmp_executes,
            counters.applies,
        )
    }

    fn selection(&self) -> Vec<&'static str> {
        Vec::from_iter(
            self.device
                .world()
                .relay_events("io4", crate::simulator::Relay::A),
        )
    }
}

fn place(relay: Relay) -> RelayPlace {
    let slot = SlotId::new("io4").unwrap();
    RelayPlace { slot, relay }
}

fn view() -> DeviceView {
    let event = |name| EventState {
        name: EventName::canonical(name).unwrap(),
        name_on_device: None,
        triggered: Some(false),
        kind: EventType::Error,
        last_triggered: LastTriggered::Never,
    };
    let mut slot = SlotView::unseen(
        Some((WIRING, WiringSource::Configured)),
        Relay::ALL,
        [],
        jiff::Timestamp::now(),
    );
    slot.state = SlotState::Online;
    DeviceView {
        events: ["antenna-faulty", "ntp-not-sync", "ntp-stopped"]
            .map(event)
            .into(),
        slots: [(place(Relay::A).slot, slot)].into_iter().collect(),
        ..DeviceView::default()
    }
}

fn summary(selected: Result<Selected, Failure>) -> (Vec<String>, bool, Vec<RelayPlace>) {
    let Outcome::RelayEvents {
        events,
        changed,
        applies_to,
        ..
    } = selected.unwrap().outcome
    else {
        panic!("another outcome")
    };
    let events = events.iter().map(|event| event.as_str().to_owned());
    (events.collect(), changed, applies_to)
}

#[tokio::test]
async fn both_backends_select_the_same_and_a_second_time_nothing_is_to_be_done() {
    for (via, writes) in [(Via::Rest, 1), (Via::Snmp, 3)] {
        let mut scene = Scene::start().await;
        let request = scene.request(&["antenna-faulty"]);
        let both = vec![place(Relay::A), place(Relay::C)];
        for changed in [true, false] {
            let selected = scene.attempt(via, &request).await;
            let events = vec!["antenna-faulty".to_owned()];
            assert_eq!(summary(selected), (events, changed, both.clone()), "{via:?}");
            assert_eq!(
                (scene.selection(), scene.writes()),
                (vec!["antenna-faulty"], (writes, 1))
            );
            // Another command.
            scene.progress = watch::Sender::default();
        }
        let selection: Vec<_> = scene.selections.known().values().collect();
        assert!(
            selection.len() == 2
                && selection
                    .iter()
                    .all(|selection| selection.confirmed && selection.via == via)
        );
    }
}

#[tokio::test]
async fn of_a_write_that_is_refused_nothing_is_left() {
    for via in [Via::Rest, Via::Snmp] {
        let mut scene = Scene::with("").await;
        scene.device.set_fault(Some(Fault::ReadOnly));
        let request = scene.request(&["antenna-faulty"]);
        let failure = scene.attempt(via, &request).await.unwrap_err();
        assert_eq!(
            (failure.report.kind, failure.is_final),
            (ErrorKind::Forbidden, false)
        );
        assert!(!scene.progress.borrow().has_written(), "{via:?}");
        assert_eq!((scene.selections.staged.clone(), scene.writes().1), (None, 0));
    }
}

#[tokio::test]
async fn what_may_have_arrived_is_applied_by_the_next_attempt_and_by_nobody_else() {
    let mut scene = Scene::start().await;
    let request = scene.request(&["antenna-faulty"]);
    scene.device.set_fault(Some(Fault::CutAfterWrite));
    scene.attempt(Via::Rest, &request).await.unwrap_err();
    assert!(scene.progress.borrow().has_written());
    scene.device.set_fault(None);
    // A bridge that knows nothing of it.
    let progress = watch::Sender::default();
    let mut backend = Backend::Rest(&mut scene.client, scene.profiles.for_version(None));
    let mut guard = DeviceGuard::default();
    let other = select(&mut backend, &mut guard, &request, &progress)
        .await
        .unwrap_err();
    assert_eq!(other.report.kind, ErrorKind::Conflict);
    assert_eq!(scene.writes(), (1, 0));
    // Another command that wants the same, and knows what was written.
    scene.progress = watch::Sender::default();
    let request = scene.request(&["antenna-faulty"]);
    let selected = scene.attempt(Via::Rest, &request).await;
    assert!(summary(selected).1, "it was applied only now");
    assert_eq!(
        (scene.selection(), scene.writes()),
        (vec!["antenna-faulty"], (1, 1))
    );
    assert_eq!(scene.selections.staged, None);
}

#[tokio::test]
async fn an_apply_goes_on_when_the_command_is_interrupted_and_is_not_sent_again() {
    let mut scene = Scene::start().await;
    let by = Duration::from_secs(600);
    scene.device.set_fault(Some(Fault::LateApply { by }));
    let request = scene.request(&["antenna-faulty"]);
    let mut watched = scene.progress.subscribe();
    tokio::select! {
        _ = scene.attempt(Via::Snmp, &request) => panic!("it is not answered"),
        _ = watched.wait_for(|progress| progress.applying().is_some()) => {}
    }
    let progress = scene.progress.borrow().clone();
    scene.selections.ended(&progress, None);
    scene.progress = watch::Sender::default();
    let mut request = Request {
        is_repeated: true,
        ..scene.request(&["antenna-faulty"])
    };
    let failure = scene.attempt(Via::Snmp, &request).await.unwrap_err();
    assert_eq!(failure.report.kind, ErrorKind::Busy);
    scene.device.set_fault(None);
    let mut applying = progress.applying().unwrap().clone();
    applying.answer().await.unwrap();
    scene.selections.apply_answered(true);
    request.selections = scene.selections.clone();
    assert!(summary(scene.attempt(Via::Snmp, &request).await).1);
    assert_eq!(
        (scene.selection(), scene.writes()),
        (vec!["antenna-faulty"], (3, 1))
    );
}

#[tokio::test]
async fn what_was_applied_is_only_read_back_by_the_next_attempt() {
    let mut scene = Scene::start().await;
    let request = scene.request(&["antenna-faulty"]);
    scene.attempt(Via::Snmp, &request).await.unwrap();
    // As if reading back had failed.
    assert!(summary(scene.attempt(Via::Snmp, &request).await).1);
    assert_eq!(scene.writes(), (3, 1));
    let other = Action::EventActions {
        event: "antenna-faulty".to_owned(),
        actions: vec!["email".to_owned()],
        apply: true,
    };
    scene.device.apply(&other).unwrap();
    let failure = scene.attempt(Via::Snmp, &request).await.unwrap_err();
    assert_eq!(failure.report.kind, ErrorKind::Conflict);
    assert_eq!(scene.writes().0, 3);
}
