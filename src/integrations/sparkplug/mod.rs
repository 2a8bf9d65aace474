//! Sparkplug B 3.0, for SCADA: the bridge as an edge node, and as its devices each LANTIME and each of its slots.
//!
//! ```text
//! publisher --Update--> feed --News--> node (what hosts know, seq) --> edge node's connection --> broker
//! broker --NCMD, DCMD--> connection --> commands --> inbox, as any command
//! ```
//!
//! - `topics`, `metrics`, `wire`: names, what is told, and the protobuf. Pure.
//! - `node`: what is to be said, numbered. Pure, and the only one that makes messages.
//! - `task`: the connection, with a will of its own, and what hosts send. `session`: its number, on disk.
//! - `commands`: what hosts write, as commands of the contract.

mod commands;
mod feed;
mod metrics;
mod node;
mod session;
mod task;
mod topics;
mod wire;

use std::path::Path;

use tokio::sync::{mpsc, watch};

pub use commands::Commands;
use feed::Feed;
pub use session::SESSION_FILE;
pub use task::{EdgeNode, EdgeNodeStatus};

use crate::command::Inbox;
use crate::config::{Mqtt, Sparkplug};
use crate::contract::topics::Topics;
use crate::model::{Picture, Update};
use crate::mqtt::connection::Purpose;
use crate::mqtt::link::Link;
use crate::mqtt::payload;
use crate::mqtt::publisher::Observer;
use session::Sessions;

/// An edge node in the making: it sees what changes, but nobody takes what hosts write yet.
#[derive(Debug)]
pub struct Prepared {
    feed: Feed,
}

/// Prepares an edge node. The observer must see each update after `pictured` has taken it in.
pub fn prepare(pictured: watch::Receiver<Picture>) -> (Prepared, Observer) {
    let (feed, observer) = feed::feed(pictured);
    (Prepared { feed }, observer)
}

impl Prepared {
    /// The edge node, and the task that carries out what hosts write: that has to end first, like everything that takes
    /// commands. `mqtt` is where both find the broker, `contract` the topics of the contract, and `directory` the state
    /// directory.
    pub fn finish(
        self,
        settings: &Sparkplug,
        mqtt: Mqtt,
        directory: &Path,
        contract: Topics,
        inbox: Inbox,
        updates: mpsc::Sender<Update>,
    ) -> (EdgeNode, Commands) {
        let (commands, writes) = Commands::new(inbox, contract, updates);
        let topics = topics::Topics::new(settings);
        // Each session has another one.
        let will = payload::Message {
            topic: String::new(),
            payload: None,
        };
        let link = Link::new(mqtt, Purpose::EdgeNode { will });
        let node = EdgeNode::new(link, topics, Sessions::open(directory), self.feed, writes);
        (node, commands)
    }
}
