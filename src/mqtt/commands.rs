//! Takes commands in: a connection of their own whose session the broker keeps, so that a command that arrives
//! without a connection is not lost.
//!
//! Each message is handed on, and acknowledged only when whoever takes it says that it is safe (on disk), in order of
//! arrival. Acknowledgements belong to their connection: what was not acknowledged when it ends is forgotten here,
//! and the broker gives it again. How a command is carried out is not known here.

mod session;
mod status;
mod subscriptions;

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use session::Session;
pub use status::CommandsStatus;
pub use subscriptions::RefusedSubscription;
use subscriptions::{Orders, Subscriptions};

use super::connection::{Ack, Delivery, Event, Purpose, address};
use super::intake::{Intake, Submission, done};
use super::link::{Link, until};
use crate::cluster::fence::Fence;
use crate::cluster::shard_of;
use crate::command::Incoming;
use crate::config::Mqtt;
use crate::contract::topics::Topics;
use crate::fault_point;
use crate::model::{CommandTopic, DeviceId};
use crate::records::Received;
use crate::records::store::{Store, StoreError};

/// Pause before commands that could not be stored are tried again.
const RETRY: Duration = Duration::from_secs(3);

/// How long a stop waits for commands that are being stored, and how long for the end of the connection.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

type Submit = Box<dyn Fn(Vec<Incoming>) -> Submission + Send>;

/// The task that takes commands in.
pub struct Commands {
    topics: Topics,
    link: Link,
    devices: watch::Receiver<Vec<DeviceId>>,
    /// How many shards there are, where it takes the commands of one.
    shards: Option<u16>,
    subscriptions: Subscriptions,
    session: Session,
    intake: Intake<Incoming>,
    submit: Submit,
    /// Commands that are being stored.
    submission: Option<Submission>,
    retry_at: Option<Instant>,
    status: watch::Sender<CommandsStatus>,
    /// Why commands cannot be stored, since that was logged.
    failing: Option<String>,
    logged: Logged,
    /// Takes incidents.
    store: Option<Store>,
}

/// What was logged already.
#[derive(Default)]
struct Logged {
    /// That commands are dropped, since some were stored.
    drops: bool,
    /// That messages come that are no commands.
    strays: bool,
    /// That commands come.
    delivery: bool,
}

