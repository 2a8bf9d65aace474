//! What becomes of what a device has told, or has not: the view that is published, the letters about failures, the
//! statistics.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::traps::Told;
use super::{DeviceTask, Gone, Polled, REFUSAL_PAUSE, log};
use crate::lantime::rest::RestError;
use crate::lantime::snmp::status::SnmpStatus;
use crate::model::derive::{slots, unseen};
use crate::model::{
    Availability, Change, ChassisKind, DeadLetter, DeviceView, ErrorReport, EventName, EventState, Operation,
    Problem, Signal, Snapshot, UnknownReason, Update, Via, diff,
};
use crate::records::dead_letter;

impl DeviceTask {
    /// Publishes what was told; gives what REST has failed with.
    pub(super) async fn take(
        &mut self,
        polled: Option<Polled>,
        looked: Option<Result<SnmpStatus, ErrorReport>>,
    ) -> Result<Option<ErrorReport>, Gone> {
        let now = Timestamp::now();
        let second = self.settle_second(looked, now).await?;
        let is_refused = matches!(&polled, Some(Err(error)) if error.report.kind.is_refusal());
        let failure = match polled {
            Some(Ok((mut snapshot, round_trip))) => {
                self.refused_until = None;
                self.is_over_snmp = false;
                tracing::debug!(device = %self.id, ms = round_trip.as_millis(), "polled");
                self.http.poll_succeeded(round_trip, now);
                self.letters.succeeded(Instant::now());
                if let Some(status) = second {
                    status.compare(&mut snapshot);
                }
                self.succeeded(snapshot, now).await?;
                None
            }
            Some(Err(error)) => {
                self.refused_until = is_refused.then(|| Instant::now() + REFUSAL_PAUSE);
                self.http.poll_failed(error.report.kind);
                let report = error.report.clone();
                let view = self.failed(error, now).await?;
                self.show_without_rest(view, second, is_refused, now).await?;
                Some(report)
            }
            None => {
                self.show_without_rest(DeviceView::clone(&self.view), second, true, now)
                    .await?;
                self.view.problem.as_ref().map(|problem| problem.error.clone())
            }
        };
        // After a refusal nothing is asked, and nothing could be told, for minutes.
        self.http.log(self.client.take_sessions());
        for update in self.http.due(&self.id, is_refused, Instant::now()) {
            self.send(update).await?;
        }
        Ok(failure)
    }

    pub(super) fn letter(&self, operation: Operation, error: ErrorReport, at: Timestamp) -> DeadLetter {
        DeadLetter {
            device: Some(self.id.clone()),
            ..dead_letter::new(operation, error, at)
        }
    }

    pub(super) async fn send_letter(&self, letter: Option<DeadLetter>) -> Result<(), Gone> {
        match letter {
            Some(letter) => self.send(Update::DeadLetter(Box::new(letter))).await,
            None => Ok(()),
        }
    }

    pub(super) async fn tell_end(&mut self) -> Result<(), Gone> {
        let letter = self.letters.ended(Timestamp::now(), Instant::now());
        self.send_letter(letter).await
    }

    pub(super) async fn succeeded(&mut self, snapshot: Snapshot, now: Timestamp) -> Result<(), Gone> {
        self.failures = 0;
        self.check_serial_number(&snapshot, now).await?;
        let is_online = self.view.availability == Some(Availability::Online) && self.view.problem.is_none();
        if is_online && self.snapshot.as_ref() == Some(&snapshot) {
            return Ok(());
        }
        let first = !std::mem::replace(&mut self.is_known, true);
        let view = self.next_view(&snapshot, now);
        if first {
            log::greet(&self.id, &snapshot, &view);
        } else if !is_online {
            tracing::info!(device = %self.id, "device answers again");
        }
        self.report(&snapshot, &view);
        let profile = self.profiles.for_version(snapshot.api_major());
        if snapshot
            .identity
            .firmware
            .as_deref()
            .is_some_and(|firmware| profile.has_tokens(firmware))
        {
            self.client.use_tokens();
        }
        self.traps.set_host_name(snapshot.identity.hostname.as_deref());
        self.snapshot = Some(snapshot);
        self.publish(view, Told::Poll(Via::Rest)).await?;
        if first {
            self.send(Update::Settled {
                device: self.id.clone(),
            })
            .await
        } else {
            Ok(())
        }
    }

    pub(super) fn next_view(&self, snapshot: &Snapshot, now: Timestamp) -> DeviceView {
        let known = if self.snapshot.is_none() {
            &self.remembered
        } else {
            &self.view.slots
        };
        let was_redundant = self.view.chassis == Some(ChassisKind::Redundant)
            || known.values().any(|slot| slot.signals.contains_key(&Signal::Rsc));
        let relay_events = self.selections.known();
        let chassis = if was_redundant {
            ChassisKind::Redundant
        } else {
            snapshot.chassis_kind()
        };
        DeviceView {
            availability: Some(Availability::Online),
            identity: Some(snapshot.identity.clone()),
            problem: None,
            events: if snapshot.events_seen {
                snapshot.events.clone()
            } else {
                self.view.events_unknown()
            },
            slots: slots(snapshot, chassis, &self.slots, relay_events, known, now),
            chassis: Some(chassis),
        }
    }

