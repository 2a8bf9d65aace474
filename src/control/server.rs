//! The bridge's end of the control socket.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Answer, ControlError, Fault, Line, MAX_PATH, MAX_REQUEST, PATIENCE, Request, answer};
use crate::contract::topics::Topics;
use crate::model::ErrorKind;
use crate::records::store::Store;

/// Connections at a time; more wait in the backlog.
const MAX_CONNECTIONS: usize = 16;
/// Wait before another try where the system has refused a connection.
const RETRY: Duration = Duration::from_millis(100);

/// A control socket that listens already.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    listener: UnixListener,
}

impl Server {
    /// Listens at `path`, for this user alone. The caller has the store of that directory open: a socket that
    /// is there already was left by a bridge that was killed, and is removed.
    ///
    /// # Errors
    /// When the path is too long or something else is there.
    pub fn bind(path: &Path) -> Result<Server, ControlError> {
        let length = path.as_os_str().len();
        if length > MAX_PATH {
            let path = path.to_owned();
            return Err(ControlError::PathTooLong { path, length });
        }
        let listener = listen(path).map_err(|error| ControlError::Bind {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let path = path.to_owned();
        Ok(Server { path, listener })
    }

    /// Serves until `stop`, then removes the socket. `replay` runs the command of a dead letter once more and
    /// gives the JSON of its reply. `topics` are the bridge's.
    pub async fn run<R>(
        self,
        store: Store,
        topics: Topics,
        replay: impl Fn(Uuid) -> R + Clone + Send + Sync + 'static,
        stop: CancellationToken,
    ) where
        R: Future<Output = Bytes> + Send + 'static,
    {
        stop.run_until_cancelled(self.accept(store, topics, replay)).await;
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(socket = %self.path.display(), %error, "the control socket stays");
        }
    }

    async fn accept<R>(
        &self,
        store: Store,
        topics: Topics,
        replay: impl Fn(Uuid) -> R + Clone + Send + Sync + 'static,
    ) where
        R: Future<Output = Bytes> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        // They end with this one.
        let mut connections = JoinSet::new();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (store, topics, replay) = (store.clone(), topics.clone(), replay.clone());
                    connections.spawn(async move {
                        serve(stream, &store, &topics, &replay, PATIENCE).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection at the control socket");
                    sleep(RETRY).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => fs::remove_file(path)?,
        _ => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    // Before it listens, so that nobody else can ever connect.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket.listen(MAX_CONNECTIONS as u32)
}

/// Answers line by line until the client leaves or is too slow.
pub(super) async fn serve<R>(
    stream: UnixStream,
    store: &Store,
    topics: &Topics,
    replay: &impl Fn(Uuid) -> R,
    patience: Duration,
) where
    R: Future<Output = Bytes>,
{
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Ok(Some(line)) = timeout(patience, read_line(&mut reader)).await {
        let is_whole = line.len() <= MAX_REQUEST;
        let answer = match request(&line) {
            Ok(request) => answer(store, topics, request, async |id| Ok(replay(id).await)).await,
            Err(fault) => Err(fault),
        };
        let line = line_of(answer);
        let written = timeout(patience, writer.write_all(&line)).await;
        if !matches!(written, Ok(Ok(()))) || !is_whole {
            return;
        }
    }
}

/// A line without its end; `None` at the end of the connection. An overlong one is cut after [`MAX_REQUEST`] and a
/// byte more.
async fn read_line(reader: &mut BufReader<OwnedReadHalf>) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut reader = reader.take(MAX_REQUEST as u64 + 1);
    match reader.read_until(b'\n', &mut line).await {
        Ok(0) | Err(_) => None,
        Ok(_) => {
            line.pop_if(|byte| *byte == b'\n');
            Some(line)
        }
    }
}

fn request(line: &[u8]) -> Result<Request, Fault> {
    if line.len() > MAX_REQUEST {
        let remedy = format!("send at most {MAX_REQUEST} bytes");
        return Err(Fault::new(ErrorKind::TooLarge, "the request is too long", remedy));
    }
    serde_json::from_slice(line).map_err(|error| {
        let what = format!("the request cannot be understood: {error}");
        let remedy = "use the command line of the same version as the bridge";
        Fault::new(ErrorKind::Decode, what, remedy)
    })
}

fn line_of(answer: Answer) -> Vec<u8> {
    let ok = answer.is_ok();
    let (result, error): (Option<Box<RawValue>>, _) = match answer {
        Ok(result) => (Some(result), None),
        Err(fault) => (None, Some(fault)),
    };
    let mut line = serde_json::to_vec(&Line { ok, result, error }).expect("texts can be written as JSON");
    line.push(b'\n');
    line
}
