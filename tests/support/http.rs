//! HTTP by hand: requests as no well-behaved client would send them, and those that wait for an answer.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::{PATIENCE, wait};

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Kind of the error.
    pub fn kind(&self) -> String {
        self.json()["error"]["kind"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    fn read(bytes: &[u8]) -> Option<Answer> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer {
            status,
            head: head.to_lowercase(),
            body: body.to_owned(),
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.body)
    }
}

/// An address of this machine at which nobody listens, and that a server which starts again can have again. It is not that
/// of simulated devices, which take free ports meanwhile.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.2:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}

/// Sends these bytes on a connection of their own and reads to its end; `None` where there is no answer.
pub async fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Option<Answer> {
    exchange(TcpStream::connect(address).await.ok()?, request).await
}

/// The same at a Unix socket.
pub async fn ask_socket(path: &Path, request: impl AsRef<[u8]>) -> Option<Answer> {
    exchange(UnixStream::connect(path).await.ok()?, request).await
}

/// What comes of a GET; `None` where nobody answers.
pub async fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    ask(address, request(&address.to_string(), path)).await
}

/// The same at a Unix socket.
pub async fn get_at(socket: &Path, path: &str) -> Option<Answer> {
    ask_socket(socket, request("localhost", path)).await
}

/// Asks until the answer is as it should be, and gives it.
pub async fn until(
    address: SocketAddr,
    path: &str,
    what: &str,
    condition: impl Fn(&Answer) -> bool,
) -> Answer {
    wait::for_value(what, async || match get(address, path).await {
        Some(answer) if condition(&answer) => Ok(answer),
        answer => Err(answer.map_or("no answer".to_owned(), |answer| answer.to_string())),
    })
    .await
}

fn request(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: impl AsRef<[u8]>,
) -> Option<Answer> {
    // A server that has refused already does not read the rest.
    let _ = stream.write_all(request.as_ref()).await;
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // An end by reset still leaves what came before.
    let _ = read.expect("the connection ends");
    Answer::read(&answer)
}
