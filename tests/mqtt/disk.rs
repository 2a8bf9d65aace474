//! A store that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lantime2mqtt::model::{Availability, Position};
use lantime2mqtt::records::store::Store;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use crate::bridge::{Bridge, available, named, named_json, relay_switches};
use crate::support::Watcher;
use crate::support::mosquitto::Mosquitto;
use crate::{settings, store_options};

/// A disk that can be full.
#[derive(Debug, Clone)]
struct Disk {
    contents: Arc<InMemoryBackend>,
    is_full: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> Result<(), std::io::Error> {
        match self.is_full.load(Ordering::SeqCst) {
            true => Err(std::io::Error::from(std::io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.contents.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.contents.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.check()?;
        self.contents.set_len(len)
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.check()?;
        self.contents.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.check()?;
        self.contents.write(offset, data)
    }
}

#[tokio::test]
async fn a_full_disk_does_not_hold_up_what_is_published() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let is_full = Arc::new(AtomicBool::new(false));
    let disk = Disk {
        contents: Arc::default(),
        is_full: is_full.clone(),
    };
    let store = Store::with_backend(move || disk.clone(), store_options()).unwrap();
    let bridge = Bridge::start(settings(broker.address()), "b1", &["m1", "m2"], &store).await;
    bridge.send("m1", vec![named("before")]).await;
    watcher
        .until("before", |seen| seen.topics.contains_key("lantime/m1/info"))
        .await;
    is_full.store(true, Ordering::SeqCst);
    for n in 0..3 {
        let state = available(Availability::Online);
        bridge
            .send(&format!("m{n}"), vec![state, named(&format!("during {n}"))])
            .await;
        let (topic, during) = (format!("lantime/m{n}/info"), named_json(&format!("during {n}")));
        watcher.until("during", |seen| seen.is(&topic, &during)).await;
    }
    bridge
        .send("m1", vec![relay_switches(Position::No, Position::Nc)])
        .await;
    watcher
        .until("a record", |seen| seen.last("lantime/m1/io3/changes").is_some())
        .await;
    bridge.stop().await;
    assert!(watcher.now().is("lantime/bridge/b1/state", "offline"));
}
