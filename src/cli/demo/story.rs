//! What happens in a demo, as lines for people, and how much of it there was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::output;
use crate::hub::DeviceUpdate;
use crate::model::{
    Availability, Change, DeviceId, EventName, EventState, EventType, Position, Provenance, Relay,
    RelayState, Text,
};
use crate::wording::count;

/// Turns changes into lines for people, and keeps count.
#[derive(Debug, Default)]
pub(super) struct Story {
    introduced: BTreeSet<DeviceId>,
    counts: BTreeMap<&'static str, usize>,
}

impl Story {
    /// Prints each change as it comes, with the time; ends when nobody reads any more.
    pub(super) async fn print(&mut self, mut changes: mpsc::Receiver<DeviceUpdate>) -> anyhow::Result<()> {
        while let Some(update) = changes.recv().await {
            let now = update.at.strftime("%H:%M:%S%.3fZ");
            let lines = self.lines(&update);
            let text: String = lines.iter().map(|line| format!("{now}  {line}\n")).collect();
            if !output::print(&text)? {
                return Ok(());
            }
        }
        std::future::pending().await
    }

    fn lines(&mut self, update: &DeviceUpdate) -> Vec<String> {
        let DeviceUpdate { device, changes, .. } = update;
        let is_first = changes.iter().any(|change| matches!(change, Change::Identity(_)))
            && self.introduced.insert(device.clone());
        if is_first {
            return vec![format!("{device} is online: {}", introduction(changes))];
        }
        changes
            .iter()
            .filter_map(|change| self.line(change))
            .map(|line| format!("{device} {line}"))
            .collect()
    }

    fn line(&mut self, change: &Change) -> Option<String> {
        let (kind, line) = match change {
            Change::Availability(availability) => ("device", format!("is {}", availability.as_str())),
            Change::Problem(Some(problem)) => (
                "error",
                format!(
                    "cannot be polled: {} ({})",
                    problem.error.message, problem.error.kind
                ),
            ),
            Change::Problem(None) => ("error", "answers again".to_owned()),
            Change::Event {
                name,
                old,
                new: Some(event),
                ..
            } => ("event", event_line(name, old.as_deref(), event)?),
            Change::RelayEvents {
                slot,
                relay,
                new: Some(chosen),
            } => {
                let events = chosen.events.as_ref()?.iter().map(EventName::as_str);
                let events: Vec<_> = events.collect();
                let relay = relay.as_str().to_uppercase();
                let line = format!("relay {relay} of {slot} follows {}", events.join(", "));
                ("choice of events", line)
            }
            Change::SlotState(slot, Some(state)) => ("slot", format!("slot {slot} is {}", state.as_str())),
            Change::Relay {
                slot,
                relay,
                old,
                new: Some(new),
            } => {
                let old = old.as_ref().map_or(Position::Unknown, |old| old.position);
                ("relay", format!("{slot} {}", relay_line(*relay, old, new)?))
            }
            Change::Signal {
                slot,
                signal,
                old: Some(old),
                new: Some(new),
            } if old.status != new.status => {
                let (old, new) = (old.status.as_str(), new.status.as_str());
                ("signal", format!("{slot} signal {signal}: {old} -> {new}"))
            }
            _ => return None,
        };
        *self.counts.entry(kind).or_default() += 1;
        Some(line)
    }

    /// What there was in all, in one line.
    pub(super) fn summary(&self, elapsed: Duration, polls: usize) -> String {
        let counts: Vec<_> = self
            .counts
            .iter()
            .map(|(kind, count)| format!("{count} of {kind}"))
            .collect();
        let changes = if counts.is_empty() {
            "none".to_owned()
        } else {
            counts.join(", ")
        };
        let devices = count(self.introduced.len(), "device");
        let polls = count(polls, "request");
        let seconds = elapsed.as_secs_f64();
        format!("{seconds:.0} s, {devices} online, {polls}; changes: {changes}.")
    }
}

fn event_line(name: &EventName, old: Option<&EventState>, event: &EventState) -> Option<String> {
    let before = old.and_then(|old| old.triggered);
    let what = match event.triggered {
        now if now == before => return None,
        Some(true) => "triggered",
        // Somebody has done something: that it is over is no news.
        Some(false) if before.is_some() && event.kind != EventType::Action => "cleared",
        Some(false) | None => return None,
    };
    Some(format!("event {name} {what} ({})", event.kind.as_str()))
}

fn relay_line(relay: Relay, old: Position, new: &RelayState) -> Option<String> {
    if old == new.position {
        return None;
    }
    let relay = relay.as_str().to_uppercase();
    let cause = new.cause.as_ref().map(|cause| format!(": {cause}"));
    let driver = new
        .driven_by
        .map(|driver| format!(" by {driver}{}", cause.unwrap_or_default()));
    let derived = match new.provenance {
        Provenance::Derived => ", derived",
        _ => "",
    };
    let (old, new) = (old.as_str(), new.position.as_str());
    let driver = driver.unwrap_or_default();
    Some(format!("relay {relay}: {old} -> {new}{driver}{derived}"))
}

fn introduction(changes: &[Change]) -> String {
    let mut words = Vec::new();
    for change in changes {
        match change {
            Change::Identity(identity) => {
                let known = |text: &Option<Text>| text.as_deref().unwrap_or("unknown").to_owned();
                words.push(format!(
                    "{}, firmware {}",
                    known(&identity.model),
                    known(&identity.firmware)
                ));
            }
            Change::Relay {
                slot,
                relay,
                new: Some(new),
                ..
            } => {
                let driver = new
                    .driven_by
                    .map(|driver| format!(" ({driver})"))
                    .unwrap_or_default();
                let slot = if *relay == Relay::A {
                    format!("{slot} ")
                } else {
                    String::new()
                };
                words.push(format!(
                    "{slot}{} {}{driver}",
                    relay.as_str().to_uppercase(),
                    new.position.as_str()
                ));
            }
            Change::Availability(Availability::Offline) => words.push("offline".to_owned()),
            _ => {}
        }
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LastTriggered, Via};

    fn event(name: &str, kind: EventType, old: Option<bool>, triggered: Option<bool>) -> Change {
        let name = EventName::canonical(name).expect("a name");
        let event = EventState {
            name: name.clone(),
            name_on_device: None,
            triggered,
            kind,
            last_triggered: LastTriggered::Never,
        };
        Change::Event {
            name,
            old: Some(Box::new(EventState {
                triggered: old,
                ..event.clone()
            })),
            new: Some(Box::new(event)),
            via: Via::Rest,
            recorded: false,
        }
    }

    #[test]
    fn what_is_no_news_is_not_told() {
        let mut story = Story::default();
        let (yes, no, changed) = (Some(true), Some(false), "device-configuration-changed");
        let changes = [
            event(changed, EventType::Action, no, yes),
            // The end of an action.
            event(changed, EventType::Action, yes, no),
            event("ntp-not-sync", EventType::Error, yes, no),
            // Another time at which it was last triggered.
            event("ntp-not-sync", EventType::Error, no, no),
            // The device is away, and back.
            event("ntp-not-sync", EventType::Error, no, None),
            event("ntp-not-sync", EventType::Error, None, no),
        ];
        let lines: Vec<_> = changes.iter().filter_map(|change| story.line(change)).collect();
        assert_eq!(
            lines,
            [
                "event device-configuration-changed triggered (action)",
                "event ntp-not-sync cleared (error)"
            ]
        );
        let summary = story.summary(Duration::from_secs(8), 1);
        assert_eq!(summary, "8 s, 0 devices online, 1 request; changes: 2 of event.");
    }
}
