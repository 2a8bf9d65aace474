//! From a request to its answer: paths, authentication, and the faults that can be seen in HTTP.

use super::body::Body;
use super::device::{Access, SimulatedDevice};
use super::fault::Fault;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use std::convert::Infallible;
use std::sync::Arc;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"LANTIME\"");

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Status,
    Token,
    Other,
}

fn route(device: &SimulatedDevice, method: &Method, path: &str) -> Route {
    match (method, path) {
        (&Method::GET, "/api/status") => Route::Status,
        (&Method::PUT, "/api/get-token") if device.kind().api.has_tokens() => Route::Token,
        _ => Route::Other,
    }
}

/// Answers one request.
pub(super) async fn respond(
    device: Arc<SimulatedDevice>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let route = route(&device, request.method(), request.uri().path());
    let mut fault = device.begin(route == Route::Status);
    if fault == Some(Fault::Hang) {
        device.wait_while_hanging().await;
        fault = device.fault();
    }
    let answer = answer(&device, &request, route, fault);
    device.answered(answer.status().as_u16());
    Ok(answer)
}

fn answer(
    device: &SimulatedDevice,
    request: &Request<Incoming>,
    route: Route,
    fault: Option<Fault>,
) -> Response<Body> {
    if let Some(status) = fault.as_ref().and_then(Fault::status) {
        if status == 401 {
            device.refuse(request.headers());
        }
        return refusal(status);
    }
    if route == Route::Other {
        return refusal(404);
    }
    match (device.authorize(request.headers()), route) {
        (Access::Granted { .. }, Route::Status) => status_document(device, fault),
        (Access::Granted { basic: true }, _) => token(device),
        _ => refusal(401),
    }
}

/// The status document, as far as the fault lets it out.
fn status_document(device: &SimulatedDevice, fault: Option<Fault>) -> Response<Body> {
    let body = match fault {
        Some(Fault::SlowBody { bytes_per_second }) => Body::slow(device.document(), bytes_per_second),
        Some(Fault::CutBody { after_bytes }) => Body::cut(device.document(), after_bytes as usize),
        Some(Fault::HugeBody { bytes }) => Body::huge(bytes),
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

/// A small JSON body with the status's own words. What a real device says here is not known.
fn refusal(status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("the faults' statuses are valid");
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut answer = json(status, Body::whole(format!("{{\"error\": \"{reason}\"}}\n")));
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
