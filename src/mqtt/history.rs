//! Takes in the records of all bridges of a cluster, so that the history of each of them is the whole one: a connection of its
//! own whose session the broker keeps, so that what is recorded while the bridge does not run is not missed.
//!
//! A record is acknowledged only once its entry is on disk. What this bridge has recorded itself comes back, too; the store
//! has it already. Records of devices that are not configured are another installation's.

mod records;
mod status;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::connection::{
    Ack, ConnectionError, Delivery, Event, HISTORY_EXPIRY, Limits, NO_WILDCARDS, Purpose, subscription_remedy,
};
use super::intake::{Intake, Submission, done};
use super::link::{Link, until};
use super::pending_subscriptions::{LeftOut, PendingSubscriptions};
use crate::config::{Device, Mqtt};
use crate::contract::topics::Topics;
use crate::fault_point;
use crate::history::Entry;
use crate::model::{DeviceId, ErrorKind, ErrorReport, Stage};
use crate::records::Received;
use crate::records::store::{IncidentChange, Store, StoreError};
use records::{Read, read};
pub use status::HistoryStatus;

/// Pause before entries that could not be stored are tried again.
const RETRY: Duration = Duration::from_secs(3);

/// How long a stop waits for entries that are being stored, and how long for the end of the connection.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Topics of unreadable records that are logged.
const MAX_LOGGED: usize = 100;

/// The task that takes records in.
pub struct HistoryReader {
    topics: Topics,
    link: Link,
    devices: watch::Receiver<Vec<Arc<Device>>>,
    /// The ids of the devices.
    configured: HashSet<DeviceId>,
    store: Store,
    subscriptions: PendingSubscriptions,
    intake: Intake<Entry>,
    /// Entries that are being stored.
    submission: Option<Submission>,
    retry_at: Option<Instant>,
    /// How long the broker was asked to keep the session.
    expiry: Duration,
    /// Whether this run has had a session.
    has_session: bool,
    /// What has become of incidents, and the store does not know yet.
    changes: Vec<IncidentChange>,
    /// The topics of unreadable records that were logged.
    logged: HashSet<String>,
    known: HistoryStatus,
    status: watch::Sender<HistoryStatus>,
}

impl HistoryReader {
    /// Takes the records of `devices` to `store`.
    pub fn new(
        settings: Mqtt,
        topics: Topics,
        devices: watch::Receiver<Vec<Arc<Device>>>,
        store: Store,
    ) -> (HistoryReader, watch::Receiver<HistoryStatus>) {
        let expiry = settings.session_expiry.max(HISTORY_EXPIRY);
        let link = Link::new(settings, Purpose::History);
        let known = HistoryStatus::of(link.status().clone());
        let (status, receiver) = watch::channel(known.clone());
        let reader = HistoryReader {
            topics,
            link,
            devices,
            configured: HashSet::new(),
            store,
            subscriptions: PendingSubscriptions::default(),
            intake: Intake::default(),
            submission: None,
            retry_at: None,
            expiry,
            has_session: false,
            changes: Vec::new(),
            logged: HashSet::new(),
            known,
            status,
        };
        (reader, receiver)
    }

    /// Takes records until `stop`. Then no more; what is stored is acknowledged, and the broker keeps the rest.
    pub async fn run(mut self, stop: CancellationToken) {
        self.apply_devices();
        loop {
            self.acknowledge_and_submit();
            self.report();
            // The store takes them late while its disk hangs.
            let change = self.store.change_incidents(&mut self.changes);
            stop.run_until_cancelled(change).await;
            tokio::select! {
                () = stop.cancelled() => break,
                event = self.link.next(), if self.intake.has_room() => self.on_events(event),
                result = done(&mut self.submission) => self.on_submitted(result),
                Ok(()) = self.devices.changed() => self.apply_devices(),
                () = until(self.retry_at) => self.retry_at = None,
                () = until(self.subscriptions.retry_at()) => self.subscribe_again(),
            }
        }
        self.leave().await;
    }

