//! Changes of keys as they happen, in order of their revisions.
//!
//! Over HTTP/1 etcd 3.4 answers a request for progress only while it reads the request, and reports progress by itself every
//! ten minutes. So a watch that is silent asks the same node for the number of its keys instead, on a connection of its own:
//! a node that is frozen, or without a majority, does not answer that. The connection of the watch itself is probed by TCP.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::HeaderValue;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::error::{Cause, Error, Subject};
use super::gateway::{Attempts, Call, Gateway, MAX_ANSWER, Node, left};
use super::keys::{Entry, Keys};
use super::wire::{
    Event, EventKind, RangeAnswer, RangeRequest, Refusal, StreamLine, WatchAnswer, WatchCreate, WatchRequest,
};

const WATCH: Call = Call {
    path: "/v3/watch",
    name: "watch",
    is_write: false,
    is_secret: false,
    is_stream: false,
};
const PROBE: Call = Call {
    path: "/v3/kv/range",
    name: "watch",
    is_write: false,
    is_secret: false,
    is_stream: false,
};

/// A change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was written.
    Put(Entry),
    /// It was deleted, or its lease has ended.
    Delete {
        /// The key.
        key: Vec<u8>,
        /// The revision of the transaction that has deleted it.
        revision: i64,
    },
}

/// A running watch; it ends when it is dropped.
pub struct Watch {
    gateway: Arc<Gateway>,
    node: Node,
    keys: Keys,
    response: Response,
    /// What has come of a line.
    buffer: BytesMut,
    /// Up to where the buffer has no end of a line.
    searched: usize,
    idle: Duration,
    timeout: Duration,
    silent_since: Instant,
    /// Runs while the watch is silent for too long. Kept over calls of `next` that are not awaited to their end.
    probe: Option<Probe>,
}

