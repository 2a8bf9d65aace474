//! The chassis part of the document: slots and the modules in them.

use super::Identity;
use super::json::{Json, object};
use super::{clock_word, quality};
use crate::simulator::action::Signal;
use crate::simulator::device_kind::{ApiGeneration, Chassis, Clock, DeviceKind, Relay, RelayModule};
use crate::simulator::world::World;

/// What kind of receiver the clocks are.
pub(super) struct Receiver {
    /// The module's model.
    pub(super) model: &'static str,
    /// The short name in references.
    pub(super) short: &'static str,
    /// The reference's type.
    pub(super) ref_type: &'static str,
    /// The oscillator's type.
    pub(super) oscillator: &'static str,
    /// The module reports satellites and an antenna.
    pub(super) satellites: bool,
}

/// DCF77 as recorded on M500 of generations 10 and 16, else satellites (whose names are assumed).
pub(super) fn receiver(kind: DeviceKind) -> Receiver {
    if kind.chassis == Chassis::M500 && kind.api != ApiGeneration::V20 {
        Receiver {
            model: "pzf511",
            short: "pzf",
            ref_type: "dcf77-pzf-receiver",
            oscillator: "tcxo",
            satellites: false,
        }
    } else {
        Receiver {
            model: "gps180",
            short: "gps",
            ref_type: "gps-receiver",
            oscillator: "ocxo-hq",
            satellites: true,
        }
    }
}

/// The chassis with all its slots.
pub(super) fn chassis(identity: &Identity, world: &World) -> Json {
    let kind = world.kind();
    object! {
        "model": kind.chassis.model(),
        "serial-number": identity.serial_number(),
        "backplane-revision": "V12",
        "firmware-image": kind.api.firmware(),
        "slot-layout": "1,9",
        "slots": slots(identity, world),
    }
}

/// Slots come in no fixed order: the devices of a fleet begin at different ones.
fn slots(identity: &Identity, world: &World) -> Vec<Json> {
    let ids: &[(&str, &str)] = match world.kind().chassis {
        Chassis::M3000 => &[
            ("pwr1", "pwr"),
            ("pwr2", "pwr"),
            ("cpu", "cpu"),
            ("clk2", "clk"),
            ("io1", "io"),
            ("io2", "io"),
            ("rsc1", "rsc"),
            ("io4", "io"),
            ("clk1", "clk"),
            ("io3", "io"),
            ("io5", "io"),
            ("io6", "io"),
            ("pwr3", "pwr"),
            ("pwr4", "pwr"),
            ("io7", "io"),
            ("io8", "io"),
        ],
        Chassis::M500 => &[
            ("pwr1", "pwr"),
            ("pwr2", "pwr"),
            ("cpu", "cpu"),
            ("clk1", "clk"),
            ("rsc1", "rsc"),
            ("io1", "io"),
            ("io2", "io"),
            ("io3", "io"),
            ("io4", "io"),
        ],
    };
    let slot = |(position, &(id, kind)): (usize, &(&'static str, &'static str))| {
        let mut entries = vec![
            ("object-id", id.into()),
            ("slot-id", id.into()),
            ("slot-type", kind.into()),
            ("slot-position", format!("0,{position},1").into()),
            ("slot-orientation", "vertical".into()),
        ];
        let module = world
            .has_power(id)
            .then(|| module(id, kind, identity, world))
            .flatten();
        entries.extend(module.map(|module| ("module", module)));
        Json::Object(entries)
    };
    let mut slots: Vec<_> = ids.iter().enumerate().map(slot).collect();
    slots.rotate_left(identity.number % ids.len());
    slots
}

/// The module in a slot, if one is fitted.
fn module(id: &'static str, kind: &str, identity: &Identity, world: &World) -> Option<Json> {
    let chassis = world.kind().chassis;
    match kind {
        "pwr" => power(id),
        "cpu" => Some(cpu(world.kind().api)),
        "clk" => chassis
            .clocks()
            .iter()
            .find(|c| c.as_str() == id)
            .map(|&c| clock(c, identity, world)),
        "rsc" if chassis.is_redundant() => Some(switch(identity, world)),
        "rsc" => Some(object! { "info": info("spt", identity, id) }),
        _ => chassis
            .relay_modules()
            .iter()
            .find(|m| m.slot == id)
            .map(|m| relay_module(m, identity, world)),
    }
}

/// `pwr1` works, `pwr2` is a module without `info`, the other slots are empty.
fn power(id: &str) -> Option<Json> {
    match id {
        "pwr1" => Some(object! {
            "power-available": true,
            "power-capacity": 50.0,
            "info": object! {
                "model": "psu", "serial-number": "", "software-revision": "", "firmware-image": "",
            },
        }),
        "pwr2" => Some(object! { "power-available": false, "power-capacity": 0.0 }),
        _ => None,
    }
}

