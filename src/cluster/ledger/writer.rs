//! The task that writes what a ledger keeps: one transaction after the other, in the order in which it was asked.

mod endings;
mod health;
mod inbox;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::endings::{Answers, Ending};
use self::health::Failing;
use super::commands::Commands;
use super::failure::Failure;
use super::replies::Replies;
use super::sequence::{Done, Sequence};
use crate::cluster::entries::ShardId;
use crate::cluster::etcd::{Client, Keys, Operation};
use crate::cluster::keys::ClusterKeys;
use crate::records::Received;
use crate::records::store::{AnswerKey, Begun, End, StoreError, StoreStatus, Waiting};

/// Keys that one transaction writes at most: etcd takes 128, with the mark.
const MAX_OPERATIONS: usize = 100;
/// Until what could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long records that the broker has may stay in etcd when nothing else is written: not a transaction for each.
const FORGET_AFTER: Duration = Duration::from_millis(500);

/// Where an answer goes. Whoever asked may have been dropped: then the answer is not needed.
pub(super) type Asker<T> = oneshot::Sender<Result<T, StoreError>>;
/// Who gets the numbers of commands.
pub(super) type Taken = Box<dyn FnOnce(Result<Vec<u64>, StoreError>) + Send>;

/// What is asked of the task.
pub(super) enum Job {
    Receive(Vec<Received>, Taken),
    Begin(u64, Option<AnswerKey>, Asker<Begun>),
    Finish(u64, Box<End>, oneshot::Sender<()>),
    Sent(Vec<u64>),
    Flush(oneshot::Sender<()>),
    Inbox(Asker<Vec<Waiting>>),
}

/// What a transaction is for, to be known if its outcome is not.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Work {
    /// Takes commands in, under these keys.
    Receive(Vec<Vec<u8>>),
    /// Ends the command of that number.
    Finish(u64),
    /// May be done again, and may be done in vain.
    Other,
}

/// The task.
pub(super) struct Writer {
    client: Client,
    keys: ClusterKeys,
    shard: ShardId,
    sequence: Sequence,
    commands: Commands,
    replies: Arc<Replies>,
    answers: Answers,
    /// Commands that have ended, oldest first.
    endings: VecDeque<Ending>,
    /// Keys of records that the broker has.
    sent: Vec<Vec<u8>>,
    /// When these are deleted at the latest.
    forget_at: Option<Instant>,
    /// Whether there may be more dead letters than are kept.
    has_new_dead_letter: bool,
    /// What the transaction is for of which nobody knows whether it was carried out.
    unresolved: Option<Work>,
    /// Keys of commands that were given up, and may be there.
    abandoned: Vec<Vec<u8>>,
    failing: Option<Failing>,
    /// Whether another one owns the shard: nothing is written any more.
    lost: CancellationToken,
    status: watch::Sender<StoreStatus>,
}

impl Writer {
    pub(super) fn new(
        client: Client,
        keys: ClusterKeys,
        shard: ShardId,
        sequence: Sequence,
        replies: Arc<Replies>,
    ) -> Writer {
        Writer {
            answers: Answers::new(client.clone()),
            client,
            keys,
            shard,
            sequence,
            commands: Commands::default(),
            replies,
            endings: VecDeque::new(),
            sent: Vec::new(),
            forget_at: None,
            has_new_dead_letter: false,
            unresolved: None,
            abandoned: Vec::new(),
            failing: None,
            lost: CancellationToken::new(),
            status: watch::Sender::default(),
        }
    }

    pub(super) fn status(&self) -> watch::Receiver<StoreStatus> {
        self.status.subscribe()
    }

