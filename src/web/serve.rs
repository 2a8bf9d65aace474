//! Connections: how many, and how long one may take. What is asked and answered on them is not known here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::live;

/// Connections at a time, for live ones and some more; others wait in the backlog. Each is a file descriptor that the polls
/// cannot have.
const MAX_CONNECTIONS: usize = live::MAX_CLIENTS + 64;
/// How long the head of a request may take; also how long a connection may lie idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may take none of what is sent to it.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// Bytes that are kept of a connection, either way; a head that is longer is refused.
const BUFFER_BYTES: usize = 32 * 1024;
/// How long answers that are under way may take when the bridge stops. Who has sent half a request by then is
/// not waited for.
const END_WITHIN: Duration = Duration::from_secs(1);
/// Wait before another try where the system has refused a connection.
const RETRY: Duration = Duration::from_millis(100);

/// Serves until `stop`; nothing of it is left then.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    let accepting = accept(&listener, &router, &stop, &mut connections);
    stop.run_until_cancelled(accepting).await;
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(END_WITHIN, ended).await;
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    router: &Router,
    stop: &CancellationToken,
    connections: &mut JoinSet<()>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    if let Err(error) = connection(stream, router, stop).await {
                        tracing::debug!(%error, "a connection of the HTTP server has ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection at the HTTP server");
                sleep(RETRY).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_user_timeout(Some(TAKEN_WITHIN))?;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(BUFFER_BYTES);
    let service = TowerToHyperService::new(router);
    let mut served = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = served.as_mut() => return ended.map_err(io::Error::other),
        () = stop.cancelled() => served.as_mut().graceful_shutdown(),
    }
    served.await.map_err(io::Error::other)
}
