//! Devices, their relays and signals, and how their polls went.

use std::sync::Arc;

use super::text::Kind::{Counter, Gauge, Histogram};
use super::text::{Kind, Text};
use crate::hub::{self, Fleet};
use crate::model::http_stats::BOUNDS;
use crate::model::{Availability, HttpSummary, SlotView};

const POSITIONS: (&str, &[&str]) = ("position", &["NO", "NC", "unknown"]);
const STATUSES: (&str, &[&str]) = ("status", &["ok", "fail", "absent", "unknown"]);
const SLOT_STATES: (&str, &[&str]) = ("state", &["online", "offline", "absent", "mismatch"]);

/// All families. One that has no sample now is written all the same.
pub(super) fn write(text: &mut Text, fleet: &Fleet) {
    state(text, fleet);
    polls(text, fleet);
    slots(text, fleet);
}

fn state(text: &mut Text, fleet: &Fleet) {
    each(
        text,
        fleet,
        "lantime2mqtt_device_up",
        Gauge,
        "Whether the device answers (1) or not (0); absent until the first poll has ended.",
        |text, name, id, device| {
            if let Some(availability) = device.view.availability {
                let is_up = availability == Availability::Online;
                text.sample(name, &[("device", id)], u8::from(is_up));
            }
        },
    );
    each(
        text,
        fleet,
        "lantime2mqtt_device_info",
        Gauge,
        "What the device reports about itself; always 1.",
        |text, name, id, device| {
            let Some(identity) = &device.view.identity else {
                return;
            };
            let word = |field: &Option<crate::model::Text>| field.as_deref().unwrap_or_default().to_owned();
            let labels = [
                ("model", word(&identity.model)),
                ("serial_number", word(&identity.serial_number)),
                ("firmware", word(&identity.firmware)),
            ];
            let labels = labels.iter().map(|(label, value)| (*label, value.as_str()));
            let labels: Vec<_> = [("device", id)].into_iter().chain(labels).collect();
            text.sample(name, &labels, 1);
        },
    );
    each(
        text,
        fleet,
        "lantime2mqtt_device_place_info",
        Gauge,
        "What the configuration says of the device; always 1, absent where it says nothing.",
        |text, name, id, device| {
            let place = &device.view.place;
            if !place.is_empty() {
                let word =
                    |field: &Option<crate::model::Text>| field.as_deref().unwrap_or_default().to_owned();
                let (label, site) = (word(&place.label), word(&place.site));
                text.sample(name, &[("device", id), ("label", &label), ("site", &site)], 1);
            }
        },
    );
    each(
        text,
        fleet,
        "lantime2mqtt_event_triggered",
        Gauge,
        "Whether the notification event is triggered (1) or not (0); absent while that is not known.",
        |text, name, id, device| {
            for event in device.view.events.iter() {
                if let Some(triggered) = event.triggered {
                    let labels = [
                        ("device", id),
                        ("event", event.name.as_str()),
                        ("type", event.kind.as_str()),
                    ];
                    text.sample(name, &labels, u8::from(triggered));
                }
            }
        },
    );
    each(
        text,
        fleet,
        "lantime2mqtt_device_error",
        Gauge,
        "The error that stands on the device now, by kind; always 1, absent without an error.",
        |text, name, id, device| {
            if let Some(problem) = &device.view.problem {
                let labels = [("device", id), ("kind", problem.error.kind.as_str())];
                text.sample(name, &labels, 1);
            }
        },
    );
}

fn polls(text: &mut Text, fleet: &Fleet) {
    let mut each = |name, kind, help, write: fn(&mut Text, &str, &str, &HttpSummary)| {
        each(text, fleet, name, kind, help, |text, name, id, device| {
            if let Some(http) = &device.http {
                write(text, name, id, http);
            }
        });
    };
    each(
        "lantime2mqtt_device_polls_total",
        Counter,
        "Polls of the device over REST; at most 10 s old, as all that is counted of polls.",
        |text, name, id, http| text.sample(name, &[("device", id)], http.polls),
    );
    each(
        "lantime2mqtt_device_poll_failures_total",
        Counter,
        "Polls that gave no usable document, by the kind of error.",
        |text, name, id, http| {
            for (kind, count) in &http.failures_by_kind {
                text.sample(name, &[("device", id), ("kind", kind.as_str())], count);
            }
        },
    );
    each(
        "lantime2mqtt_device_last_success_timestamp_seconds",
        Gauge,
        "When a poll last gave a usable document, since the Unix epoch.",
        |text, name, id, http| {
            if let Some(at) = http.last_success {
                text.sample(name, &[("device", id)], at.as_duration().as_secs_f64());
            }
        },
    );
    each(
        "lantime2mqtt_device_round_trip_seconds",
        Histogram,
        "Time from a request to the last byte of its answer, of polls that gave a usable document.",
        |text, name, id, http| histogram(text, name, id, &http.histogram),
    );
}

