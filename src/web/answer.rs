//! Answers of the API: JSON, and refusals in the form that replies to commands have.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::model::{ErrorKind, ErrorReport};

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: ErrorReport,
}

/// What comes of a request.
pub(super) type Answer = Result<Response, Refusal>;

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        kind: ErrorKind,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Refusal {
        Refusal {
            status,
            error: ErrorReport::new(kind, message, remedy),
        }
    }
}

#[derive(Serialize)]
struct Refused {
    ok: bool,
    error: ErrorReport,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let is_busy = self.error.kind == ErrorKind::Busy;
        let (ok, error) = (false, self.error);
        let mut response = (self.status, Json(Refused { ok, error })).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let how = HeaderValue::from_static("Bearer realm=\"lantime2mqtt\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
        }
        if is_busy {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }
}

/// The content type of JSON.
pub(super) const JSON: &str = "application/json";

/// JSON that is written already.
pub(super) fn written(status: StatusCode, json: impl Into<Body>) -> Response {
    let kind = [(header::CONTENT_TYPE, JSON)];
    (status, kind, json.into()).into_response()
}

/// For a path that nobody serves.
pub(super) async fn nothing_here() -> Refusal {
    let remedy = "the page is at /, and GET /api/openapi.json lists what the API has";
    Refusal::new(
        StatusCode::NOT_FOUND,
        ErrorKind::NotFound,
        "nothing is here",
        remedy,
    )
}

/// For a path that is served, and not in that way.
pub(super) async fn wrong_method() -> Refusal {
    let remedy = "GET shows and POST changes; GET /api/openapi.json shows which path takes which";
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::Rejected,
        "not in this way",
        remedy,
    )
}
