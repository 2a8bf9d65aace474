//! One request and its answer: limits, what an error shows of it, and its entry in the log of HTTP sessions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, COOKIE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE, TRANSFER_ENCODING,
};
use reqwest::{Method, Request, Response};

use super::cookies;
use super::retry_after::retry_after;
use crate::lantime::rest::error::{LEFT_OUT, RestError, is_sudden_end};
use crate::model::{ErrorKind, HttpSession, Operation};

/// Largest answer that is read; real ones have 20 to 31 KB.
pub const MAX_BODY: usize = 1024 * 1024;
/// Encodings of a body that are none of its text. Anything else under that name, such as a character set, is a slip
/// that costs nothing.
const COMPRESSIONS: [&str; 8] = [
    "gzip",
    "x-gzip",
    "deflate",
    "compress",
    "x-compress",
    "br",
    "zstd",
    "bzip2",
];

/// What is noted of a request while it runs: no header, no body.
#[derive(Debug)]
pub(super) struct Exchange {
    operation: Operation,
    method: &'static str,
    started_at: Timestamp,
    started: Instant,
    /// When the head of the answer was there, and its status.
    head: Option<(Instant, u16)>,
    bytes: u64,
    /// The cookies that an answer of success has set, as they came.
    pub(super) cookies: Vec<HeaderValue>,
    /// What it carries that nobody may see.
    pub(super) secrets: Secrets,
}

/// The login of a request, and the cookies that went with it or came with its answer.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    login: Option<HeaderValue>,
    cookies: Vec<HeaderValue>,
}

impl Exchange {
    pub(super) fn new(method: &Method, operation: Operation) -> Exchange {
        Exchange {
            operation,
            method: name(method),
            started_at: Timestamp::now(),
            started: Instant::now(),
            head: None,
            bytes: 0,
            cookies: Vec::new(),
            secrets: Secrets::default(),
        }
    }

    /// Whether there was an answer, at least its head.
    pub(super) fn is_answered(&self) -> bool {
        self.head.is_some()
    }

    /// Whether what the answer says matters, and not only that it is a success: of a change, that is all.
    fn is_body_used(&self) -> bool {
        self.operation == Operation::Token || self.method == name(&Method::GET)
    }

    /// Sends the request and reads the answer.
    pub(super) async fn send(
        &mut self,
        http: &reqwest::Client,
        request: Request,
    ) -> Result<Bytes, RestError> {
        let url = request.url().clone();
        let url = url.as_str();
        self.secrets = Secrets {
            login: request.headers().get(AUTHORIZATION).cloned(),
            cookies: request.headers().get_all(COOKIE).iter().cloned().collect(),
        };
        let response = http
            .execute(request)
            .await
            .map_err(|error| RestError::request(self.operation, url, error))?;
        let status = response.status();
        self.head = Some((Instant::now(), status.as_u16()));
        if status.is_success() {
            if let Some(encoding) = compression(response.headers())
                && self.is_body_used()
            {
                return Err(RestError::encoded(self.operation, url, encoding));
            }
            self.cookies
                .extend(response.headers().get_all(SET_COOKIE).iter().cloned());
            self.secrets.cookies.extend_from_slice(&self.cookies);
            return self.read(response, url).await;
        }
        let status = status.as_u16();
        let seconds = retry_after(status, response.headers(), Timestamp::now());
        let location = response
            .headers()
            .get(LOCATION)
            .filter(|_| (300..400).contains(&status))
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        // Whatever cannot be read of an error's body does not matter.
        let body = self.read(response, url).await.unwrap_or_default();
        let body = match self.secrets.are_in(&body) {
            true => LEFT_OUT,
            false => &body,
        };
        let error = RestError::status(self.operation, status, url, location.as_deref(), body);
        Err(error.with_retry_after(seconds))
    }

    /// Reads a body and refuses it, while it streams, beyond [`MAX_BODY`].
    async fn read(&mut self, mut response: Response, url: &str) -> Result<Bytes, RestError> {
        let operation = self.operation;
        let too_large = || {
            let message = format!("the answer is larger than {MAX_BODY} bytes");
            RestError::new(operation, ErrorKind::TooLarge, url, message)
        };
        let announced = response.content_length().unwrap_or(0);
        if announced > MAX_BODY as u64 {
            return Err(too_large());
        }
        let is_until_end =
            response.content_length().is_none() && !response.headers().contains_key(TRANSFER_ENCODING);
        let mut next = async || match response.chunk().await {
            Ok(chunk) => {
                self.bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                Ok(chunk)
            }
            // A document that was cut off is noticed all the same: JSON says itself where it ends.
            Err(error) if is_until_end && is_sudden_end(&error) => Ok(None),
            Err(error) => Err(RestError::request(operation, url, error)),
        };
        let Some(first) = next().await? else {
            return Ok(Bytes::new());
        };
        if first.len() as u64 == announced {
            return Ok(first);
        }
        let mut body = BytesMut::with_capacity((announced as usize).max(2 * first.len()));
        body.extend_from_slice(&first);
        while let Some(chunk) = next().await? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// How long it took.
    pub(super) fn lasted(&self, ended: Instant) -> Duration {
        ended.duration_since(self.started)
    }

    /// The entry in the log, when it is over.
    pub(super) fn session(&self, path: Arc<str>, ended: Instant, error: Option<ErrorKind>) -> HttpSession {
        let head = self.head.map_or(ended, |(head, _)| head);
        let millis = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1e3;
        HttpSession {
            id: 0,
            method: self.method,
            path,
            status: self.head.map(|(_, status)| status),
            started_at: self.started_at,
            request_ms: millis(self.started, head),
            response_ms: millis(head, ended),
            rtt_ms: millis(self.started, ended),
            bytes: self.bytes,
            error: error.map(ErrorKind::as_str),
        }
    }
}

/// The compression of an answer's body.
fn compression(headers: &HeaderMap) -> Option<&str> {
    let encoding = headers.get(CONTENT_ENCODING)?.to_str().ok()?;
    let is_known = |name: &str| {
        COMPRESSIONS
            .iter()
            .any(|known| name.trim().eq_ignore_ascii_case(known))
    };
    encoding.split(',').any(is_known).then_some(encoding)
}

impl Secrets {
    /// Whether one of them is in a body. Some pages repeat the request: nothing of such a one is shown.
    pub(super) fn are_in(&self, body: &[u8]) -> bool {
        let holds = |secret: &[u8]| !secret.is_empty() && body.windows(secret.len()).any(|w| w == secret);
        let login = self.login.iter();
        let login = login.filter_map(|value| value.as_bytes().rsplit(|b| *b == b' ').next());
        login
            .chain(self.cookies.iter().flat_map(cookies::secrets))
            .any(holds)
    }
}

/// The methods that profiles may name.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
