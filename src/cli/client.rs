//! Asks the bridge that runs on this machine, by its API at the socket in its state directory.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::{Method, RequestBuilder, Url, header};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::web::socket::{self, SocketError};

/// Why the bridge cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("no bridge runs: nothing listens at {0}; start it, or name its configuration with --config")]
    NoBridge(PathBuf),
    #[error("cannot connect to {path}: {reason}; run this as the user of the bridge, or as root")]
    Connect { path: PathBuf, reason: String },
    #[error(
        "no answer from the bridge at {path} within {} s; see its log, and restart it if it hangs",
        within.as_secs()
    )]
    Timeout { path: PathBuf, within: Duration },
    /// More wait at the socket than it takes.
    #[error(
        "the bridge at {0} accepts no more connections: too many are waiting; retry, and see its log if it hangs"
    )]
    Busy(PathBuf),
    #[error(
        "the bridge at {0} has ended the connection without an answer: it stops, or has failed; see its log"
    )]
    Ended(PathBuf),
    #[error("the answer from {0} is malformed; use the command line of the bridge's version")]
    Answer(PathBuf),
}

/// JSON, or what was asked for in its place, and whether it reports success.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) is_success: bool,
    pub(super) json: String,
}

impl Answer {
    /// What it has, if it is no refusal.
    ///
    /// # Errors
    /// What was refused, and the remedy.
    pub(super) fn accepted(self) -> anyhow::Result<String> {
        if self.is_success {
            return Ok(self.json);
        }
        let Refused { error } = serde_json::from_str(&self.json).context("the bridge's answer")?;
        Err(anyhow!("{}; {}", error.message, error.remedy))
    }
}

#[derive(Deserialize)]
struct Refused {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    message: String,
    remedy: String,
}

/// What of that is asked for, as a URL has it.
pub(super) fn query<'a>(asked: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let asked = asked.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let url = Url::parse_with_params("http://localhost/", asked);
    url.ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default()
}

/// A client of one bridge.
pub(super) struct Client {
    path: PathBuf,
    http: reqwest::Client,
    within: Duration,
}

impl Client {
    /// Asks the bridge with that state directory. It answers `within` that time, but for commands: those take as long as
    /// the device does.
    pub(super) fn new(directory: &Path, within: Duration) -> Result<Client, SocketError> {
        let path = socket::path_in(directory)?;
        // There is no TLS here, and so nobody to be trusted.
        let http = reqwest::Client::builder().tls_certs_only([]);
        let http = http.no_proxy().unix_socket(path.as_path()).build();
        let http = http.expect("a client that needs no certificates can be made");
        Ok(Client { path, http, within })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(self.request(Method::GET, path).timeout(self.within))
            .await
    }

    /// What is no JSON.
    pub(super) async fn text(&self, path: &str) -> Result<String, ClientError> {
        let request = self.request(Method::GET, path).timeout(self.within);
        let answer = async { request.send().await?.text().await };
        answer.await.map_err(|error| self.failed(&error))
    }

    /// CSV in the place of JSON; a refusal is JSON all the same.
    pub(super) async fn csv(&self, path: &str) -> Result<Answer, ClientError> {
        let request = self.request(Method::GET, path).timeout(self.within);
        let answer = async {
            let answer = request.header(header::ACCEPT, "text/csv").send().await?;
            let is_success = answer.status().is_success();
            let json = answer.text().await?;
            Ok(Answer { is_success, json })
        };
        answer.await.map_err(|error| self.failed(&error))
    }

    pub(super) async fn post(&self, path: &str, json: String) -> Result<Answer, ClientError> {
        self.send(self.with_body(path, json).timeout(self.within)).await
    }

    /// The same, for as long as it takes.
    pub(super) async fn command(&self, path: &str, json: String) -> Result<Answer, ClientError> {
        self.send(self.with_body(path, json)).await
    }

