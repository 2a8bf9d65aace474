//! Commands and records as etcd has them: the head that the local store writes too, and the payload as it is.
//!
//! A byte with the format comes first; then, of a command, its attempts; then the head's length, the head, the payload. Numbers
//! have four bytes, the highest first.

use bytes::Bytes;

use crate::records::store::entry;
use crate::records::{Received, Record};

/// The format of the values. A later one has another number.
const FORMAT: u8 = 1;

/// Why a value cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// Its format, or that of its head, is a later one.
    #[error("a later version of this program has written it")]
    Later,
    /// It is none of these values.
    #[error("it cannot be read: {0}")]
    Malformed(String),
}

/// A command as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) attempts: u32,
    head: Vec<u8>,
    payload: Bytes,
}

impl Stored {
    /// A command that nobody has tried yet.
    pub(super) fn new(command: &Received) -> Stored {
        Stored {
            attempts: 0,
            head: entry::command_head(command),
            payload: command.payload.clone(),
        }
    }

    /// From its value.
    pub(super) fn read(value: &[u8]) -> Result<(Stored, Received), Unreadable> {
        let (attempts, rest) = number(without_format(value)?)?;
        let (head, payload) = split(rest)?;
        if entry::is_newer(head) {
            return Err(Unreadable::Later);
        }
        let command = entry::command(head, payload);
        let command = command.map_err(|error| Unreadable::Malformed(error.to_string()))?;
        let stored = Stored {
            attempts,
            head: head.to_vec(),
            payload: command.payload.clone(),
        };
        Ok((stored, command))
    }

    /// The command itself.
    pub(super) fn command(&self) -> Result<Received, Unreadable> {
        let command = entry::command(&self.head, &self.payload);
        command.map_err(|error| Unreadable::Malformed(error.to_string()))
    }

    /// Its value, with so many attempts.
    pub(super) fn value(&self, attempts: u32) -> Vec<u8> {
        let mut value = vec![FORMAT];
        value.extend(attempts.to_be_bytes());
        join(value, &self.head, &self.payload)
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.head.len() + self.payload.len()
    }
}

/// The value of a record.
pub(super) fn of_record(record: &Record) -> Vec<u8> {
    join(vec![FORMAT], &entry::record_head(record), &record.payload)
}

/// The record of that value.
pub(super) fn record(value: &[u8]) -> Result<Record, Unreadable> {
    let (head, payload) = split(without_format(value)?)?;
    entry::record(head, payload).map_err(|error| Unreadable::Malformed(error.to_string()))
}

fn join(mut value: Vec<u8>, head: &[u8], payload: &[u8]) -> Vec<u8> {
    // A head has a few topics: it is far below 4 GiB.
    value.extend(u32::try_from(head.len()).unwrap_or(u32::MAX).to_be_bytes());
    value.extend(head);
    value.extend(payload);
    value
}

fn without_format(value: &[u8]) -> Result<&[u8], Unreadable> {
    match value.split_first() {
        Some((&FORMAT, rest)) => Ok(rest),
        Some((format, _)) if *format > FORMAT => Err(Unreadable::Later),
        _ => Err(Unreadable::Malformed("it has no format".to_owned())),
    }
}

/// Head and payload.
fn split(rest: &[u8]) -> Result<(&[u8], &[u8]), Unreadable> {
    let (length, rest) = number(rest)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    rest.split_at_checked(length).ok_or_else(cut)
}

fn number(value: &[u8]) -> Result<(u32, &[u8]), Unreadable> {
    let (number, rest) = value.split_first_chunk().ok_or_else(cut)?;
    Ok((u32::from_be_bytes(*number), rest))
}

fn cut() -> Unreadable {
    Unreadable::Malformed("its end is missing".to_owned())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::contract::topics::Destination;

    fn command() -> Received {
        Received {
            payload: Bytes::from_static(b"\0\xff{\"}\n"),
            ..Received::local("lantime/m1/refresh".to_owned(), "")
        }
    }

    #[test]
    fn a_command_comes_back_as_it_was() {
        for payload in [&b""[..], b"\0\0\0\x01", b"\xff\xfe{}"] {
            let command = Received {
                payload: Bytes::from_static(payload),
                ..command()
            };
            let stored = Stored::new(&command);
            let (read, as_it_was) = Stored::read(&stored.value(3)).unwrap();
            assert_eq!((read.attempts, &as_it_was), (3, &command));
            assert_eq!(read.command(), Ok(command));
            assert_eq!(read.value(0), stored.value(0));
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let record = Record {
            id: Uuid::now_v7(),
            destination: Destination::Reply("back".to_owned()),
            payload: Bytes::from_static(b"\xff\0"),
            correlation: Some(Bytes::from_static(b"\xfe")),
        };
        assert_eq!(super::record(&of_record(&record)), Ok(record));
    }

    #[test]
    fn what_a_later_version_has_written_is_known() {
        let mut value = Stored::new(&command()).value(0);
        value[0] = FORMAT + 1;
        assert_eq!(Stored::read(&value).unwrap_err(), Unreadable::Later);
        let head = br#"{"format":99,"topic":"t"}"#;
        let value = join(vec![FORMAT, 0, 0, 0, 0], head, b"");
        assert_eq!(Stored::read(&value).unwrap_err(), Unreadable::Later);
    }

    #[test]
    fn whatever_is_cut_is_no_value() {
        let value = Stored::new(&command()).value(0);
        let head = value.len() - command().payload.len();
        for end in 0..head {
            let read = Stored::read(&value[..end]);
            assert!(matches!(read, Err(Unreadable::Malformed(_))), "{end}: {read:?}");
            assert!(record(&value[..end]).is_err());
        }
    }
}