fn histogram(text: &mut Text, name: &str, id: &str, histogram: &crate::model::http_stats::Histogram) {
    let bucket = format!("{name}_bucket");
    let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
    let mut total = 0;
    for (bound, count) in bounds.zip(&histogram.counts) {
        total += count;
        text.sample(&bucket, &[("device", id), ("le", &bound)], total);
    }
    let sum = histogram.sum.as_secs_f64();
    text.sample(&format!("{name}_sum"), &[("device", id)], sum);
    text.sample(&format!("{name}_count"), &[("device", id)], total);
}

fn slots(text: &mut Text, fleet: &Fleet) {
    let mut each = |name, help, write: fn(&mut Text, &str, [(&str, &str); 2], &SlotView)| {
        each(text, fleet, name, Gauge, help, |text, name, id, device| {
            for (slot_id, slot) in &device.view.slots {
                write(text, name, [("device", id), ("slot", slot_id.as_str())], slot);
            }
        });
    };
    each(
        "lantime2mqtt_slot_state",
        "The state of the slot: 1 for the one that it is in, 0 for the others.",
        |text, name, labels, slot| {
            text.states(name, &labels, SLOT_STATES, slot.state.as_str());
        },
    );
    each(
        "lantime2mqtt_relay_fault",
        "Whether the relay stands in NC, which is a fault (1), or in NO (0); absent while that is not known.",
        |text, name, [device, slot_id], slot| {
            for (relay, state) in &slot.relays {
                if let Some(fault) = state.position.fault() {
                    let labels = [device, slot_id, ("relay", relay.as_str())];
                    text.sample(name, &labels, u8::from(fault));
                }
            }
        },
    );
    each(
        "lantime2mqtt_relay_position",
        "The position of the relay: 1 for the one that it is in, 0 for the others.",
        |text, name, [device, slot_id], slot| {
            for (relay, state) in &slot.relays {
                let labels = [device, slot_id, ("relay", relay.as_str())];
                text.states(name, &labels, POSITIONS, state.position.as_str());
            }
        },
    );
    each(
        "lantime2mqtt_relay_unknown",
        "Why the position of the relay is unknown; always 1, absent while it is known.",
        |text, name, [device, slot_id], slot| {
            for (relay, state) in &slot.relays {
                if let Some(reason) = state.unknown_reason {
                    let relay = ("relay", relay.as_str());
                    let labels = [device, slot_id, relay, ("reason", reason.as_str())];
                    text.sample(name, &labels, 1);
                }
            }
        },
    );
    each(
        "lantime2mqtt_relay_stale",
        "The last poll failed, and the position is of the one before; always 1, absent otherwise.",
        |text, name, [device, slot_id], slot| {
            for (relay, _) in slot.relays.iter().filter(|(_, state)| state.stale) {
                text.sample(name, &[device, slot_id, ("relay", relay.as_str())], 1);
            }
        },
    );
    each(
        "lantime2mqtt_signal_status",
        "The status of the signal: 1 for the one that it has, 0 for the others.",
        |text, name, [device, slot_id], slot| {
            for (signal, state) in &slot.signals {
                let labels = [device, slot_id, ("signal", signal.as_str())];
                text.states(name, &labels, STATUSES, state.status.as_str());
            }
        },
    );
}

/// A family, and what `write` makes of each device.
fn each(
    text: &mut Text,
    fleet: &Fleet,
    name: &str,
    kind: Kind,
    help: &str,
    mut write: impl FnMut(&mut Text, &str, &str, &Arc<hub::Device>),
) {
    text.family(name, kind, help);
    for (id, device) in &fleet.devices {
        write(text, name, id.as_str(), device);
    }
}
