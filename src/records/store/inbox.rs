//! The inbox: commands until they are answered, in order of arrival.

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::entry::{self, Unreadable};
use super::job::Changed;
use super::tables::{INBOX, Writing};
use super::{AnswerKey, StoreError};
use crate::contract::dead_letter_marks::Replayed;
use crate::contract::reply::CommandReply;
use crate::records::{Received, Record};

/// A command in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its number: the order of arrival.
    pub number: u64,
    /// The command.
    pub command: Received,
    /// Attempts that have begun.
    pub attempts: u32,
}

/// How a command begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// By this attempt at it, from 1.
    Attempt(u32),
    /// Not: the same one was answered so within the last hour.
    Answered(Bytes),
}

/// How a command ended.
#[derive(Debug, Default)]
pub struct End {
    /// Its reply, its dead letter.
    pub records: Vec<Record>,
    /// The answer that the same command gets within the next hour.
    pub answer: Option<(AnswerKey, Bytes)>,
    /// The dead letter whose command it was, and that it was run again.
    pub replayed: Option<(Uuid, Replayed)>,
    /// Who waits for the reply in this process (a request to the HTTP server), and the reply, sent when all of this is on
    /// disk.
    pub local: Option<(oneshot::Sender<CommandReply>, CommandReply)>,
}

/// Everything in the inbox.
#[derive(Default)]
pub(super) struct Commands {
    /// What waits, oldest first.
    pub(super) waiting: Vec<Waiting>,
    /// How many a later version has written.
    pub(super) newer: usize,
    /// What cannot be understood.
    pub(super) unreadable: Vec<(u64, Unreadable)>,
}

pub(super) fn read(database: &Database) -> Result<Commands, redb::Error> {
    let mut commands = Commands::default();
    for entry in database.begin_read()?.open_table(INBOX)?.iter()? {
        let (number, value) = entry?;
        let (number, (attempts, head, payload)) = (number.value(), value.value());
        match entry::command(head, payload) {
            _ if entry::is_newer(head) => commands.newer += 1,
            Ok(command) => commands.waiting.push(Waiting {
                number,
                command,
                attempts,
            }),
            Err(error) => commands.unreadable.push((number, error)),
        }
    }
    Ok(commands)
}

impl Writing<'_, '_> {
    /// Takes all of these commands or none; gives their numbers.
    pub(super) fn receive(&mut self, commands: &[Received]) -> Changed<Vec<u64>> {
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

    /// Counts an attempt, unless the same command was answered before.
    pub(super) fn begin(&mut self, number: u64, key: Option<&AnswerKey>) -> Changed<Begun> {
        if let Some(key) = key
            && let Some(answer) = self.answered(key)?
        {
            return Ok(Ok(Begun::Answered(answer)));
        }
        let Some(old) = self.tables.inbox.remove(number)? else {
            return Ok(Err(StoreError::Finished(number)));
        };
        let (attempts, head, payload) = old.value();
        let (attempts, head, payload) = (attempts.saturating_add(1), head.to_vec(), payload.to_vec());
        drop(old);
        let value = (attempts, head.as_slice(), payload.as_slice());
        self.tables.inbox.insert(number, value)?;
        Ok(Ok(Begun::Attempt(attempts)))
    }

    pub(super) fn remove_command(&mut self, number: u64) -> Result<(), redb::Error> {
        if let Some(old) = self.tables.inbox.remove(number)? {
            let (_, head, payload) = old.value();
            self.levels.inbox.remove(head.len() + payload.len());
        }
        Ok(())
    }
}
