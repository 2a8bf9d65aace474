//! The columns of each table, as the MIB numbers them, and the bridge's own counters. Pure.

use async_snmp::Value;

use super::values;
use crate::hub::{Device, Polls};
use crate::model::{DeviceId, RelayState, SignalState};
use crate::records::store::StoreStatus;

#[derive(Debug, Clone, Copy)]
pub(super) struct DeviceRow<'a> {
    pub(super) id: &'a DeviceId,
    pub(super) device: &'a Device,
}

#[derive(Debug)]
pub(super) struct RelayRow<'a> {
    pub(super) name: String,
    pub(super) state: &'a RelayState,
}

#[derive(Debug)]
pub(super) struct SignalRow<'a> {
    pub(super) name: String,
    pub(super) state: &'a SignalState,
}

/// l2mDeviceTable
pub(super) mod device {
    use super::{DeviceRow, Value, values};

    pub(in crate::snmp_agent) const TABLE: u32 = 1;
    pub(in crate::snmp_agent) const ID: u32 = 2;
    pub(in crate::snmp_agent) const STATE: u32 = 3;
    const LAST_POLL: u32 = 4;
    const ROUND_TRIP: u32 = 5;
    pub(in crate::snmp_agent) const ERROR: u32 = 6;
    const LAST_ERROR: u32 = 7;
    const SERIAL_NUMBER: u32 = 8;
    const FIRMWARE: u32 = 9;
    const POLLS: u32 = 10;
    const POLL_FAILURES: u32 = 11;
    pub(in crate::snmp_agent) const LAST: u32 = POLL_FAILURES;

    pub(in crate::snmp_agent) fn cell(row: &DeviceRow<'_>, column: u32) -> Option<Value> {
        let DeviceRow { id, device } = row;
        let (view, identity) = (&device.view, device.view.identity.as_ref());
        Some(match column {
            ID => values::text(id.as_str()),
            STATE => values::availability(view.availability),
            LAST_POLL => values::time(device.last_poll?.0),
            ROUND_TRIP => values::millis(device.last_poll?.1),
            ERROR => values::error(view.problem.as_ref().map(|problem| problem.error.kind)),
            LAST_ERROR => values::error(device.last_error),
            SERIAL_NUMBER => values::text(identity?.serial_number.as_deref()?),
            FIRMWARE => values::text(identity?.firmware.as_deref()?),
            POLLS => values::counter(device.polls.all),
            POLL_FAILURES => values::counter(device.polls.failed),
            _ => return None,
        })
    }
}

/// l2mRelayTable
pub(super) mod relay {
    use super::{RelayRow, Value, values};

    pub(in crate::snmp_agent) const TABLE: u32 = 2;
    pub(in crate::snmp_agent) const NAME: u32 = 3;
    pub(in crate::snmp_agent) const POSITION: u32 = 4;
    pub(in crate::snmp_agent) const FAULT: u32 = 5;
    pub(in crate::snmp_agent) const PROVENANCE: u32 = 6;
    pub(in crate::snmp_agent) const DRIVEN_BY: u32 = 7;
    pub(in crate::snmp_agent) const CAUSE: u32 = 8;
    const SINCE: u32 = 9;
    pub(in crate::snmp_agent) const LAST: u32 = SINCE;

    pub(in crate::snmp_agent) fn cell(row: &RelayRow<'_>, column: u32) -> Option<Value> {
        let RelayRow { name, state } = row;
        Some(match column {
            NAME => values::text(name),
            POSITION => values::position(state.position),
            FAULT => values::fault(state.position.fault()),
            PROVENANCE => values::provenance(state.provenance),
            DRIVEN_BY => values::driver(state.driven_by),
            CAUSE => values::text(state.cause.as_deref().unwrap_or_default()),
            SINCE => values::time(state.since),
            _ => return None,
        })
    }
}

/// l2mSignalTable
pub(super) mod signal {
    use super::{SignalRow, Value, values};

    pub(in crate::snmp_agent) const TABLE: u32 = 3;
    pub(in crate::snmp_agent) const NAME: u32 = 3;
    pub(in crate::snmp_agent) const STATUS: u32 = 4;
    pub(in crate::snmp_agent) const PROVENANCE: u32 = 5;
    const SINCE: u32 = 6;
    pub(in crate::snmp_agent) const LAST: u32 = SINCE;

    pub(in crate::snmp_agent) fn cell(row: &SignalRow<'_>, column: u32) -> Option<Value> {
        let SignalRow { name, state } = row;
        Some(match column {
            NAME => values::text(name),
            STATUS => values::status(state.status),
            PROVENANCE => values::provenance(state.provenance),
            SINCE => values::time(state.since),
            _ => return None,
        })
    }
}

/// l2mCounters
pub(super) mod counters {
    use super::{Polls, StoreStatus, Value, values};

    pub(in crate::snmp_agent) const GROUP: u32 = 4;
    pub(in crate::snmp_agent) const LAST: u32 = 6;

    pub(in crate::snmp_agent) fn value(polls: Polls, store: &StoreStatus, number: u32) -> Option<Value> {
        Some(match number {
            1 => values::counter(polls.all),
            2 => values::counter(polls.failed),
            3 => values::gauge(store.records),
            4 => values::counter(store.dropped),
            5 => values::gauge(store.dead_letters),
            6 => values::gauge(store.commands),
            _ => return None,
        })
    }
}
