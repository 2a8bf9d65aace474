//! What one simulated device has of SNMP, whichever agent serves it at the moment: its address, its engine, and the
//! news for those that it notifies.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use async_snmp::Oid;
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{broadcast, watch};

use super::options::{SnmpOptions, Traps};
use super::{mib, objects};
use crate::simulator::events::EventType;
use crate::simulator::world::World;

/// News that wait for a slow receiver; the oldest go when there are more.
const NEWS_WAITING: usize = 1024;
/// Boots that a fresh device has counted, so that they can go back as well.
const INITIAL_BOOTS: u32 = 7;

/// The SNMP side of one device.
pub(in crate::simulator) struct Endpoint {
    pub(super) options: Arc<SnmpOptions>,
    /// Known once its first agent is bound.
    pub(super) address: OnceLock<SocketAddr>,
    pub(super) engine_id: Vec<u8>,
    pub(super) answering: watch::Sender<bool>,
    news: broadcast::Sender<News>,
}

/// Something that receivers are notified of.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub(super) trap: Oid,
    /// Hundredths of a second since the device was started.
    pub(super) uptime: u32,
    /// What happened.
    pub(super) message: String,
}

impl Endpoint {
    pub(in crate::simulator) fn new(number: usize, options: Arc<SnmpOptions>) -> Self {
        Self {
            options,
            address: OnceLock::new(),
            engine_id: engine_id(number),
            answering: watch::Sender::new(false),
            news: broadcast::Sender::new(NEWS_WAITING),
        }
    }

    pub(in crate::simulator) fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
    }

    pub(in crate::simulator) fn engine_id(&self) -> &[u8] {
        &self.engine_id
    }

    pub(in crate::simulator) fn answering(&self) -> &watch::Sender<bool> {
        &self.answering
    }

    /// The boots of a device that has just been taken into service.
    pub(in crate::simulator) const fn initial_boots() -> u32 {
        INITIAL_BOOTS
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Notifies the receivers of what has happened between two states of a world.
    pub(in crate::simulator) fn notify_changes(&self, before: &World, after: &World, now: Timestamp) {
        for event in happened(before, after) {
            self.notify(event, after, now);
        }
    }

    /// Notifies the receivers of an event, if that is wanted.
    pub(super) fn notify(&self, event: &str, world: &World, now: Timestamp) {
        let is_wanted = self.options.traps == Traps::Every || world.configuration.has_applied(event, "snmp");
        if let Some(trap) = mib::notification(event).filter(|_| is_wanted) {
            self.send(trap, event, world, now);
        }
    }

    /// Notifies the receivers again of everything that stands and is no good news.
    pub(super) fn notify_standing(&self, world: &World, now: Timestamp) {
        let standing = world
            .events
            .iter()
            .filter(|event| event.triggered && event.kind != EventType::Info);
        for event in standing {
            self.notify(event.name, world, now);
        }
    }

    pub(super) fn notify_test(&self, world: &World, now: Timestamp) {
        self.send(mib::test_notification(), "test-notification", world, now);
    }

    fn send(&self, trap: Oid, event: &str, world: &World, now: Timestamp) {
        let news = News {
            trap,
            uptime: objects::uptime(world, now),
            // Assumed: the text of a real device is not known.
            message: event.replace(['-', ':'], " "),
        };
        // An error means that there is no receiver, or that the device is down.
        _ = self.news.send(news);
    }
}

/// The events that were triggered between two states of a world, again or for the first time.
fn happened<'a>(before: &'a World, after: &'a World) -> impl Iterator<Item = &'static str> + 'a {
    let pairs = before.events.iter().zip(after.events.iter());
    pairs
        .filter(|(old, new)| (new.triggered && !old.triggered) || old.last_triggered != new.last_triggered)
        .map(|(_, new)| new.name)
}

/// An engine id of the vendor's enterprise number: the device's place in the fleet, and octets that make it another
/// one each time, since its boots begin again each time as well.
fn engine_id(number: usize) -> Vec<u8> {
    let mut random = [0; 4];
    SystemRandom::new()
        .fill(&mut random)
        .expect("the system has a source of random numbers");
    let place = (number as u32).to_be_bytes();
    [&[0x80, 0x00, 0x15, 0xdd, 0x05][..], &place, &random].concat()
}
