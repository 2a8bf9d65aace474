//! Open incidents: kept over restarts, with the records that report them.

use std::path::Path;
use std::slice;

use jiff::Timestamp;
use redb::{Database, TableDefinition};
use uuid::Uuid;

use super::disk::{Disk, Fault};
use super::{on, on_with, options, outbox, record, until};
use crate::model::{
    DeadLetter, DeviceId, ErrorKind, ErrorReport, Incident, IncidentKey, IncidentKind, Operation,
};
use crate::records::dead_letter;
use crate::records::store::{Entries, FILE_NAME, IncidentChange, Limit, Store};

fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

fn incident(key: IncidentKey, count: u64) -> Incident {
    Incident {
        key,
        id: Uuid::from_u128(7),
        operation: Operation::Poll,
        error: ErrorReport::new(ErrorKind::Timeout, "late", "wait"),
        first_at: Timestamp::UNIX_EPOCH,
        reported_at: Timestamp::UNIX_EPOCH,
        count,
    }
}

fn poll(id: &str, count: u64) -> Incident {
    incident(IncidentKey::of_device(IncidentKind::Poll, &device(id)), count)
}

async fn change(store: &Store, changes: Vec<IncidentChange>) {
    let entries = Entries {
        records: vec![record("a")],
        incidents: changes,
        ..Entries::default()
    };
    store.append_all(entries).await;
}

fn open(store: &Store) -> Vec<Incident> {
    store.incidents().borrow().values().cloned().collect()
}

fn open_file(directory: &Path) -> Store {
    Store::open(directory, options()).unwrap()
}

#[tokio::test]
async fn what_is_open_is_known_to_the_next_run() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_file(directory.path());
    let traps = incident(IncidentKey::about(IncidentKind::Trap, "community"), 3);
    let all = [poll("a", 1), poll("b", 1), poll("c", 1), traps.clone()];
    let store_fails = incident(IncidentKey::new(IncidentKind::Store), 1);
    let changes = all.into_iter().chain([store_fails.clone()]);
    change(&store, changes.map(IncidentChange::Open).collect()).await;
    let changes = vec![
        IncidentChange::Open(poll("a", 61)),
        IncidentChange::Closed(poll("b", 1).key),
        IncidentChange::AllClosed(device("c"), "it was removed"),
        IncidentChange::Closed(poll("d", 1).key),
    ];
    change(&store, changes).await;
    assert_eq!(open(&store), [poll("a", 61), traps.clone(), store_fails]);
    drop(store);
    let store = open_file(directory.path());
    assert_eq!(
        open(&store),
        [poll("a", 61), traps],
        "but for what each run finds out itself"
    );
    assert_eq!(outbox(&store).await.len(), 2, "the records that came with them");
}

#[tokio::test]
async fn what_changes_while_the_disk_fails_is_written_when_it_works() {
    let disk = Disk::default();
    let store = on(&disk);
    change(&store, vec![IncidentChange::Open(poll("a", 1))]).await;
    disk.set(Fault::Dead);
    let changes = [poll("b", 1), poll("c", 1)].map(IncidentChange::Open);
    change(&store, changes.to_vec()).await;
    change(&store, vec![IncidentChange::Closed(poll("a", 1).key)]).await;
    let expected = [poll("b", 1), poll("c", 1)];
    assert_eq!(of_devices(&store), expected);
    disk.set(Fault::None);
    until(&store, "it works again", |status| status.failing.is_none()).await;
    assert_eq!(of_devices(&on(&disk.after_crash())), expected);
}

fn of_devices(store: &Store) -> Vec<Incident> {
    let mut open = open(store);
    open.retain(|incident| incident.key.device.is_some());
    open
}

#[tokio::test]
async fn a_store_of_an_earlier_version_shows_by_its_archive_what_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_file(directory.path());
    let error = ErrorReport::new(ErrorKind::Timeout, "late", "wait");
    let at = Timestamp::from_second(1_000).unwrap();
    let failing = DeadLetter {
        device: Some(device("a")),
        ..dead_letter::new(Operation::Poll, error, at)
    };
    let record = dead_letter::record(&failing, &device("site-1"));
    store.append(vec![record]).await;
    drop(store);
    let taken_over = Incident {
        id: failing.id,
        first_at: at,
        reported_at: at,
        ..poll("a", 1)
    };

    without_incidents(&directory.path().join(FILE_NAME));
    let store = open_file(directory.path());
    assert_eq!(open(&store), slice::from_ref(&taken_over));
    drop(store);
    let store = open_file(directory.path());
    assert_eq!(open(&store), slice::from_ref(&taken_over), "it was written");
    change(&store, vec![IncidentChange::Closed(taken_over.key)]).await;
    drop(store);
    assert_eq!(open(&open_file(directory.path())), [], "the archive counts once");
}

/// The file as an earlier version leaves it.
fn without_incidents(file: &Path) {
    const INCIDENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("incidents");
    let database = Database::open(file).unwrap();
    let transaction = database.begin_write().unwrap();
    assert!(transaction.delete_table(INCIDENTS).unwrap());
    transaction.commit().unwrap();
}

#[tokio::test]
async fn what_the_store_itself_suffers_is_open_while_it_lasts() {
    let disk = Disk::default();
    let mut small = options();
    small.limits.outbox = Limit::of(20, 1 << 20);
    let store = on_with(&disk, small);
    let kinds = || Vec::from_iter(open(&store).iter().map(|incident| incident.key.kind));
    store.append((0..30).map(|_| record("a")).collect()).await;
    assert_eq!(kinds(), [IncidentKind::Outbox]);
    disk.set(Fault::Dead);
    store.append(vec![record("b")]).await;
    assert_eq!(kinds(), [IncidentKind::Store, IncidentKind::Outbox]);
    disk.set(Fault::None);
    until(&store, "it works again", |status| status.failing.is_none()).await;
    assert_eq!(kinds(), [IncidentKind::Outbox]);
    let numbers = outbox(&store).await.into_iter().map(|(number, _)| number);
    store.sent(numbers.collect()).await;
    until(&store, "there is room", |status| status.records <= 1).await;
    store.append(vec![record("c")]).await;
    assert_eq!(kinds(), []);
}
