//! What the agent answers: the system group, and the tables and counters of the bridge's own MIB.

use std::cmp::Ordering;

use async_snmp::handler::{BoxFuture, GetNextResult, GetResult, HandlerResult, MibHandler, RequestContext};
use async_snmp::{Oid, Value, VarBind};
use tokio::sync::watch;
use tokio::time::Instant;

use super::columns::{counters, device, relay, signal};
use super::tables::{Numbers, Tables};
use super::values;
use super::walk::{self, Found, below, under};
use crate::hub::Fleet;
use crate::model::DeviceId;
use crate::records::store::StoreStatus;

/// Objects below `prefix`. None is writable, as the library has it where nothing is said.
pub(super) struct Handler {
    pub(super) prefix: Oid,
    pub(super) objects: Objects,
}

/// A part of what there is to read.
pub(super) enum Objects {
    /// The system group of SNMPv2-MIB.
    System {
        /// sysName
        name: DeviceId,
        /// sysObjectID
        product: Oid,
        /// Where sysUpTime begins.
        started: Instant,
    },
    /// l2mObjects
    Published {
        numbers: watch::Receiver<Numbers>,
        fleet: watch::Receiver<Fleet>,
        store: watch::Receiver<StoreStatus>,
    },
}

impl MibHandler for Handler {
    fn get<'a>(&'a self, _: &'a RequestContext, oid: &'a Oid) -> BoxFuture<'a, HandlerResult<GetResult>> {
        Box::pin(async move {
            let at = oid.arcs().strip_prefix(self.prefix.arcs());
            let value = at.and_then(|at| self.objects.get(at));
            Ok(value.map_or(GetResult::NoSuchInstance, GetResult::Value))
        })
    }

    fn get_next<'a>(
        &'a self,
        _: &'a RequestContext,
        oid: &'a Oid,
    ) -> BoxFuture<'a, HandlerResult<GetNextResult>> {
        Box::pin(async move {
            let (prefix, arcs) = (self.prefix.arcs(), oid.arcs());
            let after = match (arcs.strip_prefix(prefix), arcs.cmp(prefix)) {
                (Some(after), _) => after,
                (None, Ordering::Less) => &[],
                (None, _) => return Ok(GetNextResult::EndOfMibView),
            };
            let Some((at, value)) = self.objects.next(after) else {
                return Ok(GetNextResult::EndOfMibView);
            };
            let oid = Oid::new(prefix.iter().chain(&at).copied());
            Ok(GetNextResult::Value(VarBind::new(oid, value)))
        })
    }
}

impl Objects {
    fn get(&self, at: &[u32]) -> Option<Value> {
        let (numbers, fleet, store) = match self {
            Objects::System { .. } => return walk::scalar(at, |number| self.system(number)),
            Objects::Published {
                numbers,
                fleet,
                store,
            } => (numbers.borrow(), fleet.borrow(), store),
        };
        let (group, at) = at.split_first()?;
        let tables = Tables {
            numbers: &numbers,
            fleet: &fleet,
        };
        match *group {
            device::TABLE => walk::cell(|first| tables.devices(first), at, device::cell),
            relay::TABLE => walk::cell(|first| tables.relays(first), at, relay::cell),
            signal::TABLE => walk::cell(|first| tables.signals(first), at, signal::cell),
            counters::GROUP => {
                walk::scalar(at, |number| counters::value(fleet.polls, &store.borrow(), number))
            }
            _ => None,
        }
    }

    fn next(&self, after: &[u32]) -> Option<Found> {
        let (numbers, fleet, store) = match self {
            Objects::System { .. } => {
                return walk::next_scalar(1..=SYSTEM_LAST, after, |number| self.system(number));
            }
            Objects::Published {
                numbers,
                fleet,
                store,
            } => (numbers.borrow(), fleet.borrow(), store.borrow()),
        };
        let tables = Tables {
            numbers: &numbers,
            fleet: &fleet,
        };
        let groups = [device::TABLE, relay::TABLE, signal::TABLE, counters::GROUP];
        groups.into_iter().find_map(|group| {
            let after = below(after, group)?;
            let next = match group {
                device::TABLE => walk::next_cell(
                    |first| tables.devices(first),
                    device::ID..=device::LAST,
                    after,
                    device::cell,
                ),
                relay::TABLE => walk::next_cell(
                    |first| tables.relays(first),
                    relay::NAME..=relay::LAST,
                    after,
                    relay::cell,
                ),
                signal::TABLE => walk::next_cell(
                    |first| tables.signals(first),
                    signal::NAME..=signal::LAST,
                    after,
                    signal::cell,
                ),
                _ => walk::next_scalar(1..=counters::LAST, after, |number| {
                    counters::value(fleet.polls, &store, number)
                }),
            };
            next.map(|found| under(group, found))
        })
    }

    fn system(&self, number: u32) -> Option<Value> {
        let Objects::System {
            name,
            product,
            started,
        } = self
        else {
            return None;
        };
        Some(match number {
            1 => values::text(SYSTEM_DESCRIPTION),
            2 => Value::ObjectIdentifier(product.clone()),
            3 => Value::TimeTicks(values::centiseconds(*started)),
            // sysContact and sysLocation: nobody has said.
            4 | 6 => values::text(""),
            5 => values::text(name.as_str()),
            7 => Value::Integer(SYSTEM_SERVICES),
            _ => return None,
        })
    }
}

const SYSTEM_DESCRIPTION: &str = concat!(
    "lantime2mqtt ",
    env!("CARGO_PKG_VERSION"),
    ", SNMP/MQTT bridge for the error relay modules of Meinberg LANTIMEs"
);
/// A host with applications, as RFC 3418 counts it.
const SYSTEM_SERVICES: i32 = 72;
const SYSTEM_LAST: u32 = 7;
