//! What was last recorded of devices: kept over restarts, and written while the disk fails as soon as it works.

use std::collections::BTreeMap;

use super::disk::{Disk, Fault};
use super::{on, options, until};
use crate::model::{
    DeviceId, DeviceView, EventName, EventState, EventType, Identity, LastTriggered, Recorded,
    RecordedEvents, RecordedSlots,
};
use crate::records::store::{Entries, Store};

fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

fn recorded(serial_number: &str) -> Recorded {
    let identity = Identity {
        serial_number: Some(serial_number.into()),
        profile: "api-10".into(),
        ..Identity::default()
    };
    let event = EventState {
        name: EventName::canonical("ntp-not-sync").unwrap(),
        name_on_device: None,
        triggered: Some(true),
        kind: EventType::Unknown,
        last_triggered: LastTriggered::Never,
    };
    let view = DeviceView {
        identity: Some(identity.into()),
        ..DeviceView::default()
    };
    Recorded {
        slots: Some(RecordedSlots::default().with(&view)),
        events: Some(RecordedEvents::of([(&event, false)])),
    }
}

async fn append(store: &Store, recorded: impl IntoIterator<Item = (DeviceId, Option<Recorded>)>) {
    let entries = Entries {
        recorded: recorded.into_iter().collect(),
        ..Entries::default()
    };
    store.append_all(entries).await;
}

#[tokio::test]
async fn what_was_last_recorded_is_known_to_the_next_run() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), options()).unwrap();
    assert_eq!(store.recorded().await.unwrap(), BTreeMap::new());
    let (a, b) = (device("a"), device("b"));
    let both = [(a.clone(), Some(recorded("1"))), (b.clone(), Some(recorded("1")))];
    append(&store, both).await;
    let without_events = Recorded {
        events: None,
        ..recorded("2")
    };
    append(&store, [(a.clone(), Some(without_events)), (b, None)]).await;
    drop(store);
    let store = Store::open(directory.path(), options()).unwrap();
    let known = store.recorded().await.unwrap();
    assert_eq!(
        known,
        BTreeMap::from([(a, recorded("2"))]),
        "its events are as they were"
    );
}

#[tokio::test]
async fn of_a_device_that_comes_again_nothing_of_before_stays() {
    let store = on(&Disk::default());
    append(&store, [(device("a"), Some(recorded("1")))]).await;
    let mut entries = Entries::default();
    entries.record(device("a"), None);
    let slots = recorded("2").slots;
    let again = Recorded { slots, events: None };
    entries.record(device("a"), Some(again));
    store.append_all(entries).await;
    let known = store.recorded().await.unwrap();
    let events = Some(RecordedEvents::default());
    let slots = recorded("2").slots;
    assert_eq!(known, BTreeMap::from([(device("a"), Recorded { slots, events })]));
}

#[tokio::test]
async fn what_is_recorded_while_the_disk_fails_is_written_later() {
    let disk = Disk::default();
    let store = on(&disk);
    disk.set(Fault::Dead);
    append(&store, [(device("a"), Some(recorded("1")))]).await;
    disk.set(Fault::None);
    until(&store, "it works again", |status| status.failing.is_none()).await;
    let known = store.recorded().await.unwrap();
    assert_eq!(known, BTreeMap::from([(device("a"), recorded("1"))]));
}
