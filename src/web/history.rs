//! The history of devices: its entries, how all of a device was from when to when, for how long, and the faults of all of
//! them.

pub(crate) mod csv;
mod faults;
mod json;
mod query;

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use jiff::Timestamp;

use super::answer::{Answer, JSON, Refusal};
use super::api::{find, no_store};
use super::{App, Shared};
use crate::contract::to_json;
use crate::history::{Known, Timeline, Window};
use crate::model::{DeviceId, DeviceView, ErrorReport};
use crate::records::store::{DeviceHistory, MAX_OF_DEVICE, Store};
pub(crate) use json::{Page, Row};
use query::{OfDevice, OfEntries};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/history", get(history))
        .route("/api/timeline", get(timeline))
        .route("/api/availability", get(availability))
        .route("/api/faults", get(faults::answer))
}

/// What the API answers to that query, of the store of a bridge that does not run.
///
/// # Errors
/// When the query makes no sense, or the store fails.
pub(crate) async fn of_store(store: &Store, query: &str) -> Result<Page, ErrorReport> {
    let asked = OfEntries::read(query, Timestamp::now()).map_err(|refusal| refusal.error)?;
    let page = store.history(asked.query()).await;
    let page = page.map_err(|error| no_store(error).error)?;
    Ok(Page::from(&page))
}

async fn history(State(app): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    let asked = OfEntries::read(query.as_deref().unwrap_or_default(), Timestamp::now())?;
    if wants_csv(&headers) {
        return Ok(csv::answer(app.shown.store.clone(), asked));
    }
    let page = app.shown.store.history(asked.query()).await.map_err(no_store)?;
    Ok(app.large.answer(JSON, move || to_json(&Page::from(&page))).await)
}

fn wants_csv(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accepted.filter_map(|accept| accept.to_str().ok());
    accepted.any(|accept| accept.contains("text/csv"))
}

async fn timeline(State(app): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let found = Retrospect::of(&app, query.as_deref().unwrap_or_default()).await?;
    Ok(found.answer(&app, json::timeline).await)
}

async fn availability(State(app): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let found = Retrospect::of(&app, query.as_deref().unwrap_or_default()).await?;
    Ok(found.answer(&app, json::availability).await)
}

/// What there is of a device in a window.
struct Retrospect {
    device: DeviceId,
    window: Window,
    history: DeviceHistory,
    view: Option<Arc<DeviceView>>,
}

impl Retrospect {
    async fn of(app: &App, query: &str) -> Result<Retrospect, Refusal> {
        let OfDevice { device, window } = OfDevice::read(query, Timestamp::now())?;
        let shown = find(&app.shown, device.as_str());
        let history = app.shown.store.device_history(device.clone(), window.from);
        let history = history.await.map_err(no_store)?;
        if !history.is_all {
            return Err(query::refused(
                format!("{device} has more than {MAX_OF_DEVICE} entries in that time"),
                "ask for a shorter time",
            ));
        }
        let view = match shown {
            Ok((_, device)) => Some(Arc::clone(&device.view)),
            // Another bridge of the cluster polls it, or it has left the configuration.
            Err(_) if !history.subjects.is_empty() => None,
            Err(refusal) => return Err(refusal),
        };
        Ok(Retrospect {
            device,
            window,
            history,
            view,
        })
    }

    /// The answer that `write` makes of the timeline.
    async fn answer(self, app: &App, write: fn(json::Head, &Timeline) -> Bytes) -> Response {
        let written = move || {
            let known = Known {
                history: &self.history.subjects,
                kept_since: self.history.kept_since,
                view: self.view.as_deref(),
            };
            let timeline = Timeline::of(known, self.window);
            let head = json::Head::of(&self.device, self.window, self.history.kept_since);
            write(head, &timeline)
        };
        app.large.answer(JSON, written).await
    }
}
