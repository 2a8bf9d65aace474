//! The history as JSON. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::contract::{Time, to_json};
use crate::history::{Figures, SlotTimeline, Span, Timeline, Value, Window};
use crate::model::time::rfc3339;
use crate::model::{DeviceId, EventName, Provenance, Relay, Signal, SlotId};
use crate::records::store::{Found, HistoryPage};

/// A part of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Page {
    /// Newest first.
    pub(crate) entries: Vec<Row>,
    /// By this the entries that came before are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept_since: Option<String>,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) at: String,
    pub(crate) device: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<String>,
    pub(crate) old: String,
    pub(crate) new: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provenance: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) driven_by: Option<String>,
    #[serde(default, skip_serializing_if = "is_unset")]
    pub(crate) takeover: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_observed_since: Option<String>,
    /// When the same was next something else; left out where it still is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) duration_s: Option<f64>,
}

fn is_unset(mark: &bool) -> bool {
    !mark
}

impl From<&HistoryPage> for Page {
    fn from(page: &HistoryPage) -> Page {
        let last = page.entries.last().filter(|_| page.has_more);
        Page {
            entries: page.entries.iter().map(Row::from).collect(),
            next: last.map(|found| found.number.to_string()),
            kept_since: page.kept_since.map(rfc3339),
        }
    }
}

impl From<&Found> for Row {
    fn from(Found { entry, until, .. }: &Found) -> Row {
        let text = |text: &str| text.to_owned();
        let subject = &entry.subject;
        // A clock that was set back in between: nobody knows how long.
        let lasted = until.map(|until| until.duration_since(entry.at));
        let lasted = lasted.filter(|lasted| !lasted.is_negative());
        Row {
            id: entry.id.to_string(),
            at: rfc3339(entry.at),
            device: subject.device.to_string(),
            slot: subject.slot().map(SlotId::to_string),
            relay: subject.relay().map(|relay| text(relay.as_str())),
            signal: subject.signal().map(|signal| text(signal.as_str())),
            event: subject.event().map(EventName::to_string),
            old: text(entry.old.as_str()),
            new: text(entry.new.as_str()),
            cause: entry.cause.as_ref().map(|cause| text(cause)),
            provenance: entry
                .provenance
                .map(|provenance| text(provenance_name(provenance))),
            driven_by: entry.driven_by.map(|signal| text(signal.as_str())),
            takeover: entry.takeover,
            not_observed_since: entry.not_observed_since.map(rfc3339),
            until: until.map(rfc3339),
            duration_s: lasted.map(seconds),
        }
    }
}

pub(super) fn provenance_name(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Reported => "reported",
        Provenance::Derived => "derived",
        Provenance::Unknown | Provenance::Unseen => "unknown",
    }
}

/// To the millisecond.
pub(super) fn seconds(duration: SignedDuration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

/// Of what it is, and when.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    id: DeviceId,
    from: Time,
    to: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_since: Option<Time>,
}

impl Head {
    pub(super) fn of(device: &DeviceId, window: Window, kept_since: Option<Timestamp>) -> Head {
        Head {
            id: device.clone(),
            from: Time(window.from),
            to: Time(window.to),
            kept_since: kept_since.map(Time),
        }
    }
}

#[derive(Serialize)]
struct SpanJson<'a> {
    at: Time,
    until: Time,
    value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<Provenance>,
}

impl<'a> From<&'a Span> for SpanJson<'a> {
    fn from(span: &'a Span) -> SpanJson<'a> {
        SpanJson {
            at: Time(span.at),
            until: Time(span.until),
            value: span.value,
            cause: span.cause.as_deref(),
            provenance: span.provenance,
        }
    }
}

impl<'a> From<&'a SlotTimeline> for SlotJson<'a> {
    fn from(slot: &'a SlotTimeline) -> SlotJson<'a> {
        let relays = slot.relays.iter();
        let signals = slot.signals.iter();
        SlotJson {
            state: spans(&slot.state),
            relays: relays.map(|(relay, of)| (*relay, spans(of))).collect(),
            signals: signals.map(|(signal, of)| (*signal, spans(of))).collect(),
        }
    }
}

fn spans(spans: &[Span]) -> Vec<SpanJson<'_>> {
    spans.iter().map(SpanJson::from).collect()
}

#[derive(Serialize)]
struct TimelineJson<'a> {
    #[serde(flatten)]
    head: Head,
    device: Vec<SpanJson<'a>>,
    slots: BTreeMap<&'a SlotId, SlotJson<'a>>,
    events: BTreeMap<&'a EventName, Vec<SpanJson<'a>>>,
}

#[derive(Serialize)]
struct SlotJson<'a> {
    state: Vec<SpanJson<'a>>,
    relays: BTreeMap<Relay, Vec<SpanJson<'a>>>,
    signals: BTreeMap<Signal, Vec<SpanJson<'a>>>,
}

/// How a device was from when to when.
pub(super) fn timeline(head: Head, timeline: &Timeline) -> Bytes {
    let slots = timeline.slots.iter();
    let events = timeline.events.iter();
    to_json(&TimelineJson {
        head,
        device: spans(&timeline.device),
        slots: slots.map(|(id, slot)| (id, SlotJson::from(slot))).collect(),
        events: events.map(|(event, of)| (event, spans(of))).collect(),
    })
}

#[derive(Serialize)]
struct AvailabilityJson {
    #[serde(flatten)]
    head: Head,
    slots: BTreeMap<SlotId, SlotAvailability>,
}

#[derive(Serialize)]
struct SlotAvailability {
    relays: BTreeMap<Relay, RelayAvailability>,
}

#[derive(Serialize)]
struct RelayAvailability {
    #[serde(skip_serializing_if = "Option::is_none")]
    availability: Option<f64>,
    no_s: f64,
    nc_s: f64,
    unknown_s: f64,
    offline_s: f64,
    not_observed_s: f64,
    not_kept_s: f64,
    faults: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    longest_fault: Option<Fault>,
}

#[derive(Serialize)]
struct Fault {
    at: Time,
    until: Time,
    duration_s: f64,
}

/// For how long each relay of a device was how.
pub(super) fn availability(head: Head, timeline: &Timeline) -> Bytes {
    let slot = |(id, slot): (&SlotId, &SlotTimeline)| {
        let relays = slot.relays.iter();
        let relays = relays.map(|(relay, spans)| (*relay, figures(&Figures::of(spans))));
        let relays = relays.collect();
        (id.clone(), SlotAvailability { relays })
    };
    to_json(&AvailabilityJson {
        head,
        slots: timeline.slots.iter().map(slot).collect(),
    })
}

fn figures(figures: &Figures) -> RelayAvailability {
    let fault = |(at, until): (Timestamp, Timestamp)| Fault {
        at: Time(at),
        until: Time(until),
        duration_s: seconds(until.duration_since(at)),
    };
    RelayAvailability {
        availability: figures.availability(),
        no_s: seconds(figures.no),
        nc_s: seconds(figures.nc),
        unknown_s: seconds(figures.unknown),
        offline_s: seconds(figures.offline),
        not_observed_s: seconds(figures.not_observed),
        not_kept_s: seconds(figures.not_kept),
        faults: figures.faults,
        longest_fault: figures.longest_fault.map(fault),
    }
}
