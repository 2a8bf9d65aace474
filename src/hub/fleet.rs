//! All devices as they are published now, for those who look instead of following each change.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::DeviceUpdate;
use crate::model::{DeviceId, DeviceView, ErrorKind, HttpSessions, HttpSummary, Transition, Update};

/// All configured devices. A copy is cheap: devices are shared until they change.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// Counts changes of devices; how their polls went does not count.
    pub version: u64,
    /// The version in which a device last came or left.
    pub roster: u64,
    /// The devices, by id.
    pub devices: BTreeMap<DeviceId, Arc<Device>>,
    /// Of all devices, those included that have left.
    pub polls: Polls,
}

/// A device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Device {
    /// The version of the [`Fleet`] in which its view last changed.
    pub version: u64,
    /// As it is published.
    pub view: Arc<DeviceView>,
    /// How its polls went; at most 10 s old.
    pub http: Option<HttpSummary>,
    /// The log of its HTTP sessions; at most 10 s old.
    pub sessions: Option<HttpSessions>,
    /// Since it was configured; [`HttpSummary`] begins at 0 with each change of its configuration.
    pub polls: Polls,
    /// When a poll last succeeded, and its round trip in milliseconds.
    pub last_poll: Option<(Timestamp, f64)>,
    /// The kind of the last error, whether it stands or not.
    pub last_error: Option<ErrorKind>,
}

/// Counts of polls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Polls {
    /// All of them.
    pub all: u64,
    /// Those without a usable document.
    pub failed: u64,
}

impl Fleet {
    /// The configured devices, of which nothing is known yet.
    pub fn new(devices: impl IntoIterator<Item = DeviceId>) -> Fleet {
        let devices = devices.into_iter();
        Fleet {
            devices: devices.map(|device| (device, Arc::default())).collect(),
            ..Fleet::default()
        }
    }

    /// Takes an update in; gives what sinks are to get of it. How polls went is not among that: it changes with each of
    /// them, and who shows it looks.
    pub fn apply(&mut self, update: &Update, at: Timestamp) -> Vec<DeviceUpdate> {
        match update {
            Update::Device {
                device,
                view,
                changes,
                transitions,
                ..
            } => vec![DeviceUpdate {
                changes: changes.as_slice().into(),
                transitions: without_events(transitions),
                ..self.show(device, view, at)
            }],
            Update::Forgotten { device } => {
                let forgotten = self.show(device, &Arc::default(), at);
                self.with(device, |device| {
                    *device = Device {
                        version: device.version,
                        ..Device::default()
                    };
                });
                vec![forgotten]
            }
            Update::Removed { device } => {
                let Some(removed) = self.devices.remove(device) else {
                    return Vec::new();
                };
                self.version += 1;
                self.roster = self.version;
                vec![DeviceUpdate::new(device, Some(removed.view.clone()), None, at)]
            }
            Update::Configured(devices) => {
                let new = devices
                    .iter()
                    .filter(|device| !self.devices.contains_key(*device));
                let new: Vec<_> = new.cloned().collect();
                new.iter()
                    .map(|device| self.show(device, &Arc::default(), at))
                    .collect()
            }
            Update::HttpStats { device, summary } => {
                self.count(device, summary);
                Vec::new()
            }
            Update::HttpSessions { device, log } => {
                self.with(device, |device| device.sessions = Some(log.clone()));
                Vec::new()
            }
            Update::DeadLetter(_) | Update::Incident(_) | Update::Settled { .. } => Vec::new(),
        }
    }

    fn with<T>(&mut self, id: &DeviceId, change: impl FnOnce(&mut Device) -> T) -> Option<T> {
        self.devices
            .get_mut(id)
            .map(|device| change(Arc::make_mut(device)))
    }

    /// Shows a device so from now on.
    fn show(&mut self, id: &DeviceId, view: &Arc<DeviceView>, at: Timestamp) -> DeviceUpdate {
        self.version += 1;
        let old = self.devices.get(id).map(|device| Arc::clone(&device.view));
        if old.is_none() {
            self.roster = self.version;
        }
        let device = Arc::make_mut(self.devices.entry(id.clone()).or_default());
        device.version = self.version;
        device.view = Arc::clone(view);
        let error = view.problem.as_ref().map(|problem| problem.error.kind);
        device.last_error = error.or(device.last_error);
        DeviceUpdate::new(id, old, Some(view), at)
    }

    fn count(&mut self, id: &DeviceId, summary: &HttpSummary) {
        let more = self.with(id, |device| {
            let before = device
                .http
                .as_ref()
                .filter(|before| before.polls <= summary.polls);
            let (all, failed) = before.map_or((0, 0), |before| (before.polls, before.failures));
            let more = Polls {
                all: summary.polls - all,
                failed: summary.failures.saturating_sub(failed),
            };
            device.polls.add(more);
            let success = summary.last_success.zip(summary.round_trip);
            device.last_poll = success.map(|(at, times)| (at, times.last)).or(device.last_poll);
            device.http = Some(summary.clone());
            more
        });
        self.polls.add(more.unwrap_or_default());
    }
}

/// What sinks get of the transitions: no sink reports events, and those must not take the place of others.
fn without_events(transitions: &[Transition]) -> Arc<[Transition]> {
    let is_kept = |transition: &&Transition| !matches!(transition, Transition::Event { .. });
    transitions.iter().filter(is_kept).cloned().collect()
}

