//! What can be asked for: the bridge, devices, incidents, dead letters, and whether a token is the right one. Nothing is changed here.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use uuid::Uuid;

use super::access::Access;
use super::answer::{Answer, JSON, Refusal, written};
use super::json;
use super::{Cluster, Shared, Shown};
use crate::contract::{incident, to_json};
use crate::hub;
use crate::model::{DeviceId, ErrorKind, ErrorReport};
use crate::records::store::StoreError;

/// Dead letters that are listed where nobody says how many.
const USUAL_DEAD_LETTERS: usize = 100;
/// The most that are listed at a time for anybody.
const MAX_DEAD_LETTERS: usize = 1000;
/// The most that are listed for the bridge's owner: more than `dead_letter.keep` may say are never there.
pub(crate) const MAX_DEAD_LETTERS_OF_OWNER: usize = 100_000;

/// The OpenAPI document of all paths but those of the page.
const DOCUMENT: &str = include_str!("assets/openapi.json");

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/openapi.json", get(document))
        .route("/api/bridge", get(bridge))
        .route("/api/token", get(is_token))
        .route("/api/devices", get(devices))
        .route("/api/devices/{device}", get(device))
        .route("/api/devices/{device}/http/sessions", get(sessions))
        .route("/api/incidents", get(incidents))
        .route("/api/dead-letters", get(dead_letters))
        .route("/api/dead-letters/{id}", get(dead_letter))
}

async fn document() -> Response {
    json(DOCUMENT)
}

async fn bridge(State(app): State<Shared>) -> Response {
    json(to_json(&json::bridge(&app.shown, app.access.can_change())))
}

async fn is_token(State(app): State<Shared>, headers: HeaderMap) -> Result<StatusCode, Refusal> {
    app.access.check(&headers)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn devices(State(app): State<Shared>) -> Response {
    let asked = Arc::clone(&app);
    let write = move || {
        // A copy, so that nobody who has news waits meanwhile.
        let fleet = asked.shown.fleet.borrow().clone();
        let devices = fleet.devices.iter();
        let summaries: Vec<_> = devices
            .map(|(id, device)| json::summary(id, &device.view))
            .collect();
        to_json(&summaries)
    };
    app.large.answer(JSON, write).await
}

async fn device(State(app): State<Shared>, Path(device): Path<String>) -> Answer {
    let (id, device) = find(&app.shown, &device)?;
    Ok(json(to_json(&json::whole(&id, &device))))
}

async fn sessions(State(app): State<Shared>, Path(device): Path<String>) -> Answer {
    let (_, device) = find(&app.shown, &device)?;
    Ok(json(json::sessions(device.sessions.as_ref())))
}

async fn incidents(State(app): State<Shared>) -> Response {
    let open = app.shown.store.incidents().borrow().clone();
    json(to_json(&incident::list(&open)))
}

async fn dead_letters(State(app): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let most = match app.access {
        Access::Owner => MAX_DEAD_LETTERS_OF_OWNER,
        _ => MAX_DEAD_LETTERS,
    };
    let limit = limit_of(query.as_deref().unwrap_or_default(), most)?;
    let dead_letters = app.shown.store.dead_letters(limit).await.map_err(no_store)?;
    Ok(json(to_json(&dead_letters)))
}

async fn dead_letter(State(app): State<Shared>, Path(dead_letter): Path<String>) -> Answer {
    let id = dead_letter_id(&dead_letter)?;
    match app.shown.store.dead_letter(id).await.map_err(no_store)? {
        Some(dead_letter) => Ok(json(dead_letter)),
        None => Err(no_dead_letter(&id.to_string())),
    }
}

fn json(json: impl Into<axum::body::Body>) -> Response {
    written(StatusCode::OK, json)
}

/// The configured device of that id.
pub(super) fn find(shown: &Shown, id: &str) -> Result<(DeviceId, Arc<hub::Device>), Refusal> {
    let found = DeviceId::new(id).and_then(|id| {
        let device = shown.fleet.borrow().devices.get(&id).cloned();
        device.map(|device| (id, device))
    });
    found.ok_or_else(|| match (DeviceId::new(id), &shown.cluster) {
        (Some(id), Some(cluster)) => of_another_bridge(cluster, &id),
        _ => no_device(id),
    })
}

/// A device that is not configured.
pub(super) fn no_device(id: &str) -> Refusal {
    let message = format!("no device {}", crate::wording::quoted(id));
    let remedy = "GET /api/devices lists those that are configured";
    Refusal::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, message, remedy)
}

/// A device that this bridge of a cluster does not poll now.
pub(super) fn of_another_bridge(cluster: &Cluster, device: &DeviceId) -> Refusal {
    let shard = cluster.shard_of(device);
    let owner = match cluster.owner_of(device) {
        Some(owner) => format!("bridge {owner} works for that shard"),
        None => "no bridge works for that shard now".to_owned(),
    };
    let message = format!("this bridge does not poll {device}: it belongs to shard {shard}, and {owner}");
    let remedy = "ask that bridge, or check that the device is configured; GET /api/cluster shows who owns which shard";
    Refusal::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, message, remedy)
}

pub(super) fn dead_letter_id(text: &str) -> Result<Uuid, Refusal> {
    Uuid::try_parse(text).map_err(|_| no_dead_letter(text))
}

fn no_dead_letter(id: &str) -> Refusal {
    let (status, error) = (StatusCode::NOT_FOUND, unknown_dead_letter(id));
    Refusal { status, error }
}

/// What is said of an id that no dead letter has.
pub(crate) fn unknown_dead_letter(id: &str) -> ErrorReport {
    let message = format!("no dead letter {} in the archive", crate::wording::quoted(id));
    let remedy = "look for it among those that are there, with lantime2mqtt dead-letters list or GET /api/dead-letters; \
                  the oldest go when there are more than dead_letter.keep";
    ErrorReport::new(ErrorKind::NotFound, message, remedy)
}

pub(super) fn no_store(error: StoreError) -> Refusal {
    let remedy = "retry when the store works";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Refusal::new(status, ErrorKind::Storage, error.to_string(), remedy)
}

fn limit_of(query: &str, most: usize) -> Result<usize, Refusal> {
    if query.is_empty() {
        return Ok(USUAL_DEAD_LETTERS);
    }
    let limit = query.strip_prefix("limit=").and_then(|limit| limit.parse().ok());
    limit.filter(|limit| (1..=most).contains(limit)).ok_or_else(|| {
        let message = format!("{} is no limit", crate::wording::quoted(query));
        let remedy = format!("write ?limit= and a number from 1 to {most}, and nothing else");
        Refusal::new(StatusCode::BAD_REQUEST, ErrorKind::Rejected, message, remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_within_bounds() {
        let limit_of = |query| super::limit_of(query, 1000);
        assert_eq!(limit_of("").ok(), Some(USUAL_DEAD_LETTERS));
        assert_eq!(limit_of("limit=7").ok(), Some(7));
        for wrong in [
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=",
            "limit=7&x=1",
            "x",
            "limit=99999999999999999999",
        ] {
            assert_eq!(
                limit_of(wrong).err().map(|refusal| refusal.status),
                Some(StatusCode::BAD_REQUEST),
                "{wrong}"
            );
        }
    }
}
