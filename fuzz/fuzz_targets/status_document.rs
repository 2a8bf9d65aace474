//! What a device answers may be anything: reading it, deriving from it and comparing it never panics, equal
//! documents give equal results, and what the comparison reports is all that is different.

#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jiff::Timestamp;
use lantime2mqtt::lantime::rest::{Profiles, status};
use lantime2mqtt::model::derive::{RelayEvents, Slots, slots};
use lantime2mqtt::model::{Availability, DeviceView, Snapshot, diff};
use libfuzzer_sys::fuzz_target;

static PROFILES: LazyLock<Profiles> = LazyLock::new(Profiles::built_in);

/// What is published before the document under test comes.
static BASE: LazyLock<DeviceView> = LazyLock::new(|| {
    let body = include_bytes!("../corpus/status_document/redundant.json");
    let snapshot = read(body).expect("the seed is a status document");
    view(&snapshot, &DeviceView::default())
});

fuzz_target!(|body: &[u8]| {
    let Some(snapshot) = read(body) else { return };
    assert_eq!(
        Some(&snapshot),
        read(body).as_ref(),
        "the same answer reads the same"
    );

    let new = view(&snapshot, &BASE);
    let first = diff(&BASE, &new);
    assert_eq!(first, diff(&BASE, &new), "the same views differ in the same");
    assert_eq!(
        first.is_empty(),
        *BASE == new,
        "views without a difference are equal"
    );
    assert_eq!(diff(&new, &new), [], "nothing differs from itself");

    let again = view(&snapshot, &new);
    assert_eq!(
        diff(&new, &again),
        [],
        "a second poll that reports the same changes nothing"
    );

    let names: BTreeSet<_> = new.events.iter().map(|event| &event.name).collect();
    assert_eq!(names.len(), new.events.len(), "each event is reported once");
});

fn read(body: &[u8]) -> Option<Snapshot> {
    let reading = status::read(body, &PROFILES, "http://lantime.example").ok()?;
    Some(reading.snapshot)
}

fn view(snapshot: &Snapshot, old: &DeviceView) -> DeviceView {
    let chassis = snapshot.chassis_kind();
    let now = Timestamp::UNIX_EPOCH;
    DeviceView {
        availability: Some(Availability::Online),
        identity: Some(snapshot.identity.clone()),
        problem: None,
        events: snapshot.events.clone(),
        slots: slots(
            snapshot,
            chassis,
            &Slots::Auto,
            &RelayEvents::new(),
            &old.slots,
            now,
        ),
        chassis: Some(chassis),
        place: old.place.clone(),
    }
}
