//! The only sender of state: takes updates from everybody, keeps what is retained, and sees to it that
//! the broker has it.
//!
//! Updates are always taken, broker or not: the outbox keeps one payload a topic, so an outage costs no
//! memory. On every connect it says `online`, then sends everything; in between only what changed.

mod journal;
mod link;
mod outbox;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use journal::Journal;
pub use link::BrokerStatus;
use link::Link;
use outbox::{Next, Outbox};

use super::connection::{ConnectionError, Event};
use super::payload::{BridgeInfo, Message, Payloads};
use super::topics::{DeviceTopic, StateTopic, Topics};
use crate::config::Mqtt;
use crate::model::{DeviceId, Update};
use crate::records::store::Store;

/// Updates that are taken at once. Enough for a tick of a thousand devices; more only waits a moment.
const UPDATES_AT_ONCE: usize = 1024;

/// Refusals of single messages that are told at level error during one connection.
const REFUSALS_TOLD: usize = 5;

/// What a publisher is made of.
#[derive(Debug)]
pub struct Setup {
    /// The broker and how to publish there. [`crate::config::Broker::Embedded`] is taken for its address only.
    pub mqtt: Mqtt,
    /// This bridge's id.
    pub bridge: DeviceId,
    /// What the bridge says of itself.
    pub info: BridgeInfo,
    /// The configured devices: topics of others that an earlier run published are cleared.
    pub configured: Vec<DeviceId>,
    /// What [`Store::published_topics`] gave at the start.
    pub remembered: Vec<String>,
    /// Where published topics are recorded.
    pub store: Store,
    /// Gets a copy of each update; full means that it misses some.
    pub observer: Option<mpsc::Sender<Update>>,
    /// How long [`Publisher::run`] may take to end once all senders of updates are gone.
    pub stop_within: Duration,
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

/// The task that publishes state.
pub struct Publisher {
    updates: mpsc::Receiver<Update>,
    observer: Option<mpsc::Sender<Update>>,
    payloads: Payloads,
    info: BridgeInfo,
    configured: HashSet<DeviceId>,
    remembered: Vec<String>,
    outbox: Outbox,
    journal: Journal,
    link: Link,
    stop_within: Duration,
    phase: Phase,
    /// Topics that were told to be too large, in this run.
    too_large: HashSet<String>,
    /// Messages that the broker refused during this connection.
    refusals: usize,
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
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Publisher {
    /// A publisher of what comes in by `updates`, and what is known of the broker.
    ///
    /// `updates` is bounded; full means that senders wait, which is never long: it is drained whether the
    /// broker is there or not.
    pub fn new(setup: Setup, updates: mpsc::Receiver<Update>) -> (Publisher, watch::Receiver<BrokerStatus>) {
        let topics = Topics::new(setup.mqtt.prefix.clone(), setup.bridge);
        let payloads = Payloads::new(topics, setup.mqtt.layout);
        let (link, status) = Link::new(setup.mqtt, payloads.bridge_offline());
        let publisher = Publisher {
            updates,
            observer: setup.observer,
            payloads,
            info: setup.info,
            configured: setup.configured.into_iter().collect(),
            remembered: setup.remembered,
            outbox: Outbox::default(),
            journal: Journal::new(setup.store),
            link,
            stop_within: setup.stop_within,
            phase: Phase::Running,
            too_large: HashSet::new(),
            refusals: 0,
        };
        (publisher, status)
    }

    /// Publishes until all senders of updates are gone; then sends what is left, says `offline` and goodbye.
    /// Dropped before that, the broker says `offline` by the last will.
    pub async fn run(mut self) {
        self.begin();
        let mut updates = Vec::new();
        let mut deadline = None;
        loop {
            self.journal.start(&mut self.outbox);
            self.fill_window();
            self.link.report(self.outbox.len(), self.outbox.pending());
            if self.phase != Phase::Running && !self.go_on_stopping() {
                break;
            }
            // The broker must not publish a will at a topic that the list does not hold.
            let may_connect = self.outbox.is_released(&self.payloads.bridge_online().topic);
            tokio::select! {
                event = self.link.next(), if may_connect => self.on_events(event),
                (batch, stored) = self.journal.written() => self.outbox.recorded(batch, stored),
                count = self.updates.recv_many(&mut updates, UPDATES_AT_ONCE), if self.phase == Phase::Running => {
                    if count == 0 {
                        self.phase = Phase::Flushing;
                        deadline = Some(Instant::now() + self.stop_within);
                    }
                    updates.drain(..).for_each(|update| self.apply(update));
                }
                () = until(deadline) => {
                    tracing::warn!("the broker did not take everything in time; it will say offline by the last will");
                    break;
                }
            }
        }
        self.finish(deadline).await;
    }

    /// Sorts out what earlier runs have published, and says what the bridge itself is.
    fn begin(&mut self) {
        for topic in std::mem::take(&mut self.remembered) {
            let is_current = match self.payloads.topics().parse(&topic) {
                None => false,
                Some((state, field)) => {
                    let owner_is_here = state
                        .device()
                        .is_none_or(|device| self.configured.contains(device));
                    owner_is_here && self.payloads.publishes(&state, field.is_some())
                }
            };
            self.outbox.remember(topic.clone());
            if !is_current {
                self.outbox.set(&topic, None);
            }
        }
        let online = self.payloads.bridge_online();
        self.put(online);
        self.put_info();
        let own = self.payloads.topics().of_bridge();
        self.outbox.clear_remembered(&own);
    }

    fn put(&mut self, message: Message) {
        self.outbox.set(&message.topic, message.payload);
    }

    fn put_info(&mut self) {
        for message in self.payloads.bridge_info(&self.info) {
            self.put(message);
        }
    }

    fn apply(&mut self, update: Update) {
        if let Some(observer) = &self.observer
            && let Ok(permit) = observer.try_reserve()
        {
            permit.send(update.clone());
        }
        match update {
            Update::Device { device, changes } => {
                for change in &changes {
                    for message in self.payloads.change(&device, change) {
                        self.put(message);
                    }
                }
            }
            Update::HttpStats { device, summary } => {
                for message in self.payloads.http_stats(&device, &summary) {
                    self.put(message);
                }
            }
            Update::HttpSessions { device, log } => {
                for message in self.payloads.http_sessions(&device, &log) {
                    self.put(message);
                }
            }
            Update::DeadLetter(_) => {}
            Update::Settled { device } => {
                let topics = self.payloads.topics().of_device(&device);
                self.outbox.clear_remembered(&topics);
            }
            Update::Removed { device } => {
                let topics = self.payloads.topics().of_device(&device);
                self.outbox.clear_all(&topics);
            }
            Update::DeviceCount(devices) => {
                self.info.devices = devices;
                self.put_info();
            }
        }
    }

    fn on_events(&mut self, first: Event) {
        let mut next = Some(first);
        while let Some(event) = next {
            self.on_event(event);
            next = self.link.try_next();
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Connected(limits) => {
                self.refusals = 0;
                let mut first = vec![self.payloads.bridge_online().topic];
                first.extend(
                    self.payloads
                        .bridge_info(&self.info)
                        .into_iter()
                        .map(|message| message.topic),
                );
                self.outbox.connected(limits, &first);
            }
            Event::Sent(pkid) => self.outbox.sent(pkid),
            Event::Acked { pkid, refused } => {
                let topic = self.outbox.acked(pkid, refused.is_some());
                if let (Some(topic), Some(reason)) = (topic, refused) {
                    self.tell_refusal(&topic, &reason);
                }
            }
            Event::Closed(end) => {
                let ended = end.as_ref().is_err_and(ConnectionError::is_by_peer);
                if let (Some(topic), Err(error)) = (self.outbox.disconnected(ended), end) {
                    tracing::error!(
                        %topic, %error,
                        "not sent again before it changes: the broker ended each connection on which it was sent; \
                         check its limits and our rights there"
                    );
                }
            }
        }
    }

    fn tell_refusal(&mut self, topic: &str, reason: &str) {
        self.refusals += 1;
        if self.refusals <= REFUSALS_TOLD {
            let note = if self.refusals == REFUSALS_TOLD {
                "; more are told at level debug"
            } else {
                ""
            };
            tracing::error!(
                topic,
                reason,
                "the broker refused a message; check our rights there{note}"
            );
        } else {
            tracing::debug!(topic, reason, "the broker refused a message");
        }
    }

    fn fill_window(&mut self) {
        let Some(client) = self.link.client() else { return };
        while let Some(next) = self.outbox.next() {
            match next {
                Next::Send(topic, payload) => {
                    // Refused only by a connection that is ending: its last event resets the outbox.
                    if !client.publish(&topic, payload) {
                        break;
                    }
                }
                Next::TooLarge { topic, bytes, limit } => {
                    if self.too_large.insert(topic.to_string()) {
                        tracing::warn!(
                            %topic, bytes, limit,
                            "not sent: larger than the packets that the broker takes; raise its limit"
                        );
                    }
                }
            }
        }
    }

    /// The next step of a clean stop; `false` once there is nothing more to do.
    fn go_on_stopping(&mut self) -> bool {
        if !self.link.is_connected() {
            return false;
        }
        let is_idle = self.outbox.pending() == 0 && !self.journal.is_writing();
        match self.phase {
            Phase::Flushing if is_idle => {
                self.phase = Phase::SayingOffline;
                let offline = self.payloads.bridge_offline();
                self.put(offline);
                self.fill_window();
            }
            Phase::SayingOffline if is_idle => {
                self.phase = Phase::Leaving;
                if let Some(client) = self.link.client() {
                    client.disconnect();
                }
            }
            _ => {}
        }
        true
    }

    /// The list of published topics is brought up to date: topics cleared last are not cleared again by the next run.
    async fn finish(mut self, deadline: Option<Instant>) {
        let write = async {
            loop {
                self.journal.start(&mut self.outbox);
                if !self.journal.is_writing() {
                    break;
                }
                let (batch, stored) = self.journal.written().await;
                self.outbox.recorded(batch, stored);
                if !stored {
                    break;
                }
            }
        };
        tokio::select! {
            () = write => {}
            () = until(deadline) => {}
        }
    }
}

/// That moment; never, for none.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
