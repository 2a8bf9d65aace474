//! What a device's task decides: given what has happened, what is to be done. Pure: no future, no channel, no clock.
//!
//! Its table is in `docs/device.md`, and a test holds each of its rows.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::availability::{Answering, longest_pause};
use super::command::Job;
use super::commands::Commands;
use super::http::Http;
use super::input::{Conversation, Effect, Input, Now, Polled};
use super::log::Log;
use super::polled::PolledDevice;
use super::polls::{Answer, Polls, Step};
use super::published::Published;
use super::snmp_fallback::SnmpFallback;
use super::traps::Traps;
use super::turn::{Settings, Turn};
use super::{Prior, Reported};
use crate::config;
use crate::incidents::Incidents;
use crate::lantime::relay_events::Selections;
use crate::lantime::rest::RestError;
use crate::lantime::schedule::Schedule;
use crate::lantime::snmp::status::SnmpStatus;
use crate::lantime::snmp::traps::DeviceTrap;
use crate::model::{DeviceCommand, ErrorReport, IncidentKind, Snapshot, Via};

/// All that is known of one device.
#[derive(Debug)]
pub(super) struct DeviceState {
    settings: Arc<Settings>,
    device: PolledDevice,
    polls: Polls,
    traps: Traps,
    fallback: Option<Box<SnmpFallback>>,
    commands: Commands,
    incidents: Incidents,
}

impl DeviceState {
    /// The state of a device of which `prior` is known. The events of its relays go `via` that way. Where the bridge is not alone,
    /// another one watches the device while this one stands still, or its own next task finds that nobody has.
    pub(super) fn new(
        device: &config::Device,
        schedule: Schedule,
        prior: Prior,
        via: Via,
        repeat: Duration,
        is_alone: bool,
    ) -> DeviceState {
        // At another address another device is none that was exchanged.
        let identity = prior.view.identity.as_ref();
        let is_same_address = identity.is_some_and(|identity| identity.web_interface == device.url.as_str());
        let Reported {
            serial_number,
            events,
            traps,
        } = prior.reported;
        let serial_number = Some(serial_number).filter(|_| is_same_address);
        let fallback = SnmpFallback::new(&device.snmp).map(Box::new);
        let is_applying = prior.applying.is_some();
        let selections = Selections::new(&device.slots, prior.relay_events, is_applying);
        DeviceState {
            settings: Arc::new(Settings {
                id: device.id.clone(),
                url: device.url.clone(),
                place: Arc::clone(&device.place),
                repeat,
                allow_unverified_writes: device.allow_unverified_writes,
            }),
            device: PolledDevice {
                published: Published::new(
                    prior.view,
                    prior.slots,
                    (prior.recorded, prior.not_observed_since),
                    device.slots.clone(),
                    events,
                ),
                answering: Answering::new(device.offline_after, fallback.is_some()),
                http: Http::new(device),
                log: Log::default(),
                serial_number: serial_number.unwrap_or_default(),
            },
            polls: Polls::new(schedule, is_alone.then(|| longest_pause(device))),
            traps,
            fallback,
            commands: Commands::new(via, selections),
            incidents: prior.incidents.every(repeat),
        }
    }

    /// What the task that follows knows.
    pub(super) fn into_prior(self) -> Prior {
        let (view, slots, (recorded, not_observed_since), events) = self.device.published.into_prior();
        let (relay_events, command) = self.commands.into_parts();
        Prior {
            view,
            slots,
            recorded,
            not_observed_since,
            relay_events,
            incidents: self.incidents,
            traps: None,
            applying: command.and_then(|command| command.progress.borrow().applying().cloned()),
            reported: Reported {
                serial_number: self.device.serial_number,
                events,
                traps: self.traps.into_prior(),
            },
        }
    }

    /// Why the device is offline, while it is.
    pub(super) fn offline(&self) -> Option<&ErrorReport> {
        self.device.published.offline()
    }

    /// Whether a command is taken now.
    pub(super) fn is_free(&self) -> bool {
        self.commands.is_free()
    }