type Probe = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl Watch {
    /// Begins one, at the first node that confirms it within its share of `timeout`.
    pub(super) async fn start(
        gateway: Arc<Gateway>,
        keys: &Keys,
        from_revision: i64,
        timeout: Duration,
        idle: Duration,
    ) -> Result<Watch, Error> {
        let request = WatchRequest {
            create_request: WatchCreate {
                keys: keys.range(),
                start_revision: from_revision,
                fragment: true,
            },
        };
        let mut attempts = Attempts::new(&gateway, WATCH, timeout);
        let body = attempts.subject().body(&request)?;
        loop {
            let (node, deadline) = (attempts.node, attempts.deadline());
            let subject = attempts.subject();
            let time = left(deadline);
            let opening = open(&gateway, node, &body, deadline);
            let opened = timeout_at(deadline, opening).await;
            match opened.unwrap_or_else(|_| Err(subject.broken(Cause::Timeout(time)))) {
                Ok((response, buffer)) => {
                    return Ok(Watch {
                        gateway: Arc::clone(&gateway),
                        node,
                        keys: keys.clone(),
                        response,
                        buffer,
                        searched: 0,
                        idle,
                        timeout,
                        silent_since: Instant::now(),
                        probe: None,
                    });
                }
                Err(error) => attempts.failed(error)?,
            }
        }
    }

    /// The next changes: at least one, in order. Those of one revision may come in several calls where they are large.
    /// Nothing is lost when the future is dropped before its end.
    ///
    /// # Errors
    /// When the watch has ended: etcd has ended it, the connection broke, or the node answers nothing any more. Then there
    /// is nothing to come; begin another one after the last revision that was seen.
    pub async fn next(&mut self) -> Result<Vec<Change>, Error> {
        let changes = self.advance().await;
        if let Err(error) = &changes
            && error.is_of_endpoint()
        {
            self.gateway.leave(self.node);
        }
        changes
    }

    async fn advance(&mut self) -> Result<Vec<Change>, Error> {
        loop {
            match self.take_answer()? {
                Some(answer) if answer.events.is_empty() => {}
                Some(answer) => return Ok(answer.events.into_iter().map(Change::of).collect()),
                None => self.read().await?,
            }
        }
    }

    /// Reads more, or learns that the node lives.
    async fn read(&mut self) -> Result<(), Error> {
        let subject = self.gateway.subject(self.node, &WATCH);
        tokio::select! {
            biased;
            chunk = self.response.chunk() => {
                self.probe = None;
                self.silent_since = Instant::now();
                append(&mut self.buffer, chunk, &subject)
            }
            alive = probed(&mut self.probe), if self.probe.is_some() => {
                self.probe = None;
                self.silent_since = Instant::now();
                alive
            }
            () = sleep_until(self.silent_since + self.idle), if self.probe.is_none() => {
                let gateway = Arc::clone(&self.gateway);
                self.probe = Some(Box::pin(probe(gateway, self.node, self.keys.clone(), self.timeout)));
                Ok(())
            }
        }
    }

    /// The next whole line, if there is one.
    fn take_answer(&mut self) -> Result<Option<WatchAnswer>, Error> {
        let subject = self.gateway.subject(self.node, &WATCH);
        let line = take_line(&mut self.buffer, &mut self.searched);
        line.map(|line| answer(&line, &subject)).transpose()
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// Sends the request, with a new token if that is refused, and waits until etcd confirms it.
async fn open(
    gateway: &Gateway,
    node: Node,
    body: &Bytes,
    deadline: Instant,
) -> Result<(Response, BytesMut), Error> {
    let token = gateway.token(node, deadline).await?;
    match open_with(gateway, node, body, token.as_ref()).await {
        Err(error) if token.is_some() && error.is_login_refused() => {
            let token = gateway.renewed_token(node, token, deadline).await?;
            open_with(gateway, node, body, token.as_ref()).await
        }
        result => result,
    }
}

async fn open_with(
    gateway: &Gateway,
    node: Node,
    body: &Bytes,
    token: Option<&HeaderValue>,
) -> Result<(Response, BytesMut), Error> {
    let subject = gateway.subject(node, &WATCH);
    let mut response = gateway.post(node, &WATCH, body, token, None).await?;
    let (mut buffer, mut searched) = (BytesMut::new(), 0);
    let first = loop {
        match take_line(&mut buffer, &mut searched) {
            Some(line) => break answer(&line, &subject)?,
            None => append(&mut buffer, response.chunk().await, &subject)?,
        }
    };
    match first.created {
        true => Ok((response, buffer)),
        false => Err(subject.bad_answer("the watch is not confirmed")),
    }
}

async fn probed(probe: &mut Option<Probe>) -> Result<(), Error> {
    match probe {
        Some(probe) => probe.await,
        None => std::future::pending().await,
    }
}

/// Whether that node still serves reads.
async fn probe(gateway: Arc<Gateway>, node: Node, keys: Keys, timeout: Duration) -> Result<(), Error> {
    let request = RangeRequest {
        keys: keys.range(),
        limit: 0,
        revision: 0,
        count_only: true,
    };
    let body = gateway.subject(node, &PROBE).body(&request)?;
    let asked = gateway.ask(node, &PROBE, &body, Instant::now() + timeout);
    asked.await.map(|_: RangeAnswer| ())
}

/// Puts what has come behind what is there.
fn append(
    buffer: &mut BytesMut,
    chunk: Result<Option<Bytes>, reqwest::Error>,
    subject: &Subject<'_>,
) -> Result<(), Error> {
    let chunk = chunk.map_err(|error| subject.failed(error, Duration::ZERO))?;
    let Some(chunk) = chunk else {
        // The gateway ends what it says last by the end of the answer.
        let last = buffer.split().freeze();
        if !last.trim_ascii().is_empty() {
            answer(&last, subject)?;
        }
        let what = "the connection was closed within the answer";
        return Err(subject.broken(Cause::Unreachable(what.to_owned())));
    };
    if buffer.len() + chunk.len() > MAX_ANSWER {
        return Err(subject.bad_answer(format!("a line is longer than {MAX_ANSWER} bytes")));
    }
    buffer.extend_from_slice(&chunk);
    Ok(())
}

/// The next line that is not empty, without its end. No byte is looked at twice.
fn take_line(buffer: &mut BytesMut, searched: &mut usize) -> Option<Bytes> {
    loop {
        let Some(at) = buffer[*searched..].iter().position(|byte| *byte == b'\n') else {
            *searched = buffer.len();
            return None;
        };
        let line = buffer.split_to(*searched + at + 1).freeze();
        *searched = 0;
        if !line.trim_ascii().is_empty() {
            return Some(line);
        }
    }
}

/// Reads a line of the answer.
fn answer(line: &[u8], subject: &Subject<'_>) -> Result<WatchAnswer, Error> {
    let answer: WatchAnswer = match subject.decode(line)? {
        StreamLine::Result(answer) => answer,
        StreamLine::Error(refusal) => return Err(subject.refused(&refusal)),
    };
    if answer.compact_revision != 0 {
        let oldest = Some(answer.compact_revision);
        return Err(subject.broken(Cause::Compacted { oldest }));
    }
    match (answer.canceled, &*answer.cancel_reason) {
        (false, _) => Ok(answer),
        (true, "") => Err(subject.broken(Cause::Unavailable("it has ended the watch".to_owned()))),
        (true, reason) => Err(subject.refused(&Refusal::of_reason(reason))),
    }
}

impl Change {
    fn of(event: Event) -> Change {
        match event.kind {
            EventKind::Put => Change::Put(event.kv.into()),
            EventKind::Delete => Change::Delete {
                key: event.kv.key,
                revision: event.kv.mod_revision,
            },
        }
    }

    /// The key that has changed.
    pub fn key(&self) -> &[u8] {
        match self {
            Change::Put(entry) => &entry.key,
            Change::Delete { key, .. } => key,
        }
    }

    /// The revision of the change.
    pub fn revision(&self) -> i64 {
        match self {
            Change::Put(entry) => entry.mod_revision,
            Change::Delete { revision, .. } => *revision,
        }
    }
}

#[cfg(test)]
mod tests;
