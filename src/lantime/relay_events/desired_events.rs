//! What a command makes of the set of events that switch a relay, and how one is refused. Pure.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::model::{ErrorKind, ErrorReport, EventName, EventsChange};
use crate::wording::{nearest_few, quoted};

/// Most events that a refusal names, and most names that it offers for one.
const MAX_NAMED: usize = 3;

/// The events that are to be there after the change; `now` are those that are, `known` all that the device has.
///
/// # Errors
/// A refusal, when the device has no event of a name, or when one is to be both added and removed.
pub(super) fn desired(
    now: BTreeSet<EventName>,
    change: &EventsChange,
    known: &[&str],
) -> Result<BTreeSet<EventName>, ErrorReport> {
    match change {
        EventsChange::Replace(names) => canonical(names, known),
        EventsChange::Edit { add, remove } => {
            let (add, remove) = (canonical(add, known)?, canonical(remove, known)?);
            if let Some(both) = add.intersection(&remove).next() {
                return Err(refusal(
                    format!("event {both} is to be added and removed at once"),
                    "leave it out of add or of remove; spellings of older firmware count as the same event",
                ));
            }
            let all = now.into_iter().chain(add);
            Ok(all.filter(|name| !remove.contains(name)).collect())
        }
    }
}

/// The canonical names, in whatever spelling they were given.
fn canonical(names: &[String], known: &[&str]) -> Result<BTreeSet<EventName>, ErrorReport> {
    let mut found = BTreeSet::new();
    let mut unknown = Vec::new();
    for name in names {
        match EventName::canonical(name) {
            Some(event) if known.contains(&event.as_str()) => drop(found.insert(event)),
            _ => unknown.push(name),
        }
    }
    if unknown.is_empty() {
        return Ok(found);
    }
    let near = nearest(unknown.iter().map(|name| name.as_str()), known);
    let remedy = if near.is_empty() {
        "take the names of events from the device's own event topics".to_owned()
    } else {
        format!("the nearest that it has: {}", near.join(", "))
    };
    let unknown: Vec<String> = unknown.into_iter().map(|name| quoted(name)).collect();
    Err(refusal(
        format!("this device has no event {}", list(&unknown)),
        remedy,
    ))
}

/// What was probably meant by the first few of these names.
pub(super) fn nearest<'a, 'n>(names: impl Iterator<Item = &'n str>, all: &[&'a str]) -> Vec<&'a str> {
    let mut near: Vec<&str> = Vec::new();
    for name in names.take(MAX_NAMED) {
        for name in nearest_few(name, all, MAX_NAMED) {
            if !near.contains(&name) {
                near.push(name);
            }
        }
    }
    near
}

/// What cannot be, however often it is asked for.
pub(super) fn refusal(message: String, remedy: impl Into<String>) -> ErrorReport {
    ErrorReport::new(ErrorKind::Rejected, message, remedy)
}

/// The first few, and how many more there are.
pub(super) fn list(names: &[impl Display]) -> String {
    let named = names.iter().take(MAX_NAMED).map(ToString::to_string);
    let text = named.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
