//! The command line's end of the control socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Answer, ControlError, Line, PATIENCE, Request};

/// Longest answer; the archive of a bridge is smaller.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;

/// Asks the bridge that listens at `path`. A replay takes as long as its command does, anything else
/// some seconds at the most.
///
/// # Errors
/// When no bridge is there, or none that answers; what the bridge itself refuses is an answer.
pub async fn ask(path: &Path, request: &Request) -> Result<Answer, ControlError> {
    ask_within(path, request, PATIENCE).await
}

pub(super) async fn ask_within(
    path: &Path,
    request: &Request,
    patience: Duration,
) -> Result<Answer, ControlError> {
    let mut stream = UnixStream::connect(path)
        .await
        .map_err(|error| match error.kind() {
            // A bridge that was killed leaves its socket behind.
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ControlError::NobodyThere(path.to_owned())
            }
            _ => ControlError::Connect {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        })?;
    let asked = exchange(&mut stream, request);
    let line = match request {
        Request::Replay { .. } => asked.await,
        _ => match timeout(patience, asked).await {
            Ok(line) => line,
            Err(_) => return Err(ControlError::Timeout(path.to_owned())),
        },
    };
    let line = line.map_err(|_| ControlError::Ended(path.to_owned()))?;
    read(&line).ok_or_else(|| match line.last() {
        Some(b'\n') => ControlError::Answer(path.to_owned()),
        _ => ControlError::Ended(path.to_owned()),
    })
}

async fn exchange(stream: &mut UnixStream, request: &Request) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(request).expect("texts and numbers can be written as JSON");
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = Vec::new();
    let mut reader = BufReader::new(stream).take(MAX_ANSWER);
    reader.read_until(b'\n', &mut answer).await?;
    Ok(answer)
}

fn read(line: &[u8]) -> Option<Answer> {
    let line: Line = serde_json::from_slice(line).ok()?;
    match line {
        Line { ok: true, result, .. } => result.map(Ok),
        Line { ok: false, error, .. } => error.map(Err),
    }
}
