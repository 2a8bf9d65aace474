//! The objects that a simulated device serves, and their values. They show the same world as the status document.

use async_snmp::handler::OidTable;
use async_snmp::{Oid, Value};
use jiff::Timestamp;

use super::{mib, mib_actions};
use crate::simulator::device_kind::{ApiGeneration, Chassis, Clock, DeviceKind};
use crate::simulator::document::Identity;
use crate::simulator::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Description,
    Identification,
    UpTime,
    Name,
    Firmware,
    SerialNumber,
    NumberOfRefclocks,
    Refclock(Column, Clock),
    NtpState,
    /// The actions of an event, by its name on this device.
    Actions(&'static str),
    Execute,
}

/// A column of the table of clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Type = 2,
    Usage = 3,
    State = 4,
    Substate = 5,
}

/// The system group.
pub(super) fn system() -> OidTable<Object> {
    let scalar = |number: u32| mib::system().child(number).child(0);
    [
        (scalar(1), Object::Description),
        (scalar(2), Object::Identification),
        (scalar(3), Object::UpTime),
        (mib::sys_name(), Object::Name),
    ]
    .into_iter()
    .collect()
}

/// The vendor's objects, for the events and clocks that this device has.
pub(super) fn vendor(world: &World) -> OidTable<Object> {
    let status = |group: u32, number: u32| mib::vendor().child(0).child(group).child(number).child(0);
    let mut objects: OidTable<Object> = [
        (status(0, 2), Object::Firmware),
        (status(0, 3), Object::SerialNumber),
        (status(1, 1), Object::NumberOfRefclocks),
        (status(2, 1), Object::NtpState),
        (mib::execute(), Object::Execute),
    ]
    .into_iter()
    .collect();
    for &clock in world.kind().chassis.clocks() {
        for column in [Column::Type, Column::Usage, Column::State, Column::Substate] {
            objects.insert(refclock(column, clock), Object::Refclock(column, clock));
        }
    }
    for (event, _) in world.configuration.staged() {
        if let Some(oid) = mib::actions(event) {
            objects.insert(oid, Object::Actions(event));
        }
    }
    objects
}

fn refclock(column: Column, clock: Clock) -> Oid {
    let index = clock.index() as u32 + 1;
    mib::refclock_entry().child(column as u32).child(index)
}

/// An object's value as of `now`.
pub(super) fn value(object: Object, who: &Identity, world: &World, now: Timestamp) -> Value {
    let kind = world.kind();
    match object {
        // Assumed, as the object id is: no walk of a device is public.
        Object::Description => format!(
            "Meinberg LANTIME {} {}",
            kind.chassis.model(),
            kind.api.firmware()
        )
        .into(),
        Object::Identification => Value::ObjectIdentifier(mib::vendor()),
        Object::UpTime => Value::TimeTicks(uptime(world, now)),
        Object::Name => who.hostname.as_str().into(),
        // Assumed: written as over REST.
        Object::Firmware => kind.api.firmware().into(),
        Object::SerialNumber => who.serial_number().into(),
        Object::NumberOfRefclocks => Value::Gauge32(powered(world).count() as u32),
        Object::Refclock(column, clock) => Value::Integer(refclock_value(column, clock, world)),
        Object::NtpState => Value::Integer(if is_any_synchronous(world) { 2 } else { 1 }),
        Object::Actions(event) => mib_actions::write(world.configuration.actions(event)).into(),
        Object::Execute => Value::Integer(0),
    }
}

/// Hundredths of a second since the device was started.
pub(super) fn uptime(world: &World, now: Timestamp) -> u32 {
    let hundredths = now.duration_since(world.booted_at()).as_millis() / 10;
    // It wraps after 497 days.
    (hundredths.max(0) % (i128::from(u32::MAX) + 1)) as u32
}

fn powered(world: &World) -> impl Iterator<Item = Clock> {
    let clocks = world.kind().chassis.clocks().iter().copied();
    clocks.filter(|clock| world.has_power(clock.as_str()))
}

/// The NTP server has a reference as long as one clock is synchronous.
fn is_any_synchronous(world: &World) -> bool {
    powered(world).any(|clock| world.is_synchronous(clock))
}

/// Assumed: a clock without power keeps its row, in which nothing is available.
fn refclock_value(column: Column, clock: Clock, world: &World) -> i32 {
    if !world.has_power(clock.as_str()) {
        return 0;
    }
    let is_synchronous = world.is_synchronous(clock);
    match column {
        Column::Type if is_long_wave(world.kind()) => 13,    // pzf511
        Column::Type => 30,                                  // gps180
        Column::Usage if clock == world.active_clock() => 3, // primary
        Column::Usage => 1,                                  // secondary
        Column::State if is_synchronous => 1,
        Column::State => 2,
        Column::Substate if is_long_wave(world.kind()) => {
            if is_synchronous {
                52 // lwSync
            } else {
                51 // lwNotSync
            }
        }
        Column::Substate if !world.has_antenna(clock) => 3, // gpsAntennaDisconnected
        Column::Substate if is_synchronous => 1,            // gpsSync
        Column::Substate => 2,                              // gpsTracking
    }
}

/// DCF77 on the same devices as in the status document.
fn is_long_wave(kind: DeviceKind) -> bool {
    kind.chassis == Chassis::M500 && kind.api != ApiGeneration::V20
}
