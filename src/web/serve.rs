//! Connections: how many, and how long one may take. What is asked and answered on them is not known here.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::live;
use super::socket::Socket;
use crate::open_files;

/// Connections at a time, beside those of live clients; others wait in the backlog. Each is a file descriptor that the polls
/// cannot have.
const MAX_OTHERS: usize = 64;
/// Connections at a time of the command line. A command may take minutes, and `healthcheck` has to find a place meanwhile.
const MAX_OF_SOCKET: usize = 64;
/// Connections of one address; further ones are ended. This machine's own may have all: a proxy has those of everybody.
const MAX_OF_ONE: usize = 64;
/// How long the head of a request may take; also how long a connection may lie idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may take none of what is sent to it.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// How long a client may take over an answer that has an end.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Bytes that are kept of a connection, either way; a head that is longer is refused.
const BUFFER_BYTES: usize = 32 * 1024;
/// How long answers that are under way may take when the bridge stops. Who has sent half a request by then is
/// not waited for.
const END_WITHIN: Duration = Duration::from_secs(1);
/// Wait before another try where the system has refused a connection.
const RETRY: Duration = Duration::from_millis(100);

/// How long a connection may last that has a descriptor of the reserve: long enough for health and metrics.
const RESERVED_FOR: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) enum Listener {
    /// Anybody who reaches the port.
    Tcp(TcpListener),
    /// The owner of the bridge.
    Socket(Socket),
}

type Stream = Either<TcpStream, UnixStream>;

impl Listener {
    /// The next connection, and the address that it comes from; at the socket that is this machine.
    async fn accept(&mut self) -> io::Result<(Stream, IpAddr)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Either::Left(stream), peer.ip()))
            }
            Listener::Socket(socket) => {
                Ok((Either::Right(socket.accept().await?), Ipv4Addr::LOCALHOST.into()))
            }
        }
    }

    fn max_connections(&self) -> usize {
        match self {
            Listener::Tcp(_) => live::max_clients() + MAX_OTHERS,
            Listener::Socket(_) => MAX_OF_SOCKET,
        }
    }
}

/// Serves until `stop`; nothing of it is left then.
pub(super) async fn serve(mut listener: Listener, router: Router, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    let accepting = accept(&mut listener, &router, &stop, &mut connections);
    stop.run_until_cancelled(accepting).await;
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(END_WITHIN, ended).await;
    connections.shutdown().await;
}

async fn accept(
    listener: &mut Listener,
    router: &Router,
    stop: &CancellationToken,
    connections: &mut JoinSet<()>,
) {
    let places = Arc::new(Semaphore::new(listener.max_connections()));
    let mut peers = Peers::default();
    let mut is_refused = false;
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match next(listener).await {
            Ok((stream, peer, most)) => {
                is_refused = false;
                let Some(one) = peers.admit(peer) else {
                    tracing::debug!(%peer, "too many connections of one address to the HTTP server");
                    continue;
                };
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    let served = timeout(most, connection(stream, router, stop)).await;
                    if let Err(error) = served.unwrap_or_else(|late| Err(late.into())) {
                        tracing::debug!(%error, "a connection of the HTTP server has ended early");
                    }
                    drop((place, one));
                });
            }
            Err(error) => {
                if !std::mem::replace(&mut is_refused, true) {
                    tracing::warn!(%error, "cannot accept a connection at the HTTP server");
                }
                sleep(RETRY).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// The next connection, and how long it may last: while polls use up all descriptors it has one of the reserve.
async fn next(listener: &mut Listener) -> io::Result<(Stream, IpAddr, Duration)> {
    match listener.accept().await {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::MFILE) => {
            let (stream, peer) = open_files::with_reserve(listener.accept()).await?;
            Ok((stream, peer, RESERVED_FOR))
        }
        accepted => accepted.map(|(stream, peer)| (stream, peer, Duration::MAX)),
    }
}

/// The connections of each address: each holds the handle of its address.
#[derive(Debug, Default)]
struct Peers(HashMap<IpAddr, Arc<()>>);

