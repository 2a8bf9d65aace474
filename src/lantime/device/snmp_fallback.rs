//! When the status of a device is read over SNMP. What REST says is more, and counts for more. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::turn::Turn;
use crate::config::{DeviceSnmp, SnmpRead};
use crate::model::{ErrorReport, IncidentKind, Operation};

/// How long an answer over SNMP may hold up what REST has said.
const BESIDE_REST: Duration = Duration::from_millis(500);
/// How long it is left alone then.
const REST: Duration = Duration::from_secs(15);

/// Reading over SNMP.
#[derive(Debug)]
pub(super) struct SnmpFallback {
    read: SnmpRead,
    /// How long the answer to a request may take before it is sent again.
    timeout: Duration,
    /// Until then it is not asked beside REST that works: it gave no answer.
    rests_until: Option<Instant>,
}

impl SnmpFallback {
    /// `None` where the status is not read over SNMP.
    pub(super) fn new(device: &DeviceSnmp) -> Option<SnmpFallback> {
        let is_wanted = device.read != SnmpRead::Off && device.access.is_some();
        is_wanted.then_some(SnmpFallback {
            read: device.read,
            timeout: device.timeout,
            rests_until: None,
        })
    }

    /// How long to wait for it after REST has answered, or has not; `None` where it is not asked.
    pub(super) fn within(&self, is_answered: bool, now: Instant) -> Option<Duration> {
        if !is_answered {
            // Time for one repeat, and no more: that a device is unreachable both ways must soon be known.
            return Some(2 * self.timeout);
        }
        let rests = self.rests_until.is_some_and(|until| now < until);
        (self.read == SnmpRead::Always && !rests).then_some(BESIDE_REST)
    }

    /// Whether it is read only when REST fails: what was reported of failed reads ends with REST's answers, too.
    pub(super) fn is_only_without_rest(&self) -> bool {
        self.read == SnmpRead::Fallback
    }

    /// It was asked after REST has answered, or has not, and has failed so, or has not.
    pub(super) fn ended(&mut self, is_answered: bool, failure: Option<&ErrorReport>, turn: &mut Turn) {
        let now = turn.now.instant;
        if is_answered {
            self.rests_until = failure.map(|_| now + REST);
        }
        let Some(report) = failure else {
            return turn.well(IncidentKind::SnmpRead);
        };
        if turn.incident(IncidentKind::SnmpRead).is_none() {
            tracing::warn!(kind = %report.kind, remedy = report.remedy, "{}", report.message);
        }
        turn.raise(IncidentKind::SnmpRead, Operation::SnmpGet, report.clone());
    }
}
