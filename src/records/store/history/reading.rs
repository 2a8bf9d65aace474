//! Entries are found: in a snapshot of the database, newest first, a few at a time.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};

use jiff::Timestamp;
use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, TableError};

use super::definitions::{HISTORY, HISTORY_ORDER, SUBJECTS};
use super::packed::{times, unpack};
use super::{DeviceHistory, Found, HistoryPage, HistoryQuery, MAX_OF_DEVICE};
use crate::history::{Entry, Subject};
use crate::model::DeviceId;

/// Entries that are read ahead, of all subjects together.
const AHEAD: usize = 1024;

/// The history as it was at a moment.
pub(in crate::records::store) struct Snapshot {
    pub(in crate::records::store) transaction: ReadTransaction,
    /// What is not on disk yet, by number.
    pub(in crate::records::store) unwritten: BTreeMap<u64, Entry>,
    pub(in crate::records::store) kept_since: Option<Timestamp>,
}

type History = ReadOnlyTable<(u32, u64), &'static [u8]>;

/// The entries of one subject, newest first, as far as they can be in a window.
struct Lane {
    number: u32,
    subject: Subject,
    /// Only those before it are still to be read.
    before: u64,
    ahead: VecDeque<(u64, Entry)>,
    is_over: bool,
}

impl Lane {
    /// Reads up to `count` entries ahead; none that came before all that is later than `from`.
    fn fill(&mut self, history: &History, from: Option<i64>, count: usize) -> Result<(), redb::Error> {
        if self.is_over || !self.ahead.is_empty() {
            return Ok(());
        }
        let mut read = 0;
        let range = history.range((self.number, 0)..(self.number, self.before))?;
        for entry in range.rev().take(count) {
            let (key, value) = entry?;
            read += 1;
            self.before = key.value().1;
            if is_over(times(value.value()), from) {
                self.is_over = true;
                break;
            }
            let entry = unpack(value.value(), self.subject.clone());
            self.ahead.extend(entry.map(|entry| (self.before, entry)));
        }
        self.is_over |= read < count;
        match self.ahead.is_empty() {
            // Nothing of that could be understood.
            true => self.fill(history, from, count),
            false => Ok(()),
        }
    }
}

/// Whether neither this entry nor any before it is so late.
fn is_over(times: Option<(i64, i64)>, from: Option<i64>) -> bool {
    let newest = times.map(|(_, newest)| newest);
    newest.zip(from).is_some_and(|(newest, from)| newest < from)
}

/// A page that is being filled.
struct Filling<'q> {
    query: &'q HistoryQuery,
    page: HistoryPage,
    /// When the next entry of each subject was, as far as it was seen.
    next: HashMap<Subject, Timestamp>,
}

impl Filling<'_> {
    /// Takes the next entry; gives whether there is room for more. `later` looks for the one after it.
    fn take(
        &mut self,
        number: u64,
        entry: Entry,
        later: impl FnOnce() -> Result<Option<Timestamp>, redb::Error>,
    ) -> Result<bool, redb::Error> {
        let until = match self.next.insert(entry.subject.clone(), entry.at) {
            None if self.query.before.is_some() => later()?,
            until => until,
        };
        let is_within = self.query.from.is_none_or(|from| entry.at >= from)
            && self.query.to.is_none_or(|to| entry.at < to);
        if is_within && self.page.entries.len() == self.query.limit {
            self.page.has_more = true;
        } else if is_within {
            let entry = Found { number, entry, until };
            self.page.entries.push(entry);
        }
        Ok(!self.page.has_more)
    }
}

