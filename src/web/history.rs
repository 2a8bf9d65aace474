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
use super::api::{find, no_device, no_store};
use super::{App, Shared};
use crate::contract::to_json;
use crate::history::{Known, Timeline, Window};
use crate::model::{DeviceId, DeviceView, ErrorReport};
use crate::records::store::{DeviceHistory, MAX_OF_DEVICE, Store};
pub(crate) use json::{Page, Row};
use query::{OfDevice, OfEntries};
pub(crate) use query::{REMEDY as TIME_REMEDY, moment};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/history", get(history))
        .route("/api/timeline", get(timeline))
        .route("/api/availability", get(availability))
        .route("/api/faults", get(faults::answer))
}

/// What the API answers to that query, of the store of a bridge that does not run and has those devices.
///
/// # Errors
/// When the query makes no sense, names a device that is neither configured nor in the history, or the store fails.
pub(crate) async fn of_store(store: &Store, configured: &[String], query: &str) -> Result<Page, ErrorReport> {
    let page = async {
        let asked = OfEntries::read(query, Timestamp::now())?;
        if let Some(device) = &asked.of.device {
            let is_known = configured.iter().any(|id| id == device.as_str());
            if !is_known && !store.has_history(device.clone()).await.map_err(no_store)? {
                return Err(no_device(device.as_str()));
            }
        }
        store.history(asked.query()).await.map_err(no_store)
    };
    let page = page.await.map_err(|refusal| refusal.error)?;
    Ok(Page::from(&page))
}

/// The device as it is now; `None` for one that another bridge of the cluster polls, or that is in the history alone, since it has
/// left the configuration. One that is in neither is refused.
async fn view_of(app: &App, device: &DeviceId) -> Result<Option<Arc<DeviceView>>, Refusal> {
    if let Ok((_, found)) = find(&app.shown, device.as_str()) {
        return Ok(Some(Arc::clone(&found.view)));
    }
    let mut cluster = app.shown.cluster.iter();
    let is_known = cluster.any(|cluster| cluster.is_configured(device))
        || app
            .shown
            .store
            .has_history(device.clone())
            .await
            .map_err(no_store)?;
    is_known.then_some(None).ok_or_else(|| no_device(device.as_str()))
}

async fn history(State(app): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    let asked = OfEntries::read(query.as_deref().unwrap_or_default(), Timestamp::now())?;
    if let Some(device) = &asked.of.device {
        view_of(&app, device).await?;
    }
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
        let view = view_of(app, &device).await?;
        let history = app.shown.store.device_history(device.clone(), window.from);
        let history = history.await.map_err(no_store)?;
        if !history.is_all {
            return Err(query::refused(
                format!("{device} has more than {MAX_OF_DEVICE} entries in that time"),
                "ask for a shorter time",
            ));
        }
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
