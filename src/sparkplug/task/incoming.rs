//! What hosts send to the edge node: whether they are there, births that they ask for, and what they write.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::{EdgeNode, Phase};
use crate::mqtt::connection::MAX_WINDOW;
use crate::records::Received;
use crate::sparkplug::commands::Write;
use crate::sparkplug::metrics::REBIRTH;
use crate::sparkplug::topics::{Incoming, Place};
use crate::sparkplug::wire::{self, Written};
use crate::wording::quoted;

/// Least time between two log lines about messages that were not understood.
const STRAYS_EVERY: Duration = Duration::from_secs(60);

/// Messages that were not understood, since the last log line.
#[derive(Debug, Default)]
pub(super) struct Strays {
    count: u64,
    reported_at: Option<Instant>,
}

impl Strays {
    fn note(&mut self, topic: &str, why: &str) {
        self.count += 1;
        if self.reported_at.is_some_and(|at| at.elapsed() < STRAYS_EVERY) {
            return;
        }
        self.reported_at = Some(Instant::now());
        let messages = std::mem::take(&mut self.count);
        let topic = quoted(topic);
        tracing::warn!(
            messages,
            topic,
            "Sparkplug message ignored: {why}; further ones are logged after a minute"
        );
    }
}

impl EdgeNode {
    pub(super) fn on_message(&mut self, message: Received) {
        let incoming = self.topics.parse(&message.topic);
        // The state of a host is kept by the broker; a command that is would be carried out again and again.
        let is_state = matches!(incoming, Some(Incoming::Host | Incoming::OldHost(_)));
        if message.retained && !is_state {
            return self.strays.note(&message.topic, "it is retained");
        }
        match incoming {
            Some(Incoming::Host) => self.on_host(&message),
            Some(Incoming::OldHost(host)) => {
                let is_primary = self.topics.is_primary_host(host);
                self.old_hosts.hear(host, &message.payload, is_primary);
            }
            Some(Incoming::Node) => self.on_command(None, &message),
            Some(Incoming::Device(name)) => match Place::parse(name) {
                Some(place) => self.on_command(Some(place), &message),
                None => self.strays.note(&message.topic, "no device has such a name"),
            },
            None => self.strays.note(&message.topic, "nobody has asked for it"),
        }
    }

    fn on_command(&mut self, place: Option<Place>, message: &Received) {
        let decoded = wire::decode(&message.payload).filter(|_| message.payload_length.is_none());
        let Some(metrics) = decoded else {
            return self.strays.note(
                &message.topic,
                "it is not a payload of Sparkplug B of at most 64 KiB",
            );
        };
        let is_rebirth =
            |metric: &Written| metric.name.as_deref() == Some(REBIRTH) && metric.flag == Some(true);
        // Before the births all of them come anyway.
        if place.is_none() && self.phase == Phase::Publishing && metrics.iter().any(is_rebirth) {
            self.rebirths.ask();
        }
        let write = Write {
            is_ours: place.as_ref().is_some_and(|place| self.node.has(&place.device)),
            place,
            metrics,
            topic: message.topic.clone(),
            payload: message.payload.clone(),
        };
        if let Err(TrySendError::Full(write) | TrySendError::Closed(write)) =
            self.writes.writes.try_send(write)
        {
            self.drop_write(write);
        }
    }

    /// The host gets back what it would have changed, or it would go on showing what it wrote.
    fn drop_write(&mut self, write: Write) {
        self.strays
            .note(&write.topic, "too many wait, or the bridge stops");
        // A broker that gives more than it takes must not fill the memory.
        if self.out.len() < usize::from(MAX_WINDOW) {
            let names = write.metrics.into_iter().filter_map(|metric| metric.name);
            let names: Vec<_> = names.collect();
            self.out
                .extend(self.node.echo(write.place.as_ref(), &names, Timestamp::now()));
        }
    }

    fn on_host(&mut self, message: &Received) {
        if !self.host.hear(&message.payload) {
            return self.strays.note(
                &message.topic,
                "it does not contain whether the host is online, and since when",
            );
        }
        match self.host.is_online() {
            true => self.begin_publishing(),
            false if self.phase == Phase::Publishing => self.publish_death(),
            false => {}
        }
    }
}