impl Snapshot {
    /// A part of the history.
    pub(in crate::records::store) fn page(&self, query: &HistoryQuery) -> Result<HistoryPage, redb::Error> {
        let mut filling = Filling {
            query,
            page: HistoryPage {
                kept_since: self.kept_since,
                ..HistoryPage::default()
            },
            next: HashMap::new(),
        };
        let subjects = self.subjects(query.of.device.as_ref())?;
        let before = query.before.unwrap_or(u64::MAX);
        let mut has_room = true;
        for (number, entry) in self.unwritten.range(..before).rev() {
            if !has_room {
                break;
            }
            if query.of.takes(&entry.subject) {
                let later = || Ok(self.unwritten_after(*number, &entry.subject));
                has_room = filling.take(*number, entry.clone(), later)?;
            }
        }
        // What is in memory may be on disk all the same.
        let on_disk = self.unwritten.keys().next().copied().unwrap_or(u64::MAX);
        let before = before.min(on_disk);
        if has_room && let Some(history) = self.open(HISTORY)? {
            match query.of.is_all() {
                true => self.all(&history, subjects, before, &mut filling)?,
                false => self.some(&history, subjects, before, &mut filling)?,
            }
        }
        Ok(filling.page)
    }

    /// Entries of all subjects, in the order of their numbers.
    fn all(
        &self,
        history: &History,
        subjects: Vec<(Subject, u32)>,
        before: u64,
        filling: &mut Filling<'_>,
    ) -> Result<(), redb::Error> {
        let Some(order) = self.open(HISTORY_ORDER)? else {
            return Ok(());
        };
        let subjects: HashMap<_, _> = subjects
            .into_iter()
            .map(|(subject, number)| (number, subject))
            .collect();
        let from = filling.query.from.map(Timestamp::as_millisecond);
        for entry in order.range(..before)?.rev() {
            let (number, value) = entry?;
            let (number, (subject, newest)) = (number.value(), value.value());
            if from.is_some_and(|from| newest < from) {
                break;
            }
            let packed = history.get((subject, number))?;
            let name = subjects.get(&subject).cloned();
            let entry = packed.zip(name);
            let Some(entry) = entry.and_then(|(packed, name)| unpack(packed.value(), name)) else {
                continue;
            };
            let name = entry.subject.clone();
            let later = || self.later(history, (subject, number), &name);
            if !filling.take(number, entry, later)? {
                break;
            }
        }
        Ok(())
    }

    /// Entries of the subjects that are wanted, in the order of their numbers.
    fn some(
        &self,
        history: &History,
        subjects: Vec<(Subject, u32)>,
        before: u64,
        filling: &mut Filling<'_>,
    ) -> Result<(), redb::Error> {
        let subjects = subjects.into_iter();
        let wanted = subjects.filter(|(subject, _)| filling.query.of.takes(subject));
        let mut lanes: Vec<_> = wanted
            .map(|(subject, number)| Lane {
                number,
                subject,
                before,
                ahead: VecDeque::new(),
                is_over: false,
            })
            .collect();
        let ahead = (AHEAD / lanes.len().max(1)).clamp(1, 256);
        let from = filling.query.from.map(Timestamp::as_millisecond);
        let mut newest = BinaryHeap::new();
        for (index, lane) in lanes.iter_mut().enumerate() {
            lane.fill(history, from, ahead)?;
            newest.extend(lane.ahead.front().map(|(number, _)| (*number, index)));
        }
        while let Some((_, index)) = newest.pop() {
            let lane = &mut lanes[index];
            let Some((number, entry)) = lane.ahead.pop_front() else {
                continue;
            };
            lane.fill(history, from, ahead)?;
            newest.extend(lane.ahead.front().map(|(number, _)| (*number, index)));
            let (subject, name) = (lane.number, &lane.subject);
            let later = || self.later(history, (subject, number), name);
            if !filling.take(number, entry, later)? {
                break;
            }
        }
        Ok(())
    }

    /// When that subject was next something else after the entry of that number.
    fn later(
        &self,
        history: &History,
        (subject, number): (u32, u64),
        name: &Subject,
    ) -> Result<Option<Timestamp>, redb::Error> {
        let after = (subject, number.saturating_add(1))..=(subject, u64::MAX);
        let Some(entry) = history.range(after)?.next() else {
            return Ok(self.unwritten_after(number, name));
        };
        let at = times(entry?.1.value()).map(|(at, _)| at);
        Ok(at.and_then(|at| Timestamp::from_millisecond(at).ok()))
    }