fn cpu(api: ApiGeneration) -> Json {
    object! {
        "info": object! {
            "model": "c15g2",
            "serial-number": "N/A",
            "software-revision": api.firmware_version(),
            "firmware-image": api.firmware(),
            "sensors": object! { "temperature-1": 47.0 },
        },
    }
}

/// A module's serial number carries trailing blanks, as the device sends it.
fn info(model: &'static str, identity: &Identity, slot: &str) -> Json {
    let place = slot
        .bytes()
        .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
        % 1000;
    object! {
        "model": model,
        "serial-number": format!("{:<16}", format!("98{:07}{place:03}", identity.number)),
        "software-revision": "v1.04",
    }
}

fn clock(clock: Clock, identity: &Identity, world: &World) -> Json {
    let receiver = receiver(world.kind());
    let synchronous = world.is_synchronous(clock);
    let mut info = info(receiver.model, identity, clock.as_str());
    if let Json::Object(entries) = &mut info {
        entries.push(("sensors", object! { "temperature-1": 0.0, "temperature-2": 0.0 }));
    }
    let (source, instance) = (if receiver.satellites { "gps" } else { "pzf" }, 0);
    let id = object! { "type": source, "instance": instance };
    let settings = object! { "bias": 0.0, "precision": 0.0, "id": id };
    let mrs = object! { "object-id": "priority0", "info": object! { "settings": settings } };
    let mut entries = vec![
        ("info", info),
        ("supported-string-types", Vec::new().into()),
        ("mrs", vec![mrs].into()),
        ("sync-status", sync_status(clock, &receiver, world)),
    ];
    entries.push(if receiver.satellites {
        ("grc", grc(&receiver, world.has_antenna(clock)))
    } else {
        ("dcf77", dcf77(&receiver, synchronous, world.has_antenna(clock)))
    });
    Json::Object(entries)
}

fn sync_status(clock: Clock, receiver: &Receiver, world: &World) -> Json {
    let synchronous = world.is_synchronous(clock);
    object! {
        // Assumed: the word of the clock that is not selected.
        "clock-idx": if world.active_clock() == clock { "selected" } else { "not-selected" },
        "osc-type": receiver.oscillator,
        "est-time-quality": quality(synchronous),
        "clock-status": object! { "clock": clock_word(synchronous), "oscillator": "warmed-up" },
    }
}

/// A satellite receiver. That it has an antenna and satellites is known, the keys within the latter are assumed.
fn grc(receiver: &Receiver, antenna: bool) -> Json {
    let satellite = |number: usize| {
        object! {
            "object-id": format!("sv{number}"),
            "elevation": 10 + 7 * number,
            "azimuth": 35 * number,
            "signal-strength": 30 + number,
        }
    };
    let in_view = if antenna { 6 } else { 0 };
    object! {
        "ref-type": receiver.ref_type,
        "antenna": object! { "connected": antenna, "short-circuit": false },
        "satellites": object! {
            "satellites-in-view": in_view,
            "good-satellites": in_view,
            "list": (1..=in_view).map(satellite).collect::<Vec<_>>(),
        },
    }
}

fn dcf77(receiver: &Receiver, synchronous: bool, antenna: bool) -> Json {
    object! {
        "ref-type": receiver.ref_type,
        "type": receiver.short,
        "correlation": if synchronous && antenna { 61 } else { 0 },
        "field-strength": if antenna { 44 } else { 0 },
        "pcps": object! {
            "freer": !synchronous, "dl-enb": false, "syncd": synchronous, "dl-ann": false,
            "utc": false, "ls-ann": false, "iftm": false, "invt": false,
        },
    }
}

/// The change-over switch; its `rsc` object is assumed.
fn switch(identity: &Identity, world: &World) -> Json {
    object! {
        "info": info("rsc", identity, "rsc1"),
        "rsc": object! { "mode": world.rsc_mode().as_str(), "active": world.active_clock().as_str() },
    }
}

/// A relay module. What it reports beyond `info` is assumed: no document with one is public.
fn relay_module(module: &RelayModule, identity: &Identity, world: &World) -> Json {
    let mut entries = vec![("info", info("rel1000", identity, module.slot))];
    if world.kind().reports_relays {
        let state = |relay| {
            let position = world
                .relay(module.slot, relay)
                .expect("the module's own slot has relays");
            object! { "state": position.as_str() }
        };
        let relays = object! {
            "relay-a": state(Relay::A), "relay-b": state(Relay::B), "relay-c": state(Relay::C),
        };
        entries.push(("relays", relays));
        if !world.kind().chassis.is_redundant() {
            let input = |signal| object! { "state": if world.is_well(signal) { "ok" } else { "fail" } };
            let inputs = object! { "pps": input(Signal::Pps), "10mhz": input(Signal::TenMhz) };
            entries.push(("inputs", inputs));
        }
    }
    Json::Object(entries)
}
