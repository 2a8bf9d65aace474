//! `/healthz` and `/readyz`, for service managers and load balancers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::{Cluster, Shared};
use crate::hub::Fleet;
use crate::lantime::snmp::traps::Counts as TrapCounts;

/// Devices that are named while they are waited for.
const NAMED: usize = 10;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
}

/// The process answers, so it is alive. A restart does not help against an unreachable broker: that is reported, and no
/// failure.
async fn health(State(app): State<Shared>) -> Json<Health> {
    let shown = &app.shown;
    let connected = shown.broker().link.connected;
    let commands = shown.commands();
    let taken = commands.subscribed && commands.refused.is_empty() && commands.failing.is_none();
    Json(Health {
        status: "ok",
        broker: connection(connected),
        commands: if taken { "taken" } else { "waiting" },
        sparkplug: shown.sparkplug().map(|status| match status.born {
            true => "born",
            false => "waiting",
        }),
        cluster: shown
            .cluster
            .as_ref()
            .map(|cluster| connection(cluster.status.borrow().is_connected())),
        traps: shown.traps.as_ref().map(|traps| *traps.borrow()),
    })
}

fn connection(connected: bool) -> &'static str {
    if connected { "connected" } else { "disconnected" }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    broker: &'static str,
    commands: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sparkplug: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traps: Option<TrapCounts>,
}

/// What is shown is whole: each device has been asked once, with or without success, and what comes can be kept. In a cluster,
/// it is known which devices those are. An unreachable broker does not matter: the page works without one, and records wait on
/// disk.
async fn ready(State(app): State<Shared>) -> (StatusCode, Json<Ready>) {
    let shown = &app.shown;
    let waiting = waiting(&shown.fleet.borrow());
    let store = shown.store.status().borrow().failing.clone();
    let cluster = shown.cluster.as_ref().map(unsettled);
    let is_ready = waiting.is_empty() && store.is_none() && cluster.as_ref().is_none_or(Option::is_none);
    let status = match is_ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let ready = Ready {
        status: if is_ready { "ready" } else { "not-ready" },
        devices_waiting: waiting.len(),
        waiting: waiting.into_iter().take(NAMED).collect(),
        store: store.unwrap_or_else(ok),
        cluster: cluster.map(|unsettled| unsettled.unwrap_or_else(ok)),
    };
    (status, Json(ready))
}

fn ok() -> String {
    "ok".to_owned()
}

/// Why it is not known yet which devices this bridge polls.
fn unsettled(cluster: &Cluster) -> Option<String> {
    let status = cluster.status.borrow();
    if !status.has_been_read() {
        return Some("etcd has not been read yet".to_owned());
    }
    let units = cluster.units.borrow();
    let own = status
        .owners
        .iter()
        .filter(|(_, owner)| owner.bridge == status.me);
    let mut starting = own.filter(|(shard, _)| units.get(**shard).is_none());
    let (shard, _) = starting.next()?;
    Some(format!(
        "shard {shard} has just been won: its devices are not polled yet"
    ))
}

/// The devices that have neither answered nor failed yet.
fn waiting(fleet: &Fleet) -> Vec<String> {
    let devices = fleet.devices.iter();
    devices
        .filter(|(_, device)| device.view.availability.is_none() && device.view.problem.is_none())
        .map(|(id, _)| id.to_string())
        .collect()
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    devices_waiting: usize,
    waiting: Vec<String>,
    store: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::model::{
        Availability, DeviceId, DeviceView, ErrorKind, ErrorReport, Operation, Problem, Update, diff,
    };

    #[test]
    fn a_device_that_failed_once_is_not_waited_for() {
        let id = |id: &str| DeviceId::new(id).unwrap();
        let mut fleet = Fleet::new([id("a"), id("b"), id("c")]);
        assert_eq!(waiting(&fleet), ["a", "b", "c"]);
        let problem = Problem {
            id: Uuid::nil(),
            operation: Operation::Poll,
            error: ErrorReport::new(ErrorKind::Connect, "refused", "see"),
            first_at: Timestamp::UNIX_EPOCH,
        };
        let online = DeviceView {
            availability: Some(Availability::Online),
            ..DeviceView::default()
        };
        let failed = DeviceView {
            problem: Some(problem),
            ..DeviceView::default()
        };
        for (device, view) in [("a", online), ("b", failed)] {
            fleet.apply(
                &Update::Device {
                    device: id(device),
                    changes: diff(&DeviceView::default(), &view),
                    view: Arc::new(view),
                    transitions: Vec::new(),
                    recorded: None,
                },
                Timestamp::UNIX_EPOCH,
            );
        }
        assert_eq!(waiting(&fleet), ["c"]);
    }
}