    fn with_body(&self, path: &str, json: String) -> RequestBuilder {
        let request = self.request(Method::POST, path);
        request
            .header(header::CONTENT_TYPE, "application/json")
            .body(json)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://localhost{path}"))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        let answer = async {
            let answer = request.send().await?;
            Ok((answer.status().is_success(), answer.bytes().await?))
        };
        let (is_success, body) = answer.await.map_err(|error| self.failed(&error))?;
        let json = String::from_utf8(body.to_vec());
        let json = json
            .ok()
            .filter(|json| serde_json::from_str::<IgnoredAny>(json).is_ok());
        let json = json.ok_or_else(|| ClientError::Answer(self.path.clone()))?;
        Ok(Answer { is_success, json })
    }

    fn failed(&self, error: &reqwest::Error) -> ClientError {
        let (path, within) = (self.path.clone(), self.within);
        let causes = anyhow::Chain::new(error);
        let io = causes.clone().find_map(|cause| cause.downcast_ref::<io::Error>());
        let mut http = causes.filter_map(|cause| cause.downcast_ref::<hyper::Error>());
        match io.map(io::Error::kind) {
            _ if error.is_timeout() => ClientError::Timeout { path, within },
            // A bridge that was killed leaves its socket behind.
            Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => ClientError::NoBridge(path),
            Some(io::ErrorKind::WouldBlock) => ClientError::Busy(path),
            Some(_) if error.is_connect() => {
                let reason = io.map(io::Error::to_string).unwrap_or_default();
                ClientError::Connect { path, reason }
            }
            _ if http.any(hyper::Error::is_parse) => ClientError::Answer(path),
            _ => ClientError::Ended(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{UnixListener, UnixSocket, UnixStream};

    use super::*;

    fn client(directory: &TempDir, within: Duration) -> Client {
        crate::tls::install_provider();
        Client::new(directory.path(), within).unwrap()
    }

    #[tokio::test]
    async fn a_bridge_that_is_not_there_is_named() {
        let directory = TempDir::new().unwrap();
        let client = client(&directory, Duration::from_secs(10));
        let asked = client.get("/healthz").await.unwrap_err();
        assert!(matches!(asked, ClientError::NoBridge(_)), "{asked:?}");
        // Its end leaves the file.
        drop(UnixListener::bind(&client.path).unwrap());
        assert!(client.path.exists());
        let asked = client.get("/healthz").await.unwrap_err();
        assert!(matches!(asked, ClientError::NoBridge(_)), "{asked:?}");
        for part in ["no bridge runs", "control.sock", "--config"] {
            assert!(asked.to_string().contains(part), "{asked}");
        }
        fs::remove_file(&client.path).unwrap();
        fs::create_dir(&client.path).unwrap();
        assert!(client.get("/healthz").await.is_err());
    }

    #[tokio::test]
    async fn a_bridge_that_hangs_is_named() {
        let directory = TempDir::new().unwrap();
        let client = client(&directory, Duration::from_millis(20));
        let _listener = UnixListener::bind(&client.path).unwrap();
        let asked = client.get("/healthz").await.unwrap_err();
        assert!(matches!(asked, ClientError::Timeout { .. }), "{asked:?}");
        assert!(asked.to_string().contains("control.sock"), "{asked}");
    }

    #[tokio::test]
    async fn a_bridge_at_which_too_many_wait_is_named() {
        let directory = TempDir::new().unwrap();
        let client = client(&directory, Duration::from_secs(10));
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&client.path).unwrap();
        let _listener = socket.listen(0).unwrap();
        let _waits = UnixStream::connect(&client.path).await.unwrap();
        let asked = client.get("/healthz").await.unwrap_err();
        assert!(matches!(asked, ClientError::Busy(_)), "{asked:?}");
        assert!(asked.to_string().contains("retry"), "{asked}");
    }

    #[tokio::test]
    async fn a_bridge_that_talks_nonsense_is_named() {
        let directory = TempDir::new().unwrap();
        let client = client(&directory, Duration::from_secs(10));
        let listener = UnixListener::bind(&client.path).unwrap();
        let cases = [
            ("hello\n\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}", false),
            ("HTTP/1.1 200", false),
            ("", false),
        ];
        let talk = tokio::spawn(async move {
            for (nonsense, _) in cases {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1024]).await.unwrap();
                stream.write_all(nonsense.as_bytes()).await.unwrap();
            }
        });
        for (nonsense, is_whole) in cases {
            let asked = client.get("/healthz").await.unwrap_err();
            let is_named = match asked {
                ClientError::Answer(_) => is_whole,
                ClientError::Ended(_) => !is_whole,
                _ => false,
            };
            assert!(
                is_named && asked.to_string().contains("control.sock"),
                "{nonsense}: {asked}"
            );
        }
        talk.await.unwrap();
    }
}
