//! What others ask of a device about its SNMP side, and what that side asks of the device.

use super::{SimulatedDevice, reachable};
use crate::simulator::document::Identity;
use crate::simulator::observe::Counters;
use crate::simulator::snmp::Endpoint;
use crate::simulator::world::World;
use jiff::Timestamp;
use std::net::SocketAddr;

impl SimulatedDevice {
    /// Where its SNMP agent listens, if it has one.
    pub fn snmp_address(&self) -> Option<SocketAddr> {
        self.snmp.as_ref().and_then(Endpoint::address).map(reachable)
    }

    /// The id of its SNMP engine, if it has one; another one with each fleet.
    pub fn snmp_engine_id(&self) -> Option<&[u8]> {
        self.snmp.as_ref().map(Endpoint::engine_id)
    }

    /// Waits until its SNMP agent answers (`true`) or, in a restart or in silence, does not (`false`); for ever on a
    /// device without one.
    pub async fn wait_answering(&self, answering: bool) {
        let Some(side) = &self.snmp else {
            return std::future::pending().await;
        };
        let mut changes = side.answering().subscribe();
        changes
            .wait_for(|now| *now == answering)
            .await
            .expect("the device owns the sender");
    }

    /// Its SNMP side, if it has one.
    pub(in crate::simulator) fn snmp(&self) -> Option<&Endpoint> {
        self.snmp.as_ref()
    }

    /// How often its SNMP engine has been started.
    pub(in crate::simulator) fn boots(&self) -> u32 {
        self.state().boots
    }

    /// Looks at its world as it is now.
    pub(in crate::simulator) fn look<T>(&self, at: impl FnOnce(&Identity, &World) -> T) -> T {
        at(&self.identity, &self.state().world)
    }

    /// Has its SNMP side, if it has one, notify its receivers.
    pub(in crate::simulator) fn notify(&self, send: impl FnOnce(&Endpoint, &World, Timestamp)) {
        if let Some(side) = &self.snmp {
            send(side, &self.state().world, Timestamp::now());
        }
    }

    /// Counts something.
    pub(in crate::simulator) fn count(&self, count: impl FnOnce(&mut Counters)) {
        count(&mut self.state().seen.counters);
    }
}
