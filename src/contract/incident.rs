//! Open incidents as the API shows them and as the store keeps them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Time;
use crate::model::{self, DeviceId, ErrorReport, IncidentKey, IncidentKind, Operation};

/// One of the list of `GET /api/incidents`.
#[derive(Serialize)]
pub(crate) struct Incident<'a> {
    id: Uuid,
    kind: IncidentKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    since: Time,
    reported_at: Time,
    count: u64,
    operation: Operation,
    error: &'a ErrorReport,
}

impl<'a> From<&'a model::Incident> for Incident<'a> {
    fn from(incident: &'a model::Incident) -> Incident<'a> {
        Incident {
            id: incident.id,
            kind: incident.key.kind,
            device: incident.key.device.as_ref(),
            subject: incident.key.subject.as_deref(),
            since: Time(incident.first_at),
            reported_at: Time(incident.reported_at),
            count: incident.count,
            operation: incident.operation,
            error: &incident.error,
        }
    }
}

/// The list.
pub(crate) fn list(open: &BTreeMap<IncidentKey, model::Incident>) -> Vec<Incident<'_>> {
    open.values().map(Incident::from).collect()
}

/// The same, to be read.
#[derive(Deserialize)]
struct Kept {
    id: Uuid,
    kind: IncidentKind,
    device: Option<String>,
    subject: Option<String>,
    since: String,
    reported_at: String,
    count: u64,
    operation: Operation,
    error: ErrorReport,
}

/// Reads what the store keeps; `None` where it cannot be understood, as what a later version keeps.
pub(crate) fn read(json: &[u8]) -> Option<model::Incident> {
    let kept: Kept = serde_json::from_slice(json).ok()?;
    let device = match kept.device {
        Some(device) => Some(DeviceId::new(device)?),
        None => None,
    };
    Some(model::Incident {
        key: IncidentKey {
            kind: kept.kind,
            device,
            subject: kept.subject,
        },
        id: kept.id,
        operation: kept.operation,
        error: kept.error,
        first_at: kept.since.parse().ok()?,
        reported_at: kept.reported_at.parse().ok()?,
        count: kept.count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::to_json;
    use crate::model::ErrorKind;

    #[test]
    fn what_is_kept_is_read() {
        let mut incident = model::Incident {
            key: IncidentKey::of_device(IncidentKind::Poll, &DeviceId::new("m1").unwrap()),
            id: Uuid::from_u128(7),
            operation: Operation::Token,
            error: ErrorReport::new(ErrorKind::Timeout, "late", "wait"),
            first_at: "2026-02-10T09:45:48.123Z".parse().unwrap(),
            reported_at: "2026-02-10T10:00:48.123Z".parse().unwrap(),
            count: 61,
        };
        let keeps = |incident: &model::Incident| read(&to_json(&Incident::from(incident)));
        assert_eq!(keeps(&incident).as_ref(), Some(&incident));
        incident.key = IncidentKey::about(IncidentKind::Trap, "community");
        incident.error.http_status = Some(503);
        assert_eq!(keeps(&incident).as_ref(), Some(&incident));
        assert_eq!(read(b"{}"), None);
    }
}
