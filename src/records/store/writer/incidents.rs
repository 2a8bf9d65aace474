//! The open incidents, which the writer knows all, and gives to whoever asks.

use tokio::sync::{oneshot, watch};

use super::{Job, Writer};
use crate::contract::{incident as contract, to_json};
use crate::model::{Incident, IncidentKey, IncidentKind, IncidentReport};
use crate::records::dead_letter;
use crate::records::store::incidents::{IncidentChange, OpenIncidents, load};
use crate::records::store::{Entries, Store, own_dead_letters};

impl Store {
    /// The open incidents. Not to be borrowed across an `await`, as for [`newest_record`](Store::newest_record).
    pub fn incidents(&self) -> watch::Receiver<OpenIncidents> {
        self.0.incidents.subscribe()
    }

    /// Takes what becomes of incidents without a record; waits for no disk.
    pub async fn change_incidents(&self, changes: &mut Vec<IncidentChange>) {
        if !changes.is_empty() {
            let (done, _) = oneshot::channel();
            let entries = Entries {
                incidents: std::mem::take(changes),
                ..Entries::default()
            };
            let job = Job::Append(entries, done);
            // Nobody takes it only where the thread has ended.
            let _ = self.0.jobs.send(job).await;
        }
    }
}

impl Writer {
    /// Goes on with what the earlier run has left open.
    pub(super) fn load_incidents(&mut self) {
        let loaded = self.look(load).unwrap_or_else(|error| {
            tracing::error!(
                error,
                "incidents of earlier runs cannot be read: those that last are reported as new ones"
            );
            Default::default()
        });
        let (open, is_unwritten) = loaded;
        let open = open.into_iter().map(|incident| (incident.key.clone(), incident));
        self.incidents.send_replace(open.collect());
        if is_unwritten {
            self.write_incidents_again();
        }
    }

    /// Reports a condition of the store itself.
    pub(super) fn report_incident(&mut self, report: IncidentReport) {
        if let Some(dead_letter) = dead_letter::of_incident(&report) {
            self.push(dead_letter::record(&dead_letter, &self.options.bridge));
        }
        self.change_incident(report.into());
    }

    /// While records are dropped that is an open incident. Its dead letters are written in the transactions that drop.
    pub(super) fn show_dropping(&mut self) {
        let key = IncidentKey::new(IncidentKind::Outbox);
        let is_open = self.incidents.borrow().contains_key(&key);
        match self.levels.dropping {
            Some(dropping) if !is_open => self.open_incident(own_dead_letters::outbox_full(dropping)),
            None if is_open => self.close_incident(&key),
            _ => {}
        }
    }

    pub(super) fn change_incident(&mut self, change: IncidentChange) {
        match change {
            IncidentChange::Open(incident) => self.open_incident(incident),
            IncidentChange::Closed(key) => self.close_incident(&key),
            IncidentChange::AllClosed(device, reason) => {
                let is_of_device = |key: &&IncidentKey| key.device.as_ref() == Some(&device);
                let keys: Vec<_> = self
                    .incidents
                    .borrow()
                    .keys()
                    .filter(is_of_device)
                    .cloned()
                    .collect();
                for key in keys {
                    tracing::info!(%device, kind = key.kind.as_str(), reason, "incident closed");
                    self.close_incident(&key);
                }
            }
        }
    }

    pub(super) fn open_incident(&mut self, incident: Incident) {
        self.write_incident(&incident);
        self.incidents
            .send_modify(|open| drop(open.insert(incident.key.clone(), incident)));
    }

    pub(super) fn close_incident(&mut self, key: &IncidentKey) {
        if key.kind.is_kept() {
            self.memory.incidents.insert(key.clone(), None);
        }
        self.incidents.send_if_modified(|open| open.remove(key).is_some());
    }

    fn write_incident(&mut self, incident: &Incident) {
        if incident.key.kind.is_kept() {
            let json = to_json(&contract::Incident::from(incident));
            self.memory.incidents.insert(incident.key.clone(), Some(json));
        }
    }

    /// The file may be another one: all that are open are written again.
    pub(super) fn write_incidents_again(&mut self) {
        let open: Vec<_> = self.incidents.borrow().values().cloned().collect();
        open.iter().for_each(|incident| self.write_incident(incident));
    }
}
