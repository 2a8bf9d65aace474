//! The only sender of state and records: takes updates from the hub, knows what is to be retained, and sees to it
//! that the broker has it, and that it gets every record.
//!
//! Updates are always taken, broker or not: the outbox keeps no payload, and records go into the store, so an outage costs
//! no memory. On every connect it sends everything that is retained, then says `online`,
//! then sends the records, in order; in between only what changed. What an earlier run has published, and was read back just
//! so, the first connect leaves alone; then `online` waits until the devices have been polled.

mod exchange;
mod in_flight;
mod incoming;
mod journal;
mod outbox;
mod overwritten;
mod record_source;
mod record_store;
mod records;
mod refusals;
mod rejected;
mod retained;
mod size_limit;
mod unpolled;
mod updates;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use in_flight::InFlight;
use incoming::Incoming;
use journal::Journal;
pub use outbox::Digest;
use outbox::Outbox;
use record_source::RecordSource;
use record_store::RecordStore;
use records::RecordQueue;
use refusals::Refusals;
use retained::{Own, Retained};
use unpolled::Unpolled;

use super::connection::Purpose;
use super::discovery::Discovery;
use super::link::{Link, LinkStatus, until};
use super::payload::Payloads;
use crate::cluster::fence::Fence;
use crate::cluster::ledger::Ledger;
use crate::config::Mqtt;
use crate::contract::state::BridgeInfo;
use crate::contract::topics::{DeviceTopic, StateTopic, Topics};
use crate::hub::Hub;
use crate::model::{DeviceId, ShardId};
use crate::records::store::{Store, StoreStatus};

/// Updates that are taken at once. Enough for a tick of a thousand devices; more only waits a moment.
const UPDATES_AT_ONCE: usize = 1024;

/// What the store may take longer than all else at a stop: records that it has not yet would be lost.
const STORE_GRACE: Duration = Duration::from_secs(1);

/// How long after a take-over no will has come yet: it waits for longer.
const WILL_AFTER: Duration = Duration::from_secs(20);

/// What a publisher is made of.
#[derive(Debug)]
pub struct Setup {
    /// The broker and how to publish there. [`crate::config::Broker::Embedded`] is taken for its address only.
    pub mqtt: Mqtt,
    /// This bridge's id.
    pub bridge: DeviceId,
    /// For whom it publishes.
    pub role: Role,
    /// What [`Store::published_topics`] gave at the start, and what was read back of it.
    pub remembered: Vec<(String, Option<Digest>)>,
    /// Where published topics are recorded, and records kept until the broker has them.
    pub store: Store,
    /// What other programs are to discover.
    pub discovery: Option<Box<dyn Discovery>>,
    /// How long [`Publisher::run`] may take to end once the channel of updates is closed.
    pub stop_within: Duration,
}

/// For whom a publisher publishes.
#[derive(Debug)]
pub enum Role {
    /// A bridge: what it says of itself is published, too, and the store lists all topics.
    Bridge(BridgeInfo),
    /// A shard of a cluster, whose next owner goes on as the same client. What is there is what was read back; the list in
    /// this host's store would be of no use to others.
    Shard {
        /// Which one.
        shard: ShardId,
        /// Connects only while that permits it.
        fence: Fence,
        /// When this bridge has taken the shard over: the will of that connection may come some time later.
        taken_at: Instant,
        /// Devices of earlier configurations whose topics stay.
        left: Vec<DeviceId>,
        /// Cancelled before the end if another bridge may go on: then `offline` is left to the will, which that one cancels.
        hand_over: CancellationToken,
        /// The replies to its commands, which it sends; `None` where nobody keeps them in etcd.
        replies: Option<Ledger>,
    },
}

/// What is known of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerStatus {
    /// The connection.
    pub link: LinkStatus,
    /// Topics that are kept at the broker.
    pub topics: usize,
    /// Messages that wait to be recorded, sent or acknowledged; without a connection, all of the state. Others are
    /// not woken for each of them, only when it becomes zero or is no longer.
    pub pending: usize,
    /// Records that the broker has not got yet, those on their way included; woken likewise.
    pub records: usize,
    /// Messages with which we have replaced what others had published at our state topics.
    pub restored: u64,
}

/// The topics of each device that an earlier run published, by what [`Store::published_topics`] gave.
pub fn remembered(topics: &Topics, published: &[String]) -> BTreeMap<DeviceId, HashSet<DeviceTopic>> {
    let mut devices = BTreeMap::<_, HashSet<_>>::new();
    for topic in published {
        if let Some((StateTopic::Device(device, below), _)) = topics.parse(topic) {
            devices.entry(device).or_default().insert(below);
        }
    }
    devices
}

