//! The publisher's side towards the broker: what goes out, and what is made of the answers.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::in_flight::{Ended, Item, Transmission};
use super::records::Answered;
use super::rejected::{ENDS_CONNECTIONS_REMEDY, PUBLISH_REMEDY, Rejected, SIZE_REMEDY};
use super::size_limit::TooLarge;
use super::{Phase, Publisher, outbox, records};
use crate::incidents::Seen;
use crate::model::{ErrorKind, ErrorReport, IncidentKey, IncidentKind, Operation};
use crate::mqtt::connection::{Cause, ConnectionError, Event, Limits, Refusal};
use crate::records::dead_letter;

/// Pause when the broker has no room for a record.
const QUOTA_PAUSE: Duration = Duration::from_secs(5);

/// When what the broker does not take is tried again: its limits may have been raised.
const RETRY_HELD_BACK: Duration = Duration::from_secs(3600);

impl Publisher {
    /// That event, and all that are there already.
    pub(super) fn on_events(&mut self, first: Event) {
        let mut next = Some(first);
        while let Some(event) = next {
            self.on_event(event);
            next = self.link.try_next();
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Connected(limits) => self.on_connected(limits),
            Event::Sent(pkid) => self.in_flight.sent(pkid),
            Event::Acked { pkid, refused } => {
                if let Some(transmission) = self.in_flight.acked(pkid, refused.is_none()) {
                    self.on_answer(transmission, refused);
                }
            }
            Event::Subscribed(answers) => self.on_subscribed(&answers),
            // The client library acknowledges it.
            Event::Received(message, _) => self.on_message(&message),
            Event::Closed(end) => self.on_closed(end.err()),
        }
    }

    fn on_connected(&mut self, limits: Limits) {
        self.refusals.reset();
        self.records.paused_until = None;
        let conflict = IncidentKey::new(IncidentKind::Connection);
        self.refusals.incidents.well(&conflict, Instant::now());
        let wildcards = limits.wildcards;
        self.in_flight.connected(limits);
        // Whoever reads `online` may trust what stands beside it.
        let online = self.online_topic();
        let will_may_have_come = |at: Instant| at < Instant::now();
        if self.will_at.take().is_some_and(will_may_have_come) {
            self.outbox.suspect(&online);
        }
        self.outbox.connected(&mut self.in_flight, &online);
        self.subscribe(wildcards);
    }

    fn on_answer(&mut self, transmission: Transmission, refused: Option<Refusal>) {
        match transmission.item {
            Item::State(topic) => {
                let is_current = self.outbox.acked(&topic, transmission.version, refused.is_some());
                let Some(Refusal { reason, .. }) = refused else {
                    if is_current {
                        self.published(&topic);
                    }
                    return;
                };
                let what = format!("the broker refused the message at {topic:?}: {reason}");
                let error = ErrorReport::new(ErrorKind::Rejected, what, PUBLISH_REMEDY);
                self.report_unpublished(&topic, error);
            }
            Item::Record(number) => match self.records.answered(number, refused) {
                Answered::Taken => self.journal.sent(number),
                Answered::Later => self.records.paused_until = Some(Instant::now() + QUOTA_PAUSE),
                Answered::Rejected(rejected) => self.reject(rejected),
            },
        }
    }

    fn on_closed(&mut self, error: Option<ConnectionError>) {
        let found = self.in_flight.disconnected(ended(error.as_ref()));
        self.outbox.disconnected();
        self.unsubscribed(error.as_ref());
        self.record_source.stop();
        self.records.disconnected();
        self.report_conflict();
        if let (Some(transmission), Some(error)) = (found, error) {
            self.on_found(transmission, &error);
        }
    }

    /// Connections do not last, as the link has found out; and none does, while one after the other ends.
    fn report_conflict(&mut self) {
        let key = IncidentKey::new(IncidentKind::Connection);
        let incidents = &mut self.refusals.incidents;
        let lasting = incidents.get(&key).map(|incident| incident.error.clone());
        if let Some(conflict) = self.link.take_conflict().or(lasting) {
            let seen = Seen::once(Operation::Publish, conflict);
            let report = incidents.raise(key, seen, Timestamp::now(), Instant::now());
            report.into_iter().for_each(|report| self.journal.report(report));
        }
    }

