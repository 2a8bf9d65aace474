//! The same over SNMP, with the objects of the vendor's MIB, which the vendor has published.
//!
//! What the MIB cannot give: there is no revision, and nothing says whether what was set has been applied. So each
//! string is read again right before it is set, which leaves another's change a gap of one round trip to slip into;
//! and after the command to apply went without an answer, it is not certain what is in force.
//!
//! The device may take two minutes to answer the command to apply. It is awaited beside the polls, and sent once for
//! each command from MQTT: again only by another run of this program that finds the command not answered.

mod strings;
mod words;

use std::collections::BTreeSet;
use std::future::pending;

use tokio::time::timeout_at;
use tokio_util::task::AbortOnDropHandle;

use super::{Chosen, changed_meanwhile, place::check_place, warnings::warnings};
use crate::config::{DeviceSnmp, EventsWay};
use crate::fault_point;
use crate::lantime::device::DeviceTask;
use crate::lantime::device::job::Waiting;
use crate::lantime::snmp::actions::RELAY;
use crate::lantime::snmp::manager::{Manager, SnmpFailure};
use crate::lantime::snmp::relay_events::{ActionsChange, EventActions};
use crate::model::derive::ChosenEvents;
use crate::model::{ErrorReport, EventName, EventsChange, Operation, Outcome, Relay, SlotId, Snapshot, Via};
use strings::{NotSet, read, set_all, undone};
pub(in crate::lantime::device) use words::not_answered_yet;
use words::{broken_off, earlier_apply, unanswered};

/// The second way to a device.
#[derive(Debug)]
pub(in crate::lantime::device) struct OverSnmp {
    manager: Manager,
    /// What stands is being read: beside the polls, since an agent may be silent.
    reading: Option<Reading>,
    /// A command to apply that the device has not answered yet.
    applying: Option<Applying>,
    /// Whether it was given by the task before, and has been carried out: its change need not be applied again.
    has_former_applied: bool,
}

/// A command to apply that is on its way.
pub(in crate::lantime::device) type Applying = AbortOnDropHandle<Result<(), SnmpFailure>>;

type Reading = AbortOnDropHandle<(Manager, Result<EventActions, SnmpFailure>)>;

/// Something that went on beside the polls has come to its end.
#[derive(Debug)]
pub(in crate::lantime::device) enum Ended {
    /// What stands was read, or could not be.
    Read(Result<EventActions, SnmpFailure>),
    /// The command to apply was answered, or not.
    Applied(Result<(), SnmpFailure>),
}

/// What a command has set, and what is to come of it.
#[derive(Debug, Clone)]
pub(in crate::lantime::device) struct Choice {
    desired: BTreeSet<EventName>,
    changes: Vec<ActionsChange>,
    /// What an earlier command has left, as [`Chosen`] has it.
    left_before: Option<(String, BTreeSet<EventName>)>,
}

/// How far a command has come with letting its change take effect.
#[derive(Debug, Clone, Default)]
pub(in crate::lantime::device) enum Apply {
    /// Not there yet.
    #[default]
    NotSent,
    /// The device has not answered yet.
    Sent(Choice),
    /// The device says that it is done.
    Done(Choice),
}

impl Apply {
    /// Whether it is for the device, and no longer for us, to carry the change out.
    pub(in crate::lantime::device) fn is_sent(&self) -> bool {
        !matches!(self, Apply::NotSent)
    }
}

impl OverSnmp {
    /// `None` where the events are chosen over REST.
    /// `applying` is what the task before has begun.
    pub(in crate::lantime::device) fn new(
        device: &DeviceSnmp,
        applying: Option<Applying>,
    ) -> Option<OverSnmp> {
        let manager = match device.events {
            EventsWay::Rest => None,
            EventsWay::Snmp | EventsWay::Auto => Manager::new(device),
        };
        Some(OverSnmp {
            manager: manager?,
            reading: None,
            applying,
            has_former_applied: false,
        })
    }

    /// What the device has not answered yet, for the task that follows.
    pub(in crate::lantime::device) fn into_applying(self) -> Option<Applying> {
        self.applying
    }