/// The task that publishes state and records.
pub struct Publisher {
    hub: Hub,
    retained: Retained,
    outbox: Outbox,
    records: RecordQueue,
    /// All records of a host in order go out by the bridge's own publisher, whichever shard they are of; the replies of a shard
    /// by that of the shard.
    sends_records: bool,
    record_source: RecordSource,
    journal: Journal,
    in_flight: InFlight,
    link: Link,
    incoming: Incoming,
    refusals: Refusals,
    unpolled: Unpolled,
    /// From when on the first connection may find the will at our own state topic.
    will_at: Option<Instant>,
    reports: Reports,
    stop: Stop,
}

/// What others are to know, and the store's part of it.
struct Reports {
    stored: watch::Receiver<StoreStatus>,
    status: watch::Sender<BrokerStatus>,
}

/// How it ends.
struct Stop {
    phase: Phase,
    /// How long it may take.
    within: Duration,
    /// As [`Role::Shard`] has it.
    hand_over: Option<CancellationToken>,
}

impl Stop {
    fn is_hand_over(&self) -> bool {
        self.hand_over
            .as_ref()
            .is_some_and(CancellationToken::is_cancelled)
    }
}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// Everything that is still to be sent goes out.
    Flushing,
    /// `offline` goes out.
    SayingOffline,
    /// DISCONNECT goes out.
    Leaving,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher")
            .field("phase", &self.stop.phase)
            .finish_non_exhaustive()
    }
}

impl Publisher {
    /// A publisher of what comes in by `hub`, which it drives, and what is known of the broker.
    ///
    /// The hub's channel is drained whether the broker is there or not: who sends updates never waits long.
    pub fn new(setup: Setup, hub: Hub) -> (Publisher, watch::Receiver<BrokerStatus>) {
        let topics = Topics::new(setup.mqtt.prefix.clone(), setup.bridge.clone());
        let mut records = RecordStore::Local(setup.store.clone());
        let mut will_at = None;
        let (topics, own, fence, hand_over) = match setup.role {
            Role::Bridge(info) => (topics, Own::Bridge(info), None, None),
            Role::Shard {
                shard,
                fence,
                taken_at,
                left,
                hand_over,
                replies,
            } => {
                records = replies.map_or(records, RecordStore::Shared);
                will_at = Some(taken_at + WILL_AFTER);
                let own = Own::Shard { left };
                (topics.of_shard(shard), own, Some(fence), Some(hand_over))
            }
        };
        let sends_records = own.is_bridge() || matches!(records, RecordStore::Shared(_));
        let payloads = Payloads::new(topics, setup.mqtt.layout);
        let purpose = Purpose::Publishing {
            will: payloads.own_state(false),
            is_handed_on: hand_over.is_some(),
        };
        let link = Link::new(setup.mqtt, purpose).only_while(fence);
        let (status, receiver) = watch::channel(BrokerStatus {
            link: link.status().clone(),
            topics: 0,
            pending: 0,
            records: 0,
            restored: 0,
        });
        let later = setup.discovery.as_ref().map(|discovery| discovery.topics().all());
        let mut outbox = Outbox::new(payloads.topics().all(), later, own.is_bridge());
        setup
            .remembered
            .into_iter()
            .for_each(|(topic, there)| outbox.remember(topic, there));
        let stored = records.status();
        let publisher = Publisher {
            retained: Retained::new(payloads, own, setup.discovery, hub.fleet()),
            hub,
            outbox,
            records: RecordQueue::default(),
            sends_records,
            record_source: RecordSource::new(records.clone()),
            journal: Journal::new(setup.store, records, setup.bridge),
            in_flight: InFlight::default(),
            link,
            incoming: Incoming::default(),
            refusals: Refusals::default(),
            unpolled: Unpolled::new(BTreeSet::new()),
            will_at,
            reports: Reports { stored, status },
            stop: Stop {
                phase: Phase::Running,
                within: setup.stop_within,
                hand_over,
            },
        };
        (publisher, receiver)
    }

