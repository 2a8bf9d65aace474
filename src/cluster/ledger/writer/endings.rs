//! How commands end: reply, dead letter and answer get into etcd, and the command leaves the inbox, all at once.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{MAX_OPERATIONS, Work, Writer, deletes};
use crate::boot_time::BootTime;
use crate::cluster::entries::LeaseId;
use crate::cluster::etcd::{Client, Keys, Operation};
use crate::cluster::ledger::failure::Failure;
use crate::cluster::ledger::replies::Replies;
use crate::cluster::ledger::value;
use crate::contract::reply::CommandReply;
use crate::contract::topics::Destination;
use crate::records::Record;
use crate::records::store::{AnswerKey, End, options};

/// How long answers share one lease: not one for each.
const BUCKET: Duration = Duration::from_secs(10 * 60);
/// How long that lives: the last answer of a bucket is there for an hour.
const ANSWERS_FOR: Duration = Duration::from_secs(70 * 60);

/// A command that has ended, and is not written yet.
pub(super) struct Ending {
    number: u64,
    /// With their keys.
    records: Vec<(Vec<u8>, Record)>,
    answer: Option<(AnswerKey, Bytes)>,
    local: Option<(oneshot::Sender<CommandReply>, CommandReply)>,
}

impl Ending {
    /// Its answer is not held any more.
    pub(super) fn release(&self, replies: &Replies) {
        if let Some((key, _)) = &self.answer {
            replies.release_answer(key);
        }
    }
}

/// The lease of the answers of these ten minutes.
#[derive(Debug)]
pub(super) struct Answers {
    client: Client,
    bucket: Option<(LeaseId, BootTime)>,
}

impl Answers {
    pub(super) fn new(client: Client) -> Answers {
        Answers { client, bucket: None }
    }

    async fn lease(&mut self) -> Result<LeaseId, Failure> {
        let now = BootTime::now();
        let is_current = |since: BootTime| now.saturating_duration_since(since) < BUCKET;
        if let Some((lease, since)) = self.bucket
            && is_current(since)
        {
            return Ok(lease);
        }
        let lease = self.client.grant(ANSWERS_FOR).await?.id;
        self.bucket = Some((lease, now));
        Ok(lease)
    }
}

impl Writer {
    /// Keeps how a command has ended, until that is written.
    pub(super) fn finish(&mut self, number: u64, end: End) {
        let prefix = self.keys.replies(self.shard);
        let keyed = |record| (format!("{prefix}{}", Uuid::now_v7()).into_bytes(), record);
        let ending = Ending {
            number,
            records: end.records.into_iter().map(keyed).collect(),
            answer: end.answer,
            local: end.local,
        };
        match self.is_lost() {
            true => ending.release(&self.replies),
            false => self.endings.push_back(ending),
        }
    }

    /// Writes what has ended, in order.
    pub(super) async fn write_endings(&mut self) -> Result<(), Failure> {
        while let Some(ending) = self.endings.front() {
            let number = ending.number;
            let lease = match &ending.answer {
                Some(_) => Some(self.answers.lease().await?),
                None => None,
            };
            let operations = self.operations(lease);
            if let Err(failure) = self.write(Work::Finish(number), None, &operations).await {
                if failure.is_lease_lost() {
                    self.answers.bucket = None;
                }
                return Err(failure);
            }
            self.ended(number);
        }
        Ok(())
    }

    /// What ends the command whose turn it is.
    fn operations(&self, lease: Option<LeaseId>) -> Vec<Operation> {
        let Some(ending) = self.endings.front() else {
            return Vec::new();
        };
        let mut operations = Vec::new();
        let mut put = |key, value, lease| operations.push(Operation::Put { key, value, lease });
        for (key, record) in &ending.records {
            put(key.clone(), value::of_record(record), None);
            if let Destination::DeadLetter(_) = record.destination {
                put(self.keys.dead_letter(record.id), record.payload.to_vec(), None);
            }
        }
        if let Some((key, answer)) = &ending.answer {
            put(self.keys.answer(self.shard, key), answer.to_vec(), lease);
        }
        let command = self.commands.get(ending.number);
        operations.extend(command.map(|command| Operation::Delete(Keys::one(command.key.clone()))));
        operations
    }

    /// The command of that number has ended, and that is in etcd.
    pub(super) fn ended(&mut self, number: u64) {
        let place = self.endings.iter().position(|ending| ending.number == number);
        let Some(ending) = place.and_then(|place| self.endings.remove(place)) else {
            return;
        };
        self.commands.remove(number);
        ending.release(&self.replies);
        let mut records = ending.records.iter();
        self.has_new_dead_letter |=
            records.any(|(_, record)| matches!(record.destination, Destination::DeadLetter(_)));
        let dropped = self.replies.add(ending.records);
        if !dropped.is_empty() {
            let (shard, records) = (self.shard, dropped.len());
            tracing::warn!(%shard, records, "too many replies wait for the broker: the oldest are dropped");
            self.forget(dropped);
        }
        if let Some((asker, reply)) = ending.local {
            let _ = asker.send(reply);
        }
    }

    /// Drops the oldest dead letters, if there are more than are kept; gives whether there are still.
    pub(super) async fn drop_old_dead_letters(&mut self) -> Result<bool, Failure> {
        let dead_letters = Keys::prefix(self.keys.dead_letters());
        let count = self.client.count(&dead_letters).await?;
        let excess = usize::try_from(count)
            .unwrap_or(usize::MAX)
            .saturating_sub(options::KEEP);
        if excess == 0 {
            return Ok(false);
        }
        let drops = excess.min(MAX_OPERATIONS);
        let oldest = self.client.range(&dead_letters, Some(drops)).await?;
        let keys: Vec<_> = oldest.entries.into_iter().map(|entry| entry.key).collect();
        self.write(Work::Other, None, &deletes(&keys)).await?;
        Ok(excess > drops)
    }
}
