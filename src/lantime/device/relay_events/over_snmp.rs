//! The same over SNMP, with the objects of the vendor's MIB, which the vendor has published.
//!
//! What the MIB cannot give: there is no revision, and nothing says whether what was set has been applied. So each
//! string is read again right before it is set, which leaves another's change a gap of one round trip to slip into;
//! and after the command to apply went without an answer, it is not certain what is in force.
//!
//! The device may take two minutes to answer the command to apply. It is awaited beside the polls, and sent once for
//! each command from MQTT: again only by another run of this program (or of the device's task) that finds the command
//! not answered.

use std::collections::BTreeSet;
use std::future::pending;

use tokio::time::timeout_at;
use tokio_util::task::AbortOnDropHandle;

use super::{Chosen, changed_meanwhile, place::check_place, took_too_long};
use crate::config::{DeviceSnmp, EventsWay};
use crate::fault_point;
use crate::lantime::device::DeviceTask;
use crate::lantime::device::job::Waiting;
use crate::lantime::snmp::actions::{RELAY, is_same};
use crate::lantime::snmp::manager::{Manager, SnmpFailure};
use crate::lantime::snmp::relay_events::{ActionsChange, EventActions, numbers};
use crate::model::derive::ChosenEvents;
use crate::model::{ErrorKind, ErrorReport, EventName, EventsChange, Outcome, Relay, SlotId, Snapshot, Via};

/// The second way to a device.
#[derive(Debug)]
pub(in crate::lantime::device) struct OverSnmp {
    manager: Manager,
    /// A command to apply that the device has not answered yet.
    applying: Option<AbortOnDropHandle<Result<(), SnmpFailure>>>,
}

/// What a command has set, and what is to come of it.
#[derive(Debug, Clone)]
pub(in crate::lantime::device) struct Choice {
    desired: BTreeSet<EventName>,
    changes: Vec<ActionsChange>,
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
    pub(in crate::lantime::device) fn new(device: &DeviceSnmp) -> Option<OverSnmp> {
        let manager = match device.events {
            EventsWay::Rest => None,
            EventsWay::Snmp | EventsWay::Auto => Manager::new(device),
        };
        Some(OverSnmp {
            manager: manager?,
            applying: None,
        })
    }

    async fn read(&mut self) -> Result<EventActions, SnmpFailure> {
        let read = EventActions::new(self.manager.actions(&numbers()).await?);
        if read.is_empty() {
            return Err(no_objects());
        }
        Ok(read)
    }

    /// Sets one string, if it is still as it was read.
    async fn set(&mut self, change: &ActionsChange) -> Result<(), Unset> {
        let uncertain = |failure: SnmpFailure| Unset {
            may_be_set: !failure.is_refused,
            report: of_event(failure, change.event),
        };
        let now = self.now(change).await.map_err(|failure| Unset {
            may_be_set: false,
            ..uncertain(failure)
        })?;
        if now.as_deref() != Some(change.from.as_str()) {
            return Err(Unset {
                may_be_set: false,
                report: changed_before(change.event),
            });
        }
        let set = self.manager.set_actions(change.number, &change.to).await;
        set.map_err(uncertain)
    }

    async fn now(&mut self, change: &ActionsChange) -> Result<Option<String>, SnmpFailure> {
        Ok(self
            .manager
            .actions(&[change.number])
            .await?
            .remove(&change.number))
    }

    /// Sets all, or as far as it can be helped none.
    async fn set_all(&mut self, changes: &[ActionsChange]) -> Result<(), NotSet> {
        for (index, change) in changes.iter().enumerate() {
            if let Err(unset) = self.set(change).await {
                let touched = &changes[..index + usize::from(unset.may_be_set)];
                return Err(self.undone(touched, unset.report).await);
            }
        }
        Ok(())
    }

    /// Has what was set take effect. The answer comes later.
    async fn apply(&mut self, changes: &[ActionsChange]) -> Result<(), NotSet> {
        match self.manager.apply().await {
            Ok(sending) => {
                self.applying = Some(AbortOnDropHandle::new(tokio::spawn(sending)));
                Ok(())
            }
            Err(failure) => Err(self.undone(changes, failure.report).await),
        }
    }

    /// Puts back what was set, and says of that in the report.
    async fn undone(&mut self, touched: &[ActionsChange], mut report: ErrorReport) -> NotSet {
        let left = self.put_back(touched).await;
        let end = match (touched.is_empty(), left.is_empty()) {
            (true, _) => "; nothing was changed".to_owned(),
            (false, true) => "; nothing was applied, and what had been set before was put back".to_owned(),
            (false, false) => format!(
                "; nothing was applied, but what was set for {} could not be put back: it takes effect with the next \
                 change that is applied at the device",
                left.join(", ")
            ),
        };
        report.message.push_str(&end);
        NotSet {
            report,
            is_undone: left.is_empty(),
        }
    }

    /// Puts strings back as they were, unless somebody else has changed them meanwhile. Gives the events of those that
    /// are, or may be, left.
    async fn put_back(&mut self, changes: &[ActionsChange]) -> Vec<&'static str> {
        for (index, change) in changes.iter().enumerate().rev() {
            let put_back = match self.now(change).await {
                Ok(Some(now)) if is_same(&now, &change.to) => {
                    self.manager.set_actions(change.number, &change.from).await
                }
                other => other.map(drop),
            };
            if put_back.is_err() {
                return changes[..=index].iter().map(|change| change.event).collect();
            }
        }
        Vec::new()
    }
}

/// A string that was not set.
struct Unset {
    report: ErrorReport,
    /// Whether it may have been set all the same.
    may_be_set: bool,
}

/// Strings of which not all were set.
struct NotSet {
    report: ErrorReport,
    /// Whether all are as they were.
    is_undone: bool,
}

