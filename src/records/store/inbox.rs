//! The inbox: commands until they are answered, in order of arrival.

use redb::{Database, ReadableDatabase, ReadableTable};

use super::entry::{self, Unreadable};
use super::tables::{INBOX, Writing};
use super::{StoreError, Waiting};
use crate::records::Received;

/// What waits, oldest first, and the numbers of what cannot be understood.
pub(super) type Commands = (Vec<Waiting>, Vec<(u64, Unreadable)>);

/// Everything in the inbox.
pub(super) fn read(database: &Database) -> Result<Commands, redb::Error> {
    let (mut waiting, mut unreadable) = (Vec::new(), Vec::new());
    for entry in database.begin_read()?.open_table(INBOX)?.iter()? {
        let (number, value) = entry?;
        let (number, (attempts, head, payload)) = (number.value(), value.value());
        match entry::command(head, payload) {
            Ok(command) => waiting.push(Waiting {
                number,
                command,
                attempts,
            }),
            Err(error) => unreadable.push((number, error)),
        }
    }
    Ok((waiting, unreadable))
}

impl Writing<'_, '_> {
    /// Takes all of these commands or none; gives their numbers.
    pub(super) fn receive(
        &mut self,
        commands: &[Received],
    ) -> Result<Result<Vec<u64>, StoreError>, redb::Error> {
        let heads: Vec<_> = commands.iter().map(entry::command_head).collect();
        let mut level = self.levels.inbox;
        for (head, command) in heads.iter().zip(commands) {
            level.add(head.len() + command.payload.len());
        }
        if level.is_above(self.options.limits.inbox) {
            return Ok(Err(StoreError::InboxFull(self.levels.inbox.entries)));
        }
        self.levels.inbox = level;
        let mut numbers = Vec::new();
        for (head, command) in heads.iter().zip(commands) {
            self.levels.last_command += 1;
            let value = (0, head.as_slice(), command.payload.as_ref());
            self.tables.inbox.insert(self.levels.last_command, value)?;
            numbers.push(self.levels.last_command);
        }
        Ok(Ok(numbers))
    }

    /// Counts an attempt; gives which one it is.
    pub(super) fn attempt(&mut self, number: u64) -> Result<Result<u32, StoreError>, redb::Error> {
        let Some(old) = self.tables.inbox.remove(number)? else {
            return Ok(Err(StoreError::Finished(number)));
        };
        let (attempts, head, payload) = old.value();
        let (attempts, head, payload) = (attempts.saturating_add(1), head.to_vec(), payload.to_vec());
        drop(old);
        let value = (attempts, head.as_slice(), payload.as_slice());
        self.tables.inbox.insert(number, value)?;
        Ok(Ok(attempts))
    }

    pub(super) fn remove_command(&mut self, number: u64) -> Result<(), redb::Error> {
        if let Some(old) = self.tables.inbox.remove(number)? {
            let (_, head, payload) = old.value();
            self.levels.inbox.remove(head.len() + payload.len());
        }
        Ok(())
    }
}
