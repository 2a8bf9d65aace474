//! The events over SNMP, by the vendor's MIB: the strings of actions of all events, such as `snmp,email`, in which one
//! action stands for all relays.
//!
//! What the MIB cannot give: there is no revision, and nothing says whether what was set has been applied. So each
//! string is read again right before it is set, which leaves another's change a gap of one round trip to slip into;
//! and after the command to apply went without an answer, it is not certain what is in force.

use std::collections::BTreeMap;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::actions;
use super::configuration::{Change, EventActions, Plan, RelayConfig};
use super::device_guard::DeviceGuard;
use super::errors::{Failure, changed_before, no_objects, unanswered};
use super::progress::{Applying, Progress};
use crate::lantime::snmp::manager::{APPLY_TIMEOUT, Manager, SnmpFailure};
use crate::lantime::snmp::oids::{self, NOTIFICATIONS};
use crate::model::{ErrorReport, EventName, Operation, Via};

/// The action that stands for all relays: they cannot be distinguished.
pub(super) const RELAY: &str = "relais";

/// What each event does.
pub(super) async fn read(manager: &mut Manager) -> Result<RelayConfig, ErrorReport> {
    let strings = manager.actions(&numbers()).await;
    let config = configuration(strings.map_err(|failure| failure.report)?);
    match config.events.is_empty() {
        true => Err(no_objects()),
        false => Ok(config),
    }
}

/// The numbers of all objects that hold the actions of an event.
fn numbers() -> Vec<u32> {
    NOTIFICATIONS.iter().filter_map(|known| known.actions).collect()
}

/// From the strings of actions by the number of their object, as far as the device has them.
fn configuration(strings: BTreeMap<u32, String>) -> RelayConfig {
    let events = NOTIFICATIONS.iter().filter_map(|known| {
        Some(EventActions {
            name: EventName::canonical(known.event)?,
            name_on_device: known.event.to_owned(),
            actions: split(strings.get(&known.actions?)?),
        })
    });
    RelayConfig {
        via: Via::Snmp,
        revision: None,
        is_pending: false,
        events: events.collect(),
    }
}

fn split(string: &str) -> Vec<String> {
    string.split(',').map(str::to_owned).collect()
}

/// Sets what is to be changed; where one string cannot be set, as far as possible none.
pub(super) async fn write(manager: &mut Manager, plan: &Plan, guard: &DeviceGuard) -> Result<(), Failure> {
    for (index, change) in plan.changes.iter().enumerate() {
        if let Err((report, may_be_set)) = set(manager, guard, change).await {
            let touched = &plan.changes[..index + usize::from(may_be_set)];
            return Err(undo(manager, guard, touched, report).await);
        }
    }
    Ok(())
}

/// Sets one string, if it is still as it was read.
///
/// # Errors
/// Why it was not set, and whether it may have been set all the same.
async fn set(manager: &mut Manager, guard: &DeviceGuard, change: &Change) -> Result<(), (ErrorReport, bool)> {
    let event = change.from.name.as_str();
    let of_event = |SnmpFailure { mut report, .. }| {
        report.message = format!("the actions of {event} cannot be set: {}", report.message);
        report
    };
    let now = now(manager, change).await;
    let now = now.map_err(|failure| (of_event(failure), false))?;
    if now.as_ref() != Some(&change.from.actions) {
        return Err((changed_before(event), false));
    }
    put(manager, guard, &change.to).await.map_err(|failure| {
        let may_be_set = !failure.is_refused;
        (of_event(failure), may_be_set)
    })
}

/// How the actions of an event stand; `None` where the device no longer has their string.
async fn now(manager: &mut Manager, change: &Change) -> Result<Option<Vec<String>>, SnmpFailure> {
    let strings = manager.actions(&[number(&change.from)]).await?;
    Ok(strings.values().next().map(|string| split(string)))
}

/// Sets the actions of an event. If the guard refuses it, nothing has changed.
async fn put(manager: &mut Manager, guard: &DeviceGuard, event: &EventActions) -> Result<(), SnmpFailure> {
    let permitted = guard.before_write(manager.longest_set()).await;
    let permitted = permitted.map_err(|report| SnmpFailure {
        operation: Operation::SnmpSet,
        report,
        is_refused: true,
    })?;
    let set = manager.set_actions(number(event), &event.actions.join(",")).await;
    permitted.ended(is_answered(&set));
    set
}

fn is_answered(result: &Result<(), SnmpFailure>) -> bool {
    result.as_ref().err().is_none_or(|failure| failure.is_refused)
}

fn number(event: &EventActions) -> u32 {
    let known = oids::by_event(&event.name_on_device);
    known
        .and_then(|known| known.actions)
        .expect("it was read by its number")
}

/// Has what was set take effect, by a command that is sent once. The answer may take two minutes. If the guard refuses it, what was
/// set is left: a later attempt has it applied, here or by the bridge that owns the device then.
pub(super) async fn apply(
    manager: &mut Manager,
    plan: &Plan,
    guard: &DeviceGuard,
    deadline: Instant,
    progress: &watch::Sender<Progress>,
) -> Result<(), Failure> {
    let sending = match manager.apply().await {
        Ok(sending) => sending,
        Err(failure) => return Err(undo(manager, guard, &plan.changes, failure.report).await),
    };
    let permitted = guard.before_write(APPLY_TIMEOUT).await?;
    let mut applying = Applying::begin(async move {
        let answer = sending.await;
        permitted.ended(is_answered(&answer));
        answer
    });
    progress.send_replace(Progress::Applying(plan.staged().clone(), applying.clone()));
    let answer = applying.answer().await;
    progress.send_replace(match &answer {
        Ok(()) => Progress::Applied(plan.clone()),
        Err(_) => Progress::Staged(plan.staged().clone()),
    });
    let Err(SnmpFailure {
        mut report,
        is_refused,
        ..
    }) = answer
    else {
        return Ok(());
    };
    let failure = if is_refused {
        let undoing = undo(manager, guard, &plan.changes, report.clone());
        timeout_at(deadline, undoing).await.unwrap_or_else(|_| {
            report.message.push_str(
                "; what was set could not be put back in time: it takes effect with the next change that is applied",
            );
            report.into()
        })
    } else {
        unanswered(report).into()
    };
    Err(Failure {
        is_final: true,
        ..failure
    })
}

