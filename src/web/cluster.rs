//! The cluster, as this bridge sees it: who owns which shard, and who the members are. And draining this bridge.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::answer::{Answer, Refusal, written};
use super::command::admit;
use super::{Cluster, Shared, Shown};
use crate::cluster::coordinator::{MemberStatus, Report, Status};
use crate::cluster::entries::{BridgeId, Intent};
use crate::cluster::incidents::problems;
use crate::contract::{Time, to_json};
use crate::model::{ErrorKind, ErrorReport, ShardId};

/// How long etcd may take to show that this bridge is drained, or is no longer.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/cluster", get(cluster))
        .route("/api/cluster/drain", post(drain))
}

/// What an operator wants of this bridge.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drain {
    /// To own no shard while another bridge can.
    pub(crate) drain: bool,
}

/// The cluster, as its `GET` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) name: String,
    /// The bridge that shows it.
    pub(crate) bridge: String,
    pub(crate) etcd: Etcd,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<Problem>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) members: Vec<Member>,
    /// How many times this bridge has become the owner of a shard.
    pub(crate) takeovers: u64,
}

/// Whether etcd answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Etcd {
    pub(crate) connected: bool,
    /// Since when that is so.
    pub(crate) since: Time,
}

/// What is wrong now.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// That of its incident.
    pub(crate) subject: String,
    pub(crate) error: ErrorReport,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Shard {
    pub(crate) shard: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// When this bridge has heard of its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Time>,
    /// Whether this bridge owns it.
    pub(crate) own: bool,
    /// How many devices of it this bridge's configuration has.
    pub(crate) devices: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: String,
    /// Empty if it is not known.
    pub(crate) version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Whether it reaches its broker.
    pub(crate) broker: Broker,
    pub(crate) intent: MemberIntent,
    /// Whether it has other devices than this bridge.
    pub(crate) other_devices: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Broker {
    Connected,
    Disconnected,
}

/// What a member wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MemberIntent {
    Stay,
    Drain,
    Leave,
}

async fn cluster(State(app): State<Shared>) -> Answer {
    Ok(shown(joined(&app.shown)?))
}

async fn drain(State(app): State<Shared>, request: Request) -> Answer {
    let payload = admit(&app, request).await?;
    let cluster = joined(&app.shown)?;
    let Drain { drain } = serde_json::from_slice(&payload).map_err(malformed)?;
    // Nobody takes it where the bridge stops.
    cluster
        .reports
        .send(Report::Drain(drain))
        .await
        .map_err(|_| takes_no_part())?;
    let mut status = cluster.status.clone();
    let is_shown = status.wait_for(|status| status.intent().map(is_drained) == Some(drain));
    match timeout(SHOWN_WITHIN, is_shown).await {
        Ok(Ok(_)) => Ok(shown(cluster)),
        Ok(Err(_)) => Err(takes_no_part()),
        Err(_) => Err(not_shown()),
    }
}

fn shown(cluster: &Cluster) -> Response {
    written(StatusCode::OK, to_json(&view(cluster)))
}

/// The cluster as it is now.
pub(super) fn view(cluster: &Cluster) -> View {
    let (status, sizes) = (cluster.status.borrow(), cluster.devices.borrow());
    let others: Vec<_> = status.with_other_devices().collect();
    let members = status.members.iter();
    let problem = |(subject, error): (&str, _)| Problem {
        subject: subject.to_owned(),
        error,
    };
    View {
        name: cluster.name.clone(),
        bridge: status.me.to_string(),
        etcd: Etcd {
            connected: status.is_connected(),
            since: Time(status.since),
        },
        problems: problems(&status).map(problem).collect(),
        shards: ShardId::all(cluster.shards)
            .map(|id| shard(id, &status, &sizes))
            .collect(),
        members: members
            .map(|(id, known)| member(id, known, others.contains(&id)))
            .collect(),
        takeovers: status.won,
    }
}

fn shard(id: ShardId, status: &Status, sizes: &BTreeMap<ShardId, usize>) -> Shard {
    let owner = status.owners.get(&id);
    Shard {
        shard: id.to_string(),
        owner: owner.map(|owner| owner.bridge.to_string()),
        since: owner.map(|owner| Time(owner.since)),
        own: owner.is_some_and(|owner| owner.bridge == status.me),
        devices: sizes.get(&id).copied().unwrap_or_default(),
    }
}

fn member(id: &BridgeId, known: &MemberStatus, other_devices: bool) -> Member {
    Member {
        id: id.to_string(),
        version: known.details.version.clone(),
        url: known.details.url.clone(),
        broker: match known.state.reaches_broker {
            true => Broker::Connected,
            false => Broker::Disconnected,
        },
        intent: match known.state.intent {
            Intent::Stay => MemberIntent::Stay,
            Intent::Drain => MemberIntent::Drain,
            Intent::Leave => MemberIntent::Leave,
        },
        other_devices,
    }
}

fn is_drained(intent: Intent) -> bool {
    intent == Intent::Drain
}

fn joined(shown: &Shown) -> Result<&Cluster, Refusal> {
    shown.cluster.as_ref().ok_or_else(|| {
        let message = "this bridge belongs to no cluster";
        let remedy =
            "add [cluster] to its configuration if several bridges are to work as one: docs/cluster.md";
        Refusal::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, message, remedy)
    })
}

fn malformed(error: serde_json::Error) -> Refusal {
    let message = format!("whether this bridge is to be drained cannot be understood: {error}");
    let remedy = r#"send {"drain":true}, or {"drain":false} to undo it"#;
    Refusal::new(StatusCode::BAD_REQUEST, ErrorKind::Decode, message, remedy)
}

fn takes_no_part() -> Refusal {
    let message = "this bridge takes no part in its cluster any longer: it stops";
    let remedy = "wait until it has started again, and see its log";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Busy, message, remedy)
}

fn not_shown() -> Refusal {
    let message = format!(
        "etcd does not show the change within {} s: other bridges do not know of it yet",
        SHOWN_WITHIN.as_secs()
    );
    let remedy = "the bridge writes it as soon as it can; GET /api/cluster shows what fails";
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, ErrorKind::Timeout, message, remedy)
}
