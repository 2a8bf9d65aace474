//! From a request to its answer: paths, authentication, and the faults that can be seen in HTTP.

use super::body::Body;
use super::configuration::Write;
use super::device::SimulatedDevice;
use super::device::web::Access;
use super::fault::{Fault, Route};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"LANTIME\"");
/// Largest body of a request; one that lists every event has 3 KB.
const MAX_REQUEST: usize = 64 * 1024;
/// As much of a larger one is read and dropped.
const MAX_DRAINED: usize = 1024 * 1024;
/// Longest wait for one.
const PATIENCE: Duration = Duration::from_secs(10);

/// The status of a refusal, and why.
type Refusal = (u16, String);

/// The paths of the configuration are assumed, as the shipped API profiles assume them.
fn route(device: &SimulatedDevice, method: &Method, path: &str) -> Route {
    match (method, path) {
        (&Method::GET, "/api/status") => Route::Status,
        (&Method::PUT, "/api/get-token") if device.kind().api.has_tokens() => Route::Token,
        (&Method::GET, "/api/config/notification") => Route::ReadConfiguration,
        (&Method::PUT, "/api/config/notification") => Route::WriteConfiguration,
        (&Method::PUT, "/api/config/apply") => Route::Apply,
        _ => Route::Other,
    }
}

/// Answers one request.
///
/// # Errors
/// To have the connection closed without an answer, as a fault asks for.
pub(super) async fn respond(
    device: Arc<SimulatedDevice>,
    request: Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
    let (head, body) = request.into_parts();
    let route = route(&device, &head.method, head.uri.path());
    let body = timeout(PATIENCE, read(body)).await;
    let body = body.unwrap_or_else(|_| Err((408, "the request does not end".to_owned())));
    let began = Instant::now();
    let mut fault = device.begin(route);
    if fault.as_ref().is_some_and(|fault| fault.hangs(route)) {
        device.wait_while_hanging(route).await;
        fault = device.fault();
    }
    let asked = Asked {
        device: Arc::clone(&device),
        headers: head.headers,
        route,
        body,
        began,
    };
    let answer = match fault.as_ref().and_then(|fault| fault.delays(route)) {
        None => asked.carry_out(fault.as_ref()),
        Some(by) => {
            let fault = fault.clone();
            let slowly = async move {
                sleep(by).await;
                asked.carry_out(fault.as_ref())
            };
            tokio::spawn(slowly).await.map_err(io::Error::other)?
        }
    };
    if answer.status().is_success() && fault.is_some_and(|fault| fault.cuts_answer(route)) {
        return Err(io::Error::other("the answer is held back, as the fault asks for"));
    }
    device.answered(answer.status().as_u16());
    Ok(answer)
}

/// A request that has come to its end.
struct Asked {
    device: Arc<SimulatedDevice>,
    headers: HeaderMap,
    route: Route,
    body: Result<Bytes, Refusal>,
    began: Instant,
}

impl Asked {
    fn carry_out(self, fault: Option<&Fault>) -> Response<Body> {
        let Asked {
            device,
            headers,
            route,
            body,
            began,
        } = self;
        let answer = match admit(&device, &headers, route, fault) {
            Err(status) => refusal(status),
            Ok(()) => answer(&device, route, fault, body),
        };
        if route.is_write() && answer.status().is_success() {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            device.changed(route, host.unwrap_or_default().to_owned(), began);
        }
        answer
    }
}

/// Whether a request is let in, or else its status.
fn admit(
    device: &SimulatedDevice,
    headers: &HeaderMap,
    route: Route,
    fault: Option<&Fault>,
) -> Result<(), u16> {
    if let Some(status) = fault.and_then(Fault::status) {
        if status == 401 {
            device.refuse(headers);
        }
        return Err(status);
    }
    if route == Route::Other {
        return Err(404);
    }
    match device.authorize(headers) {
        Access::Granted { basic } if basic || route != Route::Token => (),
        _ => return Err(401),
    }
    if let Some(status) = fault.and_then(|fault| fault.refuses(route)) {
        return Err(status);
    }
    if route.is_write() && !device.may_write() {
        return Err(403);
    }
    Ok(())
}

fn answer(
    device: &SimulatedDevice,
    route: Route,
    fault: Option<&Fault>,
    body: Result<Bytes, Refusal>,
) -> Response<Body> {
    match route {
        Route::Status => status_document(device, fault),
        Route::Token => token(device),
        Route::ReadConfiguration => json(StatusCode::OK, Body::whole(device.configuration())),
        Route::WriteConfiguration => match body.and_then(|body| write(device, &body)) {
            Ok(()) => done(),
            Err((status, reason)) => refusal_because(status, &reason),
        },
        Route::Apply => {
            device.apply_configuration();
            done()
        }
        Route::Other => refusal(404),
    }
}

/// The status document, as far as the fault lets it out.
fn status_document(device: &SimulatedDevice, fault: Option<&Fault>) -> Response<Body> {
    let body = match fault {
        Some(Fault::SlowBody { bytes_per_second }) => Body::slow(device.document(), *bytes_per_second),
        Some(Fault::CutBody { after_bytes }) => Body::cut(device.document(), *after_bytes as usize),
        Some(Fault::HugeBody { bytes }) => Body::huge(*bytes),
        Some(Fault::WrongJson) => Body::whole(broken(device.document())),
        // A document with missing keys is well-formed, but carries no change for certain.
        Some(Fault::MissingKeys { .. }) => Body::whole(device.document()),
        _ => Body::whole(device.answer_whole()),
    };
    json(StatusCode::OK, body)
}

/// Breaks a document off in the middle of a value, with a length that fits.
fn broken(mut document: Bytes) -> Bytes {
    document.truncate(document.len() / 2);
    document
}

fn token(device: &SimulatedDevice) -> Response<Body> {
    json(
        StatusCode::OK,
        Body::whole(format!("{{\"token\": \"{}\"}}\n", device.issue_token())),
    )
}

fn write(device: &SimulatedDevice, body: &[u8]) -> Result<(), Refusal> {
    let write: Write = serde_json::from_slice(body).map_err(|error| (400, error.to_string()))?;
    device.write(&write.data)
}

/// Reads a request's body. One that is too large is read on for a while: a server that leaves it unread breaks the
/// connection before its answer is through.
async fn read(mut body: Incoming) -> Result<Bytes, Refusal> {
    let too_large = || (413, format!("a request may have {MAX_REQUEST} bytes"));
    let (mut kept, mut seen) = (BytesMut::new(), 0);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| (400, error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > MAX_DRAINED {
            return Err(too_large());
        } else if seen <= MAX_REQUEST {
            kept.extend_from_slice(&data);
        }
    }
    if seen > MAX_REQUEST {
        return Err(too_large());
    }
    Ok(kept.freeze())
}

fn done() -> Response<Body> {
    json(StatusCode::OK, Body::whole("{}\n"))
}

/// A small JSON body with the status's own words. What a real device says here is not known.
fn refusal(status: u16) -> Response<Body> {
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    refusal_because(status, reason.unwrap_or("Error"))
}

fn refusal_because(status: u16, reason: &str) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("the statuses of refusals are valid");
    let reason = serde_json::Value::from(reason);
    let mut answer = json(status, Body::whole(format!("{{\"error\": {reason}}}\n")));
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, BASIC);
    }
    answer
}

fn json(status: StatusCode, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}