    fn apply_devices(&mut self) {
        let devices = self.devices.borrow_and_update();
        self.configured = devices.iter().map(|device| device.id.clone()).collect();
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
            Event::Connected(limits) => self.on_connected(&limits),
            Event::Subscribed(answers) => self.on_subscribed(&answers),
            Event::Received(message, ack) => self.on_message(&message, ack),
            Event::Closed(end) => self.on_closed(end.err().as_ref()),
            // Nothing is published here.
            Event::Sent(_) | Event::Acked { .. } => {}
        }
    }

    fn on_connected(&mut self, limits: &Limits) {
        self.note_session(limits);
        for filter in self.topics.history_filters() {
            match limits.wildcards {
                true => self.subscribe_to(filter),
                false => self.report_refusal(&filter, NO_WILDCARDS),
            }
        }
    }

    /// Each finding is logged when it is new.
    fn note_session(&mut self, limits: &Limits) {
        let kept_for = limits.session_expiry.filter(|granted| *granted < self.expiry);
        if let Some(granted) = kept_for
            && self.known.kept_for != kept_for
        {
            tracing::warn!(
                seconds = granted.as_secs(),
                "the broker keeps records for the history for {} s only while the bridge is disconnected: raise its limit of \
                 the session expiry",
                granted.as_secs()
            );
        }
        self.known.kept_for = kept_for;
        if std::mem::replace(&mut self.has_session, true) && !limits.session_present {
            self.known.sessions_lost += 1;
            tracing::warn!(
                "the broker has lost the session: records that other bridges made while this one was disconnected are \
                 missing in its history; let the broker keep sessions on disk (mosquitto: persistence true)"
            );
        }
    }

    fn subscribe_to(&mut self, filter: String) {
        if let Some(client) = self.link.client()
            && self.subscriptions.ask(&filter, Instant::now())
        {
            client.subscribe(vec![filter], Delivery::New);
        }
    }

    fn subscribe_again(&mut self) {
        for filter in self.subscriptions.take_due(Instant::now()) {
            self.subscribe_to(filter);
        }
    }

    fn on_subscribed(&mut self, answers: &[Option<String>]) {
        let Some(filter) = self.subscriptions.answered() else {
            return;
        };
        match answers.iter().flatten().next() {
            Some(reason) => self.report_refusal(&filter, reason),
            None => {
                self.known.refused.remove(&filter);
                let end = self.subscriptions.granted(&filter);
                self.changes.extend(end.map(IncidentChange::from));
            }
        }
        self.known.subscribed = !self.subscriptions.is_pending(|_| true) && self.known.refused.is_empty();
    }

    fn report_refusal(&mut self, filter: &str, reason: &str) {
        self.known.subscribed = false;
        self.known.refused.insert(filter.to_owned());
        let message = format!(
            "subscription to {filter:?} refused by the broker ({reason}): what other bridges record is missing in the history \
             of this one"
        );
        let error = ErrorReport::new(ErrorKind::Rejected, message, subscription_remedy(reason));
        if let Some(report) = self.subscriptions.refused(filter, error) {
            if report.stage == Stage::Begun {
                let error = &report.incident.error;
                tracing::warn!(filter, reason, remedy = error.remedy, "{}", error.message);
            }
            self.changes.push(IncidentChange::from(report));
        }
    }

    fn on_closed(&mut self, error: Option<&ConnectionError>) {
        self.known.subscribed = false;
        self.intake.connection_lost();
        let left_out = self.subscriptions.disconnected(error, |_| true, Instant::now());
        if let Some(LeftOut { filter, reason }) = left_out {
            self.link.is_explained();
            self.report_refusal(&filter, &reason);
        }
    }

    fn on_message(&mut self, message: &Received, ack: Option<Ack>) {
        match read(&self.topics, message) {
            Read::Entry(entry) if self.configured.contains(&entry.subject.device) => {
                fault_point::reached("history-received");
                // With QoS 0 it may be lost anyway.
                if self.intake.takes(ack.as_ref()) {
                    self.intake.push(*entry, message.payload.len(), ack);
                }
            }
            Read::Entry(_) | Read::Nothing => self.intake.push_stray(ack),
            Read::Unreadable => {
                self.known.unreadable += 1;
                let topic: String = message.topic.chars().take(200).collect();
                if self.logged.len() < MAX_LOGGED && self.logged.insert(topic.clone()) {
                    tracing::warn!(
                        topic,
                        "a message is no record that this version can read: it is left out of the history; further ones there are \
                         only counted"
                    );
                }
                self.intake.push_stray(ack);
            }
        }
    }

    fn acknowledge_and_submit(&mut self) {
        if self.submission.is_some() {
            return;
        }
        let strays = self.intake.take_strays();
        self.acknowledge(strays);
        if self.retry_at.is_none()
            && let Some(entries) = self.intake.submit()
        {
            let store = self.store.clone();
            self.known.storing = entries.len();
            self.submission = Some(Box::pin(async move { store.add_history(entries).await }));
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
        let stored = std::mem::take(&mut self.known.storing);
        match result {
            Ok(()) => {
                fault_point::reached("history-stored");
                self.known.stored += stored as u64;
                let acks = self.intake.stored();
                self.acknowledge(acks);
                if self.known.failing.take().is_some() {
                    tracing::info!("records of other bridges can be stored again");
                }
            }
            Err(error) => {
                self.intake.not_stored();
                self.retry_at = Some(Instant::now() + RETRY);
                let reason = error.to_string();
                if self.known.failing.is_none() {
                    tracing::error!(
                        reason,
                        "records of other bridges cannot be stored; they wait at the broker"
                    );
                }
                self.known.failing = Some(reason);
            }
        }
    }

    fn report(&mut self) {
        if self.known.link != *self.link.status() {
            self.known.link = self.link.status().clone();
        }
        let known = &self.known;
        self.status.send_if_modified(|shown| {
            let is_news = shown != known;
            if is_news {
                shown.clone_from(known);
            }
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
            tracing::warn!("connection for the history not closed in time; the broker keeps records");
        }
    }
}