impl Polls {
    fn add(&mut self, more: Polls) {
        self.all += more.all;
        self.failed += more.failed;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{
        Availability, DeviceTopic, EventName, EventState, EventType, HttpStats, LastTriggered, Via,
    };

    fn id(id: &str) -> DeviceId {
        DeviceId::new(id).unwrap()
    }

    /// Whether sinks get something.
    fn apply(fleet: &mut Fleet, update: &Update) -> bool {
        !fleet.apply(update, Timestamp::UNIX_EPOCH).is_empty()
    }

    fn online(name: &str) -> Update {
        let view = DeviceView {
            availability: Some(Availability::Online),
            ..DeviceView::default()
        };
        Update::Device {
            device: id(name),
            view: Arc::new(view),
            changes: vec![DeviceTopic::State],
            transitions: Vec::new(),
            recorded: None,
        }
    }

    #[test]
    fn devices_that_come_and_leave_are_a_new_roster() {
        let mut fleet = Fleet::new([id("m1")]);
        apply(&mut fleet, &online("m1"));
        let before = fleet.clone();
        apply(&mut fleet, &online("m2"));
        assert_eq!(fleet.roster, 2);
        assert!(apply(&mut fleet, &Update::Removed { device: id("m1") }));
        assert!(!apply(&mut fleet, &Update::Removed { device: id("m1") }));
        assert_eq!((fleet.roster, fleet.devices.len()), (3, 1));
        assert_eq!(before.devices.len(), 1, "a copy stays as it was");
        let configured = Update::Configured(vec![id("m2"), id("m3")]);
        assert!(apply(&mut fleet, &configured));
        assert!(!apply(&mut fleet, &configured));
        assert_eq!((fleet.roster, fleet.devices.len()), (4, 2));
        assert_eq!(fleet.devices[&id("m3")].view.availability, None, "not asked yet");
    }

    #[test]
    fn a_sink_gets_what_there_was_and_what_there_is() {
        let mut fleet = Fleet::new([id("m1")]);
        let mut apply = |update: &Update| fleet.apply(update, Timestamp::UNIX_EPOCH).remove(0);
        let Update::Device { view, .. } = online("m1") else {
            unreachable!()
        };
        let first = apply(&online("m1"));
        assert_eq!((first.old, first.new), (Some(Arc::default()), Some(view.clone())));
        let forgotten = apply(&Update::Forgotten { device: id("m1") });
        assert_eq!(
            (forgotten.old, forgotten.new),
            (Some(view.clone()), Some(Arc::default()))
        );
        let comes = apply(&online("m2"));
        assert_eq!((comes.old, comes.new), (None, Some(view.clone())));
        let leaves = apply(&Update::Removed { device: id("m2") });
        assert_eq!((leaves.old, leaves.new), (Some(view), None));
    }

    #[test]
    fn a_sink_gets_no_events() {
        let moved = Transition::Availability {
            old: Some(Availability::Offline),
            new: Availability::Online,
            error: None,
            taken_over: false,
            not_observed_since: None,
        };
        let event = Transition::Event {
            event: EventState {
                name: EventName::canonical("ntp-not-sync").unwrap(),
                name_on_device: None,
                triggered: Some(true),
                kind: EventType::Error,
                last_triggered: LastTriggered::Never,
            },
            triggered: true,
            via: Via::Rest,
        };
        let mut update = online("m1");
        if let Update::Device { transitions, .. } = &mut update {
            *transitions = vec![event.clone(), moved.clone(), event];
        }
        let changed = Fleet::new([id("m1")]).apply(&update, Timestamp::UNIX_EPOCH);
        assert_eq!(*changed[0].transitions, [moved]);
    }

    #[test]
    fn how_polls_went_is_there_for_those_who_look() {
        let mut fleet = Fleet::new([id("m1")]);
        let summary = HttpStats::default().summary();
        let update = Update::HttpStats {
            device: id("m1"),
            summary: summary.clone().into(),
        };
        assert!(!apply(&mut fleet, &update));
        assert_eq!(fleet.version, 0);
        assert_eq!(fleet.devices[&id("m1")].http, Some(summary));
    }

    #[test]
    fn polls_are_counted_on_when_another_task_takes_over() {
        let mut fleet = Fleet::new([id("m1")]);
        let at = Timestamp::from_second(60).unwrap();
        for (good, bad) in [(10, 2), (15, 2), (3, 1), (0, 1)] {
            let mut stats = HttpStats::default();
            (0..bad).for_each(|_| stats.failed(ErrorKind::Timeout));
            (0..good).for_each(|_| stats.succeeded(Duration::from_millis(7), at));
            let (device, summary) = (id("m1"), stats.summary());
            apply(
                &mut fleet,
                &Update::HttpStats {
                    device,
                    summary: summary.into(),
                },
            );
        }
        let device = &fleet.devices[&id("m1")];
        assert_eq!((device.polls.all, device.polls.failed), (17 + 4 + 1, 2 + 1 + 1));
        assert_eq!((fleet.polls.all, fleet.polls.failed), (22, 4));
        assert_eq!(device.last_poll, Some((at, 7.0)));
        apply(&mut fleet, &Update::Removed { device: id("m1") });
        assert_eq!(fleet.polls.all, 22, "what was counted stays counted");
    }

    #[test]
    fn a_device_that_is_forgotten_is_still_there() {
        let mut fleet = Fleet::new([id("m1")]);
        apply(&mut fleet, &online("m1"));
        assert!(apply(&mut fleet, &Update::Forgotten { device: id("m1") }));
        let shown = &fleet.devices[&id("m1")];
        assert_eq!((shown.view.availability, shown.version), (None, 2));
        assert_eq!(fleet.roster, 0, "it has neither come nor left");
    }
}
