//! What can be changed: the commands of MQTT, through the same inbox, for who has the token. What comes back is the reply
//! that MQTT would give.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::routing::post;
use bytes::Bytes;
use tokio::time::timeout;

use super::answer::{Answer, Refusal, written};
use super::api::{dead_letter_id, find, of_another_bridge};
use super::{App, Shared, Shown};
use crate::command::{Inbox, Incoming};
use crate::model::{CommandTopic, DeviceId, ErrorKind, ErrorReport};
use crate::records::MAX_PAYLOAD;
use crate::wording::quoted;

/// How long the body of a command may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(
            "/api/devices/{device}/{slot}/relay/{relay}/events",
            post(relay_events),
        )
        .route("/api/devices/{device}/refresh", post(refresh))
        .route("/api/devices/{device}/http/sessions", post(http_sessions))
        .route(
            "/api/devices/{device}/faults/acknowledge",
            post(acknowledge_faults),
        )
        .route("/api/dead-letters/{id}/replay", post(replay))
}

async fn relay_events(
    State(app): State<Shared>,
    Path((device, slot, relay)): Path<(String, String, String)>,
    request: Request,
) -> Answer {
    let payload = admit(&app, request).await?;
    let (device, _) = find(&app.shown, &device)?;
    let topic = CommandTopic::RelayEvents {
        device,
        slot: one_level(slot)?,
        relay: one_level(relay)?,
    };
    run(&app, topic, payload).await
}

async fn refresh(State(app): State<Shared>, Path(device): Path<String>, request: Request) -> Answer {
    let payload = admit(&app, request).await?;
    let (device, _) = find(&app.shown, &device)?;
    run(&app, CommandTopic::Refresh(device), payload).await
}

async fn http_sessions(State(app): State<Shared>, Path(device): Path<String>, request: Request) -> Answer {
    let payload = admit(&app, request).await?;
    let (device, _) = find(&app.shown, &device)?;
    run(&app, CommandTopic::HttpSessions(device), payload).await
}

async fn acknowledge_faults(
    State(app): State<Shared>,
    Path(device): Path<String>,
    request: Request,
) -> Answer {
    let payload = admit(&app, request).await?;
    let (device, _) = find(&app.shown, &device)?;
    run(&app, CommandTopic::AcknowledgeFaults(device), payload).await
}

async fn replay(State(app): State<Shared>, Path(dead_letter): Path<String>, request: Request) -> Answer {
    admit(&app, request).await?;
    let id = dead_letter_id(&dead_letter)?;
    ask(&app, Incoming::replay(&app.topics, id)).await
}

/// The payload of who may command.
pub(super) async fn admit(app: &App, request: Request) -> Result<Bytes, Refusal> {
    app.access.check(request.headers())?;
    if !is_json(request.headers()) {
        let remedy = "send the header \"Content-Type: application/json\"";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let message = "a command is sent as JSON";
        return Err(Refusal::new(status, ErrorKind::Rejected, message, remedy));
    }
    read(request.into_body()).await
}

/// Forms of other sites cannot send this kind without asking first.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str);
    let kind = kind.and_then(Result::ok).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    let too_slow = |_| {
        let message = "the command did not arrive in time";
        Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorKind::Timeout,
            message,
            "send all of it at once",
        )
    };
    let read = timeout(BODY_WITHIN, to_bytes(body, MAX_PAYLOAD));
    read.await.map_err(too_slow)?.map_err(|_| {
        let message = format!("a command above {MAX_PAYLOAD} bytes, or one that was cut short");
        let (status, kind) = (StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::TooLarge);
        Refusal::new(status, kind, message, "send a shorter one, and all of it")
    })
}

/// Slot and relay are levels of a topic; which ones there are is for the command to say.
fn one_level(level: String) -> Result<String, Refusal> {
    if (1..=128).contains(&level.len()) && !level.contains(['/', '+', '#', '\0']) {
        return Ok(level);
    }
    let message = format!("{} cannot be a slot or a relay", quoted(&level));
    let remedy = "write the slot's id as it is on the device, such as io3, and a or c";
    let status = StatusCode::NOT_FOUND;
    Err(Refusal::new(status, ErrorKind::NotFound, message, remedy))
}

async fn run(app: &App, topic: CommandTopic, payload: Bytes) -> Answer {
    ask(app, Incoming::local(&app.topics, topic, payload)).await
}

async fn ask(app: &App, command: Incoming) -> Answer {
    let device = command.topic().and_then(CommandTopic::device);
    let inbox = inbox_of(&app.shown, device)?;
    let reply = inbox.ask(command).await;
    let status = reply.error.as_ref().map_or(StatusCode::OK, status);
    Ok(written(status, reply.to_json()))
}

/// What takes the commands of that device; of the bridge itself, for none.
fn inbox_of(shown: &Shown, device: Option<&DeviceId>) -> Result<Inbox, Refusal> {
    let (Some(cluster), Some(device)) = (&shown.cluster, device) else {
        return Ok(shown.unit.inbox.clone());
    };
    let shard = cluster.shard_of(device);
    let units = cluster.units.borrow();
    let unit = units.get(shard);
    unit.map(|unit| unit.inbox.clone())
        .ok_or_else(|| of_another_bridge(cluster, device))
}

/// The status that says the same as the error of a reply. 401 and 403 are kept for our own token: of the device they are
/// 502.
fn status(error: &ErrorReport) -> StatusCode {
    match error.kind {
        ErrorKind::Decode if error.http_status.is_none() => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound if error.http_status.is_none() => StatusCode::NOT_FOUND,
        ErrorKind::Rejected | ErrorKind::Profile => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Busy | ErrorKind::Storage => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout | ErrorKind::Expired => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::TooLarge if error.http_status.is_none() => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::Connect
        | ErrorKind::Tls
        | ErrorKind::Unauthorized
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::HttpStatus
        | ErrorKind::TooLarge
        | ErrorKind::Decode
        | ErrorKind::Snmp => StatusCode::BAD_GATEWAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_what_the_error_says() {
        let of = |kind, http_status| {
            let error = ErrorReport::new(kind, "", "");
            status(&ErrorReport { http_status, ..error }).as_u16()
        };
        assert_eq!(of(ErrorKind::Rejected, None), 422);
        assert_eq!(of(ErrorKind::Decode, None), 400);
        assert_eq!(of(ErrorKind::Busy, None), 503);
        assert_eq!(of(ErrorKind::NotFound, None), 404);
        assert_eq!(of(ErrorKind::NotFound, Some(404)), 502);
        assert_eq!(of(ErrorKind::Unauthorized, Some(401)), 502, "not our token's 401");
    }

    #[test]
    fn a_level_stays_one() {
        for level in ["io3", "IO3", "a", ".."] {
            assert!(one_level(level.to_owned()).is_ok(), "{level}");
        }
        for level in ["", "a/b", "+", "#", "a\0", &"a".repeat(129)] {
            assert!(one_level(level.to_owned()).is_err(), "{level}");
        }
    }

    #[test]
    fn only_json_is_taken() {
        let json = |kind: &'static str| {
            is_json(&HeaderMap::from_iter([(
                header::CONTENT_TYPE,
                HeaderValue::from_static(kind),
            )]))
        };
        assert!(json("application/json") && json("Application/JSON; charset=utf-8"));
        assert!(!json("text/plain") && !json("application/x-www-form-urlencoded") && !json(""));
        assert!(!is_json(&HeaderMap::new()));
    }
}