    /// Tells that a poll has failed; gives what is to be published of it.
    pub(super) async fn failed(&mut self, error: RestError, now: Timestamp) -> Result<DeviceView, Gone> {
        self.failures = self.failures.saturating_add(1);
        let letter = self.letter(error.operation, error.report.clone(), now);
        let letter = self.letters.failed(letter, self.repeat_letters, Instant::now());
        self.send_letter(letter).await?;
        let mut view = DeviceView::clone(&self.view);
        let is_known = view
            .problem
            .as_ref()
            .is_some_and(|known| known.error.is_same(&error.report));
        if !is_known {
            let (kind, remedy) = (error.report.kind, &error.report.remedy);
            let url = error.report.url.as_deref().unwrap_or_default();
            tracing::warn!(device = %self.id, %kind, url, remedy, "poll failed: {}", error.report.message);
            let first_at = view.problem.as_ref().map_or(now, |standing| standing.first_at);
            view.problem = Some(Problem {
                id: self.letters.first().unwrap_or_default(),
                operation: error.operation,
                error: error.report,
                first_at,
            });
        }
        if self.snapshot.is_none() && self.failures == 1 {
            let (chosen, reason) = (self.selections.known(), UnknownReason::Offline);
            view.slots = unseen(&self.slots, chosen, &self.remembered, reason, now);
        }
        Ok(view)
    }

    /// Shows what is known of a device of which REST tells nothing, beside what stands (`view`).
    pub(super) async fn show_without_rest(
        &mut self,
        mut view: DeviceView,
        second: Option<SnmpStatus>,
        is_refused: bool,
        now: Timestamp,
    ) -> Result<(), Gone> {
        // After a refusal nothing is asked for minutes: what stands would be stale all that time.
        let is_offline = self.failures >= self.offline_after || is_refused;
        self.is_over_snmp = is_offline && second.is_some();
        if let Some(status) = second.filter(|_| is_offline) {
            return Box::pin(self.show_over_snmp(view, &status, now)).await;
        }
        if is_offline && view.availability != Some(Availability::Offline) {
            tracing::error!(device = %self.id, failures = self.failures, "device is offline");
            let seen_at = self.http.last_success().max(self.seen_over_snmp);
            view.go_offline(seen_at.unwrap_or(now), now);
            self.selections.mark_stale();
        }
        self.publish(view, Told::Poll(Via::Rest)).await
    }

    /// Publishes what is new in `view`, whose notification events were told so. While polls fail, but for a device that
    /// is read over SNMP, its values are marked as stale.
    pub(super) async fn publish(&mut self, mut view: DeviceView, by: Told) -> Result<(), Gone> {
        let is_online = view.availability == Some(Availability::Online);
        if is_online && view.problem.is_some() && !self.is_over_snmp {
            view.mark_stale();
        }
        let letter = self.events_letter.take();
        self.send_letter(letter).await?;
        let mut changes = diff(&self.view, &view);
        self.remember_events(&mut changes, &view);
        self.traps.settle(&mut changes, by, Instant::now());
        self.view = Arc::new(view);
        let is_offline = self.view.availability == Some(Availability::Offline);
        let problem = self.view.problem.as_ref().filter(|_| is_offline);
        let offline = problem.map(|problem| problem.error.clone());
        self.offline
            .send_if_modified(|before| std::mem::replace(before, offline.clone()) != offline);
        if changes.is_empty() {
            return Ok(());
        }
        self.send(Update::Device {
            device: self.id.clone(),
            view: Arc::clone(&self.view),
            changes,
        })
        .await
    }

    /// An event of which something was not known for a while may have come or gone meanwhile: it is compared with what
    /// was last known.
    fn remember_events(&mut self, changes: &mut [Change], view: &DeviceView) {
        if Arc::ptr_eq(&self.view.events, &view.events) {
            return;
        }
        let stood = |name: &EventName| self.stood.iter().find(|event| event.name == *name);
        for change in changes {
            if let Change::Event {
                name, old: Some(old), ..
            } = change
                && let Some(known) = stood(name)
            {
                **old = old.or_known(known);
            }
        }
        let known = |event: &EventState| event.or_known(stood(&event.name).unwrap_or(event));
        self.stood = view.events.iter().map(known).collect();
    }

    /// Waits while the channel is full: the publisher always drains it, whatever the broker does.
    pub(super) async fn send(&self, update: Update) -> Result<(), Gone> {
        self.updates.send(update).await.map_err(|_| Gone)
    }

    /// Publishes what has changed without a new poll. Where relays may have moved, the next poll shows it.
    pub(super) async fn publish_anew(&mut self) -> Result<(), Gone> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(());
        };
        let via = snapshot.via;
        let mut view = self.next_view(snapshot, Timestamp::now());
        view.problem.clone_from(&self.view.problem);
        self.publish(view, Told::Poll(via)).await
    }
}