/// Waits for the answer to the command to apply, where one is awaited.
pub(in crate::lantime::device) async fn applied(over_snmp: &mut Option<OverSnmp>) -> Result<(), SnmpFailure> {
    let applying = over_snmp.as_mut().map(|over_snmp| &mut over_snmp.applying);
    let Some(applying) = applying else {
        return pending().await;
    };
    let Some(answer) = applying else {
        return pending().await;
    };
    let answer = answer.await;
    *applying = None;
    answer.unwrap_or_else(|_| Err(lost()))
}

impl DeviceTask {
    /// Asks the device over SNMP what switches its relays.
    pub(super) async fn read_chosen_over_snmp(&mut self) {
        let Some(over_snmp) = &mut self.over_snmp else {
            return;
        };
        match over_snmp.read().await {
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
        check_place(&self.view, &slot, relay)?;
        let deadline = waiting.deadline();
        let steps = async {
            match waiting.apply.clone() {
                Apply::NotSent => self.set_over_snmp(snapshot, change, waiting).await,
                Apply::Sent(_) => Ok(None),
                Apply::Done(choice) => self.read_back_over_snmp(&choice).await.map(Some),
            }
        };
        let in_time = timeout_at(deadline, steps).await;
        let result = in_time.unwrap_or_else(|_| Err(took_too_long()));
        if result.is_err() && waiting.has_written {
            self.chosen.doubt();
        }
        let outcome = |events| Outcome::RelayEvents {
            slot,
            relay,
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
        let over_snmp = self.over_snmp.as_mut().ok_or_else(earlier_apply)?;
        if over_snmp.applying.is_some() {
            return Err(earlier_apply());
        }
        let before = over_snmp.read().await.map_err(report)?;
        let desired = before.desired(change, &snapshot.events)?;
        let changes = before.plan(&desired);
        // What was set before, by this command or another, may not have been applied.
        let is_left = waiting.may_have_written() || self.chosen.staged.is_some();
        if changes.is_empty() && !is_left {
            self.chosen.learn_over_snmp(&desired);
            return Ok(Some(desired));
        }
        // Without an answer it may have arrived all the same: so from now on, unless it is undone.
        let staged = (RELAY.to_owned(), desired.clone());
        let stood = (waiting.has_written, self.chosen.staged.replace(staged));
        waiting.has_written = true;
        let sending = match over_snmp.set_all(&changes).await {
            Ok(()) => {
                fault_point::reached("written");
                over_snmp.apply(&changes).await
            }
            Err(not_set) => Err(not_set),
        };
        match sending {
            Ok(()) => {
                waiting.apply = Apply::Sent(Choice { desired, changes });
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
        let Some(waiting) = &mut self.waiting else {
            return false;
        };
        let Apply::Sent(choice) = std::mem::take(&mut waiting.apply) else {
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
        let undoing = timeout_at(
            waiting.deadline(),
            over_snmp.undone(&choice.changes, failure.report),
        );
        let report = match undoing.await {
            Ok(not_set) => {
                if not_set.is_undone {
                    self.chosen.staged = None;
                }
                not_set.report
            }
            Err(_) => took_too_long(),
        };
        waiting.end(Err(report));
        false
    }

    async fn read_back_over_snmp(&mut self, choice: &Choice) -> Result<BTreeSet<EventName>, ErrorReport> {
        let over_snmp = self.over_snmp.as_mut().ok_or_else(earlier_apply)?;
        let after = over_snmp.read().await.map_err(report)?;
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

fn of_event(failure: SnmpFailure, event: &str) -> ErrorReport {
    let SnmpFailure { mut report, .. } = failure;
    report.message = format!("the actions of {event} cannot be set: {}", report.message);
    report
}

fn earlier_apply() -> ErrorReport {
    let message =
        "the device has not answered an earlier command to apply yet; a second one is not sent meanwhile";
    let remedy = "it may take up to 120 s: send the command again after that";
    ErrorReport::new(ErrorKind::Busy, message, remedy)
}

fn no_objects() -> SnmpFailure {
    SnmpFailure::of_device(
        ErrorKind::Snmp,
        "the device's SNMP agent has none of the objects by which the vendor's MIB chooses events",
        "check that snmp.address is the device's own agent, and that the community or the user may see 1.3.6.1.4.1.5597.30; \
         or choose events = \"rest\" for this device",
    )
}

fn lost() -> SnmpFailure {
    let message = "sending the command to apply was broken off by a fault of this program";
    SnmpFailure::of_device(
        ErrorKind::Internal,
        message,
        "report this, with the log of the bridge",
    )
}

fn changed_before(event: &str) -> ErrorReport {
    let message = format!("somebody else has changed the actions of {event} in the same moment");
    let remedy = "look at the device's web interface, and send the command again if it is still wanted";
    ErrorReport::new(ErrorKind::Conflict, message, remedy)
}

/// The command to apply got no answer that says that it was refused.
fn unanswered(mut report: ErrorReport) -> ErrorReport {
    report.message = format!(
        "what was set was sent to be applied, and may have been applied: {}",
        report.message
    );
    report.remedy =
        "see in the events topics of its relays what the device says now, and send the command again to be sure".to_owned();
    report
}

/// The deadline of a command is over while the device has not answered the command to apply.
pub(in crate::lantime::device) fn not_answered_yet() -> ErrorReport {
    let message = "the device has not answered the command to apply yet, which may take it up to 120 s";
    let remedy = "see in the events topics of its relays what the device says now, and send the command again if they do not \
                  show it as confirmed; a longer command_timeout for this device waits for the answer";
    ErrorReport::new(ErrorKind::Timeout, message, remedy)
}
