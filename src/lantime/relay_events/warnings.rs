//! What is said beside a success: that a selection may leave a relay where it is, whatever happens.

use std::collections::BTreeSet;

use crate::model::{EventName, EventState, EventType};

/// How many events are named that would switch a relay.
const NAMED: usize = 5;
/// The types of which it is known that their events switch a relay, the most severe first.
const SWITCHING: [EventType; 3] = [EventType::Critical, EventType::Error, EventType::Warning];

/// The warnings about a selection of events that the device lists.
pub(super) fn warnings(selected: &BTreeSet<EventName>, listed: &[EventState]) -> Vec<String> {
    if selected.is_empty() {
        return vec!["no event is selected: nothing switches the relay now".to_owned()];
    }
    let is_info = |event: &&EventState| event.kind == EventType::Info && selected.contains(&event.name);
    let mut info: Vec<_> = listed
        .iter()
        .filter(is_info)
        .map(|event| event.name.as_str())
        .collect();
    if info.is_empty() {
        return Vec::new();
    }
    info.sort_unstable();
    let verb = if info.len() == 1 { "is" } else { "are" };
    let mut warning = format!(
        "{} {verb} of type info: whether an event of that type switches a relay is not known",
        info.join(", ")
    );
    let switching = switching(listed);
    if info.len() == selected.len() && !switching.is_empty() {
        warning.push_str(&format!("; these do, for instance: {}", switching.join(", ")));
    }
    vec![warning]
}

/// Some of the listed events that switch a relay.
fn switching(listed: &[EventState]) -> Vec<&str> {
    let of_kind = |kind| listed.iter().filter(move |event| event.kind == kind);
    let all = SWITCHING.into_iter().flat_map(of_kind);
    all.take(NAMED).map(|event| event.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LastTriggered;

    fn name(name: &str) -> EventName {
        EventName::canonical(name).unwrap()
    }

    fn listed() -> Vec<EventState> {
        let event = |(event, kind): (&str, EventType)| EventState {
            name: name(event),
            name_on_device: None,
            triggered: Some(false),
            kind,
            last_triggered: LastTriggered::Never,
        };
        let kinds = [
            ("ntp-sync", EventType::Info),
            ("normal-operation", EventType::Info),
            ("antenna-faulty", EventType::Warning),
            ("device-configuration-changed", EventType::Action),
            ("ntp-stopped", EventType::Critical),
            ("ntp-not-sync", EventType::Error),
        ];
        kinds.into_iter().map(event).collect()
    }

    fn of(names: &[&str]) -> Vec<String> {
        warnings(&names.iter().map(|event| name(event)).collect(), &listed())
    }

    #[test]
    fn a_selection_that_may_switch_nothing_is_warned_of() {
        assert_eq!(of(&["ntp-not-sync"]), Vec::<String>::new());
        assert_eq!(of(&[]), ["no event is selected: nothing switches the relay now"]);
        let unknown = "of type info: whether an event of that type switches a relay is not known";
        let others = "; these do, for instance: ntp-stopped, ntp-not-sync, antenna-faulty";
        assert_eq!(of(&["ntp-sync"]), [format!("ntp-sync is {unknown}{others}")]);
        let both = of(&["ntp-sync", "normal-operation"]);
        assert_eq!(
            both,
            [format!("normal-operation, ntp-sync are {unknown}{others}")]
        );
        let mixed = of(&["ntp-sync", "ntp-not-sync"]);
        assert_eq!(mixed, [format!("ntp-sync is {unknown}")]);
    }
}