impl Peers {
    /// The handle for one more connection of that address; `None` where it has enough.
    fn admit(&mut self, peer: IpAddr) -> Option<Arc<()>> {
        // Over a socket for both, IPv4 has addresses of IPv6.
        let peer = peer.to_canonical();
        if peer.is_loopback() {
            return Some(Arc::default());
        }
        self.0.retain(|_, handle| Arc::strong_count(handle) > 1);
        let handle = self.0.entry(peer).or_default();
        (Arc::strong_count(handle) <= MAX_OF_ONE).then(|| Arc::clone(handle))
    }
}

async fn connection(stream: Stream, router: Router, stop: CancellationToken) -> io::Result<()> {
    if let Either::Left(tcp) = &stream {
        tcp.set_nodelay(true)?;
        SockRef::from(tcp).set_tcp_user_timeout(Some(TAKEN_WITHIN))?;
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(BUFFER_BYTES);
    let (deadline, taken_by) = watch::channel(None);
    let router = TowerToHyperService::new(router);
    let deadline = &deadline;
    let service = service_fn(|request: Request<Incoming>| {
        deadline.send_replace(None);
        let answering = router.call(request);
        async move {
            let answer = answering.await?;
            // What has no end has no length either.
            if answer.body().size_hint().exact().is_some() {
                deadline.send_replace(Some(Instant::now() + ANSWER_WITHIN));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut served = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = served.as_mut() => return ended.map_err(io::Error::other),
        () = passed(taken_by) => return Err(io::ErrorKind::TimedOut.into()),
        () = stop.cancelled() => served.as_mut().graceful_shutdown(),
    }
    served.await.map_err(io::Error::other)
}

/// Returns when a deadline has passed without another one. A connection that is only idle has ended before.
async fn passed(mut deadline: watch::Receiver<Option<Instant>>) {
    loop {
        let until = *deadline.borrow_and_update();
        let changed = deadline.changed();
        let is_over = match until {
            Some(until) => timeout_at(until, changed).await.is_err(),
            None => changed.await.is_err(),
        };
        if is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::{Body, Bytes, HttpBody};
    use axum::routing::get;
    use hyper::body::Frame;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn one_address_has_so_many_connections_and_this_machine_any() {
        let mut peers = Peers::default();
        let address = Ipv4Addr::new(192, 0, 2, 1);
        let mut held: Vec<_> = (0..MAX_OF_ONE)
            .map(|_| peers.admit(address.into()).unwrap())
            .collect();
        assert!(peers.admit(address.into()).is_none());
        assert!(
            peers.admit(address.to_ipv6_mapped().into()).is_none(),
            "it is the same"
        );
        assert!(peers.admit(Ipv4Addr::new(192, 0, 2, 2).into()).is_some());
        held.pop();
        assert!(peers.admit(address.into()).is_some(), "one has ended");
        for own in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            let many: Vec<_> = (0..=MAX_OF_ONE).map(|_| peers.admit(own)).collect();
            assert!(many.iter().all(Option::is_some), "{own}");
        }
    }

    /// More than the system keeps of a connection.
    const LARGE: usize = 32 << 20;

    /// A client that reads the beginning of an answer, and the rest long after.
    async fn slow(body: impl Fn() -> Body + Clone + Send + Sync + 'static) -> TcpStream {
        let router = Router::new().route("/", get(async move || body()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(Listener::Tcp(listener), router, CancellationToken::new()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        stream.read_exact(&mut [0; 100]).await.unwrap();
        tokio::time::pause();
        tokio::time::advance(ANSWER_WITHIN + Duration::from_secs(1)).await;
        tokio::time::resume();
        stream
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_in_time_ends() {
        let mut stream = slow(|| Body::from(vec![b'x'; LARGE])).await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.len() < LARGE / 2, "{} bytes have come", rest.len());
    }

    #[tokio::test]
    async fn an_answer_without_an_end_goes_on() {
        let mut stream = slow(|| Body::new(Endless)).await;
        stream.read_exact(&mut vec![0; LARGE]).await.unwrap();
    }

    struct Endless;

    impl HttpBody for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 4096])))))
        }
    }
}
