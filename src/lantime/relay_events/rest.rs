//! The events over REST, with the entries of an API profile: the configuration with its revision, and whether changes
//! in it are pending.

mod document;
#[cfg(test)]
mod tests;

use bytes::Bytes;
pub use document::ReadError;
use serde_json::Value;
use std::time::Duration;

use tokio::time::Instant;

use super::configuration::{EventActions, Plan, RelayConfig};
use super::device_guard::DeviceGuard;
use super::errors::Failure;
use crate::lantime::rest::json::JsonBody;
use crate::lantime::rest::profile::{RelayEventsEntries, keys};
use crate::lantime::rest::{Profile, RestClient, RestError};
use crate::model::ErrorReport;
use document::Reader;

impl RelayConfig {
    /// Reads the answer to `relay_events.read`.
    ///
    /// # Errors
    /// When it is not JSON, or not what the profile describes. An event without a name or without actions, or of
    /// which either is malformed, is passed over, unless all are: then the profile is wrong.
    pub fn read(body: &[u8], profile: &Profile) -> Result<RelayConfig, ReadError> {
        let body = JsonBody::new(body);
        let document: Value = body.parse()?;
        let is_repaired = body.is_repaired();
        Reader { profile, is_repaired }.document(&document)
    }
}

impl Plan {
    /// The body of the request `relay_events.write`.
    pub fn body(&self, profile: &Profile) -> Bytes {
        let entries = &profile.relay_events;
        let events: Vec<Value> = self
            .changes
            .iter()
            .map(|change| written(&change.to, entries))
            .collect();
        let mut body = Value::Null;
        put(&mut body, &entries.events, events.into());
        if let (Some(pointer), Some(revision)) = (&entries.revision, &self.revision) {
            put(&mut body, pointer, revision.clone());
        }
        body.to_string().into()
    }
}

fn written(event: &EventActions, entries: &RelayEventsEntries) -> Value {
    let mut written = Value::Null;
    put(&mut written, &entries.name, event.name_on_device.as_str().into());
    put(&mut written, &entries.actions, event.actions.clone().into());
    written
}

/// Puts a value where the pointer leads, and objects on the way there. The profile has been checked for pointers
/// that lie within each other, so that nothing but objects is met.
fn put(root: &mut Value, pointer: &str, value: Value) {
    let place = keys(pointer).fold(root, |node, key| &mut node[key]);
    *place = value;
}

/// What each event does.
pub(super) async fn read(client: &mut RestClient, profile: &Profile) -> Result<RelayConfig, ErrorReport> {
    let body = client.relay_events(profile).await.map_err(report)?;
    RelayConfig::read(&body, profile).map_err(|error| {
        let url = format!("{}{}", client.url(), profile.relay_events.read.path);
        report(RestError::configuration(&url, &error))
    })
}

/// Writes what is to be changed. Without an answer it may have arrived all the same.
pub(super) async fn write(
    client: &mut RestClient,
    profile: &Profile,
    plan: &Plan,
    guard: &DeviceGuard,
) -> Result<(), Failure> {
    if plan.is_empty() {
        return Ok(());
    }
    let permitted = guard.before_write(client.longest_write()).await;
    let permitted = permitted.map_err(|report| Failure {
        is_undone: true,
        ..report.into()
    })?;
    let written = client.write_relay_events(profile, plan.body(profile)).await;
    permitted.ended(is_answered(&written));
    written.map_err(|error| Failure {
        is_undone: error.report.http_status.is_some(),
        ..error.report.into()
    })
}

/// How long a device may take to have a change take effect, at least: nobody has published it.
const APPLY_WITHIN: Duration = Duration::from_secs(10);

/// Has what was written take effect.
pub(super) async fn apply(
    client: &mut RestClient,
    profile: &Profile,
    guard: &DeviceGuard,
    deadline: Instant,
) -> Result<(), ErrorReport> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let permitted = guard.before_write(left().max(APPLY_WITHIN)).await?;
    let applied = client.apply(profile, left()).await;
    permitted.ended(is_answered(&applied));
    applied.map_err(report)
}

fn is_answered(result: &Result<(), RestError>) -> bool {
    let failed = result.as_ref().err();
    failed.is_none_or(|error| error.report.http_status.is_some())
}

fn report(error: RestError) -> ErrorReport {
    error.report
}
