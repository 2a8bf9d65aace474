//! An entry as it is on disk: some forty bytes.
//!
//! ```text
//! format (1), id of the record (16), flags (1), old, new, provenance, driven_by (1 each),
//! at (since the time in the id), newest (since at), not_observed_since (before at, where it is flagged): ms, as varints,
//! cause (the rest)
//! ```

use jiff::Timestamp;
use uuid::Uuid;

use crate::history::{Entry, Subject, Value};
use crate::model::{Provenance, Signal, Text};

const FORMAT: u8 = 1;
/// Bytes before the times.
const HEAD: usize = 22;

const TAKEOVER: u8 = 1;
const NOT_OBSERVED: u8 = 2;
const CAUSE: u8 = 4;

/// That number is none of a provenance, or of a signal.
const NONE: u8 = 255;

const PROVENANCES: [Provenance; 3] = [Provenance::Reported, Provenance::Derived, Provenance::Unknown];

/// An entry and the latest time of all entries of the same up to it, in ms since 1970.
pub(super) fn pack(entry: &Entry, newest: i64) -> Vec<u8> {
    let at = entry.at.as_millisecond();
    let mut flags = 0;
    flags |= if entry.takeover { TAKEOVER } else { 0 };
    flags |= if entry.not_observed_since.is_some() {
        NOT_OBSERVED
    } else {
        0
    };
    flags |= if entry.cause.is_some() { CAUSE } else { 0 };
    let provenance = entry
        .provenance
        .map_or(NONE, |provenance| place(&PROVENANCES, &provenance).unwrap_or(2));
    let driven_by = entry.driven_by.and_then(|signal| place(&Signal::ALL, &signal));
    let mut bytes = Vec::with_capacity(48);
    bytes.push(FORMAT);
    bytes.extend(entry.id.as_bytes());
    bytes.push(flags);
    bytes.extend([
        entry.old.code(),
        entry.new.code(),
        provenance,
        driven_by.unwrap_or(NONE),
    ]);
    put(&mut bytes, at.wrapping_sub(time_of(entry.id)));
    put(&mut bytes, newest.wrapping_sub(at));
    if let Some(since) = entry.not_observed_since {
        put(&mut bytes, at.wrapping_sub(since.as_millisecond()));
    }
    if let Some(cause) = &entry.cause {
        bytes.extend(cause.as_bytes());
    }
    bytes
}

/// The entry of that subject; `None` for bytes of a later version.
pub(super) fn unpack(bytes: &[u8], subject: Subject) -> Option<Entry> {
    let (head, times) = bytes.split_at_checked(HEAD)?;
    let [FORMAT, .., flags, old, new, provenance, driven_by] = *head else {
        return None;
    };
    let id = Uuid::from_bytes(*id_bytes(bytes)?);
    let (at, rest) = take(times)?;
    let (_, mut rest) = take(rest)?;
    let at = time_of(id).wrapping_add(at);
    let mut not_observed_since = None;
    if flags & NOT_OBSERVED != 0 {
        let (before, after) = take(rest)?;
        not_observed_since = Timestamp::from_millisecond(at.wrapping_sub(before)).ok();
        rest = after;
    }
    Some(Entry {
        id,
        at: Timestamp::from_millisecond(at).ok()?,
        subject,
        old: Value::from_code(old)?,
        new: Value::from_code(new)?,
        provenance: PROVENANCES.get(usize::from(provenance)).copied(),
        cause: match flags & CAUSE {
            0 => None,
            _ => Some(Text::from(std::str::from_utf8(rest).ok()?)),
        },
        driven_by: Signal::ALL.get(usize::from(driven_by)).copied(),
        takeover: flags & TAKEOVER != 0,
        not_observed_since,
    })
}

/// The id of the record.
pub(super) fn id_bytes(bytes: &[u8]) -> Option<&[u8; 16]> {
    bytes.get(1..17)?.try_into().ok()
}

/// When it was, and the latest time of all entries of the same up to it.
pub(super) fn times(bytes: &[u8]) -> Option<(i64, i64)> {
    let id = Uuid::from_bytes(*id_bytes(bytes)?);
    let (at, rest) = take(bytes.get(HEAD..)?)?;
    let (newest, _) = take(rest)?;
    let at = time_of(id).wrapping_add(at);
    Some((at, at.wrapping_add(newest)))
}

/// The time that begins an id, if it is one of version 7; any number does.
fn time_of(id: Uuid) -> i64 {
    let (time, _) = id.as_u64_pair();
    i64::try_from(time >> 16).unwrap_or_default()
}

fn place<T: PartialEq>(all: &[T], one: &T) -> Option<u8> {
    u8::try_from(all.iter().position(|other| other == one)?).ok()
}

/// A number in as few bytes as it needs, seven bits in each: small ones of either sign in one.
fn put(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// That number, and what comes after it.
fn take(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let length = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)? + 1;
    let (number, rest) = bytes.split_at(length);
    let seven = |number: u64, byte: &u8| number << 7 | u64::from(byte & 0x7f);
    let number = number.iter().rev().fold(0, seven);
    Some(((number >> 1).cast_signed() ^ -(number & 1).cast_signed(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: Uuid, at: i64) -> Entry {
        Entry {
            id,
            at: Timestamp::from_millisecond(at).unwrap(),
            subject: "m1/io3/a".parse().unwrap(),
            old: Value::No,
            new: Value::Nc,
            provenance: Some(Provenance::Derived),
            cause: Some("clock-not-sync".into()),
            driven_by: Some(Signal::Clk1),
            takeover: true,
            not_observed_since: Timestamp::from_millisecond(at - 86_400_000).ok(),
        }
    }

    fn bare(id: Uuid, at: i64) -> Entry {
        Entry {
            provenance: None,
            cause: None,
            driven_by: None,
            takeover: false,
            not_observed_since: None,
            ..entry(id, at)
        }
    }

    #[test]
    fn an_entry_comes_back_as_it_was_whatever_its_clock_said() {
        let now = Uuid::now_v7();
        for id in [now, Uuid::nil(), Uuid::max()] {
            for at in [0, 1_764_000_000_000, -62_000_000_000_000, time_of(now)] {
                for entry in [entry(id, at), bare(id, at)] {
                    for newest in [at, at + 3_600_000] {
                        let bytes = pack(&entry, newest);
                        assert_eq!(times(&bytes), Some((at, newest)));
                        assert_eq!(id_bytes(&bytes), Some(id.as_bytes()));
                        assert_eq!(unpack(&bytes, entry.subject.clone()), Some(entry.clone()));
                    }
                }
            }
        }
    }

    #[test]
    fn it_is_small() {
        let id = Uuid::now_v7();
        let usual = Entry {
            takeover: false,
            not_observed_since: None,
            ..entry(id, time_of(id) + 3)
        };
        let bytes = pack(&usual, time_of(id) + 3);
        assert!(bytes.len() <= 40, "{}", bytes.len());
    }

    #[test]
    fn what_cannot_be_understood_is_none() {
        let bytes = pack(&entry(Uuid::now_v7(), 5), 5);
        let subject: Subject = "m1".parse().unwrap();
        for end in 0..HEAD + 2 {
            assert_eq!(unpack(&bytes[..end], subject.clone()), None, "{end}");
        }
        let mut later = bytes.clone();
        later[0] = 2;
        assert_eq!(unpack(&later, subject.clone()), None);
        let mut endless = bytes;
        endless[HEAD..].fill(0xff);
        assert_eq!((unpack(&endless, subject), times(&endless)), (None, None));
    }
}