    pub(super) fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Works until nobody can ask any more; then tries once to write what is left.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<(Instant, Job)>) {
        loop {
            self.report();
            let due = self.due();
            let due = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let done = tokio::select! {
                biased;
                job = jobs.recv() => match job {
                    Some((asked_at, job)) => self.work(asked_at, job).await,
                    None => break,
                },
                () = due => None,
            };
            self.write_what_is_due().await;
            if let Some(done) = done {
                let _ = done.send(());
            }
        }
        self.forget_at = self.forget_at.map(|_| Instant::now());
        self.write_what_is_due().await;
        if !self.endings.is_empty() && !self.is_lost() {
            let (shard, commands) = (self.shard, self.endings.len());
            tracing::warn!(%shard, commands, "replies could not be kept in etcd; the next owner carries these commands out again");
        }
    }

    /// Does what was asked; gives who is to hear when it is written, or kept for later.
    async fn work(&mut self, asked_at: Instant, job: Job) -> Option<oneshot::Sender<()>> {
        match job {
            Job::Receive(commands, taken) => {
                let numbers = match self.known_failure(asked_at) {
                    Some(error) => Err(error),
                    None => self.receive(&commands).await,
                };
                taken(numbers);
            }
            Job::Begin(number, key, asker) => {
                let begun = match self.known_failure(asked_at) {
                    Some(error) => Err(error),
                    None => self.begin(number, key).await,
                };
                let _ = asker.send(begun);
            }
            Job::Finish(number, end, done) => {
                self.finish(number, *end);
                return Some(done);
            }
            Job::Sent(numbers) => self.sent(&numbers),
            Job::Flush(done) => {
                self.forget_at = self.forget_at.map(|_| Instant::now());
                return Some(done);
            }
            Job::Inbox(asker) => drop(asker.send(Ok(self.commands.waiting()))),
        }
        None
    }

    fn sent(&mut self, numbers: &[u64]) {
        let keys = self.replies.remove(numbers);
        self.forget(keys);
    }

    fn forget(&mut self, keys: Vec<Vec<u8>>) {
        if !keys.is_empty() {
            self.sent.extend(keys);
            self.forget_at
                .get_or_insert_with(|| Instant::now() + FORGET_AFTER);
        }
    }

    /// When there is something to do without being asked.
    fn due(&self) -> Option<Instant> {
        match &self.failing {
            _ if self.is_lost() => None,
            Some(failing) => Some(failing.at + RETRY),
            None if self.has_new_dead_letter => Some(Instant::now()),
            None => self.forget_at,
        }
    }

    /// Writes what was not asked just now, up to the first failure.
    async fn write_what_is_due(&mut self) {
        let is_due = |failing: &Failing| failing.at + RETRY <= Instant::now();
        if self.is_lost() || !self.failing.as_ref().is_none_or(is_due) {
            return;
        }
        let written = self.try_all().await;
        let _ = self.noted(written);
    }

    async fn try_all(&mut self) -> Result<(), Failure> {
        if self.failing.is_some() {
            // It resolves what is unresolved, and shows whether anything can be written.
            self.write(Work::Other, None, &[]).await?;
        }
        self.write_endings().await?;
        if self.forget_at.is_some_and(|at| at <= Instant::now()) {
            while !self.sent.is_empty() {
                let keys = self.sent.len().min(MAX_OPERATIONS);
                let delete = deletes(&self.sent[..keys]);
                self.write(Work::Other, None, &delete).await?;
                self.sent.drain(..keys);
            }
            self.forget_at = None;
        }
        if self.has_new_dead_letter {
            self.has_new_dead_letter = self.drop_old_dead_letters().await?;
        }
        Ok(())
    }

    /// One transaction, unless there is a key `unless`. What is unresolved is resolved before, and commands that were given up
    /// are deleted.
    async fn write(
        &mut self,
        work: Work,
        unless: Option<&[u8]>,
        operations: &[Operation],
    ) -> Result<Done, Failure> {
        if let Some(was_carried_out) = self.sequence.resolve().await?
            && let Some(earlier) = self.unresolved.take()
            && was_carried_out
        {
            match earlier {
                Work::Other => {}
                same if same == work => return Ok(Done::Written),
                Work::Receive(keys) => self.abandoned.extend(keys),
                Work::Finish(number) => self.ended(number),
            }
        }
        while !self.abandoned.is_empty() {
            let keys = self.abandoned.len().min(MAX_OPERATIONS);
            let delete = deletes(&self.abandoned[..keys]);
            self.transact(Work::Other, None, &delete).await?;
            self.abandoned.drain(..keys);
        }
        self.transact(work, unless, operations).await
    }

    async fn transact(
        &mut self,
        work: Work,
        unless: Option<&[u8]>,
        operations: &[Operation],
    ) -> Result<Done, Failure> {
        let done = self.sequence.transact(unless, operations).await;
        self.unresolved = self.sequence.is_unresolved().then_some(work);
        done
    }
}

fn deletes(keys: &[Vec<u8>]) -> Vec<Operation> {
    let keys = keys.iter().cloned();
    keys.map(|key| Operation::Delete(Keys::One(key))).collect()
}
