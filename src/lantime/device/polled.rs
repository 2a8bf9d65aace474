//! What polls have shown of a device: how it answers, and what is published of it. Pure.

use tokio::time::Instant;
use uuid::Uuid;

use super::availability::Answering;
use super::commands::Commands;
use super::events::Source;
use super::http::Http;
use super::input::Polled;
use super::log::Log;
use super::published::Published;
use super::serial_number::SerialNumber;
use super::turn::Turn;
use crate::lantime::rest::RestError;
use crate::lantime::snmp::status::SnmpStatus;
use crate::model::derive::RelayEvents;
use crate::model::{DeviceView, ErrorReport, IncidentKind, Operation, Problem, Update, Via};

/// A device, as polls have shown it.
#[derive(Debug)]
pub(super) struct PolledDevice {
    pub(super) published: Published,
    pub(super) answering: Answering,
    pub(super) http: Http,
    pub(super) log: Log,
    pub(super) serial_number: SerialNumber,
}

impl PolledDevice {
    /// REST has answered, and shows what the device did until `shown`: publishes what follows.
    pub(super) fn answered(
        &mut self,
        polled: Polled,
        status: Option<SnmpStatus>,
        shown: Instant,
        relay_events: &RelayEvents,
        turn: &mut Turn,
    ) {
        let (device, now) = (turn.settings.id.clone(), turn.now);
        let mut snapshot = polled.snapshot;
        let are_events_seen = snapshot.events_seen;
        if are_events_seen {
            self.published.events.polled(&mut snapshot.events, shown);
        }
        tracing::debug!(ms = polled.round_trip.as_millis(), "polled");
        self.answering.succeeded();
        turn.well(IncidentKind::Poll);
        self.published.is_over_snmp = false;
        self.http.poll_succeeded(polled.round_trip, now.wall);
        if let Some(status) = status {
            status.compare(&mut snapshot);
        }
        let exchanged = self.serial_number.check(&snapshot, &turn.settings, now.instant);
        exchanged
            .into_iter()
            .for_each(|report| turn.dead_letter(Operation::Identity, report));
        let was_online = self.published.is_online() && self.published.problem().is_none();
        let is_new = self.published.snapshot.as_ref() != Some(&snapshot);
        if !was_online || is_new || self.published.has_to_say() {
            self.published.answered(snapshot, None, relay_events, turn);
            if self.log.answered(&self.published, was_online) {
                turn.publish(Update::Settled { device });
            }
        }
        if are_events_seen {
            self.published.events.poll_published(shown);
        }
    }

    /// REST has failed, or was not to be asked since it had refused the login. SNMP may have answered, which shows what the
    /// device did until then. Publishes what follows; gives why REST says nothing.
    pub(super) fn without_rest(
        &mut self,
        error: Option<RestError>,
        status: Option<(SnmpStatus, Instant)>,
        commands: &mut Commands,
        turn: &mut Turn,
    ) -> Option<ErrorReport> {
        let is_refused = error.as_ref().is_none_or(|error| error.report.kind.is_refusal());
        let problem = self.published.problem().map(|problem| problem.error.clone());
        let report = error.as_ref().map(|error| error.report.clone()).or(problem);
        let view = match error {
            Some(error) => self.failed(error, commands.known(), turn),
            None => DeviceView::clone(&self.published.view),
        };
        let is_offline = self.answering.is_offline(is_refused);
        let status = status.filter(|_| is_offline);
        self.published.is_over_snmp = status.is_some();
        if let Some((status, shown)) = status {
            let snapshot = self.published.over_snmp(&status, shown, &turn.settings);
            self.published
                .answered(snapshot, view.problem, commands.known(), turn);
            return report;
        }
        if is_offline && !self.published.is_offline() {
            tracing::error!(failures = self.answering.failures(), "device is offline");
            commands.mark_stale();
            self.published.go_offline(view, self.http.last_success(), turn);
        } else {
            self.published.publish(view, Source::Poll(Via::Rest), turn);
        }
        self.published.forget_prior();
        report
    }

    /// A poll has failed; gives what is to be published of it.
    fn failed(&mut self, error: RestError, relay_events: &RelayEvents, turn: &mut Turn) -> DeviceView {
        let now = turn.now;
        self.answering.failed(error.report.kind, now.instant);
        self.http.poll_failed(error.report.kind);
        turn.raise(IncidentKind::Poll, error.operation, error.report.clone());
        let mut view = DeviceView::clone(&self.published.view);
        let before = view.problem.as_ref();
        if before.is_none_or(|before| !before.error.is_same(&error.report)) {
            let (report, url) = (&error.report, error.report.url.as_deref().unwrap_or_default());
            tracing::warn!(kind = %report.kind, url, remedy = report.remedy, "poll failed: {}", report.message);
            view.problem = Some(Problem {
                id: turn
                    .incident(IncidentKind::Poll)
                    .map_or_else(Uuid::nil, |incident| incident.id),
                operation: error.operation,
                first_at: before.map_or(now.wall, |before| before.first_at),
                error: error.report,
            });
        }
        if self.published.snapshot.is_none() && self.answering.failures() == 1 {
            view.slots = self.published.unseen(relay_events, now.wall);
        }
        view
    }
}
