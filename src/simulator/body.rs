//! The bodies of answers: whole ones, and those that a fault spoils. Only how bytes leave, not what they say.

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// A slow body leaves in that many portions a second.
const PORTIONS_PER_SECOND: u32 = 10;
/// A huge body leaves in portions of that size, all of them the same memory.
static PADDING: [u8; 64 * 1024] = [b'x'; 64 * 1024];
const OPENING: &[u8] = b"{\"padding\": \"";
const CLOSING: &[u8] = b"\"}";

/// One answer's body.
pub(super) enum Body {
    /// All at once.
    Whole(Option<Bytes>),
    /// In portions, with a pause after each.
    Slow {
        rest: Bytes,
        portion: usize,
        pause: Pin<Box<Sleep>>,
    },
    /// The beginning only, of a length that the headers promise; then the connection breaks.
    Cut {
        part: Option<Bytes>,
        promised: u64,
        flushed: bool,
    },
    /// JSON of any size; its length is not promised, so a client has to count.
    Huge { opened: bool, left: u64 },
}

impl Body {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
    }

    pub(super) fn slow(bytes: Bytes, bytes_per_second: u32) -> Self {
        let portion = (bytes_per_second / PORTIONS_PER_SECOND).max(1) as usize;
        Self::Slow {
            rest: bytes,
            portion,
            pause: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    pub(super) fn cut(mut bytes: Bytes, after: usize) -> Self {
        let promised = bytes.len() as u64;
        // At least one byte short, else nothing would be missing.
        bytes.truncate(after.min(bytes.len().saturating_sub(1)));
        Self::Cut {
            part: Some(bytes),
            promised,
            flushed: false,
        }
    }

    pub(super) fn huge(bytes: u64) -> Self {
        Self::Huge {
            opened: false,
            left: bytes.saturating_sub((OPENING.len() + CLOSING.len()) as u64),
        }
    }
}

type Next = Option<Result<Frame<Bytes>, io::Error>>;

fn frame(bytes: Bytes) -> Poll<Next> {
    Poll::Ready(Some(Ok(Frame::data(bytes))))
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Slow { rest, portion, pause } => next_slow(rest, *portion, pause, cx),
            Self::Cut { part, flushed, .. } => next_cut(part, flushed, cx),
            Self::Huge { opened, left } => next_huge(opened, left),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Slow { rest, .. } => SizeHint::with_exact(rest.len() as u64),
            Self::Cut { promised, .. } => SizeHint::with_exact(*promised),
            Self::Huge { .. } => SizeHint::new(),
        }
    }
}

fn next_slow(
    rest: &mut Bytes,
    portion: usize,
    pause: &mut Pin<Box<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<Next> {
    if rest.is_empty() {
        return Poll::Ready(None);
    }
    if pause.as_mut().poll(cx).is_pending() {
        return Poll::Pending;
    }
    pause
        .as_mut()
        .reset(tokio::time::Instant::now() + Duration::from_secs(1) / PORTIONS_PER_SECOND);
    frame(rest.split_to(portion.min(rest.len())))
}

/// The server drops what it has not sent when a body fails, so one round is given to sending.
fn next_cut(part: &mut Option<Bytes>, flushed: &mut bool, cx: &mut Context<'_>) -> Poll<Next> {
    match part.take() {
        Some(part) => frame(part),
        None if !*flushed => {
            *flushed = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        None => Poll::Ready(Some(Err(io::Error::other(
            "the connection is cut, as the fault asks for",
        )))),
    }
}

fn next_huge(opened: &mut bool, left: &mut u64) -> Poll<Next> {
    const CLOSED: u64 = u64::MAX;
    match *left {
        CLOSED => Poll::Ready(None),
        _ if !*opened => {
            *opened = true;
            frame(Bytes::from_static(OPENING))
        }
        0 => {
            *left = CLOSED;
            frame(Bytes::from_static(CLOSING))
        }
        _ => {
            let size = (*left).min(PADDING.len() as u64);
            *left -= size;
            frame(Bytes::from_static(&PADDING).slice(..size as usize))
        }
    }
}
