//! The commands of one shard, kept in etcd: by the owner of the shard, for as long as it has the same token.
//!
//! A command is in etcd before it is acknowledged to the broker, and leaves only together with its reply or dead letter: so a host
//! that burns loses none, and the next owner goes on. All that is kept, below `/lantime2mqtt/{cluster}/`:
//!
//! | key | value | until |
//! |---|---|---|
//! | `inbox/{shard}/{uuid}` | a command as it was received, its attempts | it has ended |
//! | `replies/{shard}/{uuid}` | a record: its reply, its dead letter | the broker has it |
//! | `answers/{shard}/{hash}` | what the same command gets again | an hour, up to ten minutes more |
//! | `dead-letters/{uuid}` | a dead letter as it was published, for a replay by any bridge | there are 1,000 newer ones |
//! | `marks/{shard}` | what the last transaction has left: see `sequence` | the next one |
//!
//! - [`Ledger`]: what others ask; the same calls as the local store's.
//! - `writer`: the task that writes, one transaction after the other. Each compares the token.
//! - `sequence`: why none of them is carried out twice, or late.
//! - `commands`, `replies`: what this owner knows of them. `value`: as they are in etcd.

mod commands;
mod failure;
mod replies;
mod sequence;
mod value;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::failure::Failure;
use self::replies::Replies;
use self::sequence::Sequence;
use self::writer::{Asker, Job, Writer};
use super::entries::{ShardId, Token};
use super::etcd::{Client, Keys};
use super::fence::Fence;
use super::keys::ClusterKeys;
use crate::model::DeviceId;
use crate::records::store::{AnswerKey, Begun, End, StoreError, StoreStatus, Waiting};
use crate::records::{Received, Record};

/// How long one request may take: after it another node is asked.
const REQUEST: Duration = Duration::from_secs(2);
/// Calls that wait for the task. When it is full the next one waits.
const CALLS_WAITING: usize = 1024;

/// The commands of one shard. Clones share them; with the last of them the task ends.
///
/// A call that is dropped while it waits is carried out all the same.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    jobs: mpsc::Sender<(Instant, Job)>,
    client: Client,
    keys: ClusterKeys,
    shard: ShardId,
    token: Token,
    replies: Arc<Replies>,
    status: watch::Receiver<StoreStatus>,
    lost: CancellationToken,
}

impl Ledger {
    /// Reads what earlier owners have left, and writes from then on with the token that `fence` has now. Whoever has opened it
    /// before writes no more, even with the same token. Once the fence has another token, nothing is written any more: then it is to
    /// be opened again.
    ///
    /// # Errors
    /// When this bridge may not write for the shard, or etcd does not answer.
    pub async fn open(
        client: &Client,
        cluster: &str,
        shard: ShardId,
        fence: Fence,
    ) -> Result<Ledger, StoreError> {
        let (client, keys) = (client.within(REQUEST), ClusterKeys::new(cluster));
        let replies = Arc::new(Replies::default());
        let opened = async {
            let sequence = Sequence::begin(client.clone(), &keys, shard, fence).await?;
            let token = sequence.token();
            let mut writer = Writer::new(
                client.clone(),
                keys.clone(),
                shard,
                sequence,
                Arc::clone(&replies),
            );
            writer.load().await?;
            Ok((writer, token))
        };
        let (writer, token) = opened.await.map_err(|failure: Failure| failure.of_shard(shard))?;
        let (jobs, asked) = mpsc::channel(CALLS_WAITING);
        let (status, lost) = (writer.status(), writer.lost());
        tokio::spawn(writer.run(asked));
        Ok(Ledger(Arc::new(Shared {
            jobs,
            client,
            keys,
            shard,
            token,
            replies,
            status,
            lost,
        })))
    }

    /// Takes commands into the inbox, all or none. `done` gets their numbers once they are in etcd; it is called in order, for every
    /// call that has returned, unless the task has ended. Where there is an error, they are not carried out, unless this bridge
    /// ends before it can write again.
    pub async fn receive_then(
        &self,
        commands: Vec<Received>,
        done: impl FnOnce(Result<Vec<u64>, StoreError>) + Send + 'static,
    ) {
        self.send(Job::Receive(commands, Box::new(done))).await;
    }

