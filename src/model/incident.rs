//! An incident: a condition that lasts, reported when it begins, while it lasts and when it is over. A message that has
//! failed is a dead letter.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DeviceId, ErrorReport, Operation};

/// What lasts. Its name is used in the API and in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentKind {
    /// The polls of a device fail, or its task has.
    Poll,
    /// A device cannot be read over SNMP.
    SnmpRead,
    /// Traps are refused for one reason, or dropped.
    Trap,
    /// Connections to the broker do not last: another client probably has the same id.
    Connection,
    /// The broker does not take the state at a topic.
    Publish,
    /// The broker does not grant a subscription.
    Subscription,
    /// The store cannot be written.
    Store,
    /// Records are dropped: too many wait for the broker.
    Outbox,
    /// Something is wrong with the cluster of bridges, or with the way to its etcd.
    Cluster,
}

/// How far an incident has come, where that is to be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It begins.
    Begun,
    /// It lasts, and is reported again.
    Lasting,
    /// It goes on, or begins again, without another report.
    Resumed,
    /// It is over.
    Over,
    /// What it was about is not there any more.
    Withdrawn,
}

impl IncidentKind {
    /// All of them.
    pub const ALL: [IncidentKind; 9] = [
        IncidentKind::Poll,
        IncidentKind::SnmpRead,
        IncidentKind::Trap,
        IncidentKind::Connection,
        IncidentKind::Publish,
        IncidentKind::Subscription,
        IncidentKind::Store,
        IncidentKind::Outbox,
        IncidentKind::Cluster,
    ];

    /// The kind's name in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            IncidentKind::Poll => "poll",
            IncidentKind::SnmpRead => "snmp-read",
            IncidentKind::Trap => "trap",
            IncidentKind::Connection => "connection",
            IncidentKind::Publish => "publish",
            IncidentKind::Subscription => "subscription",
            IncidentKind::Store => "store",
            IncidentKind::Outbox => "outbox",
            IncidentKind::Cluster => "cluster",
        }
    }

    /// Whether the next run goes on with it. Of others it finds out itself whether they last.
    pub fn is_kept(self) -> bool {
        matches!(
            self,
            IncidentKind::Poll | IncidentKind::SnmpRead | IncidentKind::Trap
        )
    }

    /// Whether it is reported once in a run, however often it begins.
    pub fn is_reported_once(self) -> bool {
        use IncidentKind::{Connection, Publish, Subscription};
        matches!(self, Connection | Publish | Subscription)
    }

    /// Whether a dead letter reports it at that stage.
    pub fn has_dead_letter(self, stage: Stage) -> bool {
        match (self, stage) {
            (_, Stage::Resumed | Stage::Withdrawn) | (IncidentKind::Subscription, _) => false,
            (IncidentKind::Trap | IncidentKind::Connection | IncidentKind::Publish, Stage::Over) => false,
            (_, Stage::Begun | Stage::Lasting | Stage::Over) => true,
        }
    }
}

/// By what an incident is known: there is one of each at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentKey {
    /// What lasts.
    pub kind: IncidentKind,
    /// The device that it is about; `None` where it is about none.
    pub device: Option<DeviceId>,
    /// What else it is about: a reason, a topic.
    pub subject: Option<String>,
}

impl IncidentKey {
    /// Of the bridge.
    pub fn new(kind: IncidentKind) -> IncidentKey {
        IncidentKey {
            kind,
            device: None,
            subject: None,
        }
    }

    /// Of a device.
    pub fn of_device(kind: IncidentKind, device: &DeviceId) -> IncidentKey {
        IncidentKey {
            device: Some(device.clone()),
            ..IncidentKey::new(kind)
        }
    }

    /// About that, beside others of its kind.
    pub fn about(kind: IncidentKind, subject: impl Into<String>) -> IncidentKey {
        IncidentKey {
            subject: Some(subject.into()),
            ..IncidentKey::new(kind)
        }
    }
}

impl fmt::Display for IncidentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = self.device.as_ref().map_or("", DeviceId::as_str);
        let subject = self.subject.as_deref().unwrap_or_default();
        write!(f, "{}/{device}/{subject}", self.kind.as_str())
    }
}

/// An incident, as it was last reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// By what it is known.
    pub key: IncidentKey,
    /// The dead letter that reported its beginning, where one did.
    pub id: Uuid,
    /// What was being done when it was last seen.
    pub operation: Operation,
    /// What went wrong then.
    pub error: ErrorReport,
    /// When it began.
    pub first_at: Timestamp,
    /// When it was last reported.
    pub reported_at: Timestamp,
    /// How often it was seen.
    pub count: u64,
}

/// What is to be reported of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentReport {
    /// The incident.
    pub incident: Incident,
    /// How far it has come.
    pub stage: Stage,
    /// The number that the report has; `None` where it was seen once.
    pub repeats: Option<u64>,
}
