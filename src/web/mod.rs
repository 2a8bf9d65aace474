//! The bridge's own HTTP server: health and metrics.

mod metrics;

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::command::Counts as CommandCounts;
use crate::lantime::snmp::traps::Counts as TrapCounts;
use crate::model::Picture;
use crate::mqtt::commands::CommandsStatus;
use crate::mqtt::publisher::BrokerStatus;
use crate::records::store::Store;

/// How long answers that are under way may take when the bridge stops. Who has sent half a request by then is
/// not waited for.
const END_WITHIN: Duration = Duration::from_secs(1);

/// What the server shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// All devices.
    pub picture: watch::Receiver<Picture>,
    /// The connection that publishes.
    pub broker: watch::Receiver<BrokerStatus>,
    /// The connection that takes commands.
    pub commands: watch::Receiver<CommandsStatus>,
    /// How commands ended.
    pub command_counts: watch::Receiver<CommandCounts>,
    /// What is counted of traps, where they are taken.
    pub traps: Option<watch::Receiver<TrapCounts>>,
    /// The store: its state, and dead letters.
    pub store: Store,
    /// When the bridge started.
    pub started_at: Timestamp,
}

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    shown: Shown,
}

impl Server {
    /// Listens there.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(listen: SocketAddr, shown: Shown) -> std::io::Result<Server> {
        let listener = TcpListener::bind(listen).await?;
        Ok(Server { listener, shown })
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
        let app = Router::new()
            .route("/healthz", get(health))
            .route("/metrics", get(metrics::metrics))
            .with_state(self.shown);
        let served = axum::serve(self.listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
        let too_late = async {
            stop.cancelled().await;
            tokio::time::sleep(END_WITHIN).await;
        };
        tokio::select! {
            served = served => if let Err(error) = served {
                tracing::error!("the HTTP server has ended: {error}");
            },
            () = too_late => {}
        }
    }
}

/// The process answers, so it is alive. A broker that is away is not cured by a restart: it is told, not failed for.
async fn health(State(shown): State<Shown>) -> Json<Health> {
    let connected = shown.broker.borrow().link.connected;
    let commands = shown.commands.borrow();
    let taken = commands.subscribed && commands.refused.is_empty() && commands.failing.is_none();
    Json(Health {
        status: "ok",
        broker: if connected { "connected" } else { "disconnected" },
        commands: if taken { "taken" } else { "waiting" },
        traps: shown.traps.as_ref().map(|traps| *traps.borrow()),
    })
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    broker: &'static str,
    commands: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traps: Option<TrapCounts>,
}
