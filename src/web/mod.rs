//! The bridge's own HTTP server: the page, the JSON API, server-sent events, health and metrics.
//!
//! Owns who may ask (`guard`, `token`), how long (`serve`), and how the fleet of the devices is written (`shape`); what is
//! shown comes from others by `watch`, and what is changed goes through the inbox of commands. Each area has a router
//! of its own.

mod answer;
mod api;
mod command;
mod guard;
mod health;
mod large;
mod live;
mod metrics;
mod page;
mod serve;
mod shape;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::command::{Counts as CommandCounts, Inbox};
use crate::config::Http;
use crate::contract::state::BridgeInfo;
use crate::contract::topics::Topics;
use crate::hub::Fleet;
use crate::lantime::snmp::traps::Counts as TrapCounts;
use crate::model::DeviceId;
use crate::mqtt::EdgeNodeStatus;
use crate::mqtt::commands::CommandsStatus;
use crate::mqtt::publisher::BrokerStatus;
use crate::records::store::Store;
use guard::Guard;
use large::Large;
use live::Live;
use token::Token;

/// What the server shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// This bridge.
    pub bridge: DeviceId,
    /// What it says of itself; how many devices there are is taken from the fleet.
    pub info: BridgeInfo,
    /// All devices.
    pub fleet: watch::Receiver<Fleet>,
    /// The connection that publishes.
    pub broker: watch::Receiver<BrokerStatus>,
    /// The connection that takes commands.
    pub commands: watch::Receiver<CommandsStatus>,
    /// The connection of the edge node, where the bridge is one.
    pub sparkplug: Option<watch::Receiver<EdgeNodeStatus>>,
    /// How commands ended.
    pub command_counts: watch::Receiver<CommandCounts>,
    /// What is counted of traps, where they are taken.
    pub traps: Option<watch::Receiver<TrapCounts>>,
    /// The store: its state, and dead letters.
    pub store: Store,
}

/// Where commands go.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Takes commands, by their topics.
    pub inbox: Inbox,
    /// The topics of this bridge.
    pub topics: Topics,
}

/// What all handlers share.
#[derive(Debug)]
struct App {
    shown: Shown,
    changed: Changed,
    /// Without one nothing is changed.
    token: Option<Token>,
    live: Live,
    large: Large,
}

/// The state of the routers.
type Shared = Arc<App>;

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    guard: Guard,
    token: Option<Token>,
    shown: Shown,
    changed: Changed,
}

impl Server {
    /// Listens at `listen`; who may ask, and change, is as `config` says.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(
        listen: SocketAddr,
        config: &Http,
        shown: Shown,
        changed: Changed,
    ) -> std::io::Result<Server> {
        Ok(Server {
            listener: TcpListener::bind(listen).await?,
            guard: Guard::new(&config.hosts),
            token: config.token.as_ref().map(Token::new),
            shown,
            changed,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (live, feed) = live::channel(self.shown.clone(), self.token.is_some(), stop.clone());
        let app = Arc::new(App {
            shown: self.shown,
            changed: self.changed,
            token: self.token,
            live,
            large: Large::default(),
        });
        let router = Router::new()
            .merge(page::routes())
            .merge(health::routes())
            .merge(metrics::routes())
            .merge(api::routes())
            .merge(command::routes())
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
