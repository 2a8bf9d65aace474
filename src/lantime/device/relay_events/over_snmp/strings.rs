//! The strings of actions at the device: read, set all or none, put back.

use super::words::{changed_before, no_objects, of_event};
use crate::lantime::snmp::actions::is_same;
use crate::lantime::snmp::manager::{Manager, SnmpFailure};
use crate::lantime::snmp::relay_events::{ActionsChange, EventActions, numbers};
use crate::model::ErrorReport;

/// A string that was not set.
struct Unset {
    report: ErrorReport,
    /// Whether it may have been set all the same.
    may_be_set: bool,
}

/// Strings of which not all were set.
pub(super) struct NotSet {
    pub(super) report: ErrorReport,
    /// Whether all are as they were.
    pub(super) is_undone: bool,
}

/// What each event does.
pub(super) async fn read(manager: &mut Manager) -> Result<EventActions, SnmpFailure> {
    let read = EventActions::new(manager.actions(&numbers()).await?);
    if read.is_empty() {
        return Err(no_objects());
    }
    Ok(read)
}

/// Sets one string, if it is still as it was read.
async fn set(manager: &mut Manager, change: &ActionsChange) -> Result<(), Unset> {
    let uncertain = |failure: SnmpFailure| Unset {
        may_be_set: !failure.is_refused,
        report: of_event(failure, change.event),
    };
    let now = now(manager, change).await.map_err(|failure| Unset {
        may_be_set: false,
        ..uncertain(failure)
    })?;
    if now.as_deref() != Some(change.from.as_str()) {
        return Err(Unset {
            may_be_set: false,
            report: changed_before(change.event),
        });
    }
    let set = manager.set_actions(change.number, &change.to).await;
    set.map_err(uncertain)
}

/// How a string stands; `None` where the device no longer has it.
async fn now(manager: &mut Manager, change: &ActionsChange) -> Result<Option<String>, SnmpFailure> {
    let mut strings = manager.actions(&[change.number]).await?;
    Ok(strings.remove(&change.number))
}

/// Sets all, or as far as it can be helped none.
pub(super) async fn set_all(manager: &mut Manager, changes: &[ActionsChange]) -> Result<(), NotSet> {
    for (index, change) in changes.iter().enumerate() {
        if let Err(unset) = set(manager, change).await {
            let touched = &changes[..index + usize::from(unset.may_be_set)];
            return Err(undone(manager, touched, unset.report).await);
        }
    }
    Ok(())
}

/// Puts back what was set, and says of that in the report.
pub(super) async fn undone(
    manager: &mut Manager,
    touched: &[ActionsChange],
    mut report: ErrorReport,
) -> NotSet {
    let left = put_back(manager, touched).await;
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
async fn put_back(manager: &mut Manager, changes: &[ActionsChange]) -> Vec<&'static str> {
    for (index, change) in changes.iter().enumerate().rev() {
        let put_back = match now(manager, change).await {
            Ok(Some(now)) if is_same(&now, &change.to) => {
                manager.set_actions(change.number, &change.from).await
            }
            other => other.map(drop),
        };
        if put_back.is_err() {
            return changes[..=index].iter().map(|change| change.event).collect();
        }
    }
    Vec::new()
}