/// Puts back what was set, and says of that in the report.
pub(super) async fn undo(
    manager: &mut Manager,
    guard: &DeviceGuard,
    touched: &[Change],
    mut report: ErrorReport,
) -> Failure {
    let left = put_back(manager, guard, touched).await;
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
    Failure {
        is_undone: left.is_empty(),
        ..report.into()
    }
}

/// Puts strings back as they were, unless somebody else has changed them meanwhile. Gives the events of those that
/// are, or may be, left.
async fn put_back<'p>(manager: &mut Manager, guard: &DeviceGuard, changes: &'p [Change]) -> Vec<&'p str> {
    for (index, change) in changes.iter().enumerate().rev() {
        let put_back = match now(manager, change).await {
            Ok(Some(now)) if actions::is_same(&now, &change.to.actions) => {
                put(manager, guard, &change.from).await
            }
            other => other.map(drop),
        };
        if put_back.is_err() {
            let left = changes[..=index].iter();
            return left.map(|change| change.from.name.as_str()).collect();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{ErrorKind, EventState, EventType, EventsChange, LastTriggered};

    /// `ntp-not-sync`, `antenna-faulty` and `normal-operation`, and what the document lists beside them.
    fn device() -> (RelayConfig, Vec<EventState>) {
        let strings = [(1, "n/a"), (2, "Email, relais,snmp"), (12, "siren")];
        let strings = strings.map(|(number, string)| (number, string.to_owned()));
        let listed = ["ntp-not-sync", "faillock-user-banned", "fan-down"].map(|event| EventState {
            name: EventName::canonical(event).unwrap(),
            name_on_device: None,
            triggered: Some(false),
            kind: EventType::Error,
            last_triggered: LastTriggered::Never,
        });
        (configuration(strings.into()), listed.into())
    }

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn names(names: &[&str]) -> BTreeSet<EventName> {
        names
            .iter()
            .filter_map(|name| EventName::canonical(name))
            .collect()
    }

    #[test]
    fn only_what_has_to_change_is_set_and_other_actions_stay() {
        let (config, listed) = device();
        assert_eq!(config.events_of(RELAY), names(&["ntp-not-sync"]));
        let replaced = EventsChange::Replace(texts(&["antenna-faulty"]));
        let desired = config.desired(RELAY, &replaced, &listed).unwrap();
        let plan = config.plan(RELAY, &desired);
        let set: Vec<_> = plan
            .changes
            .iter()
            .map(|change| (number(&change.to), change.to.actions.join(",")))
            .collect();
        assert_eq!(
            set,
            [(2, "Email,snmp".to_owned()), (12, "siren,relais".to_owned())]
        );
        assert!(config.plan(RELAY, &config.events_of(RELAY)).is_empty());
        let differing = |ntp: &str, antenna: &str| {
            let strings = [(2, ntp.to_owned()), (12, antenna.to_owned())];
            plan.differing(&configuration(strings.into()))
        };
        assert!(differing("snmp,email", "relais, Siren").is_empty());
        assert_eq!(differing("snmp,email", "siren"), names(&["antenna-faulty"]));
        assert_eq!(differing("snmp", "siren,relais"), names(&["ntp-not-sync"]));
        assert_eq!(
            plan.differing(&config),
            names(&["ntp-not-sync", "antenna-faulty"])
        );
    }

    #[test]
    fn an_event_that_cannot_be_selected_is_refused_by_name() {
        let (config, listed) = device();
        for (event, why) in [
            ("faillock-user-banned", "MIB has no object"),
            ("normal-operation", "MIB says that it switches no relay"),
            ("fan-down", "agent has no such object"),
            ("coffee-empty", "no event \"coffee-empty\""),
        ] {
            let change = EventsChange::Edit {
                add: texts(&[event, "antenna-faulty"]),
                remove: Vec::new(),
            };
            let refused = config.desired(RELAY, &change, &listed).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Rejected);
            assert!(refused.message.contains(event), "{}", refused.message);
            assert!(refused.message.contains(why), "{}", refused.message);
        }
        let near = EventsChange::Replace(texts(&["antenna-faulted"]));
        let refused = config.desired(RELAY, &near, &listed).unwrap_err();
        assert!(refused.remedy.contains("antenna-faulty"), "{}", refused.remedy);
        // It switches nothing, and so it is already unselected.
        let removed = EventsChange::Edit {
            add: Vec::new(),
            remove: texts(&["faillock-user-banned", "normal-operation"]),
        };
        assert_eq!(
            config.desired(RELAY, &removed, &listed),
            Ok(config.events_of(RELAY))
        );
    }

    #[test]
    fn each_object_belongs_to_one_event() {
        let mut all = numbers();
        let many = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), many);
        let strings = all.iter().map(|number| (*number, number.to_string()));
        let config = configuration(strings.collect());
        assert_eq!(config.events.len(), many);
        for event in config.events {
            assert_eq!(event.actions, [number(&event).to_string()]);
        }
    }
}