    /// That message has cost a connection. Given up, it is held back, and others of its size or its topic with it.
    fn on_found(&mut self, transmission: Transmission, error: &ConnectionError) {
        let is_too_large = matches!(error.cause(), Cause::TooLarge(_));
        let rejected = match &transmission.item {
            Item::State(topic) if is_too_large || self.outbox.blame(topic) => None,
            Item::State(_) => return,
            Item::Record(number) => {
                match self
                    .records
                    .blame(*number, is_too_large.then_some(transmission.bytes))
                {
                    None => return,
                    rejected => rejected,
                }
            }
        };
        // Without a reason its size may be one.
        let is_unexplained = matches!(error.cause(), Cause::Lost(_));
        let is_by_size = is_too_large || (is_unexplained && self.in_flight.blame_size(transmission.bytes));
        let takes_others = self.in_flight.found(&transmission.item);
        if is_by_size {
            self.outbox.try_suspect_sizes(&mut self.in_flight);
        }
        if let Item::State(topic) = &transmission.item {
            if !is_by_size {
                self.outbox.hold_back(topic);
            }
            self.report_held_back(topic, transmission.bytes, is_by_size, error);
        }
        // A record whose topic cannot be remembered explains nothing: the next one there costs as much.
        let size = is_by_size.then_some(transmission.bytes);
        let is_barred = |rejected: &Rejected| self.records.bar(&rejected.topic, size);
        if rejected.as_ref().is_none_or(is_barred) {
            // The next connection will last, unless the broker takes no message of ours at all.
            if takes_others {
                self.link.is_explained();
            }
            self.refusals
                .retry_at
                .get_or_insert_with(|| Instant::now() + RETRY_HELD_BACK);
        }
        if let Some(rejected) = rejected {
            self.reject(rejected);
        }
    }

    fn report_held_back(&mut self, topic: &str, bytes: usize, is_by_size: bool, error: &ConnectionError) {
        let held = match is_by_size {
            true => format!("it and all others of that size ({bytes} bytes) or more are"),
            false => "what this topic becomes is".to_owned(),
        };
        let what = format!(
            "the broker does not take the message at {topic:?}: {held} held back and tried again in an hour and at each \
             start ({error})"
        );
        let (kind, remedy) = match error.cause() {
            Cause::TooLarge(_) => (ErrorKind::TooLarge, SIZE_REMEDY),
            _ => (ErrorKind::Rejected, ENDS_CONNECTIONS_REMEDY),
        };
        self.report_unpublished(topic, ErrorReport::new(kind, what, remedy));
    }

    pub(super) fn try_held_back_again(&mut self) {
        self.refusals.retry_at = None;
        self.outbox.try_again(&mut self.in_flight);
        self.records.try_again(&mut self.in_flight);
    }

    /// A record leaves without having been delivered, and a dead letter reports it.
    fn reject(&mut self, rejected: Rejected) {
        let error = rejected.error();
        match rejected.dead_letter(Timestamp::now()) {
            Some(dead_letter) => {
                self.refusals.log(&error.message, &error.remedy);
                self.journal.append_dead_letter(&dead_letter);
            }
            None => {
                let what = format!("a dead letter stays in the archive only: {}", error.message);
                self.refusals.log(&what, &error.remedy);
            }
        }
        self.journal.sent(rejected.number);
    }

    /// State that the broker does not have: reported once for each topic in this run, and for a bounded number of
    /// topics. Where it is to be cleared there, of a device that is not configured, nothing lasts: a dead letter is enough.
    fn report_unpublished(&mut self, topic: &str, error: ErrorReport) {
        let key = self.unpublished(topic);
        let Some(report) = self.refusals.report(key, topic, error) else {
            return;
        };
        let key = &report.incident.key;
        if key.device.as_ref().is_none_or(|device| self.retained.has(device)) {
            return self.journal.report(report);
        }
        self.refusals.incidents.withdraw(key);
        if let Some(dead_letter) = dead_letter::of_incident(&report) {
            self.journal.append_dead_letter(&dead_letter);
        }
    }

    /// The incident of a topic at which the broker does not have the state. All that is for Home Assistant counts as
    /// one: there may be thousands, and they are refused for one reason.
    fn unpublished(&self, topic: &str) -> IncidentKey {
        let discovery = self.retained.discovery.as_ref();
        let of_discovery = discovery.map(|discovery| discovery.topics().all());
        let of_discovery = of_discovery.filter(|all| topic.starts_with(all));
        let parsed = self.retained.topics().parse(topic);
        let subject = of_discovery.unwrap_or_else(|| topic.to_owned());
        IncidentKey {
            device: parsed.and_then(|(state, _)| state.device().cloned()),
            ..IncidentKey::about(IncidentKind::Publish, subject)
        }
    }

