//! What a poll's answer costs, beside the least that it could cost: `cargo bench --bench status`.
//!
//! - `floor`: the same fields into plain borrowed structs, which give up at the first surprise;
//! - `read`: the bridge's own reading, with a profile;
//! - `unchanged`: reading, and finding that nothing has changed;
//! - `one event`: reading, deriving and comparing, with one event that comes and goes.
//!
//! The aim is for the last two to stay within one and a half times the floor.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use lantime2mqtt::lantime::rest::{Profiles, status};
use lantime2mqtt::model::derive::{RelayEvents, Slots, slots};
use lantime2mqtt::model::{Availability, DeviceTopic, DeviceView, Snapshot, diff};
use lantime2mqtt::simulator::{Action, ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions};

#[expect(dead_code, reason = "the fields are there to be parsed")]
mod floor;

/// What a device answers before and after an event.
struct Answers {
    name: &'static str,
    quiet: Vec<u8>,
    event: Vec<u8>,
}

fn answers() -> Vec<Answers> {
    let kinds = [
        (
            "M3000, API 20",
            DeviceKind::new(Chassis::M3000, ApiGeneration::V20),
        ),
        ("M500, API 10", DeviceKind::new(Chassis::M500, ApiGeneration::V10)),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let options = FleetOptions {
            devices: kinds.len(),
            kinds: kinds.map(|(_, kind)| kind).to_vec(),
            ..FleetOptions::default()
        };
        let fleet = Fleet::start(options).await.expect("free ports are found");
        let answers = fleet.devices().iter().zip(kinds).map(|(device, (name, _))| {
            let quiet = device.document().to_vec();
            let action = Action::FireEvent("low-system-resources".to_owned());
            device.apply(&action).expect("every device has that event");
            let event = device.document().to_vec();
            Answers { name, quiet, event }
        });
        let answers = answers.collect();
        fleet.stop().await;
        answers
    })
}

/// What the device task keeps of a device, and does with an answer, without the task.
struct Device {
    profiles: Profiles,
    snapshot: Option<Snapshot>,
    view: DeviceView,
}

impl Device {
    fn new() -> Device {
        Device {
            profiles: Profiles::built_in(),
            snapshot: None,
            view: DeviceView::default(),
        }
    }

    fn read(&self, body: &[u8]) -> Snapshot {
        let snapshot = status::snapshot(body, &self.profiles, "http://lantime.example");
        snapshot.expect("a status document")
    }

    fn poll(&mut self, body: &[u8]) -> Vec<DeviceTopic> {
        let snapshot = self.read(body);
        if self.snapshot.as_ref() == Some(&snapshot) {
            return Vec::new();
        }
        let chassis = snapshot.chassis_kind();
        let (none, now) = (RelayEvents::new(), Timestamp::UNIX_EPOCH);
        let view = DeviceView {
            availability: Some(Availability::Online),
            identity: Some(snapshot.identity.clone()),
            problem: None,
            events: snapshot.events.clone(),
            slots: slots(&snapshot, chassis, &Slots::Auto, &none, &self.view.slots, now),
            chassis: Some(chassis),
            place: self.view.place.clone(),
        };
        let changes = diff(&self.view, &view);
        self.snapshot = Some(snapshot);
        self.view = view;
        changes
    }
}

fn status_document(criterion: &mut Criterion) {
    for Answers { name, quiet, event } in answers() {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(quiet.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter("floor"), &quiet, |bencher, body| {
            bencher.iter(|| {
                serde_json::from_slice::<floor::Document<'_>>(black_box(body)).expect("as expected")
            });
        });

        let mut device = Device::new();
        group.bench_with_input(BenchmarkId::from_parameter("read"), &quiet, |bencher, body| {
            bencher.iter(|| device.read(black_box(body)));
        });
        device.poll(&quiet);
        group.bench_with_input(
            BenchmarkId::from_parameter("unchanged"),
            &quiet,
            |bencher, body| {
                bencher.iter(|| assert!(device.poll(black_box(body)).is_empty()));
            },
        );

        let mut bodies = [&event, &quiet].into_iter().cycle();
        let comes = device.poll(&event).len();
        let goes = device.poll(&quiet).len();
        assert!(
            (1..=2).contains(&comes) && comes == goes,
            "an event, and one that it clears"
        );
        group.bench_function(BenchmarkId::from_parameter("one event"), |bencher| {
            bencher.iter(|| assert_eq!(device.poll(bodies.next().expect("a cycle")).len(), comes));
        });
        group.finish();
    }
}

criterion_group!(benches, status_document);
criterion_main!(benches);
