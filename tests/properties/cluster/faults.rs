//! What goes wrong in a simulation, and how it ends.

use lantime2mqtt::cluster::election::Input;
use lantime2mqtt::cluster::entries::ShardId;
use proptest::prelude::*;

use super::bridge::UnitState;
use super::world::{Event, World};

/// One thing that goes wrong for a while; with the number of the bridge.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// etcd has no quorum. Its next leader gives each lease its full time again, or not.
    Outage(bool),
    /// Requests and answers are lost or late, watches end.
    BadNetwork,
    /// A bridge does not reach etcd.
    CutOff(usize),
    /// A bridge does nothing: its process is stopped, or its machine is suspended.
    Pause(usize),
    /// A bridge does not reach its broker.
    WithoutBroker(usize),
    /// Nobody reaches the broker.
    BrokerDown,
    /// A process is killed.
    Kill(usize),
    /// A process is stopped in good order, and killed if it still runs when it is to be started again.
    Stop(usize),
    /// An operator drains a bridge.
    Drain(usize),
    /// The watch of a bridge ends.
    EndWatch(usize),
    /// The connections of a bridge to the broker are lost for a moment.
    Disconnect(usize),
    /// A bridge has other devices from now on.
    Reload(usize),
}

/// A fault, when it begins, and for how long it stands; `None`: it does not end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incident {
    pub(super) fault: Fault,
    pub(super) at: u64,
    pub(super) length: Option<u64>,
}

/// What may go wrong in the given time. What does not end leaves room for a cluster that works.
pub(super) fn incidents(within: u64) -> impl Strategy<Value = Vec<Incident>> {
    let bridge = || 0..5_usize;
    let passing = prop_oneof![
        2 => any::<bool>().prop_map(Fault::Outage),
        3 => Just(Fault::BadNetwork),
        3 => bridge().prop_map(Fault::CutOff),
        3 => bridge().prop_map(Fault::Pause),
        2 => bridge().prop_map(Fault::WithoutBroker),
        1 => Just(Fault::BrokerDown),
        2 => bridge().prop_map(Fault::Kill),
        2 => bridge().prop_map(Fault::Stop),
        2 => bridge().prop_map(Fault::Drain),
        1 => bridge().prop_map(Fault::EndWatch),
        1 => bridge().prop_map(Fault::Disconnect),
        1 => bridge().prop_map(Fault::Reload),
    ];
    let lasting = prop_oneof![
        bridge().prop_map(Fault::WithoutBroker),
        bridge().prop_map(Fault::Kill),
        bridge().prop_map(Fault::Stop),
        bridge().prop_map(Fault::Drain),
    ];
    let length = prop_oneof![1..3_000_u64, 1..40_000_u64];
    let passing = (passing, 0..within, length).prop_map(move |(fault, at, length)| Incident {
        fault,
        at,
        length: Some(length.min(within - at)),
    });
    let lasting = (lasting, 0..within).prop_map(|(fault, at)| Incident {
        fault,
        at,
        length: None,
    });
    let all = (
        proptest::collection::vec(passing, 0..14),
        proptest::collection::vec(lasting, 0..3),
    );
    all.prop_map(|(passing, lasting)| [passing, lasting].concat())
}

/// Puts it into the queue, if there is such a bridge.
pub(super) fn plan(world: &mut World, incident: Incident) {
    use Fault::{BadNetwork, BrokerDown, CutOff, Disconnect, Drain, EndWatch, Kill, Outage, Pause};
    let bridge = match incident.fault {
        Outage(_) | BadNetwork | BrokerDown => 0,
        CutOff(bridge) | Pause(bridge) | Kill(bridge) | Drain(bridge) => bridge,
        Fault::WithoutBroker(bridge) | Fault::Stop(bridge) => bridge,
        EndWatch(bridge) | Disconnect(bridge) | Fault::Reload(bridge) => bridge,
    };
    if bridge >= world.bridges.len() {
        return;
    }
    world.at(
        incident.at,
        Event::Begin(incident.fault, incident.length.unwrap_or_default()),
    );
    if let Some(length) = incident.length {
        world.at(incident.at + length, Event::End(incident.fault));
    }
}

