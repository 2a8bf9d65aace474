//! A notification: what is sent of a change, as the MIB lists its objects. Pure.

use async_snmp::Value;

use super::columns::{RelayRow, SignalRow, device, relay, signal};
use super::{OBJECTS, values};
use crate::model::{Availability, DeviceId, ErrorKind, Position, Status};

/// l2mNotificationObjects
const OLD: u32 = 5;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// Its number below the root's arc 0.
    pub(super) number: u32,
    /// Objects, by their place below the root.
    pub(super) objects: Vec<(Vec<u32>, Value)>,
}

impl Notice {
    /// l2mRelayChanged
    pub(super) fn relay(index: &[u32], old: Position, row: &RelayRow<'_>) -> Notice {
        use relay::{CAUSE, DRIVEN_BY, FAULT, NAME, POSITION, PROVENANCE, TABLE};
        let columns = [NAME, POSITION, FAULT, PROVENANCE, DRIVEN_BY, CAUSE];
        let old = (1, values::position(old));
        Notice {
            number: 1,
            objects: objects((TABLE, index), row, &columns, relay::cell, old),
        }
    }

    /// l2mSignalChanged
    pub(super) fn signal(index: &[u32], old: Status, row: &SignalRow<'_>) -> Notice {
        use signal::{NAME, PROVENANCE, STATUS, TABLE};
        let old = (2, values::status(old));
        Notice {
            number: 2,
            objects: objects(
                (TABLE, index),
                row,
                &[NAME, STATUS, PROVENANCE],
                signal::cell,
                old,
            ),
        }
    }

    /// l2mDeviceChanged
    pub(super) fn device(
        index: u32,
        id: &DeviceId,
        (old, new): (Availability, Availability),
        error: Option<ErrorKind>,
    ) -> Notice {
        use device::{ERROR, ID, STATE, TABLE};
        let at = |column| vec![OBJECTS, TABLE, 1, column, index];
        Notice {
            number: 3,
            objects: vec![
                (at(ID), values::text(id.as_str())),
                (vec![OBJECTS, OLD, 3, 0], values::availability(Some(old))),
                (at(STATE), values::availability(Some(new))),
                (at(ERROR), values::error(error)),
            ],
        }
    }
}

/// Columns of a row as a notification carries them, in this order; `old`, which only it has, stands second.
fn objects<R>(
    (table, index): (u32, &[u32]),
    row: &R,
    columns: &[u32],
    cell: fn(&R, u32) -> Option<Value>,
    old: (u32, Value),
) -> Vec<(Vec<u32>, Value)> {
    let cells = columns.iter().filter_map(|column| {
        let at = [OBJECTS, table, 1, *column];
        Some((at.iter().chain(index).copied().collect(), cell(row, *column)?))
    });
    let mut objects: Vec<_> = cells.collect();
    let old = (vec![OBJECTS, OLD, old.0, 0], old.1);
    objects.insert(1.min(objects.len()), old);
    objects
}
