//! The notification events of a device: which exist in which API generation, and what firing or clearing
//! one does to its counterparts. Not here: what makes the world fire them.

use super::action::ActionError;
use super::device_kind::{ApiGeneration, DeviceKind};
use jiff::Timestamp;

/// An event's type as the device writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// Good news; never moves a relay.
    Info,
    /// Something was done.
    Action,
    /// A warning.
    Warning,
    /// An error.
    Error,
    /// A critical error.
    Critical,
}

impl EventType {
    /// The word in the document: `info`, `action`, `warning`, `error`, `critical`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Action => "action",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// Where an event exists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Since {
    Always,
    /// Generations 10 and 16. For 16 this is assumed: no list of its events is public.
    UpTo16,
    From20,
    /// Chassis with two clocks, any generation; the names are assumed from those of clock 1.
    Redundant,
}

type Entry = (&'static str, EventType, Since, &'static [&'static str]);

use EventType::{Action, Critical, Error, Info, Warning};
use Since::{Always, From20, Redundant, UpTo16};

/// Name, type, where it exists, and which events it clears; in the order of the document.
const CATALOGUE: &[Entry] = &[
    ("normal-operation", Info, Always, &[]),
    ("ntp-not-sync", Error, Always, &[]),
    ("ntp-sync", Info, Always, &["ntp-not-sync"]),
    ("ntp-stopped", Critical, Always, &[]),
    ("ntp-offset-limit-exceeded", Error, Always, &[]),
    (
        "ntp-offset-limit-ok",
        Info,
        Always,
        &["ntp-offset-limit-exceeded"],
    ),
    ("system-reboot", Action, Always, &[]),
    ("refclock-1-not-responding", Critical, Always, &[]),
    (
        "refclock-1-not-sync",
        Error,
        Always,
        &["refclock-1-not-responding"],
    ),
    (
        "refclock-1-sync",
        Info,
        Always,
        &["refclock-1-not-sync", "refclock-1-not-responding"],
    ),
    ("refclock-2-not-responding", Critical, Redundant, &[]),
    (
        "refclock-2-not-sync",
        Error,
        Redundant,
        &["refclock-2-not-responding"],
    ),
    (
        "refclock-2-sync",
        Info,
        Redundant,
        &["refclock-2-not-sync", "refclock-2-not-responding"],
    ),
    ("antenna-faulty", Error, Always, &[]),
    ("antenna-reconnect", Info, Always, &["antenna-faulty"]),
    ("antenna-short-circuit", Error, From20, &[]),
    ("device-configuration-changed", Action, Always, &[]),
    ("leap-second-announced", Info, UpTo16, &[]),
    ("leapsecond-announced", Info, From20, &[]),
    ("sync-monitor", Action, Always, &[]),
    ("sync-monitor-alert", Error, Always, &[]),
    ("sync-monitor-ok", Info, Always, &["sync-monitor-alert"]),
    ("network-link-down", Error, Always, &[]),
    ("network-link-up", Info, Always, &["network-link-down"]),
    ("low-system-resources", Warning, Always, &[]),
    (
        "sufficient-system-resources",
        Info,
        Always,
        &["low-system-resources"],
    ),
    ("https-certificate-expired", Error, Always, &[]),
    ("https-certificate-expire-warning", Warning, Always, &[]),
    ("self-signed-https-certificate-in-use", Warning, Always, &[]),
    ("oscillator-adjusted", Info, From20, &["oscillator-not-adjusted"]),
    ("oscillator-not-adjusted", Warning, From20, &[]),
    ("cluster-master-changed", Info, Always, &[]),
    ("cluster-falseticker-detected", Warning, Always, &[]),
    (
        "cluster-falseticker-cleared",
        Info,
        Always,
        &["cluster-falseticker-detected"],
    ),
    ("faillock:-user-banned", Action, UpTo16, &[]),
    ("faillock-user-banned", Action, From20, &[]),
    ("auto-update-avail", Info, From20, &[]),
    ("auto-update-installed", Info, From20, &[]),
    ("auto-update-failed", Error, From20, &[]),
];

/// Whether an event exists on that kind of device.
fn exists(since: Since, kind: DeviceKind) -> bool {
    match since {
        Always => true,
        UpTo16 => kind.api < ApiGeneration::V20,
        From20 => kind.api == ApiGeneration::V20,
        Redundant => kind.chassis.is_redundant(),
    }
}

/// One event and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventState {
    /// The name as this API generation writes it.
    pub name: &'static str,
    /// Its type.
    pub kind: EventType,
    /// Whether it is triggered now.
    pub triggered: bool,
    /// When it was triggered last; `None` is written as `never`.
    pub last_triggered: Option<Timestamp>,
    clears: &'static [&'static str],
}

/// All events of one device, in the order of its document.
#[derive(Clone, Debug)]
pub(super) struct Events(Vec<EventState>);

