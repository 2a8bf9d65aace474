//! A time in which nobody watched a device, while its task ran: the machine was suspended, or the process stood still. Pure.

use jiff::Timestamp;

use crate::model::{DeviceView, Transition};

/// The transitions to that view, with what says that nobody has watched since then: the one of the device's state, if there is
/// one.
pub(super) fn with_pause(
    mut transitions: Vec<Transition>,
    view: &DeviceView,
    since: Option<Timestamp>,
) -> Vec<Transition> {
    let (Some(since), Some(new)) = (since, view.availability) else {
        return transitions;
    };
    let of_state = transitions.iter_mut().find_map(|transition| match transition {
        Transition::Availability {
            not_observed_since, ..
        } => Some(not_observed_since),
        _ => None,
    });
    match of_state {
        Some(not_observed_since) => *not_observed_since = Some(since),
        None => transitions.push(Transition::Availability {
            old: Some(new),
            new,
            error: view.problem.as_ref().map(|problem| problem.error.kind),
            taken_over: false,
            not_observed_since: Some(since),
        }),
    }
    transitions
}
