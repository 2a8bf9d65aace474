//! What of a cluster is an incident: etcd fails for longer than a lease lives, or takes no commands for so long, another process
//! has this bridge's id, another member has other devices or publishes them in another form, or this bridge does not agree with
//! the cluster.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::coordinator::{Activity, Status};
use super::etcd::{Cause, Error};
use crate::incidents::{Incidents, Seen};
use crate::model::{ErrorKind, ErrorReport, IncidentKey, IncidentKind, IncidentReport, Operation, Stage};
use crate::records::dead_letter;
use crate::records::store::{Entries, Store};

/// A new configuration gets to the bridges one after the other: for so long they may have other devices.
const ROLLOUT: Duration = Duration::from_secs(60);

/// The task that reports incidents of the cluster.
#[derive(Debug)]
pub struct Reporter {
    status: watch::Receiver<Status>,
    store: Store,
    conditions: Conditions,
}

/// What stands, and what was reported of it.
#[derive(Debug)]
struct Conditions {
    ttl: Duration,
    repeat: Duration,
    incidents: Incidents,
    /// When each condition that stands is to be reported, for the first time or again.
    due: BTreeMap<Condition, Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Condition {
    /// Requests to etcd fail.
    Etcd,
    /// Only those fail that keep commands: etcd is full, say.
    Commands,
    /// The entry of this bridge is another process's.
    Id,
    /// Other members have other devices, or publish them in another form.
    Devices,
    /// This bridge takes no part.
    Disagreement,
}

/// What is wrong now, each with the subject of its incident. It becomes one only if it lasts.
pub fn problems(status: &Status) -> impl Iterator<Item = (&'static str, ErrorReport)> {
    let conditions = Condition::ALL.into_iter();
    conditions.filter_map(|condition| Some((condition.subject(), condition.error(status)?)))
}

impl Reporter {
    /// Follows `status`, of a bridge whose lease lives for `ttl`. An incident that lasts is reported again after `repeat`.
    pub fn new(status: watch::Receiver<Status>, store: Store, ttl: Duration, repeat: Duration) -> Reporter {
        Reporter {
            status,
            store,
            conditions: Conditions {
                ttl,
                repeat,
                incidents: Incidents::new(repeat),
                due: BTreeMap::new(),
            },
        }
    }

    /// Reports to the store, until `stop`. The last status stands after its sender has ended.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut is_followed = true;
        while !stop.is_cancelled() {
            let reports = {
                let status = self.status.borrow_and_update();
                self.conditions.look(&status, Timestamp::now(), Instant::now())
            };
            // The store takes them late while its disk hangs.
            stop.run_until_cancelled(self.report(reports)).await;
            let next = self.conditions.next();
            let timer = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                changed = self.status.changed(), if is_followed => is_followed = changed.is_ok(),
                () = timer => {}
            }
        }
    }

    async fn report(&self, reports: Vec<IncidentReport>) {
        if reports.is_empty() {
            return;
        }
        let me = self.status.borrow().me.clone();
        let mut entries = Entries::default();
        for report in reports {
            log(&report);
            let dead_letter = dead_letter::of_incident(&report);
            let record = dead_letter.map(|dead_letter| dead_letter::record(&dead_letter, &me));
            entries.records.extend(record);
            entries.incidents.push(report.into());
        }
        self.store.append_all(entries).await;
    }
}

/// What lasts was logged when it began.
fn log(IncidentReport { incident, stage, .. }: &IncidentReport) {
    let subject = incident.key.subject.as_deref().unwrap_or_default();
    let ErrorReport { message, remedy, .. } = &incident.error;
    match stage {
        Stage::Begun => tracing::error!(subject, remedy, "cluster: {message}"),
        Stage::Over => tracing::info!(subject, "cluster: it is over that {message}"),
        Stage::Lasting | Stage::Resumed | Stage::Withdrawn => {}
    }
}

impl Conditions {
    /// What is to be reported now.
    fn look(&mut self, status: &Status, at: Timestamp, now: Instant) -> Vec<IncidentReport> {
        let mut reports = Vec::new();
        for condition in Condition::ALL {
            let key = condition.key();
            let Some(error) = condition.error(status) else {
                self.due.remove(&condition);
                match condition {
                    // It may come back.
                    Condition::Etcd | Condition::Commands => self.incidents.well(&key, now),
                    _ => reports.extend(self.incidents.clear(&key, at)),
                }
                continue;
            };
            let patience = match self.incidents.get(&key) {
                Some(_) => Duration::ZERO,
                None => condition.patience(self.ttl),
            };
            let due = self.due.entry(condition).or_insert(now + patience);
            if *due <= now {
                *due = now + self.repeat;
                let seen = Seen::once(Operation::Cluster, error);
                reports.extend(self.incidents.raise(key, seen, at, now));
            }
        }
        reports.extend(self.incidents.due(at, now));
        reports
    }