pub(super) fn begin(world: &mut World, fault: Fault, length: u64) {
    match fault {
        Fault::Outage(_) => {
            world.outages += 1;
            (0..world.bridges.len()).for_each(|bridge| world.break_watch(bridge));
        }
        Fault::BadNetwork => world.lossy += 1,
        Fault::CutOff(bridge) => {
            world.bridges[bridge].faults.cut_off += 1;
            world.break_watch(bridge);
        }
        Fault::Pause(bridge) => {
            let until = &mut world.bridges[bridge].paused_until;
            *until = (*until).max(world.now + length);
            let until = *until;
            world.at(until, Event::Resume(bridge));
        }
        Fault::WithoutBroker(bridge) => lose_broker(world, bridge),
        Fault::BrokerDown => (0..world.bridges.len()).for_each(|bridge| lose_broker(world, bridge)),
        Fault::Kill(bridge) => {
            world.bridges[bridge].faults.down += 1;
            world.bridges[bridge].end();
        }
        Fault::Stop(bridge) => {
            world.bridges[bridge].faults.down += 1;
            world.send(bridge, Input::Stop);
        }
        Fault::Drain(bridge) => {
            world.bridges[bridge].faults.drained += 1;
            world.send(bridge, Input::Drain(true));
        }
        Fault::EndWatch(bridge) => world.break_watch(bridge),
        Fault::Disconnect(bridge) => disconnect(world, bridge),
        Fault::Reload(bridge) => world.send(bridge, Input::Outdated),
    }
}

pub(super) fn end(world: &mut World, fault: Fault) {
    match fault {
        Fault::Outage(is_with_new_leader) => {
            world.outages -= 1;
            if world.outages == 0 && is_with_new_leader {
                world.etcd.renew_all(world.now);
                world.at(world.now + world.ttl, Event::Expire);
            }
        }
        Fault::BadNetwork => world.lossy -= 1,
        Fault::CutOff(bridge) => world.bridges[bridge].faults.cut_off -= 1,
        Fault::WithoutBroker(bridge) => find_broker(world, bridge, 0),
        // Each tries again at its own time.
        Fault::BrokerDown => {
            (0..world.bridges.len()).for_each(|bridge| find_broker(world, bridge, 2_500));
        }
        Fault::Kill(bridge) | Fault::Stop(bridge) => {
            world.bridges[bridge].faults.down -= 1;
            if world.bridges[bridge].faults.down == 0 {
                world.start(bridge);
            }
        }
        Fault::Drain(bridge) => {
            world.bridges[bridge].faults.drained -= 1;
            if world.bridges[bridge].faults.drained == 0 {
                world.send(bridge, Input::Drain(false));
            }
        }
        Fault::Pause(_) | Fault::EndWatch(_) | Fault::Disconnect(_) | Fault::Reload(_) => {}
    }
}

fn lose_broker(world: &mut World, bridge: usize) {
    world.bridges[bridge].faults.without_broker += 1;
    world.send(bridge, Input::Broker(false));
    disconnect(world, bridge);
}

fn find_broker(world: &mut World, bridge: usize, latest: u64) {
    world.bridges[bridge].faults.without_broker -= 1;
    if world.bridges[bridge].faults.without_broker == 0 {
        let at = world.now + world.rng.u64(0..=latest);
        let connect = Event::Connect(world.to(bridge));
        world.at(at, connect);
    }
}

fn disconnect(world: &mut World, bridge: usize) {
    for shard in ShardId::all(world.shards) {
        let state = world.bridges[bridge].state(shard);
        if state.is_some_and(|state| state != UnitState::Stopped) {
            let run = world.bridges[bridge].unit(shard).run;
            world.send(bridge, Input::Disconnected(shard, run));
        }
    }
}
