//! What happens in a demo, as lines for people, and how much of it there was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::output;
use crate::hub::DeviceUpdate;
use crate::model::{
    Availability, DeviceId, DeviceTopic, DeviceView, EventName, EventState, EventType, Position, Problem,
    Provenance, Relay, RelayState, SlotId, SlotTopic, SlotView, Text,
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
        let (old, new) = (
            update.old.clone().unwrap_or_default(),
            update.new.clone().unwrap_or_default(),
        );
        let is_first = changes.contains(&DeviceTopic::Info) && self.introduced.insert(device.clone());
        if is_first {
            return vec![format!("{device} is online: {}", introduction(&new))];
        }
        let lines = changes.iter().filter_map(|change| self.line(change, &old, &new));
        lines.map(|line| format!("{device} {line}")).collect()
    }

    fn line(&mut self, change: &DeviceTopic, old: &DeviceView, new: &DeviceView) -> Option<String> {
        let (kind, line) = match change {
            DeviceTopic::State => ("device", format!("is {}", new.availability?.as_str())),
            DeviceTopic::Error => match &new.problem {
                Some(Problem { error, .. }) => (
                    "error",
                    format!("cannot be polled: {} ({})", error.message, error.kind),
                ),
                None => ("error", "answers again".to_owned()),
            },
            DeviceTopic::Event(name) => ("event", event_line(name, old.event(name), new.event(name)?)?),
            DeviceTopic::Slot(slot, below) => {
                let (old, new) = (old.slots.get(slot), new.slots.get(slot)?);
                slot_line(slot, *below, old, new)?
            }
            DeviceTopic::Info | DeviceTopic::HttpSessions | DeviceTopic::HttpStats => return None,
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

/// The kind of a change in a slot, and its line.
fn slot_line(
    slot: &SlotId,
    below: SlotTopic,
    old: Option<&SlotView>,
    new: &SlotView,
) -> Option<(&'static str, String)> {
    Some(match below {
        SlotTopic::State => ("slot", format!("slot {slot} is {}", new.state.as_str())),
        SlotTopic::RelayEvents(relay) => {
            let events = new.relay_events.get(&relay)?.events.as_ref()?;
            let events: Vec<_> = events.iter().map(EventName::as_str).collect();
            let relay = relay.as_str().to_uppercase();
            let line = format!("relay {relay} of {slot} follows {}", events.join(", "));
            ("selection of events", line)
        }
        SlotTopic::Relay(relay) => {
            let old = old.and_then(|old| old.relays.get(&relay));
            let old = old.map_or(Position::Unknown, |old| old.position);
            let line = relay_line(relay, old, new.relays.get(&relay)?)?;
            ("relay", format!("{slot} {line}"))
        }
        SlotTopic::Signal(signal) => {
            let (old, new) = (
                old?.signals.get(&signal)?.status,
                new.signals.get(&signal)?.status,
            );
            let line = format!("{slot} signal {signal}: {} -> {}", old.as_str(), new.as_str());
            ("signal", (old != new).then_some(line)?)
        }
        SlotTopic::Info => return None,
    })
}

fn introduction(view: &DeviceView) -> String {
    let known = |text: &Option<Text>| text.as_deref().unwrap_or("unknown").to_owned();
    let identity = view.identity.iter();
    let identity = identity.map(|it| format!("{}, firmware {}", known(&it.model), known(&it.firmware)));
    let relays = view.slots.iter().flat_map(|(slot, shown)| {
        let relays = shown.relays.iter();
        relays.map(move |(relay, state)| {
            let slot = if *relay == Relay::A {
                format!("{slot} ")
            } else {
                String::new()
            };
            let driver = state
                .driven_by
                .map(|driver| format!(" ({driver})"))
                .unwrap_or_default();
            format!(
                "{slot}{} {}{driver}",
                relay.as_str().to_uppercase(),
                state.position.as_str()
            )
        })
    });
    let offline = (view.availability == Some(Availability::Offline)).then(|| "offline".to_owned());
    identity
        .chain(relays)
        .chain(offline)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LastTriggered;

    /// A device whose event stands or not, or of which nobody knows.
    fn view(name: &str, kind: EventType, triggered: Option<bool>) -> DeviceView {
        let event = EventState {
            name: EventName::canonical(name).expect("a name"),
            name_on_device: None,
            triggered,
            kind,
            last_triggered: LastTriggered::Never,
        };
        DeviceView {
            events: [event].into(),
            ..DeviceView::default()
        }
    }

    #[test]
    fn what_is_no_news_is_not_reported() {
        let mut story = Story::default();
        let (yes, no, changed) = (Some(true), Some(false), "device-configuration-changed");
        let changes = [
            (changed, EventType::Action, no, yes),
            // The end of an action.
            (changed, EventType::Action, yes, no),
            ("ntp-not-sync", EventType::Error, yes, no),
            // Another time at which it was last triggered.
            ("ntp-not-sync", EventType::Error, no, no),
            // The device is offline, and back.
            ("ntp-not-sync", EventType::Error, no, None),
            ("ntp-not-sync", EventType::Error, None, no),
        ];
        let lines = changes.into_iter().filter_map(|(name, kind, old, new)| {
            let event = DeviceTopic::Event(EventName::canonical(name).expect("a name"));
            story.line(&event, &view(name, kind, old), &view(name, kind, new))
        });
        let lines: Vec<_> = lines.collect();
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
