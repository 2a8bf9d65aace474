//! `/api/live`: server-sent events. First everything there is, then what has changed.
//!
//! A client that is slow misses what was so in between, and gets what is so now. It costs the same memory however much
//! changes: what it has received last is a number, and the texts belong to all clients.

mod feed;

use std::ops::Bound;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::answer::Refusal;
use super::{Shared, Shown};
use crate::model::{DeviceId, ErrorKind};
use crate::open_files;
pub(super) use feed::Feed;
use feed::Frames;

/// Clients at a time, where there are descriptors enough; more are refused.
const MAX_CLIENTS: usize = 1024;
/// When a client is sent a sign of life if nothing changes: so a page soon sees that it is cut off.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Events of a client that go out in one write.
const AT_ONCE: usize = 16;
/// An event and no comment: a page sees it, and so knows when it gets no more changes.
const ALIVE: &[u8] = b"event: alive\ndata: {}\n\n";
/// When a client that was refused may come again.
const RETRY_SECONDS: &str = "30";

/// Where clients get what the feed gives.
#[derive(Debug, Clone)]
pub(super) struct Live {
    most: usize,
    places: Arc<Semaphore>,
    frames: watch::Sender<Frames>,
    arrived: Arc<Notify>,
    stop: CancellationToken,
}

/// How many clients there may be at a time.
pub(super) fn max_clients() -> usize {
    open_files::share_for_others(MAX_CLIENTS)
}

/// What clients share, and the feed that has to run for them.
pub(super) fn channel(shown: Shown, changeable: bool, stop: CancellationToken) -> (Live, Feed) {
    let most = max_clients();
    let live = Live {
        most,
        places: Arc::new(Semaphore::new(most)),
        frames: watch::Sender::default(),
        arrived: Arc::default(),
        stop,
    };
    let (frames, arrived) = (live.frames.clone(), Arc::clone(&live.arrived));
    (live, Feed::new(shown, changeable, frames, arrived))
}

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/api/live", get(live))
}

async fn live(State(app): State<Shared>) -> Response {
    let live = app.live.clone();
    let Ok(place) = Arc::clone(&live.places).try_acquire_owned() else {
        return full(live.most);
    };
    // When it is full the client waits: it is as slow as its connection. The texts are those of all clients.
    let (sender, events) = mpsc::channel(AT_ONCE);
    let client = Client {
        frames: live.frames.subscribe(),
        events: sender,
    };
    live.arrived.notify_one();
    tokio::spawn(async move {
        live.stop.run_until_cancelled(client.run()).await;
        drop(place);
    });
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // nginx would hold events back until it has enough of them.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (head, Body::new(Events(events))).into_response()
}

fn full(most: usize) -> Response {
    let message = format!("{most} clients are receiving changes already");
    let remedy = "close pages that nobody looks at, or poll /api/devices instead";
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Busy, message, remedy);
    let head = [
        (header::RETRY_AFTER, RETRY_SECONDS),
        (header::CONNECTION, "close"),
    ];
    (head, refusal).into_response()
}

struct Client {
    frames: watch::Receiver<Frames>,
    events: mpsc::Sender<Bytes>,
}

impl Client {
    /// Until the client leaves.
    async fn run(mut self) {
        let mut sent = 0;
        loop {
            let Some(now) = self.send(sent).await else {
                return;
            };
            sent = now;
            tokio::select! {
                changed = self.frames.changed() => if changed.is_err() { return },
                () = sleep(KEEP_ALIVE) => {
                    if self.events.send(Bytes::from_static(ALIVE)).await.is_err() {
                        return;
                    }
                }
                () = self.events.closed() => return,
            }
        }
    }

    /// Sends what is newer than `sent`; gives up to where it has sent now, or `None` when the client has left.
    async fn send(&mut self, sent: u64) -> Option<u64> {
        let (pass, general) = {
            let frames = self.frames.borrow_and_update();
            (frames.pass, frames.general(sent))
        };
        // Nothing is there between the last client of before and the feed's first pass.
        if pass == 0 {
            return Some(sent);
        }
        for event in general {
            self.events.send(event).await.ok()?;
        }
        let mut at: Bound<DeviceId> = Bound::Unbounded;
        loop {
            let next = self.frames.borrow().device_after(at.as_ref(), sent);
            let Some((device, event)) = next else {
                return Some(pass);
            };
            self.events.send(event).await.ok()?;
            at = Bound::Excluded(device);
        }
    }
}

/// The events as a body.
struct Events(mpsc::Receiver<Bytes>);

impl HttpBody for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = self.0.poll_recv(context);
        next.map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
