//! A broker in this process, for those who have none: MQTT 3.1.1 and 5, in memory.
//!
//! It takes anyone who can reach it, without a password: where it listens is the only protection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mqtt5::broker::config::{AuthConfig, StorageBackend, StorageConfig, WebSocketConfig};
use mqtt5::broker::{BrokerConfig, MqttBroker};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{Broker, Transport};

/// Unacknowledged messages that it takes from a client.
const RECEIVE_MAXIMUM: u16 = 1024;

/// Largest packet that it takes.
const MAX_PACKET: usize = 1024 * 1024;

/// Why the broker could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// An address cannot be listened on.
    #[error("the embedded broker cannot listen on {address}: {reason}; {}", remedy(.reason, .key, .address))]
    Listen {
        /// The configuration key of the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        reason: io::Error,
    },
    /// Anything else.
    #[error("the embedded broker failed: {0}")]
    Broker(String),
}

fn remedy(reason: &io::Error, key: &str, address: &SocketAddr) -> String {
    match reason.kind() {
        io::ErrorKind::AddrInUse => {
            let port = address.port();
            format!("something else uses port {port}: stop it, or set another port in {key}")
        }
        _ => format!("set an address of this machine in {key}"),
    }
}

/// The broker, bound to its addresses.
pub struct EmbeddedBroker {
    broker: MqttBroker,
    address: SocketAddr,
    websocket: Option<SocketAddr>,
}

impl std::fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedBroker")
            .field("address", &self.address)
            .field("websocket", &self.websocket)
            .finish_non_exhaustive()
    }
}

impl EmbeddedBroker {
    /// Listens on `listen` for MQTT and on `websocket` for MQTT over websockets (path `/mqtt`). Port 0 takes a free one.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn bind(
        listen: SocketAddr,
        websocket: Option<SocketAddr>,
    ) -> Result<EmbeddedBroker, EmbeddedError> {
        // The broker's own error does not name the address.
        try_listen("mqtt.embedded.listen", listen).await?;
        if let Some(address) = websocket {
            try_listen("mqtt.embedded.websocket", address).await?;
        }
        let storage = StorageConfig::new()
            .with_backend(StorageBackend::Memory)
            .with_persistence(true);
        let mut config = BrokerConfig::new()
            .with_bind_address(listen)
            .with_storage(storage)
            .with_auth(AuthConfig::new().with_allow_anonymous(true))
            .with_server_receive_maximum(RECEIVE_MAXIMUM)
            .with_max_packet_size(MAX_PACKET);
        if let Some(address) = websocket {
            config = config.with_websocket(WebSocketConfig::new().with_bind_address(address));
        }
        let failed = |error: mqtt5::MqttError| EmbeddedError::Broker(error.to_string());
        let broker = MqttBroker::with_config(config).await.map_err(failed)?;
        let address = broker
            .local_addr()
            .ok_or_else(|| EmbeddedError::Broker("it has no address".to_owned()))?;
        let websocket = broker.ws_local_addr();
        Ok(EmbeddedBroker {
            broker,
            address,
            websocket,
        })
    }

    /// Where it listens for MQTT.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for MQTT over websockets.
    pub fn websocket_address(&self) -> Option<SocketAddr> {
        self.websocket
    }

    /// How clients of this process reach it.
    pub fn for_clients(&self) -> Broker {
        let host = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Broker::Remote {
            transport: Transport::Tcp,
            host: host.to_string(),
            port: self.address.port(),
            path: String::new(),
        }
    }

    /// Serves until `stop`, then closes every connection.
    ///
    /// # Errors
    /// When the broker ends by itself.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), EmbeddedError> {
        let shutdown = self.broker.shutdown_handle();
        let mut ready = self.broker.ready_receiver();
        let stopper = async {
            stop.cancelled().await;
            // Before it is ready it would not hear of it.
            let _ = ready.wait_for(|ready| *ready).await;
            shutdown.shutdown();
            std::future::pending::<()>().await;
        };
        let end = tokio::select! {
            end = self.broker.run() => end,
            () = stopper => Ok(()),
        };
        end.map_err(|error| EmbeddedError::Broker(error.to_string()))
    }
}

async fn try_listen(key: &'static str, address: SocketAddr) -> Result<(), EmbeddedError> {
    match TcpListener::bind(address).await {
        Ok(_) => Ok(()),
        Err(reason) => Err(EmbeddedError::Listen { key, address, reason }),
    }
}