    fn unwritten_after(&self, number: u64, subject: &Subject) -> Option<Timestamp> {
        let mut after = self.unwritten.range(number.saturating_add(1)..);
        let found = after.find(|(_, entry)| entry.subject == *subject);
        found.map(|(_, entry)| entry.at)
    }

    /// The devices that have a history.
    pub(in crate::records::store) fn devices(&self) -> Result<BTreeSet<DeviceId>, redb::Error> {
        let on_disk = self.subjects(None)?.into_iter().map(|(subject, _)| subject);
        let unwritten = self.unwritten.values().map(|entry| entry.subject.clone());
        Ok(on_disk.chain(unwritten).map(|subject| subject.device).collect())
    }

    /// Whether there is anything of that device.
    pub(in crate::records::store) fn has(&self, device: &DeviceId) -> Result<bool, redb::Error> {
        let mut unwritten = self.unwritten.values();
        let is_unwritten = unwritten.any(|entry| entry.subject.device == *device);
        Ok(is_unwritten || !self.subjects(Some(device))?.is_empty())
    }

    /// The history of a device: of those parts of it that are `wanted`.
    pub(in crate::records::store) fn device(
        &self,
        device: &DeviceId,
        from: Timestamp,
        wanted: fn(&Subject) -> bool,
    ) -> Result<DeviceHistory, redb::Error> {
        let mut subjects: BTreeMap<Subject, Vec<Entry>> = BTreeMap::new();
        let mut count = 0;
        let before = self.unwritten.keys().next().copied().unwrap_or(u64::MAX);
        if let Some(history) = self.open(HISTORY)? {
            let all = self.subjects(Some(device))?.into_iter();
            for (subject, number) in all.filter(|(subject, _)| wanted(subject)) {
                let mut entries = Vec::new();
                for entry in history.range((number, 0)..(number, before))?.rev() {
                    let (_, value) = entry?;
                    // The newest one of before belongs to it.
                    let is_last = is_over(times(value.value()), Some(from.as_millisecond()));
                    entries.extend(unpack(value.value(), subject.clone()));
                    if is_last || count + entries.len() > MAX_OF_DEVICE {
                        break;
                    }
                }
                count += entries.len();
                entries.reverse();
                subjects.insert(subject, entries);
            }
        }
        for entry in self.unwritten.values() {
            if entry.subject.device == *device && wanted(&entry.subject) {
                subjects
                    .entry(entry.subject.clone())
                    .or_default()
                    .push(entry.clone());
            }
        }
        Ok(DeviceHistory {
            subjects: subjects.into_iter().collect(),
            kept_since: self.kept_since,
            is_all: count <= MAX_OF_DEVICE,
        })
    }

    /// The subjects that there are on disk, with their numbers; of that device, or of all.
    fn subjects(&self, device: Option<&DeviceId>) -> Result<Vec<(Subject, u32)>, redb::Error> {
        let Some(table) = self.open(SUBJECTS)? else {
            return Ok(Vec::new());
        };
        let mut subjects = Vec::new();
        let first = device.map_or("", DeviceId::as_str);
        for entry in table.range(first..)? {
            let (name, number) = entry?;
            // An id has no character as low as a slash but the hyphen: those of `m1-2` come between `m1` and `m1/io3`.
            if device.is_some_and(|device| !name.value().starts_with(device.as_str())) {
                break;
            }
            let subject: Result<Subject, _> = name.value().parse();
            let of_it = subject
                .ok()
                .filter(|subject| device.is_none_or(|device| subject.device == *device));
            subjects.extend(of_it.map(|subject| (subject, number.value())));
        }
        Ok(subjects)
    }

    /// A table; `None` where nothing was ever written to it.
    fn open<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Option<ReadOnlyTable<K, V>>, redb::Error> {
        match self.transaction.open_table(table) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            table => Ok(Some(table?)),
        }
    }
}
