//! The bridge's own HTTP server: the page, the JSON API, server-sent events, health and metrics.
//!
//! It listens at a port, and for the owner of the bridge at a Unix socket. Owns who may ask (`guard`) and change
//! (`access`), how long (`serve`), and how the fleet of the devices is written (`json`); what is
//! shown comes from others by `watch`, and what is changed goes through the inbox of commands. Each area has a router
//! of its own.

mod access;
mod answer;
pub(crate) mod api;
pub(crate) mod cluster;
mod command;
pub(crate) mod dead_letters;
mod guard;
pub(crate) mod handled;
mod health;
pub(crate) mod history;
mod json;
mod large_answers;
mod live;
mod metrics;
mod page;
mod serve;
pub mod socket;
mod units;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::cluster::coordinator::{Report, Status};
use crate::cluster::entries::BridgeId;
use crate::cluster::shard_of;
use crate::command::{Counts as CommandCounts, Inbox};
use crate::config::{self, Http};
use crate::contract::state::BridgeInfo;
use crate::contract::topics::Topics;
use crate::hub::Fleet;
use crate::lantime::snmp::traps::Counts as TrapCounts;
use crate::model::{DeviceId, ShardId};
use crate::mqtt::EdgeNodeStatus;
use crate::mqtt::commands::CommandsStatus;
use crate::mqtt::history::HistoryStatus;
use crate::mqtt::publisher::BrokerStatus;
use crate::records::store::{Store, StoreStatus};
use access::Access;
use guard::Guard;
use large_answers::LargeAnswers;
use live::Live;
use serve::Listener;
use socket::{Socket, SocketError};
pub use units::Units;

/// What the server shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// This bridge.
    pub bridge: DeviceId,
    /// What it says of itself; how many devices there are is taken from the fleet.
    pub info: BridgeInfo,
    /// All devices.
    pub fleet: watch::Receiver<Fleet>,
    /// The unit of the bridge itself: of all its devices, but in a cluster.
    pub unit: Unit,
    /// The cluster, where the bridge belongs to one.
    pub cluster: Option<Cluster>,
    /// What is counted of traps, where they are taken.
    pub traps: Option<watch::Receiver<TrapCounts>>,
    /// The store: its state, and dead letters.
    pub store: Store,
}

/// A unit: its connections, and the way in for its commands.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The connection that publishes.
    pub broker: watch::Receiver<BrokerStatus>,
    /// The connection that takes commands.
    pub commands: watch::Receiver<CommandsStatus>,
    /// The connection of the edge node, where it is one.
    pub sparkplug: Option<watch::Receiver<EdgeNodeStatus>>,
    /// How commands ended.
    pub command_counts: watch::Receiver<CommandCounts>,
    /// What is kept of its commands, if not in the store.
    pub kept: Option<watch::Receiver<StoreStatus>>,
    /// Takes commands.
    pub inbox: Inbox,
}

/// A cluster, as one of its bridges sees it.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// How many shards it has.
    pub shards: u16,
    /// What is known of it.
    pub status: watch::Receiver<Status>,
    /// Takes what an operator wants.
    pub reports: mpsc::Sender<Report>,
    /// All configured devices, whichever bridge polls them.
    pub configured: watch::Receiver<Vec<Arc<config::Device>>>,
    /// How many of the configured devices belong to each shard.
    pub devices: watch::Receiver<BTreeMap<ShardId, usize>>,
    /// The units of the shards that this bridge owns.
    pub units: watch::Receiver<Units>,
    /// The connection by which records come in, where a history is kept.
    pub history: Option<watch::Receiver<HistoryStatus>>,
}

impl Cluster {
    fn shard_of(&self, device: &DeviceId) -> ShardId {
        shard_of(device, self.shards)
    }

    fn is_configured(&self, device: &DeviceId) -> bool {
        let configured = self.configured.borrow();
        configured.iter().any(|configured| configured.id == *device)
    }

    /// The bridge that works for the shard of that device.
    fn owner_of(&self, device: &DeviceId) -> Option<BridgeId> {
        let status = self.status.borrow();
        let owner = status.owners.get(&self.shard_of(device))?;
        Some(owner.bridge.clone())
    }
}

/// What all handlers share.
#[derive(Debug)]
struct App {
    shown: Shown,
    topics: Topics,
    access: Access,
    live: Live,
    large: LargeAnswers,
}

/// The state of the routers.
type Shared = Arc<App>;

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    guard: Guard,
    access: Access,
    shown: Shown,
    topics: Topics,
}

impl Server {
    /// Listens at `listen`, and says where that is; who may ask, and change, is as `config` says. Commands get `topics`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(
        listen: SocketAddr,
        config: &Http,
        shown: Shown,
        topics: Topics,
    ) -> std::io::Result<(Server, SocketAddr)> {
        // Its connections are noticed by the thread of the polls: if that hangs, nobody who asks for health is answered.
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let server = Server {
            listener: Listener::Tcp(listener),
            guard: Guard::new(&config.hosts),
            access: Access::by_token(config.token.as_ref()),
            shown,
            topics,
        };
        Ok((server, address))
    }

    /// Listens at the socket of the state directory `directory`: who can connect there may change everything. The
    /// caller has the store of that directory open.
    ///
    /// # Errors
    /// When its path is too long or something else is there.
    pub fn bind_socket(directory: &Path, shown: Shown, topics: Topics) -> Result<Server, SocketError> {
        Ok(Server {
            listener: Listener::Socket(Socket::bind(directory)?),
            guard: Guard::new(&[]),
            access: Access::Owner,
            shown,
            topics,
        })
    }

    /// Serves until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (live, feed) = live::channel(self.shown.clone(), self.access.can_change(), stop.clone());
        let app = Arc::new(App {
            shown: self.shown,
            topics: self.topics,
            access: self.access,
            live,
            large: LargeAnswers::default(),
        });
        let router = Router::new()
            .merge(page::routes())
            .merge(health::routes())
            .merge(metrics::routes())
            .merge(api::routes())
            .merge(command::routes())
            .merge(dead_letters::routes())
            .merge(history::routes())
            .merge(handled::routes())
            .merge(cluster::routes())
            .merge(live::routes())
            .fallback(answer::nothing_here)
            .method_not_allowed_fallback(answer::wrong_method)
            .with_state(app)
            .layer(middleware::from_fn_with_state(self.guard, guard::guard));
        tokio::select! {
            () = serve::serve(self.listener, router, stop) => {}
            never = feed.run() => match never {},
        }
    }
}
