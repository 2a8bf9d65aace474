//! How commands get into the inbox, and what an earlier owner has left there.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{MAX_OPERATIONS, Work, Writer};
use crate::cluster::etcd::{Entry, Keys, Operation};
use crate::cluster::ledger::commands::{Command, size};
use crate::cluster::ledger::failure::Failure;
use crate::cluster::ledger::sequence::Done;
use crate::cluster::ledger::value::{self, Stored, Unreadable};
use crate::records::Received;
use crate::records::store::{AnswerKey, Begun, StoreError};

/// Bytes of commands in one transaction: etcd takes 1.5 MiB.
const MAX_BYTES: usize = 1024 * 1024;
/// How long whoever has sent commands waits for them to be kept, if it is not known whether they are.
const TAKE_WITHIN: Duration = Duration::from_secs(5);
/// Until a transaction is tried again of which nobody knows whether it was carried out.
const PAUSE: Duration = Duration::from_millis(100);

impl Writer {
    /// Reads what earlier owners have left, in order of arrival.
    pub(in crate::cluster::ledger) async fn load(&mut self) -> Result<(), Failure> {
        for entry in self.entries(self.keys.inbox(self.shard)).await? {
            match Stored::read(&entry.value) {
                Ok((stored, _)) => {
                    let key = entry.key;
                    self.commands.add(Command { key, stored });
                }
                Err(error) => report_unreadable(&entry, &error),
            }
        }
        let mut records = Vec::new();
        for entry in self.entries(self.keys.replies(self.shard)).await? {
            match value::record(&entry.value) {
                Ok(record) => records.push((entry.key, record)),
                Err(error) => report_unreadable(&entry, &error),
            }
        }
        let dropped = self.replies.add(records);
        self.forget(dropped);
        self.report();
        Ok(())
    }

    async fn entries(&self, prefix: String) -> Result<Vec<Entry>, Failure> {
        let mut entries = self.client.range(&Keys::prefix(prefix), None).await?.entries;
        // Those of one transaction stay in the order of their keys.
        entries.sort_by_key(|entry| entry.create_revision);
        Ok(entries)
    }

    /// Takes all of these commands or none; gives their numbers.
    pub(super) async fn receive(&mut self, commands: &[Received]) -> Result<Vec<u64>, StoreError> {
        let prefix = self.keys.inbox(self.shard);
        let commands = commands.iter().map(|command| Command {
            key: format!("{prefix}{}", Uuid::now_v7()).into_bytes(),
            stored: Stored::new(command),
        });
        let commands: Vec<_> = commands.collect();
        if !self.commands.has_room(&commands) {
            return Err(StoreError::InboxFull(self.commands.len()));
        }
        let until = Instant::now() + TAKE_WITHIN;
        let mut rest = &commands[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(fitting(rest));
            let written = self.receive_part(part, until).await;
            if let Err(error) = self.noted(written) {
                // None of them was taken.
                let before = &commands[..commands.len() - rest.len()];
                self.abandoned.extend(keys(before));
                return Err(error);
            }
            rest = after;
        }
        Ok(commands
            .into_iter()
            .map(|command| self.commands.add(command))
            .collect())
    }

    /// One transaction. While nobody knows whether it was carried out it is tried again, with the same keys.
    async fn receive_part(&mut self, part: &[Command], until: Instant) -> Result<(), Failure> {
        let work = Work::Receive(keys(part));
        let puts: Vec<_> = part.iter().map(|command| put(command, 0)).collect();
        loop {
            let Err(failure) = self.write(work.clone(), None, &puts).await else {
                return Ok(());
            };
            let is_given_up = failure == Failure::NotOwner || Instant::now() >= until;
            if is_given_up || self.unresolved.as_ref() != Some(&work) {
                return Err(failure);
            }
            sleep(PAUSE).await;
        }
    }

    /// Counts an attempt, unless the same command was answered before.
    pub(super) async fn begin(&mut self, number: u64, key: Option<AnswerKey>) -> Result<Begun, StoreError> {
        // What has ended, and is not in etcd yet.
        if let Some(answer) = key.and_then(|key| self.replies.answer(&key)) {
            return Ok(Begun::Answered(answer));
        }
        let Some(command) = self.commands.get(number) else {
            return Err(StoreError::Finished(number));
        };
        let attempts = command.stored.attempts.saturating_add(1);
        let puts = [put(command, attempts)];
        let answer = key.map(|key| self.keys.answer(self.shard, &key));
        let begun = self.write(Work::Other, answer.as_deref(), &puts).await;
        match self.noted(begun)? {
            Done::Written => {
                self.commands.count(number, attempts);
                Ok(Begun::Attempt(attempts))
            }
            Done::Prevented(answer) => Ok(Begun::Answered(answer.into())),
        }
    }
}

/// How many of these go into one transaction: one at least.
fn fitting(commands: &[Command]) -> usize {
    let most = commands.len().min(MAX_OPERATIONS);
    let fits = |count: &usize| size(&commands[..*count]) <= MAX_BYTES;
    (2..=most).take_while(fits).last().unwrap_or(1)
}

fn keys(commands: &[Command]) -> Vec<Vec<u8>> {
    commands.iter().map(|command| command.key.clone()).collect()
}

fn put(command: &Command, attempts: u32) -> Operation {
    Operation::Put {
        key: command.key.clone(),
        value: command.stored.value(attempts),
        lease: None,
    }
}

fn report_unreadable(entry: &Entry, error: &Unreadable) {
    let key = String::from_utf8_lossy(&entry.key);
    tracing::error!(%key, %error, "an entry in etcd stays there unused; if no later version is to read it, delete it with etcdctl del");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(payload: usize) -> Command {
        let received = Received::local("t".to_owned(), vec![0; payload]);
        Command {
            key: Vec::new(),
            stored: Stored::new(&received),
        }
    }

    #[test]
    fn a_transaction_has_what_etcd_takes() {
        let small = vec![command(1); MAX_OPERATIONS + 1];
        assert_eq!(fitting(&small), MAX_OPERATIONS);
        assert_eq!(fitting(&small[..3]), 3);
        let large = vec![command(MAX_BYTES / 3); 4];
        assert_eq!(fitting(&large), 2);
        assert_eq!(fitting(&[command(2 * MAX_BYTES), command(1)]), 1);
    }
}