    /// Something has happened; gives what is to be done, in that order.
    pub(super) fn on(&mut self, input: Input, now: Now) -> Vec<Effect> {
        let incidents = std::mem::take(&mut self.incidents);
        let mut turn = Turn::new(Arc::clone(&self.settings), incidents, now);
        match input {
            Input::Polled(answer, conversation) => self.polled(answer, conversation, &mut turn),
            Input::SnmpRead(read) => self.snmp_read(read, &mut turn),
            Input::SelectionsRead(read, conversation) => {
                self.take_in(conversation);
                self.commands.read_ended(read, &mut turn);
                self.selections_read(&mut turn);
            }
            Input::Selected(ended, conversation) => {
                self.take_in(conversation);
                let reply = self.commands.selected(ended, &mut turn);
                self.publish_again(&mut turn);
                turn.reply(reply);
            }
            Input::Applied(is_applied) => {
                self.commands.applied(is_applied, &mut turn);
                self.publish_again(&mut turn);
            }
            Input::Traps(traps) => self.traps(traps, &mut turn),
            Input::Stored(receipts) => self.traps.stored(receipts, &mut turn),
            Input::Command(job) => self.command(job, &mut turn),
            Input::Timer => {}
        }
        self.do_what_is_due(&mut turn);
        self.incidents = std::mem::take(&mut turn.incidents);
        turn.push(self.next_due().map(Effect::WakeAt));
        turn.effects
    }

    /// When something is due of itself.
    fn next_due(&self) -> Option<Instant> {
        let poll = self.polls.next().filter(|_| self.commands.leaves_rest());
        let all = [poll, self.commands.deadline(), self.incidents.next_end()];
        all.into_iter().flatten().min()
    }

    fn do_what_is_due(&mut self, turn: &mut Turn) {
        let Now {
            wall, instant: now, ..
        } = turn.now;
        if self.fallback.is_none() {
            turn.withdraw(IncidentKind::SnmpRead);
        }
        let due = turn.incidents.due(wall, now);
        turn.report(due);
        let reply = self.commands.give_up(turn);
        turn.reply(reply);
        // As far as there is somebody to ask.
        if let Some(at) = turn.take_poll_at() {
            self.polls.not_after(self.device.answering.earliest(at, now));
        }
        let is_due = self.polls.next().is_some_and(|next| next <= now);
        match self.commands.leaves_rest() {
            true if is_due => self.poll(turn),
            true => {}
            false => self.polls.are_held_up(),
        }
    }

    /// Publishes what has changed without a new answer.
    fn publish_again(&mut self, turn: &mut Turn) {
        self.device.published.publish_again(self.commands.known(), turn);
    }

    /// A poll begins. A login that was refused is left alone: then REST is not asked.
    fn poll(&mut self, turn: &mut Turn) {
        let now = turn.now.instant;
        self.polls.begin(now);
        if self.device.answering.is_refused(now) {
            return self.rest_asked(now, None, turn);
        }
        let snapshot = self.device.published.snapshot.as_ref();
        turn.push(Effect::Poll(snapshot.and_then(Snapshot::api_major)));
    }

    fn polled(
        &mut self,
        answer: Box<Result<Polled, RestError>>,
        conversation: Conversation,
        turn: &mut Turn,
    ) {
        self.take_in(Some(conversation));
        let Some((began, _)) = self.polls.take(Step::Status) else {
            return;
        };
        if let Ok(Polled { snapshot, timing, .. }) = &*answer {
            turn.push(self.traps.runs_for(timing.uptime, turn.now.instant));
            self.polls.for_traps.lags_by(timing.lag);
            let is_first = self.device.published.snapshot.is_none();
            if is_first && self.commands.is_due_first(snapshot, turn.now.instant) {
                self.commands.read(snapshot, turn);
                return self.polls.wait(began, Step::Selections, Some(answer));
            }
        }
        self.rest_asked(began, Some(answer), turn);
    }

    /// What switches the relays was read, or could not be.
    fn selections_read(&mut self, turn: &mut Turn) {
        if let Some((began, answer)) = self.polls.take(Step::Selections) {
            return self.rest_asked(began, answer, turn);
        }
        self.publish_again(turn);
        let reply = self.commands.refreshed(self.device.http.last_success(), turn);
        turn.reply(reply);
    }

    /// REST was asked, or was not to be; now it may be SNMP's turn.
    fn rest_asked(&mut self, began: Instant, answer: Answer, turn: &mut Turn) {
        let is_needed = match answer.as_deref() {
            // The first failures are reported without it: what it says would not be shown.
            Some(Err(error)) => self.device.answering.will_be_offline(error.report.kind),
            _ => true,
        };
        let is_answered = matches!(answer.as_deref(), Some(Ok(_)));
        let fallback = self.fallback.as_ref();
        if is_answered && fallback.is_some_and(|fallback| fallback.is_only_without_rest()) {
            turn.well(IncidentKind::SnmpRead);
        }
        let fallback = fallback.filter(|_| is_needed);
        match fallback.and_then(|fallback| fallback.within(is_answered, turn.now.instant)) {
            Some(within) => {
                turn.push(Effect::ReadSnmp(within));
                self.polls.wait(began, Step::Snmp, answer);
            }
            None => self.finish(began, answer, None, turn),
        }
    }

