//! Requests to etcd's nodes: one node at a time, and the next one once it fails. A request that changes something is sent
//! once, unless it is certain that not a byte of it was sent.

mod attempts;
#[cfg(test)]
mod tests;
mod token;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use self::attempts::share;
pub(super) use self::attempts::{Attempts, left};
use self::token::Token;
use super::error::{Cause, Error, Subject};
use super::settings::{Settings, SettingsError};
use super::wire::StreamLine;
use crate::tls::{ClientTls, Trust};

/// Largest answer that is read, in bytes: a page (`PAGE`) of the largest values.
pub(super) const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Most of a refusal that is read.
const MAX_REFUSAL: usize = 64 * 1024;
/// A connection that carries nothing is probed so often; after two more that are not answered it is closed.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// The gateway passes it on to etcd, which ends a watch when the node has lost its leader.
const REQUIRE_LEADER: HeaderName = HeaderName::from_static("grpc-metadata-hasleader");

/// A kind of request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) path: &'static str,
    /// Its name in errors.
    pub(super) name: &'static str,
    /// Whether sending it twice may do something else than sending it once.
    pub(super) is_write: bool,
    /// Whether an answer may hold a secret.
    pub(super) is_secret: bool,
    /// Whether the answer is the first line of a stream.
    pub(super) is_stream: bool,
}

/// An HTTP client, the node that it asks, and its login.
#[derive(Debug)]
pub(super) struct Gateway {
    http: reqwest::Client,
    urls: Vec<String>,
    current: AtomicUsize,
    token: Token,
    is_shown_certificate: bool,
}

/// Which node a request is sent to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node(usize);

impl Gateway {
    /// Reads the files of `settings.tls`.
    pub(super) fn new(settings: &Settings) -> Result<Gateway, SettingsError> {
        let urls = settings.urls()?;
        let is_https = urls.iter().any(|url| url.starts_with("https:"));
        // A machine without any CA file must still reach nodes over http.
        let no_tls = ClientTls {
            trust: Trust::None,
            identity: None,
        };
        let tls = if is_https { &settings.tls } else { &no_tls };
        // What is not reached in its share of the time leaves some for the others. Shorter than that of a request: then it is
        // certain that nothing was sent.
        let connect_timeout = share(settings.timeout, urls.len() + 1);
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.client_config()?)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // A write must not be sent twice.
            .retry(reqwest::retry::never())
            .connect_timeout(connect_timeout)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(2)
            .user_agent(concat!("lantime2mqtt/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| SettingsError::Build(error.to_string()))?;
        Ok(Gateway {
            http,
            urls,
            current: AtomicUsize::new(0),
            token: Token::new(settings.login.clone()),
            is_shown_certificate: tls.identity.is_some(),
        })
    }

    /// Sends a request and reads its answer, within `timeout` in all. Gives also what errors in that answer are to name.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        call: &Call,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<(T, Subject<'_>), Error> {
        let mut attempts = Attempts::new(self, *call, timeout);
        let body = attempts.subject().body(body)?;
        loop {
            match self.ask(attempts.node, call, &body, attempts.deadline()).await {
                Ok(answer) => return Ok((answer, attempts.subject())),
                Err(error) => attempts.failed(error)?,
            }
        }
    }

