//! Whether anything can be written, and who is to know.

use tokio::time::Instant;

use super::Writer;
use crate::cluster::ledger::failure::Failure;
use crate::records::store::{StoreError, StoreStatus};

/// Since when nothing can be written, and why.
pub(super) struct Failing {
    pub(super) error: StoreError,
    /// The last try.
    pub(super) at: Instant,
}

impl Writer {
    /// Why it is not tried: it was asked before a try has failed, which took its time already, or nothing is written any more.
    pub(super) fn known_failure(&self, asked_at: Instant) -> Option<StoreError> {
        let failing = self.failing.as_ref();
        let failing = failing.filter(|failing| self.is_lost() || asked_at < failing.at);
        failing.map(|failing| failing.error.clone())
    }

    /// Notes whether anything can be written, and gives what whoever asked gets.
    pub(super) fn noted<T>(&mut self, result: Result<T, Failure>) -> Result<T, StoreError> {
        let shard = self.shard;
        match result {
            Ok(value) => {
                if self.failing.take().is_some() {
                    tracing::info!(%shard, "commands are kept in etcd again");
                }
                Ok(value)
            }
            Err(failure) => {
                let error = failure.of_shard(shard);
                if failure == Failure::NotOwner {
                    self.lose();
                } else if self.failing.is_none() {
                    tracing::error!(%error, "commands stay at the broker, and replies here, until etcd takes them; retrying");
                }
                let at = Instant::now();
                self.failing = Some(Failing {
                    error: error.clone(),
                    at,
                });
                Err(error)
            }
        }
    }

    /// Another one owns the shard: it answers what is not answered in etcd.
    fn lose(&mut self) {
        if !self.is_lost() {
            let (shard, commands) = (self.shard, self.commands.len());
            tracing::info!(%shard, commands, "another owner goes on with the commands of this shard");
        }
        self.lost.cancel();
        for ending in self.endings.drain(..) {
            ending.release(&self.replies);
        }
        self.sent.clear();
        self.forget_at = None;
    }

    pub(super) fn report(&self) {
        let (records, record_bytes) = self.replies.level();
        let status = StoreStatus {
            records,
            record_bytes,
            commands: self.commands.len().saturating_sub(self.endings.len()),
            failing: self.failing.as_ref().map(|failing| failing.error.to_string()),
            ..StoreStatus::default()
        };
        self.status.send_if_modified(|known| {
            let is_news = status.differs_in_kind(known);
            *known = status;
            is_news
        });
    }
}
