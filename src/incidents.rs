//! Conditions that last, and when each is reported: when it begins, again while it lasts, and when it has been over for a
//! while. So nothing that fails or flaps floods anybody, and neither does a bridge that is started again and again.
//!
//! Pure: no task, no clock. Each owner of conditions keeps its own; the store keeps all that are open.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::model::{
    DeviceId, ErrorReport, Incident, IncidentKey, IncidentKind, IncidentReport, Operation, Stage,
};

/// How long nothing may fail until a condition counts as over.
const OVER_AFTER: Duration = Duration::from_secs(60);

/// What was seen of a condition.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What was being done.
    pub operation: Operation,
    /// What went wrong.
    pub error: ErrorReport,
    /// How often.
    pub times: u64,
}

impl Seen {
    /// Seen once.
    pub fn once(operation: Operation, error: ErrorReport) -> Seen {
        Seen {
            operation,
            error,
            times: 1,
        }
    }
}

/// The open incidents of one owner.
#[derive(Debug, Default)]
pub struct Incidents {
    /// How often one that lasts is reported again.
    repeat: Duration,
    open: BTreeMap<IncidentKey, Open>,
    /// Those that are reported once in a run, and were.
    reported: BTreeSet<IncidentKey>,
}

#[derive(Debug)]
struct Open {
    incident: Incident,
    /// How often it was seen since it was last reported.
    unreported: u64,
    /// When it is reported again, if it lasts until then.
    again_at: Instant,
    /// When the first success came since it was last seen.
    well_since: Option<Instant>,
}

impl Incidents {
    /// None yet. One that lasts is reported again after `repeat`.
    pub fn new(repeat: Duration) -> Incidents {
        Incidents {
            repeat,
            open: BTreeMap::new(),
            reported: BTreeSet::new(),
        }
    }

    /// The same incidents, reported again after `repeat`.
    pub fn every(self, repeat: Duration) -> Incidents {
        Incidents { repeat, ..self }
    }

    /// Goes on with an incident that another owner, or an earlier run, has reported and not seen the end of.
    pub fn resume(&mut self, incident: Incident, at: Timestamp, now: Instant) {
        // Below zero where the clock was put back.
        let reported_for = Duration::try_from(at.duration_since(incident.reported_at)).unwrap_or_default();
        let open = Open {
            again_at: now + self.repeat.saturating_sub(reported_for),
            unreported: 0,
            well_since: None,
            incident,
        };
        self.open.insert(open.incident.key.clone(), open);
    }

    /// The condition is seen. Gives what is to be reported: that it begins, or once it is time, that it lasts.
    pub fn raise(
        &mut self,
        key: IncidentKey,
        seen: Seen,
        at: Timestamp,
        now: Instant,
    ) -> Option<IncidentReport> {
        let Some(open) = self.open.get_mut(&key) else {
            return Some(self.begin(key, seen, at, now));
        };
        open.incident.count += seen.times;
        open.unreported += seen.times;
        (open.incident.operation, open.incident.error) = (seen.operation, seen.error);
        open.well_since = None;
        open.repeat(self.repeat, at, now)
    }

    /// The condition begins, whatever was known of it.
    pub fn begin(&mut self, key: IncidentKey, seen: Seen, at: Timestamp, now: Instant) -> IncidentReport {
        let incident = Incident {
            key: key.clone(),
            id: Uuid::now_v7(),
            operation: seen.operation,
            error: seen.error,
            first_at: at,
            reported_at: at,
            count: seen.times,
        };
        let open = Open {
            incident: incident.clone(),
            unreported: 0,
            again_at: now + self.repeat,
            well_since: None,
        };
        let is_first = !key.kind.is_reported_once() || self.reported.insert(key.clone());
        self.open.insert(key, open);
        IncidentReport {
            incident,
            stage: if is_first { Stage::Begun } else { Stage::Resumed },
            repeats: (seen.times > 1).then_some(seen.times),
        }
    }

    /// The condition does not hold now. It is over when it has not come back for a while: [`due`](Incidents::due) gives
    /// that.
    pub fn well(&mut self, key: &IncidentKey, now: Instant) {
        if let Some(open) = self.open.get_mut(key) {
            open.well_since.get_or_insert(now);
        }
    }

    /// The condition is over, for sure.
    pub fn clear(&mut self, key: &IncidentKey, at: Timestamp) -> Option<IncidentReport> {
        let open = self.open.remove(key)?;
        Some(open.end(at))
    }

    /// What the incident was about is not there any more.
    pub fn withdraw(&mut self, key: &IncidentKey) -> Option<IncidentReport> {
        let open = self.open.remove(key)?;
        Some(open.report(Stage::Withdrawn))
    }

    /// The incidents of that device are closed elsewhere. What was reported once in this run stays reported.
    pub fn forget(&mut self, device: &DeviceId) {
        self.open.retain(|key, _| key.device.as_ref() != Some(device));
    }

    /// What is to be reported without that anything is seen.
    pub fn due(&mut self, at: Timestamp, now: Instant) -> Vec<IncidentReport> {
        let over = self.open.extract_if(.., |_, open| open.is_over(now));
        let over = over.map(|(_, open)| open.end(at));
        let over: Vec<_> = over.collect();
        let repeat = self.repeat;
        let lasting = self.open.values_mut().filter(|open| open.is_counted());
        let lasting = lasting.filter_map(|open| open.repeat(repeat, at, now));
        lasting.chain(over).collect()
    }

    /// When one is over, if nothing fails until then.
    pub fn next_end(&self) -> Option<Instant> {
        let well = self.open.values().filter_map(|open| open.well_since);
        well.min().map(|since| since + OVER_AFTER)
    }

    /// What is open.
    pub fn keys(&self) -> impl Iterator<Item = &IncidentKey> {
        self.open.keys()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether fewer than so many, or that one, were reported in this run, of a kind that is reported once.
    pub fn may_report(&self, key: &IncidentKey, most: usize) -> bool {
        let of_kind = self.reported.iter().filter(|reported| reported.kind == key.kind);
        self.reported.contains(key) || of_kind.count() < most
    }

    /// The open incident of that key.
    pub fn get(&self, key: &IncidentKey) -> Option<&Incident> {
        self.open.get(key).map(|open| &open.incident)
    }
}

impl Open {
    /// Whether nobody sees it end: it is counted, and over when the count stays for as long as it takes to report it again.
    fn is_counted(&self) -> bool {
        self.incident.key.kind == IncidentKind::Trap
    }

    fn is_over(&self, now: Instant) -> bool {
        match self.well_since {
            Some(since) => since + OVER_AFTER <= now,
            None => self.is_counted() && self.unreported == 0 && self.again_at <= now,
        }
    }

    /// That it lasts, once it is time.
    fn repeat(&mut self, repeat: Duration, at: Timestamp, now: Instant) -> Option<IncidentReport> {
        if now < self.again_at || self.unreported == 0 || self.incident.key.kind.is_reported_once() {
            return None;
        }
        self.again_at = now + repeat;
        self.incident.reported_at = at;
        let report = self.report(Stage::Lasting);
        self.unreported = 0;
        Some(report)
    }

    fn end(mut self, at: Timestamp) -> IncidentReport {
        self.incident.reported_at = at;
        self.report(Stage::Over)
    }

    fn report(&self, stage: Stage) -> IncidentReport {
        let repeats = match self.is_counted() {
            true => self.unreported,
            false => self.incident.count,
        };
        IncidentReport {
            incident: self.incident.clone(),
            stage,
            repeats: Some(repeats),
        }
    }
}

#[cfg(test)]
mod tests;