    /// The commands that are not answered yet, in order of arrival.
    ///
    /// # Errors
    /// When the task has ended.
    pub async fn inbox(&self) -> Result<Vec<Waiting>, StoreError> {
        self.ask(Job::Inbox).await
    }

    /// Counts an attempt at a command, before it begins, unless the same one (with the same `key`) was answered within the last
    /// hour; when it returns that is in etcd, and this bridge owned the shard.
    ///
    /// # Errors
    /// [`StoreError::Finished`]; [`StoreError::NotOwner`]; or when etcd cannot be written now. Then the command is not to be
    /// carried out.
    pub async fn begin(&self, number: u64, key: Option<AnswerKey>) -> Result<Begun, StoreError> {
        self.ask(|asker| Job::Begin(number, key, asker)).await
    }

    /// A command has ended: its records go into the outbox, its answer is remembered, and it leaves the inbox, all at once. While
    /// etcd cannot be written that is kept in memory, and tried again each second. Once another one owns the shard it is dropped:
    /// the next owner carries the command out again, and answers. Says whether nobody else has owned it by then.
    pub async fn finish(&self, number: u64, end: End) -> bool {
        if let Some((key, answer)) = &end.answer {
            self.0.replies.hold_answer(*key, answer.clone());
        }
        let (done, written) = oneshot::channel();
        self.send(Job::Finish(number, Box::new(end), done)).await;
        let _ = written.await;
        !self.0.lost.is_cancelled()
    }

    /// Whether an earlier owner may still be writing to the device, so that nobody else may. That ends by itself: see
    /// [`write_guard`](super::write_guard).
    ///
    /// # Errors
    /// When etcd does not answer.
    pub async fn is_held(&self, device: &DeviceId) -> Result<bool, StoreError> {
        let mark = self.value(self.0.keys.write_mark(self.0.shard, device)).await?;
        Ok(mark.is_some_and(|mark| mark != self.0.token.as_mark()))
    }

    /// The first answer to the same command within the last hour.
    ///
    /// # Errors
    /// When etcd does not answer.
    pub async fn answer(&self, key: AnswerKey) -> Result<Option<Bytes>, StoreError> {
        match self.0.replies.answer(&key) {
            Some(answer) => Ok(Some(answer)),
            None => self.value(self.0.keys.answer(self.0.shard, &key)).await,
        }
    }

    /// The number of the newest record; 0 before the first. All of them are in etcd.
    pub fn newest_record(&self) -> watch::Receiver<u64> {
        self.0.replies.newest()
    }

    /// The oldest records whose number is above `after`: so many that neither bound is passed, but one at least.
    pub fn outbox(&self, after: u64, max_entries: usize, max_bytes: usize) -> Vec<(u64, Record)> {
        self.0.replies.after(after, max_entries, max_bytes)
    }

    /// The broker has acknowledged these records: they leave the outbox. Not in etcd at once: unless [`flush`](Self::flush)
    /// has returned, the next owner may send some of them again.
    pub async fn sent(&self, numbers: Vec<u64>) {
        self.send(Job::Sent(numbers)).await;
    }

    /// Waits until all that was asked before is in etcd, as far as it can be written now.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        self.send(Job::Flush(done)).await;
        let _ = written.await;
    }

    /// Waits until another one has opened it, or owns the shard: then nothing is written any more.
    pub async fn lost(&self) {
        self.0.lost.cancelled().await;
    }

    /// What it holds, and why etcd cannot be written now; woken as that of the local store.
    pub fn status(&self) -> watch::Receiver<StoreStatus> {
        self.0.status.clone()
    }

    async fn value(&self, key: Vec<u8>) -> Result<Option<Bytes>, StoreError> {
        let read = self.0.client.range(&Keys::one(key), None).await;
        let read = read.map_err(|error| Failure::from(error).of_shard(self.0.shard))?;
        Ok(read.entries.into_iter().next().map(|entry| entry.value.into()))
    }

    async fn send(&self, job: Job) {
        // Nobody takes it only where the task has ended, with all that runs here.
        let _ = self.0.jobs.send((Instant::now(), job)).await;
    }

    async fn ask<T>(&self, job: impl FnOnce(Asker<T>) -> Job) -> Result<T, StoreError> {
        let (asker, answer) = oneshot::channel();
        self.send(job(asker)).await;
        answer.await.unwrap_or(Err(StoreError::NotOwner(self.0.shard)))
    }
}
