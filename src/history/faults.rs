//! What was not as it should be, from when to when: relays in NC, and devices and slots that were offline, and slots without their relay
//! module. Pure.

use jiff::Timestamp;

use super::spans::{Span, runs};
use super::{Part, Subject, Timeline, Value, Window};
use crate::model::{DeviceId, Provenance, Text};

/// A relay was in NC, or a device or slot offline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which one.
    pub subject: Subject,
    /// How it was.
    pub value: Value,
    /// The beginning, as far as it is within the window.
    pub at: Timestamp,
    /// The end, likewise.
    pub until: Timestamp,
    /// Whether it began then: not where the window begins, or nobody watched before.
    pub is_begin_known: bool,
    /// Whether it lasted at the end of the window.
    pub lasts: bool,
    /// Why, in the order in which that became known.
    pub causes: Vec<Text>,
    /// How it is known, of relays: `derived` if any of it is.
    pub provenance: Option<Provenance>,
}

/// All that was not as it should be in that window, oldest first. What was offline with its device is no fault of its own.
pub fn faults(device: &DeviceId, timeline: &Timeline, window: Window) -> Vec<Fault> {
    let of = |part, spans: &[Span], value| faults_of(&subject(device, part), spans, value, window);
    let mut all = of(None, &timeline.device, Value::Offline);
    let of_device = all.clone();
    let is_of_device = |fault: &Fault| {
        let covers = |device: &Fault| device.at <= fault.at && fault.until <= device.until;
        of_device.iter().any(covers)
    };
    for (id, slot) in &timeline.slots {
        for value in [Value::Offline, Value::Absent, Value::Mismatch] {
            let of_slot = of(Some(Part::Slot(id.clone())), &slot.state, value);
            all.extend(of_slot.into_iter().filter(|fault| !is_of_device(fault)));
        }
        for (relay, spans) in &slot.relays {
            all.extend(of(Some(Part::Relay(id.clone(), *relay)), spans, Value::Nc));
        }
    }
    all.sort_by_key(|fault| fault.at);
    all
}

fn subject(device: &DeviceId, part: Option<Part>) -> Subject {
    let device = device.clone();
    Subject { device, part }
}

/// The times in which these spans had that value.
fn faults_of(subject: &Subject, spans: &[Span], value: Value, window: Window) -> Vec<Fault> {
    let mut before = None;
    let mut all = Vec::new();
    for run in runs(spans) {
        let before = before.replace(run[0].value);
        if run[0].value == value {
            let is_begin_known = !matches!(before, None | Some(Value::NotKept | Value::NotObserved));
            all.push(fault(subject, run, is_begin_known, window));
        }
    }
    all
}

fn fault(subject: &Subject, run: &[Span], is_begin_known: bool, window: Window) -> Fault {
    let (first, last) = (&run[0], &run[run.len() - 1]);
    let mut causes: Vec<Text> = Vec::new();
    for cause in run.iter().filter_map(|span| span.cause.as_ref()) {
        if !causes.contains(cause) {
            causes.push(cause.clone());
        }
    }
    let derived = run
        .iter()
        .find(|span| span.provenance == Some(Provenance::Derived));
    Fault {
        subject: subject.clone(),
        value: first.value,
        at: first.at,
        until: last.until,
        is_begin_known,
        lasts: last.until == window.to,
        causes,
        provenance: derived.unwrap_or(first).provenance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::SlotTimeline;
    use crate::model::{Relay, SlotId};

    fn span(at: i64, until: i64, value: Value, cause: Option<&str>) -> Span {
        let second = |second| Timestamp::from_second(second).unwrap();
        Span {
            at: second(at),
            until: second(until),
            value,
            cause: cause.map(Into::into),
            provenance: None,
        }
    }

    fn plain(spans: &[(i64, i64, Value)]) -> Vec<Span> {
        let plain = spans.iter();
        plain
            .map(|(at, until, value)| span(*at, *until, *value, None))
            .collect()
    }

    fn found(timeline: &Timeline) -> Vec<Fault> {
        let second = |second| Timestamp::from_second(second).unwrap();
        let (from, to) = (second(0), second(100));
        faults(&DeviceId::new("m1").unwrap(), timeline, Window { from, to })
    }

    fn shown(faults: &[Fault]) -> Vec<String> {
        let shown = |fault: &Fault| {
            let before = if fault.is_begin_known { "" } else { "before " };
            let until = if fault.lasts {
                "..".to_owned()
            } else {
                format!("..{}", fault.until.as_second())
            };
            let (subject, value) = (&fault.subject, fault.value.as_str());
            format!(
                "{subject} {value} {before}{}{until} {}",
                fault.at.as_second(),
                fault.causes.join("+")
            )
            .trim_end()
            .to_owned()
        };
        faults.iter().map(shown).collect()
    }

    fn with_slot(device: Vec<Span>, slot: SlotTimeline) -> Timeline {
        Timeline {
            device,
            slots: [(SlotId::new("io3").unwrap(), slot)].into(),
            events: Default::default(),
        }
    }

    #[test]
    fn a_fault_is_one_whatever_its_causes_and_says_what_is_not_known_of_it() {
        let relay = vec![
            span(0, 10, Value::Nc, Some("time-not-sync")),
            span(10, 20, Value::No, None),
            span(20, 25, Value::Nc, Some("clock-not-sync")),
            span(25, 30, Value::Nc, Some("antenna-faulty")),
            Span {
                provenance: Some(Provenance::Derived),
                ..span(30, 35, Value::Nc, Some("clock-not-sync"))
            },
            span(35, 40, Value::NotObserved, None),
            span(40, 50, Value::Nc, None),
            span(50, 60, Value::Offline, None),
            span(60, 90, Value::No, None),
            span(90, 100, Value::Nc, None),
        ];
        let slot = SlotTimeline {
            relays: [(Relay::A, relay)].into(),
            ..SlotTimeline::default()
        };
        let found = found(&with_slot(Vec::new(), slot));
        assert_eq!(
            shown(&found),
            [
                "m1/io3/a NC before 0..10 time-not-sync",
                "m1/io3/a NC 20..35 clock-not-sync+antenna-faulty",
                "m1/io3/a NC before 40..50",
                "m1/io3/a NC 90..",
            ]
        );
        let provenances = found.iter().map(|fault| fault.provenance).collect::<Vec<_>>();
        assert_eq!(provenances, [None, Some(Provenance::Derived), None, None]);
    }

    #[test]
    fn a_slot_is_offline_on_its_own_or_with_its_device() {
        use Value::{Offline, Online};
        let device = plain(&[(0, 20, Online), (20, 30, Offline), (30, 100, Online)]);
        let slot = |spans| SlotTimeline {
            state: plain(spans),
            ..SlotTimeline::default()
        };
        let with_it = slot(&[(0, 20, Online), (20, 30, Offline), (30, 100, Online)]);
        let timeline = with_slot(device.clone(), with_it);
        assert_eq!(shown(&found(&timeline)), ["m1 offline 20..30"]);
        let longer = slot(&[(0, 15, Online), (15, 50, Offline), (50, 100, Online)]);
        let timeline = with_slot(device.clone(), longer);
        assert_eq!(
            shown(&found(&timeline)),
            ["m1/io3 offline 15..50", "m1 offline 20..30"]
        );
        let missing = slot(&[(0, 60, Online), (60, 70, Value::Absent), (70, 100, Online)]);
        assert_eq!(
            shown(&found(&with_slot(device, missing))),
            ["m1 offline 20..30", "m1/io3 absent 60..70"]
        );
    }
}