impl Events {
    /// The events of that kind of device, none of them ever triggered.
    pub(super) fn new(kind: DeviceKind) -> Self {
        let states = CATALOGUE
            .iter()
            .filter(|(_, _, since, _)| exists(*since, kind))
            .map(|&(name, kind, _, clears)| EventState {
                name,
                kind,
                triggered: false,
                last_triggered: None,
                clears,
            });
        Self(states.collect())
    }

    /// All of them, in the document's order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &EventState> {
        self.0.iter()
    }

    /// One by name, in this or another generation's spelling.
    pub(super) fn find(&self, name: &str) -> Option<&EventState> {
        self.0.iter().find(|event| same(event.name, name))
    }

    /// The name of one, which may be written in another generation's spelling.
    pub(super) fn name_of(&self, name: &str) -> Result<&'static str, ActionError> {
        let found = self.find(name).map(|event| event.name);
        found.ok_or_else(|| ActionError::NoEvent(name.to_owned()))
    }

    /// Triggers an event now: what it clears goes out, and so does the good news that it contradicts.
    /// `false` when the device has no such event.
    pub(super) fn fire(&mut self, name: &str, now: Timestamp) -> bool {
        let Some(fired) = self.find(name).map(|event| (event.name, event.clears)) else {
            return false;
        };
        for event in &mut self.0 {
            if event.name == fired.0 {
                event.triggered = true;
                event.last_triggered = Some(now);
            } else if fired.1.contains(&event.name)
                || (event.kind == EventType::Info && event.clears.contains(&fired.0))
            {
                event.triggered = false;
            }
        }
        true
    }

    /// Clears an event now; the good news that clears it is triggered once nothing contradicts it.
    /// `false` when the device has no such event.
    pub(super) fn clear(&mut self, name: &str, now: Timestamp) -> bool {
        if !self.extinguish(name) {
            return false;
        }
        let good_news: Vec<_> = self
            .0
            .iter()
            .filter(|event| event.kind == EventType::Info && event.clears.iter().any(|c| same(c, name)))
            .filter(|event| {
                !event
                    .clears
                    .iter()
                    .any(|c| self.find(c).is_some_and(|e| e.triggered))
            })
            .map(|event| event.name)
            .collect();
        for name in good_news {
            self.fire(name, now);
        }
        true
    }

    /// Takes an event back without any good news. `false` when the device has no such event.
    pub(super) fn extinguish(&mut self, name: &str) -> bool {
        let found = self.0.iter_mut().find(|event| same(event.name, name));
        found.map(|event| event.triggered = false).is_some()
    }

    /// Notes that an event happened at that time without standing now, as a reboot does.
    pub(super) fn note(&mut self, name: &str, at: Timestamp) {
        if let Some(event) = self.0.iter_mut().find(|event| event.name == name) {
            event.last_triggered = Some(at);
        }
    }
}

/// Whether two spellings mean the same event: generations differ in `leap-second-announced` and
/// `faillock:-user-banned`.
fn same(a: &str, b: &str) -> bool {
    fn canonical(name: &str) -> &str {
        match name {
            "leapsecond-announced" => "leap-second-announced",
            "faillock:-user-banned" => "faillock-user-banned",
            other => other,
        }
    }
    canonical(a) == canonical(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::device_kind::Chassis;

    fn names(chassis: Chassis, api: ApiGeneration) -> Vec<&'static str> {
        Events::new(DeviceKind::new(chassis, api))
            .iter()
            .map(|event| event.name)
            .collect()
    }

    #[test]
    fn each_generation_has_its_own_names() {
        let old = names(Chassis::M500, ApiGeneration::V10);
        let new = names(Chassis::M500, ApiGeneration::V20);
        assert_eq!((old.len(), new.len()), (28, 34));
        assert!(old.contains(&"faillock:-user-banned") && old.contains(&"leap-second-announced"));
        assert!(new.contains(&"faillock-user-banned") && new.contains(&"leapsecond-announced"));
        assert_eq!(old, names(Chassis::M500, ApiGeneration::V16));
        assert_eq!(names(Chassis::M3000, ApiGeneration::V10).len(), 31);
    }

    #[test]
    fn good_news_and_bad_news_exclude_each_other() {
        let now = Timestamp::UNIX_EPOCH;
        let mut events = Events::new(DeviceKind::new(Chassis::M500, ApiGeneration::V10));
        let triggered = |events: &Events, name| events.find(name).is_some_and(|e| e.triggered);
        assert!(events.fire("network-link-up", now));
        assert!(events.fire("network-link-down", now));
        assert!(triggered(&events, "network-link-down") && !triggered(&events, "network-link-up"));
        assert!(events.clear("network-link-down", now));
        assert!(!triggered(&events, "network-link-down") && triggered(&events, "network-link-up"));
        assert!(events.fire("faillock-user-banned", now) && triggered(&events, "faillock:-user-banned"));
        assert!(!events.fire("coffee-empty", now) && !events.clear("coffee-empty", now));
    }
}
