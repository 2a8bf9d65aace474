//! The sockets of one device: its listener, its connections, and its restarts. What is said on them is the
//! responder's. Idle connections are kept: a timer for each would cost more than what it guards.

use super::device::SimulatedDevice;
use super::respond::respond;
use super::snmp::{Life, Service};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// Connections a device serves at a time, as a small embedded web server would; more wait in the backlog.
const MAX_CONNECTIONS: usize = 64;
/// Headers larger than this are refused; the bridge's are a tenth of it.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// Longest wait for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Wait before another try where the system has refused a socket.
const RETRY: Duration = Duration::from_millis(100);

pub(super) struct Server {
    pub(super) device: Arc<SimulatedDevice>,
    pub(super) tls: Option<TlsAcceptor>,
    /// Serves its SNMP side, if it has one.
    pub(super) snmp: Option<Service>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Server {
    /// Serves until `stop`, life after life. Never fails: a port that cannot be had again after a restart
    /// is tried for until it can.
    pub(super) async fn run(self, mut listener: TcpListener, mut snmp: Option<Life>) {
        loop {
            let life = self.stop.child_token();
            let down = tokio::select! {
                () = self.stop.cancelled() => return,
                down = self.device.restart_ordered() => down,
                () = self.accept(&listener, &life) => return,
                () = self.serve_snmp(snmp.take()) => return,
            };
            drop(listener);
            life.cancel();
            self.device.set_listening(false);
            let again = async {
                sleep(down).await;
                self.device.restart();
                let listener = bind_again(&self.device).await;
                let snmp = match &self.snmp {
                    Some(service) => Some(service.begin_again().await),
                    None => None,
                };
                (listener, snmp)
            };
            let Some(next) = self.stop.run_until_cancelled(again).await else {
                return;
            };
            (listener, snmp) = next;
            self.device.set_listening(true);
        }
    }

    async fn serve_snmp(&self, life: Option<Life>) {
        match (&self.snmp, life) {
            (Some(service), Some(life)) => service.live(life).await,
            _ => pending().await,
        }
    }

    /// Accepts connections; each lives until its client leaves or `life` ends.
    async fn accept(&self, listener: &TcpListener, life: &CancellationToken) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                pending().await
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (device, tls, life) = (Arc::clone(&self.device), self.tls.clone(), life.clone());
                    self.tasks.spawn(async move {
                        let _place = place;
                        life.run_until_cancelled(connection(stream, tls, device)).await;
                    });
                }
                Err(error) => {
                    warn!(device = self.device.id(), %error, "cannot accept a connection");
                    sleep(RETRY).await;
                }
            }
        }
    }
}

async fn bind_again(device: &SimulatedDevice) -> TcpListener {
    let mut warned = false;
    loop {
        match TcpListener::bind(device.address()).await {
            Ok(listener) => return listener,
            Err(error) => {
                if !std::mem::replace(&mut warned, true) {
                    warn!(device = device.id(), %error, "cannot listen again after a restart yet");
                }
                sleep(RETRY).await;
            }
        }
    }
}

/// One connection, with or without TLS. Errors are the client's business, or a fault's.
async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, device: Arc<SimulatedDevice>) {
    let id = device.id().to_owned();
    let result = async {
        stream.set_nodelay(true)?;
        match tls {
            None => serve(stream, device).await,
            Some(tls) => {
                let handshake = timeout(HANDSHAKE, tls.accept(stream)).await;
                serve(handshake.map_err(io::Error::from)??, device).await
            }
        }
    };
    if let Err(error) = result.await {
        debug!(device = id, %error, "a connection has ended early");
    }
}

async fn serve<S>(stream: S, device: Arc<SimulatedDevice>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    device.connected();
    let service = service_fn(move |request| respond(Arc::clone(&device), request));
    let mut http = http1::Builder::new();
    http.max_buf_size(READ_BUFFER_BYTES);
    http.serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}
