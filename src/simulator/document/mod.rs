//! The status document of a simulated device: the recorded form where a device has been seen, the assumed
//! API profile where not. Names, numbers and addresses are invented. It only shows a world; it moves none.

mod bulk;
mod chassis;
pub(super) mod json;

use super::device_kind::{ApiGeneration, Clock};
use super::events::EventState;
use super::world::World;
use jiff::Timestamp;
use json::{Json, Rendered, TimeField, object};

/// What a device is called.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Its place in the fleet, from 1.
    pub(super) number: usize,
    /// `lantime-1.sim.example`.
    pub(super) hostname: String,
    /// Where its web server listens: `https://127.0.0.1:8443`.
    pub(super) url: String,
}

impl Identity {
    /// The chassis's serial number.
    pub(super) fn serial_number(&self) -> String {
        format!("9{:09}", self.number)
    }
}

/// Writes the whole document, without the keys in `missing`. Its times are still blank.
pub(super) fn render(identity: &Identity, world: &World, missing: &[String]) -> Rendered {
    let api = world.kind().api;
    let document = object! {
        "system-information": object! {
            "API Version": format!("LANTIME REST API V{}", api.api_version()),
            "version": api.firmware(),
            "serial-number": identity.serial_number(),
            "hostname": identity.hostname.clone(),
            "time-stamp": TimeField::Stamp,
            "model": world.kind().chassis.model(),
        },
        "data": object! {
            "object-id": "status",
            "rest-api": object! { "api-version": api.api_version() },
            "system": system(world),
            "notification": object! { "events": world.events.iter().map(event).collect::<Vec<_>>() },
            "network": bulk::network(identity.number),
            "services": bulk::services(identity.url.starts_with("https")),
            "chassis0": chassis::chassis(identity, world),
            "ntp": bulk::ntp(world),
            "syncmon": object! { "last-updated": "never", "nodes": Vec::new() },
            "syncteam": bulk::syncteam(),
            "chassis-xhe": bulk::chassis_xhe(world.kind().chassis),
        },
        "changes": changes(world),
        "links": object! { "self": format!("{}/api/status", identity.url) },
    };
    json::render(&document, missing)
}

/// The configuration that chooses what each event does, changes included that are not applied (assumed).
pub(super) fn configuration(identity: &Identity, world: &World) -> Vec<u8> {
    let actions = |actions: &[String]| actions.iter().cloned().map(Json::from).collect::<Vec<_>>();
    let events = world.configuration.staged();
    let events = events.map(|(name, staged)| object! { "object-id": name, "actions": actions(staged) });
    let document = object! {
        "data": object! {
            "object-id": "notification",
            "revision": world.configuration.revision(),
            "events": events.collect::<Vec<_>>(),
        },
        "changes": changes(world),
        "links": object! { "self": format!("{}/api/config/notification", identity.url) },
    };
    json::render(&document, &[]).body
}

fn changes(world: &World) -> Json {
    object! { "pending-changes": world.pending_changes() }
}

fn event(event: &EventState) -> Json {
    object! {
        "object-id": event.name,
        "type": event.kind.as_str(),
        "triggered": i32::from(event.triggered),
        "last-triggered": event.last_triggered.map_or_else(|| "never".to_owned(), seconds),
    }
}

/// A time as the device writes it: UTC without a zone, to the second.
fn seconds(at: Timestamp) -> String {
    format!("{at:.0}").trim_end_matches('Z').to_owned()
}

/// The clock's string. Only `synchronized` has been seen on a device; the other is assumed.
fn clock_word(synchronous: bool) -> &'static str {
    if synchronous {
        "synchronized"
    } else {
        "not-synchronized"
    }
}

fn system(world: &World) -> Json {
    let clock = world.active_clock();
    let synchronous = world.is_synchronous(clock);
    let mut system = object! {
        "uptime": TimeField::Uptime,
        "current-time": TimeField::Nanoseconds,
        "current-time-iso": TimeField::Milliseconds,
        "cpuload": "0.21 0.27 0.24 1/96 20311",
        "memory": "250736 kB total memory, 141312 kB free (56 %)",
        "position": "51.980000, 9.220000",
        "last-position-update": "1970-01-01 00:00:00",
        "last-config-change": 152.25,
        "sync-status": sync_status(world, clock, synchronous),
        "front-leds": front_leds(world, synchronous),
        "storage": bulk::storage(),
        "firmware": bulk::firmware(world.kind().api),
    };
    // Recorded of API 20 only.
    if let (ApiGeneration::V20, Json::Object(entries)) = (world.kind().api, &mut system) {
        entries.push(("api-last-update", TimeField::Updated.into()));
    }
    system
}

fn sync_status(world: &World, clock: Clock, synchronous: bool) -> Json {
    let receiver = chassis::receiver(world.kind());
    object! {
        "reference": format!("{}-{}", clock.as_str(), receiver.short),
        "ref-type": receiver.ref_type,
        "clock-idx": clock.index(),
        "osc-type": receiver.oscillator,
        "est-time-quality": quality(synchronous),
        "leapsecond-announced": false,
        "leapsecond-date": "",
        "clock-status": object! {
            "clock": clock_word(synchronous),
            "oscillator": "warmed-up",
            // Assumed: the word for an antenna that is off.
            "antenna": if world.has_antenna(clock) { "connected" } else { "disconnected" },
        },
        "holdover-status": object! { "time-offset": 0, "time-elapsed": 0, "tfom-out": 0 },
    }
}

/// The estimated time quality; the word for a clock that is not synchronous is assumed.
fn quality(synchronous: bool) -> &'static str {
    if synchronous { "less-than-100ns" } else { "unknown" }
}

fn front_leds(world: &World, synchronous: bool) -> Json {
    let led = |color: &'static str, on: bool| {
        object! {
            "current-color": color, "current-state": on, "current-mode": "permanent",
            "last-color": color, "last-state": on, "last-mode": "permanent",
        }
    };
    let good = |well: bool| if well { "green" } else { "red" };
    let stands = |name| world.event(name).is_some_and(|event| event.triggered);
    object! {
        "led-ref-time": led(good(synchronous), true),
        "led-time-service": led(good(!stands("ntp-not-sync")), true),
        "led-network": led(good(!stands("network-link-down")), true),
        "led-alarm": led("blue", false),
    }
}
