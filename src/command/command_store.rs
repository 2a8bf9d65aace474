//! Where commands are kept until they are answered: on this host's disk, or in etcd for the owner of a shard.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use crate::cluster::ledger::Ledger;
use crate::contract::topics::Destination;
use crate::model::DeviceId;
use crate::records::Received;
use crate::records::store::{AnswerKey, Begun, End, Store, StoreError, StoreStatus, Waiting};

/// Until an attempt that could not be counted is tried again, and until it is looked again whether a device is held.
const RETRY: Duration = Duration::from_secs(1);

/// Where commands are kept until they are answered.
#[derive(Debug, Clone)]
pub enum CommandStore {
    /// The store of this host: one bridge alone.
    Local(Store),
    /// A shard's commands, which its next owner goes on with. Their dead letters are in the archive of this host, too.
    Shared(Ledger, Store),
}

/// How a command that waits for its device goes on.
pub(super) enum Beginning {
    /// By this attempt at it, from 1.
    Attempt(u32),
    /// Not: the same one was answered so within the last hour.
    Answered(Bytes),
    /// By an attempt that could not be counted, unless there is an answer.
    Uncounted,
    /// Not here: another bridge owns its shard, and answers it.
    Elsewhere,
}

impl CommandStore {
    /// How much is in it, if it is not the store of this host.
    pub fn shared_status(&self) -> Option<watch::Receiver<StoreStatus>> {
        match self {
            CommandStore::Local(_) => None,
            CommandStore::Shared(ledger, _) => Some(ledger.status()),
        }
    }

    /// The commands that are not answered yet, in order of arrival.
    pub(super) async fn inbox(&self) -> Result<Vec<Waiting>, StoreError> {
        match self {
            CommandStore::Local(store) => store.inbox().await,
            CommandStore::Shared(ledger, _) => ledger.inbox().await,
        }
    }

    /// Takes commands into the inbox, all or none; `done` gets their numbers once they are kept.
    pub(super) async fn receive_then(
        &self,
        commands: Vec<Received>,
        done: impl FnOnce(Result<Vec<u64>, StoreError>) + Send + 'static,
    ) {
        match self {
            CommandStore::Local(store) => store.receive_then(commands, done).await,
            CommandStore::Shared(ledger, _) => ledger.receive_then(commands, done).await,
        }
    }

    /// Waits until no earlier owner of the shard may still be writing to the device. The command was accepted, and is to be
    /// carried out: so it waits for that before its time begins, for two minutes at the most.
    pub(super) async fn until_free(&self, device: &DeviceId) {
        let CommandStore::Shared(ledger, _) = self else {
            return;
        };
        let mut is_logged = false;
        loop {
            match ledger.is_held(device).await {
                Ok(false) => return,
                Ok(true) if !std::mem::replace(&mut is_logged, true) => tracing::info!(
                    %device,
                    "the command waits: an earlier owner of the shard may still be writing to the device"
                ),
                // Without etcd it could not begin, either.
                Ok(true) | Err(_) => {}
            }
            sleep(RETRY).await;
        }
    }

    /// Counts an attempt, unless the same command was answered. A command of a shard waits until that is counted: only its owner may
    /// carry it out.
    pub(super) async fn begin(&self, number: u64, key: Option<AnswerKey>) -> Beginning {
        loop {
            let begun = match self {
                CommandStore::Local(store) => store.begin(number, key).await,
                CommandStore::Shared(ledger, _) => ledger.begin(number, key).await,
            };
            match (begun, self) {
                (Ok(Begun::Attempt(attempt)), _) => return Beginning::Attempt(attempt),
                (Ok(Begun::Answered(answer)), _) => return Beginning::Answered(answer),
                // It is still safe to repeat.
                (Err(_), CommandStore::Local(_)) => return Beginning::Uncounted,
                (Err(StoreError::NotOwner(_) | StoreError::Finished(_)), CommandStore::Shared(..)) => {
                    return Beginning::Elsewhere;
                }
                (Err(_), CommandStore::Shared(..)) => sleep(RETRY).await,
            }
        }
    }

    /// A command has ended: reply, dead letter and answer are kept, and it leaves the inbox, all at once.
    pub(super) async fn finish(&self, number: u64, end: End) {
        match self {
            CommandStore::Local(store) => store.finish(number, end).await,
            CommandStore::Shared(ledger, archive) => {
                let records = end.records.iter();
                let dead_letters =
                    records.filter(|record| matches!(record.destination, Destination::DeadLetter(_)));
                let dead_letters: Vec<_> = dead_letters.cloned().collect();
                let replayed = end.replayed;
                // The next owner may carry out what has failed here.
                let is_kept = ledger.finish(number, end).await;
                if is_kept
                    && !dead_letters.is_empty()
                    && let Err(error) = archive.archive(dead_letters).await
                {
                    tracing::warn!(%error, "the dead letter of a command is in etcd, but not in the archive of this bridge");
                }
                if is_kept
                    && let Some((id, replayed)) = replayed
                    && let Err(error) = archive.mark_replayed(id, replayed).await
                {
                    tracing::warn!(%error, %id, "the archive does not show that this dead letter was replayed");
                }
            }
        }
    }

    /// The first answer to the same command within the last hour.
    pub(super) async fn answer(&self, key: AnswerKey) -> Result<Option<Bytes>, StoreError> {
        match self {
            CommandStore::Local(store) => store.answer(key).await,
            CommandStore::Shared(ledger, _) => ledger.answer(key).await,
        }
    }

    /// A dead letter of the archive of this host, as it was published.
    pub(super) async fn dead_letter(&self, id: Uuid) -> Result<Option<Bytes>, StoreError> {
        match self {
            CommandStore::Local(store) => store.dead_letter(id).await,
            CommandStore::Shared(_, archive) => archive.dead_letter(id).await,
        }
    }
}
