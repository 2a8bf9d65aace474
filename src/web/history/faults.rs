//! What was not as it should be, of all devices or one: as JSON, or as CSV.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::csv::cell;
use super::json::{provenance_name, seconds};
use super::query::{OfFaults, refused};
use super::{view_of, wants_csv};
use crate::contract::{Time, to_json};
use crate::history::{Fault, Known, Timeline, Value, Window, faults};
use crate::model::time::rfc3339;
use crate::model::{DeviceId, DeviceView, Provenance, Relay, SlotId};
use crate::records::store::DeviceHistory;
use crate::web::answer::{Answer, JSON, Refusal};
use crate::web::api::no_store;
use crate::web::{App, Shared};

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    from: Time,
    to: Time,
    /// Before then nothing is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_since: Option<Time>,
    /// Newest first.
    faults: Vec<Row>,
    /// Whether there are more, which came before.
    has_more: bool,
    /// Devices with more entries in that time than are read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    too_many: Vec<DeviceId>,
}

#[derive(Debug, Serialize)]
struct Row {
    device: DeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<SlotId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relay: Option<Relay>,
    value: Value,
    at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
    duration_s: f64,
    /// Left out where it is known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    began_before: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<Provenance>,
}

impl From<Fault> for Row {
    fn from(fault: Fault) -> Row {
        Row {
            slot: fault.subject.slot().cloned(),
            relay: fault.subject.relay(),
            device: fault.subject.device,
            value: fault.value,
            at: Time(fault.at),
            until: (!fault.lasts).then_some(Time(fault.until)),
            duration_s: seconds(fault.until.duration_since(fault.at)),
            began_before: !fault.is_begin_known,
            causes: fault.causes.iter().map(|cause| cause.to_string()).collect(),
            provenance: fault.provenance,
        }
    }
}

pub(super) async fn answer(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let asked = OfFaults::read(query.as_deref().unwrap_or_default(), Timestamp::now())?;
    let place = app.large.place().await?;
    let found = look(&app, &asked).await?;
    drop(place);
    if wants_csv(&headers) {
        let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
        return Ok((kind, csv(&found)?).into_response());
    }
    Ok(app.large.answer(JSON, move || to_json(&found)).await)
}

/// Looks at each device that is asked for: those that this bridge polls, and those that have a history.
async fn look(app: &App, asked: &OfFaults) -> Result<Found, Refusal> {
    let store = &app.shown.store;
    let mut views = BTreeMap::new();
    let mut devices = BTreeSet::new();
    match &asked.device {
        Some(device) => {
            let view = view_of(app, device).await?;
            views.extend(view.map(|view| (device.clone(), view)));
            devices.insert(device.clone());
        }
        None => {
            devices = store.devices_with_history().await.map_err(no_store)?;
            let fleet = app.shown.fleet.borrow();
            let all = fleet.devices.iter();
            views.extend(all.map(|(id, device)| (id.clone(), Arc::clone(&device.view))));
            devices.extend(views.keys().cloned());
        }
    }
    let window = asked.window;
    let look = move |device: &DeviceId, history| of_device(device, history, &views, window);
    let looked = store.look_at_relays(devices, window.from, look);
    let looked = looked.await.map_err(no_store)?;
    Ok(put_together(looked, asked))
}

/// The faults of a device.
struct OfDevice {
    device: DeviceId,
    faults: Vec<Fault>,
    kept_since: Option<Timestamp>,
    is_all: bool,
}

fn of_device(
    device: &DeviceId,
    history: DeviceHistory,
    views: &BTreeMap<DeviceId, Arc<DeviceView>>,
    window: Window,
) -> OfDevice {
    let known = Known {
        history: &history.subjects,
        kept_since: history.kept_since,
        view: views.get(device).map(AsRef::as_ref),
    };
    OfDevice {
        device: device.clone(),
        faults: faults(device, &Timeline::of(known, window), window),
        kept_since: history.kept_since,
        is_all: history.is_all,
    }
}

fn put_together(looked: Vec<OfDevice>, asked: &OfFaults) -> Found {
    let kept_since = looked.first().and_then(|of| of.kept_since).map(Time);
    let cut = looked.iter().filter(|of| !of.is_all);
    let too_many = cut.map(|of| of.device.clone()).collect();
    let mut all: Vec<_> = looked.into_iter().flat_map(|of| of.faults).collect();
    all.sort_by_key(|fault| std::cmp::Reverse(fault.at));
    let has_more = all.len() > asked.limit;
    all.truncate(asked.limit);
    Found {
        from: Time(asked.window.from),
        to: Time(asked.window.to),
        kept_since,
        faults: all.into_iter().map(Row::from).collect(),
        has_more,
        too_many,
    }
}

/// A table with a head. One that is not whole would be taken for whole.
fn csv(found: &Found) -> Result<Bytes, Refusal> {
    if found.has_more || !found.too_many.is_empty() {
        let message = format!(
            "there are more than the {} faults that are given at a time",
            found.faults.len()
        );
        return Err(refused(
            message,
            "ask for a shorter time, for one device, or with a higher limit",
        ));
    }
    let mut text =
        "device,slot,relay,value,at,until,duration_s,began_before,causes,provenance\r\n".to_owned();
    for row in &found.faults {
        let until = row.until.map(|until| rfc3339(until.0));
        let provenance = row.provenance.map(provenance_name);
        let cells = [
            cell(row.device.as_str()),
            cell(row.slot.as_ref().map_or("", SlotId::as_str)),
            cell(row.relay.map_or("", Relay::as_str)),
            cell(row.value.as_str()),
            cell(&rfc3339(row.at.0)),
            cell(until.as_deref().unwrap_or_default()),
            row.duration_s.to_string(),
            cell(if row.began_before { "true" } else { "" }),
            cell(&row.causes.join(" ")),
            cell(provenance.unwrap_or_default()),
        ];
        let _ = write!(text, "{}\r\n", cells.join(","));
    }
    Ok(text.into())
}