    fn snmp_read(&mut self, read: Result<SnmpStatus, ErrorReport>, turn: &mut Turn) {
        let Some((began, answer)) = self.polls.take(Step::Snmp) else {
            return;
        };
        if let Some(fallback) = &mut self.fallback {
            let is_answered = matches!(answer.as_deref(), Some(Ok(_)));
            fallback.ended(is_answered, read.as_ref().err(), turn);
        }
        self.finish(began, answer, read.ok(), turn);
    }

    /// All that a poll asks is answered, or not: publishes what follows.
    fn finish(&mut self, began: Instant, answer: Answer, status: Option<SnmpStatus>, turn: &mut Turn) {
        if let Some(since) = self.polls.end(turn.now) {
            self.device.published.was_not_watched(since);
        }
        let for_traps = &self.polls.for_traps;
        let (by_rest, by_snmp) = (
            for_traps.shown_until(began),
            for_traps.shown_until(turn.now.instant),
        );
        let is_refused = matches!(answer.as_deref(), Some(Err(error)) if error.report.kind.is_refusal());
        let failure = match answer.map(|answer| *answer) {
            Some(Ok(polled)) => {
                let host_name = polled.snapshot.identity.hostname.clone();
                self.device
                    .answered(polled, status, by_rest, self.commands.known(), turn);
                turn.push(self.traps.is_called(host_name.as_deref()));
                None
            }
            other => {
                let error = other.and_then(Result::err);
                let status = status.zip(Some(by_snmp));
                self.device.without_rest(error, status, &mut self.commands, turn)
            }
        };
        // After a refusal nothing is asked, and nothing could be published, for minutes.
        let updates = self
            .device
            .http
            .due(&self.settings.id, is_refused, turn.now.instant);
        updates.into_iter().for_each(|update| turn.publish(update));
        self.go_on_after(began, failure, turn);
    }

    /// What comes after a poll that began then, and with which REST has failed so: the next one, for traps or for the command,
    /// and what the command wants.
    fn go_on_after(&mut self, began: Instant, failure: Option<ErrorReport>, turn: &mut Turn) {
        let now = turn.now.instant;
        let next = self.device.answering.next_poll(
            &mut self.polls.schedule,
            self.device.published.is_over_snmp,
            turn,
        );
        self.polls.set_next(next, turn.now);
        let for_traps = &mut self.polls.for_traps;
        for_traps.ended(began);
        let wanted = [for_traps.again_at(began), for_traps.due_at(now)];
        wanted.into_iter().flatten().for_each(|at| turn.poll_at(at));
        let published = &self.device.published;
        let reply = match failure.filter(|_| !self.commands.can_go_on_over_snmp(published)) {
            Some(failure) => self.commands.hold_up(failure, published.is_offline()),
            None => self
                .commands
                .ask_more(began, published, self.device.http.last_success(), turn),
        };
        turn.reply(reply);
        if let Some(at) = self.commands.poll_at(began, now) {
            turn.poll_at(at);
        }
    }

    fn traps(&mut self, traps: Vec<DeviceTrap>, turn: &mut Turn) {
        let now = turn.now.instant;
        for trap in traps {
            if self.traps.take(trap, &mut self.device.published.events, turn) {
                self.polls.for_traps.trap(now);
            }
        }
        if let Some(at) = self.polls.for_traps.due_at(now) {
            turn.poll_at(at);
        }
        self.device.published.publish_events(self.commands.known(), turn);
    }

    fn command(&mut self, job: Job, turn: &mut Turn) {
        // The log is the bridge's own.
        if let DeviceCommand::HttpSessions { enabled, max_count } = job.command {
            let outcome = self.device.http.configure(enabled, max_count);
            turn.publish(self.device.http.changed_log(&self.settings.id));
            return turn.reply(Some((job.answer, Ok(outcome))));
        }
        if let DeviceCommand::AcknowledgeFaults { slot, relay, by } = &job.command {
            let published = &mut self.device.published;
            let outcome = published.acknowledge(slot.as_ref(), *relay, by.as_deref(), turn);
            return turn.reply(Some((job.answer, outcome)));
        }
        let reply = self
            .commands
            .begin(job, &self.device.published, &self.device.answering, turn);
        turn.reply(reply);
    }

    /// Takes in what requests over REST have left behind.
    fn take_in(&mut self, conversation: Option<Conversation>) {
        if let Some(Conversation { sessions, busy_until }) = conversation {
            self.device.http.log(sessions);
            self.device.answering.wants_pause(busy_until);
        }
    }
}
