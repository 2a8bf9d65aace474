//! What a coordinator notes of what it hears, and shows to others: in its status, and in its entry as a member.

use jiff::Timestamp;

use super::{Activity, Coordinator, Disagreement, Report, Status};
use crate::cluster::election::{Election, Input, MemberWritten};
use crate::cluster::entries::{Change, ShardId};
use crate::cluster::etcd::Error;

impl Coordinator {
    pub(super) fn reported(&mut self, report: Report) -> Input {
        match &report {
            Report::Devices(devices) => {
                self.own_details.devices = devices.clone();
                self.status.send_modify(|status| status.devices = devices.clone());
            }
            Report::Commands(shard, reason) => self.status.send_modify(|status| {
                status.unkept.remove(shard);
                status
                    .unkept
                    .extend(reason.clone().map(|reason| (*shard, reason)));
            }),
            _ => {}
        }
        report.into()
    }

    pub(super) fn disagrees(&mut self, disagreement: Disagreement) {
        self.disagreement = Some(disagreement.clone());
        self.status
            .send_modify(|status| status.disagreement = Some(disagreement));
    }

    /// Notes what entries show that decides nothing. Gives whether that of this bridge shows something else than it is to:
    /// a request may have come late, or etcd was restored.
    pub(super) fn hear(&mut self, input: &Input) -> bool {
        match input {
            Input::Snapshot(snapshot) => self.details = snapshot.details.clone(),
            Input::Changed(_, changes) => changes.iter().for_each(|change| match change {
                Change::Details(bridge, details) => {
                    self.details.insert(bridge.clone(), details.clone());
                }
                Change::Member(bridge, None) => drop(self.details.remove(bridge)),
                Change::Member(_, Some(_)) | Change::Shard(..) => {}
            }),
            _ => return false,
        }
        let shown = self.details.get(&self.me);
        shown.is_some_and(|shown| *shown != self.own_details)
    }

    /// Shows whether another process has the id of this bridge, as far as an answer says so.
    pub(super) fn note_id(&self, written: MemberWritten) {
        let is_taken = match written {
            MemberWritten::Written => false,
            MemberWritten::Refused => true,
            MemberWritten::Unknown => return,
        };
        self.status
            .send_if_modified(|status| std::mem::replace(&mut status.is_id_taken, is_taken) != is_taken);
    }

    /// Shows how an activity has ended.
    pub(super) fn note(&self, activity: Activity, error: Option<Error>) {
        let note = |status: &mut Status| {
            let is_news = status.errors.get(&activity) != error.as_ref();
            status.errors.remove(&activity);
            status.errors.extend(error.map(|error| (activity, error)));
            is_news
        };
        self.status.send_if_modified(|status| status.change(note));
    }

    pub(super) fn show(&self, election: &Election) {
        let view = election.view();
        let (shards, is_current) = (self.meta.shards, election.is_current());
        if ShardId::all(shards).all(|shard| view.owner(shard).is_some()) {
            // A claim without an answer may have been won, or another bridge has the shard.
            self.note(Activity::Shards, None);
        }
        let update = |status: &mut Status| {
            let was_current = std::mem::replace(&mut status.is_current, is_current);
            status.update(view, &self.details, shards, Timestamp::now()) || was_current != is_current
        };
        self.status.send_if_modified(|status| status.change(update));
    }
}
