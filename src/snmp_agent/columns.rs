//! The columns of each table, as the MIB numbers them, and the bridge's own counters. Pure.

use async_snmp::Value;

use super::tables::{DeviceRow, RelayRow, SignalRow, Tables};
use super::words;
use crate::records::store::StoreStatus;

/// l2mDeviceTable
pub(super) mod device {
    use super::{DeviceRow, Value, words};

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

    pub(in crate::snmp_agent) fn cell(row: &DeviceRow, column: u32) -> Option<Value> {
        Some(match column {
            ID => words::text(row.id.as_str()),
            STATE => words::availability(row.state),
            LAST_POLL => words::time(row.last_poll?),
            ROUND_TRIP => words::millis(row.round_trip?),
            ERROR => words::error(row.error),
            LAST_ERROR => words::error(row.last_error),
            SERIAL_NUMBER => words::text(row.serial_number.as_deref()?),
            FIRMWARE => words::text(row.firmware.as_deref()?),
            POLLS => words::counter(row.polls.all),
            POLL_FAILURES => words::counter(row.polls.failed),
            _ => return None,
        })
    }
}

/// l2mRelayTable
pub(super) mod relay {
    use super::{RelayRow, Value, words};

    pub(in crate::snmp_agent) const TABLE: u32 = 2;
    pub(in crate::snmp_agent) const NAME: u32 = 3;
    pub(in crate::snmp_agent) const POSITION: u32 = 4;
    pub(in crate::snmp_agent) const FAULT: u32 = 5;
    pub(in crate::snmp_agent) const PROVENANCE: u32 = 6;
    pub(in crate::snmp_agent) const DRIVEN_BY: u32 = 7;
    pub(in crate::snmp_agent) const CAUSE: u32 = 8;
    const SINCE: u32 = 9;
    pub(in crate::snmp_agent) const LAST: u32 = SINCE;

    pub(in crate::snmp_agent) fn cell(row: &RelayRow, column: u32) -> Option<Value> {
        let RelayRow { name, state } = row;
        Some(match column {
            NAME => words::text(name),
            POSITION => words::position(state.position),
            FAULT => words::fault(state.position.fault()),
            PROVENANCE => words::provenance(state.provenance),
            DRIVEN_BY => words::driver(state.driven_by),
            CAUSE => words::text(state.cause.as_deref().unwrap_or_default()),
            SINCE => words::time(state.since),
            _ => return None,
        })
    }
}

/// l2mSignalTable
pub(super) mod signal {
    use super::{SignalRow, Value, words};

    pub(in crate::snmp_agent) const TABLE: u32 = 3;
    pub(in crate::snmp_agent) const NAME: u32 = 3;
    pub(in crate::snmp_agent) const STATUS: u32 = 4;
    pub(in crate::snmp_agent) const PROVENANCE: u32 = 5;
    const SINCE: u32 = 6;
    pub(in crate::snmp_agent) const LAST: u32 = SINCE;

    pub(in crate::snmp_agent) fn cell(row: &SignalRow, column: u32) -> Option<Value> {
        let SignalRow { name, state } = row;
        Some(match column {
            NAME => words::text(name),
            STATUS => words::status(state.status),
            PROVENANCE => words::provenance(state.provenance),
            SINCE => words::time(state.since),
            _ => return None,
        })
    }
}

/// l2mCounters
pub(super) mod counters {
    use super::{StoreStatus, Tables, Value, words};

    pub(in crate::snmp_agent) const GROUP: u32 = 4;
    pub(in crate::snmp_agent) const LAST: u32 = 6;

    pub(in crate::snmp_agent) fn value(tables: &Tables, store: &StoreStatus, number: u32) -> Option<Value> {
        Some(match number {
            1 => words::counter(tables.polls.all),
            2 => words::counter(tables.polls.failed),
            3 => words::gauge(store.records),
            4 => words::counter(store.dropped),
            5 => words::gauge(store.dead_letters),
            6 => words::gauge(store.commands),
            _ => return None,
        })
    }
}
