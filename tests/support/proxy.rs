//! A TCP proxy whose connections can be cut, held up and delayed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::tap::{Direction, Tap};

/// What the proxy does with its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mode {
    /// New connections are closed at once.
    refusing: bool,
    /// Bytes are held back, in both directions.
    holding: bool,
    /// Bytes are forwarded so much later.
    delay: Duration,
    /// Connections that were made under an earlier number are cut.
    generation: u64,
}

/// The proxy; stopped on drop.
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of `target`, on a free port of the loopback.
    pub async fn start(target: SocketAddr) -> Proxy {
        Proxy::start_with(target, None).await
    }

    /// The same, for MQTT 5, and what goes through it.
    pub async fn tapped(target: SocketAddr) -> (Proxy, Tap) {
        let tap = Tap::default();
        (Proxy::start_with(target, Some(tap.clone())).await, tap)
    }

    async fn start_with(target: SocketAddr, tap: Option<Tap>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, receiver) = watch::channel(Mode {
            refusing: false,
            holding: false,
            delay: Duration::ZERO,
            generation: 0,
        });
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if !receiver.borrow().refusing {
                    tokio::spawn(serve(client, target, receiver.clone(), tap.clone()));
                }
            }
        });
        Proxy { address, mode, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections; new ones are let through.
    pub fn cut(&self) {
        self.mode.send_modify(|mode| mode.generation += 1);
    }

    /// Cuts all connections and lets no new ones through, or lets them again.
    pub fn refuse(&self, refusing: bool) {
        self.mode.send_modify(|mode| {
            mode.refusing = refusing;
            mode.generation += 1;
        });
    }

    /// Holds all bytes back, as a network does that has lost its way, or lets them go.
    pub fn hold(&self, holding: bool) {
        self.mode.send_modify(|mode| mode.holding = holding);
    }

    /// Forwards bytes so much later, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.mode.send_modify(|mode| mode.delay = delay);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, target: SocketAddr, mode: watch::Receiver<Mode>, tap: Option<Tap>) {
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let generation = mode.borrow().generation;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let mut until_cut = mode.clone();
    let [by_client, by_server] = match tap.map(|tap| tap.connection()) {
        Some(directions) => directions.map(Some),
        None => [None, None],
    };
    tokio::select! {
        () = forward(from_client, to_server, mode.clone(), by_client) => {}
        () = forward(from_server, to_client, mode, by_server) => {}
        _ = until_cut.wait_for(|mode| mode.generation != generation) => {}
    }
}

/// What has been read goes on after its delay, while more is read: a long way, not a narrow one.
async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mode: watch::Receiver<Mode>,
    mut tap: Option<Direction>,
) {
    let (on_the_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let delay = mode.clone();
    let read = async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = from.read(&mut buffer).await.unwrap_or(0);
            let at = Instant::now() + delay.borrow().delay;
            if let Some(tap) = &mut tap {
                tap.note(&buffer[..count]);
            }
            if count == 0 || on_the_way.send((at, buffer[..count].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let mut mode = mode;
    let write = async move {
        while let Some((at, bytes)) = arriving.recv().await {
            sleep_until(at).await;
            if mode.wait_for(|mode| !mode.holding).await.is_err() || to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}
