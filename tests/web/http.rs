//! HTTP by hand: requests as no well-behaved client would send them.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::support::PATIENCE;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Kind of the error.
    pub(crate) fn kind(&self) -> String {
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

/// Sends these bytes on a connection of their own and reads to its end; `None` where there is no answer.
pub(crate) async fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Option<Answer> {
    exchange(TcpStream::connect(address).await.ok()?, request).await
}

/// The same at a Unix socket.
pub(crate) async fn ask_socket(path: &Path, request: impl AsRef<[u8]>) -> Option<Answer> {
    exchange(UnixStream::connect(path).await.ok()?, request).await
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