    /// Has what was set take effect. The answer comes later.
    async fn apply(&mut self, changes: &[ActionsChange]) -> Result<(), NotSet> {
        match self.manager.apply().await {
            Ok(sending) => {
                self.applying = Some(AbortOnDropHandle::new(tokio::spawn(sending)));
                Ok(())
            }
            Err(failure) => Err(undone(&mut self.manager, changes, failure.report).await),
        }
    }
}

/// Waits for the end of what goes on beside the polls.
pub(in crate::lantime::device) async fn ended(over_snmp: &mut Option<OverSnmp>) -> Ended {
    let Some(over_snmp) = over_snmp else {
        return pending().await;
    };
    tokio::select! {
        read = end_of(&mut over_snmp.reading) => {
            let Some((manager, read)) = read else { return Ended::Read(Err(broken_off())) };
            over_snmp.manager = manager;
            Ended::Read(read)
        }
        answer = end_of(&mut over_snmp.applying) => Ended::Applied(answer.unwrap_or_else(|| Err(broken_off()))),
    }
}

/// What a task gives, `None` for a fault of its own. Waits for ever where there is no task.
async fn end_of<T>(task: &mut Option<AbortOnDropHandle<T>>) -> Option<T> {
    let Some(running) = task else {
        return pending().await;
    };
    let end = running.await;
    *task = None;
    end.ok()
}

impl DeviceTask {
    /// Begins to ask the device over SNMP what switches its relays.
    pub(super) fn begin_reading(&mut self) {
        let Some(over_snmp) = &mut self.over_snmp else {
            return;
        };
        let mut manager = over_snmp.manager.clone();
        let reading = async move {
            let read = read(&mut manager).await;
            (manager, read)
        };
        over_snmp.reading = Some(AbortOnDropHandle::new(tokio::spawn(reading)));
    }

    /// The device has told over SNMP what switches its relays, or has not.
    pub(in crate::lantime::device) fn reading_ended(&mut self, read: Result<EventActions, SnmpFailure>) {
        match read {
            Ok(read) => self.chosen.learn_over_snmp(&read.events()),
            Err(failure) => self.chosen_failed(failure.operation, failure.report),
        }
    }

    /// Changes the events that switch the relays: reads what stands, sets what differs, and has it applied; once that
    /// is answered, reads back. `None` while the answer is awaited.
    pub(in crate::lantime::device) async fn choose_over_snmp(
        &mut self,
        snapshot: &Snapshot,
        (slot, relay): (SlotId, Relay),
        change: &EventsChange,
        waiting: &mut Waiting,
    ) -> Result<Option<Outcome>, ErrorReport> {
        if !waiting.apply.is_sent() {
            check_place(&self.view, &slot, relay)?;
        }
        let deadline = waiting.deadline();
        let steps = async {
            match waiting.apply.clone() {
                Apply::NotSent => self.set_over_snmp(snapshot, change, waiting).await,
                Apply::Sent(_) => Ok(None),
                Apply::Done(choice) => self.read_back_over_snmp(&choice).await.map(Some),
            }
        };
        let in_time = timeout_at(deadline, steps).await;
        let result = in_time.unwrap_or_else(|_| Err(too_late()));
        if result.is_err() && waiting.has_written {
            self.chosen.doubt();
        }
        let outcome = |events| Outcome::RelayEvents {
            slot,
            relay,
            warnings: warnings(&events, &snapshot.events),
            events,
            changed: waiting.may_have_written(),
            applies_to: self.chosen.places.clone(),
            via: Via::Snmp,
        };
        Ok(result?.map(outcome))
    }

