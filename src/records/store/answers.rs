//! The answers of the last hour: the same command gets the first answer again.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use redb::{Database, ReadableDatabase, ReadableTable};

use super::AnswerKey;
use super::tables::{ANSWERS, Writing};

/// The answer to that command, unless it is too old.
pub(super) fn get(
    database: &Database,
    key: &AnswerKey,
    answers_for: Duration,
) -> Result<Option<Bytes>, redb::Error> {
    let table = database.begin_read()?.open_table(ANSWERS)?;
    newer(&table, key, oldest(Timestamp::now(), answers_for))
}

fn newer(
    table: &impl ReadableTable<&'static [u8; 32], (i64, &'static [u8])>,
    key: &AnswerKey,
    oldest: i64,
) -> Result<Option<Bytes>, redb::Error> {
    let answer = table.get(key.bytes())?;
    let answer = answer.filter(|answer| answer.value().0 > oldest);
    Ok(answer.map(|answer| Bytes::copy_from_slice(answer.value().1)))
}

/// Answers of that time and before are too old.
fn oldest(now: Timestamp, answers_for: Duration) -> i64 {
    let age = i64::try_from(answers_for.as_millis()).unwrap_or(i64::MAX);
    now.as_millisecond().saturating_sub(age)
}

impl Writing<'_, '_> {
    /// The answer to that command, unless it is too old.
    pub(super) fn answered(&self, key: &AnswerKey) -> Result<Option<Bytes>, redb::Error> {
        let oldest = oldest(self.now, self.options.limits.answers_for);
        newer(&self.tables.answers, key, oldest)
    }

    /// Remembers an answer, unless there is one, and forgets those that are too old or too many.
    pub(super) fn answer(&mut self, key: &AnswerKey, answer: &[u8]) -> Result<(), redb::Error> {
        self.forget_answers()?;
        if self.tables.answers.get(key.bytes())?.is_some() {
            return Ok(());
        }
        let at = self.now.as_millisecond();
        self.tables.answers.insert(key.bytes(), (at, answer))?;
        self.tables.answer_times.insert((at, key.bytes()), ())?;
        self.levels.answers.add(answer.len());
        self.forget_answers()
    }

    fn forget_answers(&mut self) -> Result<(), redb::Error> {
        let limits = &self.options.limits;
        let oldest = oldest(self.now, limits.answers_for);
        loop {
            let is_full = self.levels.answers.is_above(limits.answers);
            let first = self.tables.answer_times.first()?;
            let first = first
                .map(|(entry, _)| entry.value().0)
                .filter(|at| is_full || *at <= oldest);
            if first.is_none() {
                return Ok(());
            }
            let Some((entry, _)) = self.tables.answer_times.pop_first()? else {
                return Ok(());
            };
            if let Some(old) = self.tables.answers.remove(entry.value().1)? {
                self.levels.answers.remove(old.value().1.len());
            }
        }
    }
}
