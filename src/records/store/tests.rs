//! The store's promises. What they share is here; each file has one kind.

mod commands;
mod disk;
mod failing;
mod file;
mod history;
mod incidents;
mod marks;
mod outbox;
mod recorded;
mod replaced;
mod sequence;

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Options, Store, StoreStatus};
use crate::contract::topics::Destination;
use crate::model::DeviceId;
use crate::records::{Received, Record};
use disk::Disk;

const PATIENCE: Duration = Duration::from_secs(20);

fn options() -> Options {
    let mut options = Options::new(DeviceId::new("site-1").unwrap());
    options.limits.retry = Duration::from_millis(5);
    options
}

fn on(disk: &Disk) -> Store {
    on_with(disk, options())
}

fn on_with(disk: &Disk, options: Options) -> Store {
    let disk = disk.clone();
    Store::with_backend(move || disk.clone(), options).unwrap()
}

fn record(payload: &str) -> Record {
    Record {
        id: Uuid::now_v7(),
        destination: Destination::Events(DeviceId::new("m1").unwrap()),
        payload: Bytes::from(payload.to_owned()),
        correlation: None,
    }
}

fn dead_letter(message: &str) -> Record {
    let id = Uuid::now_v7();
    let json = format!(
        r#"{{"id":"{id}","at":"2026-02-10T09:45:48.000Z","operation":"poll","error":{{"kind":"timeout","message":"{message}","remedy":""}}}}"#
    );
    Record {
        id,
        destination: Destination::DeadLetter(None),
        payload: Bytes::from(json),
        correlation: None,
    }
}

fn command(payload: &str) -> Received {
    Received {
        topic: "lantime/m1/refresh".to_owned(),
        payload: Bytes::from(payload.to_owned()),
        payload_length: None,
        retained: false,
        response_topic: None,
        correlation: None,
        received_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        local: false,
    }
}

async fn outbox(store: &Store) -> Vec<(u64, Record)> {
    store.outbox(0, usize::MAX, usize::MAX).await.unwrap()
}

fn payloads(records: &[(u64, Record)]) -> Vec<&str> {
    let texts = records
        .iter()
        .map(|(_, record)| std::str::from_utf8(&record.payload));
    texts.map(Result::unwrap).collect()
}

/// The store's own dead letters among these records.
fn dead_letters(records: &[(u64, Record)]) -> Vec<Value> {
    let dead_letters = records
        .iter()
        .filter(|(_, record)| record.destination == Destination::DeadLetter(None));
    let json = dead_letters.map(|(_, record)| serde_json::from_slice::<Value>(&record.payload).unwrap());
    json.filter(|json| json["operation"] == "store").collect()
}

async fn until(store: &Store, what: &str, condition: impl FnMut(&StoreStatus) -> bool) {
    let mut status = store.status();
    if timeout(PATIENCE, status.wait_for(condition)).await.is_err() {
        panic!("{what}: never seen; {:?}", store.status().borrow());
    }
}