    /// When there may be something to report, if nothing changes until then.
    fn next(&self) -> Option<Instant> {
        let due = self.due.values().copied();
        due.chain(self.incidents.next_end()).min()
    }
}

impl Condition {
    const ALL: [Condition; 5] = [
        Condition::Etcd,
        Condition::Commands,
        Condition::Id,
        Condition::Devices,
        Condition::Disagreement,
    ];

    fn subject(self) -> &'static str {
        match self {
            Condition::Etcd => "etcd",
            Condition::Commands => "commands",
            Condition::Id => "id",
            Condition::Devices => "devices",
            Condition::Disagreement => "disagreement",
        }
    }

    fn key(self) -> IncidentKey {
        IncidentKey::about(IncidentKind::Cluster, self.subject())
    }

    /// How long it may stand until it is reported.
    fn patience(self, ttl: Duration) -> Duration {
        match self {
            Condition::Etcd | Condition::Commands => ttl,
            // The entry of an earlier process with this id stays until its lease has ended.
            Condition::Id => ttl * 2,
            Condition::Devices => ROLLOUT,
            Condition::Disagreement => Duration::ZERO,
        }
    }

    /// What is wrong, if it stands.
    fn error(self, status: &Status) -> Option<ErrorReport> {
        match self {
            Condition::Etcd => status.errors.iter().next().map(of_etcd),
            // Else it follows from that.
            Condition::Commands if status.errors.is_empty() => status.unkept.values().next().map(|reason| {
                let message = format!("{reason}; commands stay at the broker");
                let remedy =
                    "do what the message says; commands are taken and carried out once etcd takes them";
                ErrorReport::new(ErrorKind::Storage, message, remedy)
            }),
            Condition::Commands => None,
            Condition::Id => status.is_id_taken.then(|| {
                let message = format!("another process takes part in the cluster as {}", status.me);
                let remedy = "give each bridge its own bridge.id, and stop the process that is not to run";
                ErrorReport::new(ErrorKind::Conflict, message, remedy)
            }),
            Condition::Devices => {
                let others: Vec<_> = status
                    .with_other_devices()
                    .map(|bridge| bridge.as_str())
                    .collect();
                let message = || {
                    format!(
                        "other bridges have other devices than {}, or publish them in another form: {}",
                        status.me,
                        others.join(", ")
                    )
                };
                let remedy = "give all bridges of the cluster the same [[devices]], and reload them; and the same mqtt.prefix, \
                              mqtt.layout, [homeassistant] and [sparkplug], and restart those that had others";
                let error = || ErrorReport::new(ErrorKind::Conflict, message(), remedy);
                (!others.is_empty()).then(error)
            }
            Condition::Disagreement => {
                let disagreement = status.disagreement.as_ref()?;
                let (message, remedy) = (disagreement.message(), disagreement.remedy());
                Some(ErrorReport::new(ErrorKind::Conflict, message, remedy))
            }
        }
    }
}

fn of_etcd((activity, error): (&Activity, &Error)) -> ErrorReport {
    let consequence = match activity {
        Activity::Lease => {
            "the lease of this bridge is not renewed, and without it nothing is written to a device"
        }
        Activity::Watch => "what the other bridges do is not known",
        Activity::Member => "the entry of this bridge is not written, and without it no shard is owned",
        Activity::Shards => "no shard is claimed or released",
    };
    let message = format!("etcd {}: {}; {consequence}", error.endpoint(), error.cause());
    ErrorReport::new(kind(error.cause()), message, error.cause().remedy())
}

fn kind(cause: &Cause) -> ErrorKind {
    match cause {
        Cause::Unreachable(_) | Cause::NoMoreFiles(_) | Cause::Gateway(_) => ErrorKind::Connect,
        Cause::Timeout(_) => ErrorKind::Timeout,
        Cause::Unavailable(_) => ErrorKind::Busy,
        Cause::Authentication(_) => ErrorKind::Unauthorized,
        Cause::PermissionDenied => ErrorKind::Forbidden,
        Cause::NoSpace => ErrorKind::Storage,
        Cause::Tls(_) => ErrorKind::Tls,
        Cause::BadAnswer(_) => ErrorKind::Decode,
        Cause::Compacted { .. } | Cause::LeaseNotFound | Cause::Rejected(_) => ErrorKind::Rejected,
    }
}