    /// Up to the command to apply. Gives the events where nothing is to be done, and else `None`.
    async fn set_over_snmp(
        &mut self,
        snapshot: &Snapshot,
        change: &EventsChange,
        waiting: &mut Waiting,
    ) -> Result<Option<BTreeSet<EventName>>, ErrorReport> {
        let over_snmp = self.over_snmp.as_mut().ok_or_else(|| broken_off().report)?;
        if over_snmp.applying.is_some() {
            return Err(earlier_apply());
        }
        // What it tells would be of before.
        over_snmp.reading = None;
        let before = read(&mut over_snmp.manager).await.map_err(report)?;
        let desired = before.desired(change, &snapshot.events)?;
        let changes = before.plan(&desired);
        // What was set before, by this command or another, may not have been applied.
        let is_settled = std::mem::take(&mut over_snmp.has_former_applied);
        let is_left = (waiting.may_have_written() && !is_settled) || self.chosen.staged.is_some();
        if changes.is_empty() && !is_left {
            self.chosen.learn_over_snmp(&desired);
            return Ok(Some(desired));
        }
        // Without an answer it may have arrived all the same: so from now on, unless it is undone.
        let staged = (RELAY.to_owned(), desired.clone());
        let stood = (waiting.has_written, self.chosen.staged.replace(staged));
        waiting.has_written = true;
        let sending = match set_all(&mut over_snmp.manager, &changes).await {
            Ok(()) => {
                fault_point::reached("written");
                over_snmp.apply(&changes).await
            }
            Err(not_set) => Err(not_set),
        };
        match sending {
            Ok(()) => {
                waiting.apply = Apply::Sent(Choice {
                    desired,
                    changes,
                    left_before: stood.1,
                });
                Ok(None)
            }
            Err(not_set) => {
                if not_set.is_undone {
                    (waiting.has_written, self.chosen.staged) = stood;
                }
                Err(not_set.report)
            }
        }
    }

    /// The device has answered the command to apply, or not in time. Says whether what it has done is to be read back
    /// for the command that waits.
    pub(in crate::lantime::device) async fn apply_ended(&mut self, ended: Result<(), SnmpFailure>) -> bool {
        if ended.is_ok() {
            self.chosen.staged = None;
        }
        self.chosen.doubt();
        let sent = self
            .waiting
            .as_mut()
            .map(|waiting| std::mem::take(&mut waiting.apply));
        let (Some(waiting), Some(Apply::Sent(choice))) = (&mut self.waiting, sent) else {
            if let Some(over_snmp) = &mut self.over_snmp {
                over_snmp.has_former_applied = ended.is_ok();
            }
            return false;
        };
        let failure = match ended {
            Ok(()) => {
                waiting.apply = Apply::Done(choice);
                return true;
            }
            Err(failure) => failure,
        };
        if !failure.is_refused {
            waiting.end(Err(unanswered(failure.report)));
            return false;
        }
        let Some(over_snmp) = &mut self.over_snmp else {
            return false;
        };
        let mut refusal = failure.report.clone();
        let undoing = timeout_at(
            waiting.deadline(),
            undone(&mut over_snmp.manager, &choice.changes, failure.report),
        );
        let report = match undoing.await {
            Ok(not_set) => {
                if not_set.is_undone {
                    self.chosen.staged = choice.left_before;
                }
                not_set.report
            }
            Err(_) => {
                let left = "; what was set could not be put back in time: it takes effect with the next change that is applied";
                refusal.message.push_str(left);
                refusal
            }
        };
        waiting.end(Err(report));
        false
    }

    async fn read_back_over_snmp(&mut self, choice: &Choice) -> Result<BTreeSet<EventName>, ErrorReport> {
        let over_snmp = self.over_snmp.as_mut().ok_or_else(|| broken_off().report)?;
        let after = read(&mut over_snmp.manager).await.map_err(report)?;
        fault_point::reached("read-back");
        let found = after.events();
        self.chosen.learn_over_snmp(&found);
        let is_as_set = choice.changes.iter().all(|change| after.has(change));
        if is_as_set && found == choice.desired {
            return Ok(found);
        }
        Err(changed_meanwhile(&choice.desired, &found))
    }
}

impl Chosen {
    /// Takes over what the device says over SNMP, the same for all relays. What a change of ours has set, but nobody
    /// knows to be in force, is not certain.
    fn learn_over_snmp(&mut self, events: &BTreeSet<EventName>) {
        for place in &self.places {
            let chosen = ChosenEvents {
                events: events.clone(),
                via: Via::Snmp,
                confirmed: self.staged.is_none(),
            };
            self.known.insert((place.slot.clone(), place.relay), chosen);
        }
    }
}

fn report(failure: SnmpFailure) -> ErrorReport {
    failure.report
}

fn too_late() -> ErrorReport {
    SnmpFailure::too_late(Operation::SnmpSet).report
}
