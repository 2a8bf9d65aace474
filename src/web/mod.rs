//! The bridge's own HTTP server: health for now.

use std::net::SocketAddr;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::mqtt::publisher::BrokerStatus;

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    broker: watch::Receiver<BrokerStatus>,
}

impl Server {
    /// Listens there.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(listen: SocketAddr, broker: watch::Receiver<BrokerStatus>) -> std::io::Result<Server> {
        Ok(Server {
            listener: TcpListener::bind(listen).await?,
            broker,
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
        let app = Router::new()
            .route("/healthz", get(health))
            .with_state(self.broker);
        let served = axum::serve(self.listener, app).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!("the HTTP server has ended: {error}");
        }
    }
}

/// The process answers, so it is alive. A broker that is away is not cured by a restart: it is told, not failed for.
async fn health(State(broker): State<watch::Receiver<BrokerStatus>>) -> Json<Value> {
    let connected = broker.borrow().link.connected;
    Json(json!({ "status": "ok", "broker": if connected { "connected" } else { "disconnected" } }))
}
