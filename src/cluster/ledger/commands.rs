//! The commands of a shard that are not answered yet, as this owner knows them. Pure data.

use std::collections::BTreeMap;

use super::value::Stored;
use crate::records::store::{Limit, Waiting, options};

/// A command and its key.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) key: Vec<u8>,
    pub(super) stored: Stored,
}

/// What waits, by numbers in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Commands {
    waiting: BTreeMap<u64, Command>,
    bytes: usize,
    last: u64,
}

impl Commands {
    /// Whether so many more may be taken.
    pub(super) fn has_room(&self, more: &[Command]) -> bool {
        let Limit { entries, bytes } = options::INBOX;
        self.waiting.len() + more.len() <= entries && self.bytes + size(more) <= bytes
    }

    /// Adds one; gives its number.
    pub(super) fn add(&mut self, command: Command) -> u64 {
        self.last += 1;
        self.bytes += command.stored.size();
        self.waiting.insert(self.last, command);
        self.last
    }

    pub(super) fn get(&self, number: u64) -> Option<&Command> {
        self.waiting.get(&number)
    }

    /// So many attempts have begun.
    pub(super) fn count(&mut self, number: u64, attempts: u32) {
        if let Some(command) = self.waiting.get_mut(&number) {
            command.stored.attempts = attempts;
        }
    }

    pub(super) fn remove(&mut self, number: u64) {
        if let Some(command) = self.waiting.remove(&number) {
            self.bytes -= command.stored.size();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// All of them, as they were received.
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let waiting = self.waiting.iter().filter_map(|(number, command)| {
            Some(Waiting {
                number: *number,
                // What cannot be read was not taken in.
                command: command.stored.command().ok()?,
                attempts: command.stored.attempts,
            })
        });
        waiting.collect()
    }
}

/// Bytes of all of them.
pub(super) fn size(commands: &[Command]) -> usize {
    commands.iter().map(|command| command.stored.size()).sum()
}
