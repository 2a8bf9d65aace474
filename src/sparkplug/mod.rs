//! Sparkplug B 3.0, for SCADA: the bridge as an edge node, and as its devices each LANTIME and each of its slots.
//!
//! ```text
//! hub --DeviceUpdate--> node (what hosts know, seq) --> edge node's connection --> broker
//! broker --NCMD, DCMD--> connection --> commands --> inbox, as any command
//! ```
//!
//! - `topics`, `metrics`, `protobuf`, `wire`: names, what is published, the protobuf, and the one as the other. Pure.
//! - `node`: what is to be said, numbered. Pure, and the only one that makes messages.
//! - `task`: the connection, with a will of its own, and what hosts send. `session`: its number, which is kept.
//! - `commands`: what hosts write, as commands of the contract.

mod commands;
mod metrics;
mod node;
mod protobuf;
mod requests;
mod session;
mod task;
mod topics;
mod wire;

use tokio::sync::mpsc;

pub use commands::Commands;
pub use session::LastSession;
pub use task::EdgeNode;

use crate::cluster::fence::Fence;
use crate::command::Inbox;
use crate::config::{Mqtt, Sparkplug};
use crate::contract::topics::Topics;
use crate::hub::DeviceUpdate;
use crate::model::{DeviceId, Update};
use crate::mqtt::connection::Purpose;
use crate::mqtt::link::Link;
use crate::mqtt::payload;
use crate::records::store::Store;
use session::Sessions;

/// Changes that wait while messages go out. Each may keep an older view of its device (10 KB).
pub const UPDATES_WAITING: usize = 1024;

/// What an edge node is made of.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Its names.
    pub settings: &'a Sparkplug,
    /// Where it finds the broker.
    pub mqtt: Mqtt,
    /// Connects only while that permits it.
    pub fence: Option<Fence>,
    /// Where the number of its last session is kept.
    pub last_session: LastSession,
    /// The topics of the contract.
    pub contract: Topics,
    /// The configured devices.
    pub devices: Vec<DeviceId>,
    /// Each change of a device.
    pub changes: mpsc::Receiver<DeviceUpdate>,
    /// Takes what hosts write, as commands.
    pub inbox: Inbox,
    /// Takes dead letters.
    pub updates: mpsc::Sender<Update>,
    /// Takes incidents.
    pub store: Store,
}

/// The edge node, and the task that carries out what hosts write: that has to end first, like everything that takes
/// commands.
pub fn edge_node(setup: Setup<'_>) -> (EdgeNode, Commands) {
    let (commands, writes) = Commands::new(setup.inbox, setup.contract, setup.updates);
    let topics = topics::Topics::new(setup.settings);
    // Each session has another one.
    let will = payload::Message {
        topic: String::new(),
        payload: None,
    };
    let link = Link::new(setup.mqtt, Purpose::EdgeNode { will }).only_while(setup.fence);
    let node = node::Node::new(topics.clone(), setup.devices);
    let sessions = Sessions::open(setup.last_session);
    let edge_node = EdgeNode::new(link, topics, node, sessions, setup.changes, writes, setup.store);
    (edge_node, commands)
}
