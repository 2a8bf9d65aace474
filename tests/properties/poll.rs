//! What becomes of an answer in a poll, without the device.

use jiff::Timestamp;
use lantime2mqtt::lantime::rest::{Profiles, status};
use lantime2mqtt::model::derive::{RelayEvents, Slots, slots};
use lantime2mqtt::model::{Availability, DeviceView, Snapshot, diff};
use serde_json::Value;

/// Reads, derives and compares; nothing of that may panic.
pub(crate) fn poll(body: &[u8], profiles: &Profiles) {
    if let Ok(reading) = status::read(body, profiles, "http://lantime.example") {
        let view = view(&reading.snapshot, &DeviceView::default());
        assert_eq!(diff(&view, &view), []);
    }
}

/// What a status document reports.
pub(crate) fn snapshot(document: &Value) -> Snapshot {
    snapshot_of(document.to_string().as_bytes())
}

/// What the text of one reports.
pub(crate) fn snapshot_of(body: &[u8]) -> Snapshot {
    let reading = status::read(body, &Profiles::built_in(), "http://lantime.example");
    reading.expect("it is a status document").snapshot
}

/// What is to be published after it.
pub(crate) fn view(snapshot: &Snapshot, old: &DeviceView) -> DeviceView {
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