    /// Sends a request to that node, with a new token if that is refused, and reads its answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        node: Node,
        call: &Call,
        body: &Bytes,
        deadline: Instant,
    ) -> Result<T, Error> {
        let token = self.token(node, deadline).await?;
        match self.exchange(node, call, body, token.as_ref(), deadline).await {
            Err(error) if token.is_some() && error.is_login_refused() => {
                let token = self.renewed_token(node, token, deadline).await?;
                self.exchange(node, call, body, token.as_ref(), deadline).await
            }
            result => result,
        }
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        node: Node,
        call: &Call,
        body: &Bytes,
        token: Option<&HeaderValue>,
        deadline: Instant,
    ) -> Result<T, Error> {
        let subject = self.subject(node, call);
        let time = left(deadline);
        let response = self.post(node, call, body, token, Some(time)).await?;
        let answer = read(response, &subject, MAX_ANSWER, time).await?;
        if !call.is_stream {
            return subject.decode(&answer);
        }
        match subject.decode(&answer)? {
            StreamLine::Result(answer) => Ok(answer),
            StreamLine::Error(refusal) => Err(subject.refused(&refusal)),
        }
    }

    /// The token for requests; none without a login.
    pub(super) async fn token(&self, node: Node, deadline: Instant) -> Result<Option<HeaderValue>, Error> {
        self.token.other_than(None, self, node, deadline).await
    }

    /// Another token than the refused one.
    pub(super) async fn renewed_token(
        &self,
        node: Node,
        refused: Option<HeaderValue>,
        deadline: Instant,
    ) -> Result<Option<HeaderValue>, Error> {
        self.token.other_than(refused, self, node, deadline).await
    }

    /// Sends a request as it is, until the head of an answer of success is there. `time` bounds its body too; without it the
    /// answer is a stream without an end.
    pub(super) async fn post(
        &self,
        node: Node,
        call: &Call,
        body: &Bytes,
        token: Option<&HeaderValue>,
        time: Option<Duration>,
    ) -> Result<Response, Error> {
        let subject = self.subject(node, call);
        let request = self.request(node, call, body, token);
        let request = match time {
            Some(time) => request.timeout(time),
            None => request.header(REQUIRE_LEADER, HeaderValue::from_static("true")),
        };
        let time = time.unwrap_or_default();
        let sent = request.send().await;
        let response = sent.map_err(|error| subject.failed(error, time))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        // Whatever cannot be read of a refusal does not matter: the status has arrived.
        let body = read(response, &subject, MAX_REFUSAL, time)
            .await
            .unwrap_or_default();
        Err(subject.status(status.as_u16(), &body))
    }

    fn request(&self, node: Node, call: &Call, body: &Bytes, token: Option<&HeaderValue>) -> RequestBuilder {
        let url = format!("{}{}", self.urls[node.0], call.path);
        let request = self.http.post(url);
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = request.body(body.clone());
        match token {
            Some(token) => request.header(AUTHORIZATION, token),
            None => request,
        }
    }

    pub(super) fn subject(&self, node: Node, call: &Call) -> Subject<'_> {
        Subject {
            endpoint: &self.urls[node.0],
            request: call.name,
            is_write: call.is_write,
            is_secret: call.is_secret,
            is_shown_certificate: self.is_shown_certificate,
        }
    }

    fn current(&self) -> Node {
        Node(self.current.load(Ordering::Relaxed) % self.urls.len())
    }

    /// The next node is asked from now on, unless somebody else has left this one already.
    pub(super) fn leave(&self, node: Node) {
        let next = (node.0 + 1) % self.urls.len();
        let _ = self
            .current
            .compare_exchange(node.0, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Subject<'_> {
    /// A request's body.
    pub(super) fn body(&self, body: &impl Serialize) -> Result<Bytes, Error> {
        let body = serde_json::to_vec(body);
        let body = body.map_err(|error| self.unsent(Cause::Rejected(error.to_string())))?;
        Ok(Bytes::from(body))
    }

    /// An answer's body.
    pub(super) fn decode<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, Error> {
        let decoded = serde_json::from_slice(answer);
        decoded.map_err(|error| self.bad_answer(format!("the answer cannot be read: {error}")))
    }
}

/// Reads a body, and refuses it, while it streams, beyond `most` bytes.
pub(super) async fn read(
    mut response: Response,
    subject: &Subject<'_>,
    most: usize,
    time: Duration,
) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    loop {
        let chunk = response.chunk().await;
        let Some(chunk) = chunk.map_err(|error| subject.failed(error, time))? else {
            return Ok(body.freeze());
        };
        if body.len() + chunk.len() > most {
            return Err(subject.bad_answer(format!("the answer is larger than {most} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
}