    /// Publishes until the channel of updates is closed; then sends what is left, publishes `offline` and disconnects.
    /// If it is dropped before that, the broker publishes `offline` by the last will.
    pub async fn run(mut self) {
        self.begin();
        let mut updates = Vec::new();
        let mut deadline = None;
        loop {
            self.journal.start(&mut self.outbox);
            if self.link.is_connected() && self.sends_records {
                self.record_source.start(&self.records);
            }
            self.become_online();
            self.fill_window();
            self.report();
            if self.stop.phase != Phase::Running && !self.go_on_stopping() {
                break;
            }
            // The broker must not publish a will at a topic that the list does not hold.
            let may_connect = self.outbox.is_released(&self.online_topic());
            let write_at = self.journal.due_at();
            let takes_updates = self.stop.phase == Phase::Running && self.journal.has_room();
            tokio::select! {
                event = self.link.next(), if may_connect => self.on_events(event),
                (batch, stored) = self.journal.written() => self.outbox.recorded(batch, stored),
                fetched = self.record_source.next() => self.take_in(fetched),
                // To be reported.
                Ok(()) = self.reports.stored.changed() => {}
                count = self.hub.recv_many(&mut updates, UPDATES_AT_ONCE), if takes_updates => {
                    if count == 0 {
                        self.stop.phase = Phase::Flushing;
                        self.journal.stop_gathering();
                        deadline = Some(Instant::now() + self.stop.within);
                    }
                    updates.drain(..).for_each(|update| self.apply(update));
                    updates.shrink_to(outbox::KEPT);
                }
                // To be written.
                () = until(write_at) => {}
                () = until(self.records.paused_until) => self.records.paused_until = None,
                () = until(self.incoming.overwritten.next_due()) => self.restore_overwritten(),
                () = until(self.incoming.subscriptions.retry_at()) => self.subscribe_again(),
                () = until(self.refusals.retry_at) => self.try_held_back_again(),
                () = until(self.unpolled.ends_at()) => self.give_unpolled_up(),
                () = until(self.refusals.incidents.next_end()) => self.report_ends(),
                () = until(deadline) => {
                    tracing::warn!("the broker did not take everything in time; it publishes offline by the last will");
                    break;
                }
            }
        }
        self.finish(deadline).await;
    }

    fn report(&self) {
        let topics = self.outbox.len();
        let pending = self.outbox.pending() + self.in_flight.len();
        let records = self.reports.stored.borrow().records;
        self.reports.status.send_if_modified(|status| {
            let is_news = status.link != *self.link.status()
                || (status.pending == 0) != (pending == 0)
                || (status.records == 0) != (records == 0)
                || status.restored != self.incoming.restored;
            if status.link != *self.link.status() {
                status.link.clone_from(self.link.status());
            }
            (status.topics, status.pending, status.records) = (topics, pending, records);
            status.restored = self.incoming.restored;
            is_news
        });
    }

    /// The next step of a clean stop; `false` once there is nothing more to do.
    fn go_on_stopping(&mut self) -> bool {
        if !self.link.is_connected() {
            return false;
        }
        let is_idle = self.outbox.is_state_sent() && self.in_flight.len() == 0 && !self.journal.is_writing();
        // What the broker has no room for, or the store cannot give, is for the next run.
        let are_records_sent = !self.sends_records
            || self.records.paused_until.is_some()
            || (self.records.len() == 0 && !self.record_source.has_more(&self.records));
        match self.stop.phase {
            // Without DISCONNECT: the will waits for the next owner, and stands if there is none.
            Phase::Flushing if is_idle && are_records_sent && self.stop.is_hand_over() => {
                self.link.abandon();
                return false;
            }
            Phase::Flushing if is_idle && are_records_sent => {
                self.stop.phase = Phase::SayingOffline;
                self.retained.is_online = false;
                self.put(&StateTopic::OwnState);
                self.fill_window();
            }
            Phase::SayingOffline if is_idle => self.leave(),
            _ => {}
        }
        true
    }

    fn is_of_bridge(&self) -> bool {
        self.retained.own.is_bridge()
    }

    fn leave(&mut self) {
        self.stop.phase = Phase::Leaving;
        if let Some(client) = self.link.client() {
            client.disconnect();
        }
    }

    /// What the store does not know yet is written: records, which would be lost; those that the broker has, and
    /// the list of published topics, which would only cost the next run some work.
    async fn finish(mut self, deadline: Option<Instant>) {
        let write = async {
            loop {
                self.journal.start(&mut self.outbox);
                if !self.journal.is_writing() {
                    break;
                }
                let (batch, stored) = self.journal.written().await;
                self.outbox.recorded(batch, stored);
            }
        };
        let deadline = deadline.map(|deadline| deadline.max(Instant::now() + STORE_GRACE));
        tokio::select! {
            () = write => {}
            () = until(deadline) => tracing::error!("the store did not take everything in time: records may be lost"),
        }
    }
}
