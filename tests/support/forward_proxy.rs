//! An HTTP proxy: forwards requests with a whole URL, tunnels CONNECT, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The first head of each connection.
type Heads = Arc<Mutex<Vec<String>>>;

/// The proxy; stopped on drop.
pub struct ForwardProxy {
    address: SocketAddr,
    heads: Heads,
    task: JoinHandle<()>,
}

impl ForwardProxy {
    /// Starts one on a free port of the loopback.
    pub async fn start() -> ForwardProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let heads = Heads::default();
        let notes = Arc::clone(&heads);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let notes = Arc::clone(&notes);
                tokio::spawn(async move { serve(client, &notes).await });
            }
        });
        ForwardProxy { address, heads, task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its URL with credentials.
    pub fn url_with(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}", self.address)
    }

    /// The first head of each connection that was for `authority`, in lower case.
    pub fn heads_for(&self, authority: &str) -> Vec<String> {
        let heads = self.heads.lock().expect("nobody panics with it");
        let is_for = |head: &&String| head.lines().next().is_some_and(|line| line.contains(authority));
        heads.iter().filter(is_for).cloned().collect()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `None` only says that a side has left early.
async fn serve(mut client: TcpStream, heads: &Heads) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    heads.lock().expect("nobody panics with it").push(text.clone());
    let (method, rest) = text.split_once(' ')?;
    let target = rest.split(' ').next()?;
    if method == "connect" {
        let mut server = TcpStream::connect(target).await.ok()?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
        copy_bidirectional(&mut client, &mut server).await.ok()?;
    } else {
        let authority = target.strip_prefix("http://")?.split('/').next()?;
        let mut server = TcpStream::connect(authority).await.ok()?;
        server.write_all(&head).await.ok()?;
        copy_bidirectional(&mut client, &mut server).await.ok()?;
    }
    Some(())
}