impl Commands {
    /// Takes the commands of `devices`, and of the bridge itself, to `submit`: when its future is done with success, they
    /// are safe and are acknowledged; with an error none of them is, and they are submitted again a few seconds later.
    /// One submission at a time.
    pub fn new<F, S>(
        settings: Mqtt,
        topics: Topics,
        devices: watch::Receiver<Vec<DeviceId>>,
        submit: F,
    ) -> (Commands, watch::Receiver<CommandsStatus>)
    where
        F: Fn(Vec<Incoming>) -> S + Send + 'static,
        S: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let (broker, expiry) = (address(&settings.broker), settings.session_expiry);
        let link = Link::new(settings, Purpose::Commands);
        let (status, receiver) = watch::channel(CommandsStatus {
            link: link.status().clone(),
            subscribed: false,
            kept_for: None,
            sessions_lost: 0,
            refused: Vec::new(),
            waiting: 0,
            failing: None,
        });
        let commands = Commands {
            subscriptions: Subscriptions::new(topics.clone(), broker.clone()),
            session: Session::new(broker, expiry),
            topics,
            link,
            devices,
            shards: None,
            intake: Intake::default(),
            submit: Box::new(move |commands| Box::pin(submit(commands))),
            submission: None,
            retry_at: None,
            status,
            failing: None,
            logged: Logged::default(),
            store: None,
        };
        (commands, receiver)
    }

    /// Says whether commands for devices and topics below the prefix that do not exist are taken, too, for them to be
    /// answered.
    pub fn taking_unknown(mut self, takes_unknown: bool) -> Commands {
        self.subscriptions.set_takes_unknown(takes_unknown);
        self
    }

    /// Says that the topics are those of one of so many shards.
    pub fn of_shards(mut self, shards: Option<u16>) -> Commands {
        self.shards = shards;
        self
    }

    /// Connects only while that permits it.
    pub fn only_while(mut self, fence: Option<Fence>) -> Commands {
        self.link = self.link.only_while(fence);
        self
    }

    /// Lets `store` know of incidents.
    pub fn reporting_to(mut self, store: Store) -> Commands {
        self.store = Some(store);
        self
    }

    /// Takes commands until `stop`. Then no more; what is stored is acknowledged, and the broker keeps the rest.
    pub async fn run(mut self, stop: CancellationToken) {
        self.apply_devices();
        loop {
            self.acknowledge_and_submit();
            self.report();
            if let Some(store) = &self.store {
                // The store takes them late while its disk hangs.
                let change = store.change_incidents(&mut self.subscriptions.changes);
                stop.run_until_cancelled(change).await;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                event = self.link.next(), if self.intake.has_room() => self.on_events(event),
                result = done(&mut self.submission) => self.on_submitted(result),
                Ok(()) = self.devices.changed() => self.apply_devices(),
                () = until(self.retry_at) => self.retry_at = None,
            }
        }
        self.leave().await;
    }

    fn apply_devices(&mut self) {
        let devices = self.devices.borrow_and_update().clone();
        let orders = self.subscriptions.set_devices(devices);
        self.carry_out(orders);
    }

    /// Without a connection there is nothing to do: the next one begins with everything.
    fn carry_out(&mut self, orders: Orders) {
        let Some(client) = self.link.client() else { return };
        for filter in orders.unsubscribe {
            client.unsubscribe(&filter);
        }
        for filters in orders.subscribe {
            if client.subscribe(filters.clone(), Delivery::AsPublished) {
                self.subscriptions.asked(filters);
            }
        }
    }

    fn on_events(&mut self, first: Event) {
        let mut next = Some(first);
        while let Some(event) = next {
            self.on_event(event);
            if !self.intake.has_room() {
                break;
            }
            next = self.link.try_next();
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Connected(limits) => {
                self.session.connected(&limits);
                let orders = self.subscriptions.connected(limits.wildcards);
                self.carry_out(orders);
            }
            Event::Subscribed(answers) => {
                self.subscriptions.answered(answers);
                self.log_delivery();
            }
            Event::Received(message, ack) => self.on_message(*message, ack),
            Event::Closed(end) => {
                let refusal = end.as_ref().err().and_then(|error| error.unreadable_refusal());
                if self.subscriptions.disconnected(refusal) {
                    self.link.is_explained();
                }
                self.intake.connection_lost();
            }
            // Nothing is published here.
            Event::Sent(_) | Event::Acked { .. } => {}
        }
    }

    /// Logs once that everything is in force.
    fn log_delivery(&mut self) {
        let is_complete = self.subscriptions.is_settled() && self.subscriptions.refused().is_empty();
        if is_complete && !std::mem::replace(&mut self.logged.delivery, true) {
            tracing::info!("the broker delivers commands");
        }
    }

    fn on_message(&mut self, message: Received, ack: Option<Ack>) {
        tracing::debug!(topic = message.topic, bytes = message.payload.len(), "received");
        let command = self.topics.parse_command(&message.topic);
        if self.takes(&message, command.as_ref()) {
            fault_point::reached("received");
            if self.intake.takes(ack.as_ref()) {
                let bytes = message.payload.len();
                let command = Incoming::read(message, command, Timestamp::now());
                self.intake.push(command, bytes, ack);
            } else if !std::mem::replace(&mut self.logged.drops, true) {
                tracing::warn!("commands sent with QoS 0 are dropped: too many wait to be stored");
            }
            return;
        }
        self.intake.push_stray(ack);
        if self.subscriptions.takes_unknown() {
            return;
        }
        if !std::mem::replace(&mut self.logged.strays, true) {
            let topic: String = message.topic.chars().take(200).collect();
            tracing::warn!(
                topic,
                "message ignored: it is no command for a device of this bridge; further ones are logged at level debug"
            );
        }
        // The broker still has a subscription of an earlier configuration.
        if let Some(device) = command.as_ref().and_then(CommandTopic::device) {
            let orders = self.subscriptions.leave(device.clone());
            self.carry_out(orders);
        }
    }

    /// Whether a message is for this bridge to carry out or refuse: a command for a device that it has, and where it is the
    /// only bridge below the prefix, what is for nobody else. In a cluster, what is for a device of the shard is for its owner, even
    /// if that has other devices configured than the one before. What is retained may be anybody's, unless its topic ends as a
    /// command's does.
    fn takes(&self, message: &Received, command: Option<&CommandTopic>) -> bool {
        if let Some(command) = command {
            let is_ours =
                |device: &DeviceId| self.subscriptions.is_current(device) || self.is_of_shard(device);
            return self.subscriptions.takes_unknown() || command.device().is_none_or(is_ours);
        }
        let is_published = is_reply(&message.topic) || self.topics.is_published(&message.topic);
        let is_kept = message.retained && !message.topic.ends_with("/set");
        self.subscriptions.takes_unknown() && !(is_published || is_kept)
    }

    fn is_of_shard(&self, device: &DeviceId) -> bool {
        let shard = self.topics.shard().zip(self.shards);
        shard.is_some_and(|((shard, _), shards)| shard_of(device, shards) == shard)
    }

    fn acknowledge_and_submit(&mut self) {
        if self.submission.is_some() {
            return;
        }
        let strays = self.intake.take_strays();
        self.acknowledge(strays);
        if self.retry_at.is_none()
            && let Some(commands) = self.intake.submit()
        {
            self.submission = Some((self.submit)(commands));
        }
    }

    fn acknowledge(&self, acks: Vec<Ack>) {
        let Some(client) = self.link.client() else { return };
        for ack in acks {
            // Refused only by a connection that is ending.
            client.ack(ack);
        }
    }

    fn on_submitted(&mut self, result: Result<(), StoreError>) {
        self.submission = None;
        match result {
            Ok(()) => {
                let acks = self.intake.stored();
                self.acknowledge(acks);
                self.logged.drops = false;
                if self.failing.take().is_some() {
                    tracing::info!("commands can be stored again");
                }
            }
            Err(error) => {
                self.intake.not_stored();
                self.retry_at = Some(Instant::now() + RETRY);
                let reason = error.to_string();
                if self.failing.is_none() {
                    tracing::error!(reason, "commands cannot be stored; they wait at the broker");
                }
                self.failing = Some(reason);
            }
        }
    }

    fn report(&self) {
        let waiting = self.intake.len();
        let status = CommandsStatus {
            link: self.link.status().clone(),
            subscribed: self.subscriptions.is_settled(),
            kept_for: self.session.kept_for,
            sessions_lost: self.session.lost,
            refused: self.subscriptions.refused().to_vec(),
            waiting,
            failing: self.failing.clone(),
        };
        self.status.send_if_modified(|known| {
            let was_idle = std::mem::replace(&mut known.waiting, waiting) == 0;
            let is_news = was_idle != (waiting == 0) || *known != status;
            *known = status;
            is_news
        });
    }

    /// What is stored is acknowledged; then the connection is closed.
    async fn leave(mut self) {
        if self.submission.is_some()
            && let Ok(result) = timeout(STOP_PATIENCE, done(&mut self.submission)).await
        {
            self.on_submitted(result);
        }
        if !self.link.close(STOP_PATIENCE).await {
            tracing::warn!(
                "connection for commands not closed in time; the broker keeps unacknowledged commands"
            );
        }
    }
}

/// Whether a reply goes there: it is below the topic of its command, wherever its sender wants it.
fn is_reply(topic: &str) -> bool {
    topic.split('/').any(|level| level == "reply")
}