    /// The broker has taken the state at that topic.
    fn published(&mut self, topic: &str) {
        if !self.refusals.incidents.is_empty() {
            let key = self.unpublished(topic);
            self.refusals.taken(&key, topic);
        }
    }

    /// Reports what is over.
    pub(super) fn report_ends(&mut self) {
        for report in self.refusals.incidents.due(Timestamp::now(), Instant::now()) {
            match report.incident.key.kind {
                IncidentKind::Connection => self.link.conflict_ended(),
                _ => {
                    let topic = &report.incident.key.subject;
                    tracing::info!(topic, "the broker takes the state there again");
                }
            }
            self.journal.report(report);
        }
    }

    /// Hands over what there is room for. A new connection begins with all of the state; records follow, and from then
    /// on neither keeps the other from the window: state that changes faster than the broker takes it must not hold
    /// replies up for ever.
    pub(super) fn fill_window(&mut self) {
        let do_records_wait = self.is_record_time() && self.records.has_next();
        // A record that goes with few others or alone would wait for ever among state that keeps coming.
        if !(do_records_wait && self.records.is_next_delicate(&self.in_flight)) {
            self.send_state(do_records_wait);
        }
        if self.is_record_time() && !self.do_records_give_way() {
            self.send_records();
        }
    }

    /// Whether state waits for most of the window or all of it to be empty, and no record does. Records that went on
    /// filling it would hold up what is behind that state.
    fn do_records_give_way(&self) -> bool {
        self.outbox.is_next_delicate(&self.in_flight, self.sends_later())
            && !self.records.is_next_delicate(&self.in_flight)
    }

    /// Whether state goes out that nobody waits for. A stop does not wait for it: the next run sends it.
    fn sends_later(&self) -> bool {
        self.stop.phase == Phase::Running
    }

    fn is_record_time(&self) -> bool {
        let is_publishing = matches!(self.stop.phase, Phase::Running | Phase::Flushing);
        self.outbox.is_first_round_over() && self.records.paused_until.is_none() && is_publishing
    }

    fn send_state(&mut self, do_records_wait: bool) {
        let Some(client) = self.link.client() else { return };
        let with_later = self.sends_later();
        let mut unsendable = Vec::new();
        while (!do_records_wait || self.in_flight.leaves_room_for_records())
            && let Some(next) = self.outbox.next(&mut self.in_flight, with_later, |topic| {
                self.retained.payload(topic)
            })
        {
            match next {
                outbox::Next::Send(topic, payload) => {
                    // Refused only by a connection that is ending: its last event resets the outbox.
                    if !client.publish(&topic, payload, true, None) {
                        break;
                    }
                }
                outbox::Next::TooLarge { topic, bytes, limit } => unsendable.push((topic, bytes, limit)),
            }
        }
        for (topic, bytes, limit) in unsendable {
            let what = format!("the message at {topic:?} has {bytes} bytes, and {limit}: it is not sent");
            // What was learned is one error for all of them; but one that was reported lasts, or begins again.
            let was_reported = || self.refusals.was_reported(&self.unpublished(&topic));
            if matches!(limit, TooLarge::Announced(_)) || was_reported() {
                self.report_unpublished(&topic, ErrorReport::new(ErrorKind::TooLarge, what, SIZE_REMEDY));
            } else {
                tracing::debug!("{what}");
            }
        }
    }

    fn send_records(&mut self) {
        while let Some(next) = self.records.next(&mut self.in_flight) {
            match next {
                records::Next::Send {
                    topic,
                    payload,
                    correlation,
                } => {
                    let client = self.link.client();
                    // As above.
                    if !client.is_some_and(|client| client.publish(&topic, payload, false, correlation)) {
                        break;
                    }
                }
                records::Next::Rejected(rejected) => self.reject(rejected),
            }
        }
        if self.records.is_aside_full() {
            self.records.try_again(&mut self.in_flight);
        }
    }
}

fn ended(error: Option<&ConnectionError>) -> Ended {
    match error {
        Some(error) if matches!(error.cause(), Cause::TooLarge(_)) => Ended::TooLarge,
        Some(error) if error.is_by_peer() => Ended::ByPeer,
        _ => Ended::ByUs,
    }
}

#[cfg(test)]
mod tests;
