//! Keys, and what stands at them.

use std::fmt;

use super::wire::{KeyRange, KeyValue};

/// A key, or all that begin with the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// This one.
    One(Vec<u8>),
    /// All that begin so; all there are for an empty prefix.
    Prefix(Vec<u8>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// The revision of the transaction that has created the key: another one after a deletion. A fencing token.
    pub create_revision: i64,
    /// The revision of the transaction that has last written it.
    pub mod_revision: i64,
    /// The lease with which it goes, if any.
    pub lease: Option<LeaseId>,
}

/// Number of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub i64);

/// In hexadecimal digits, as etcdctl writes it.
impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl LeaseId {
    /// Zero stands for none.
    pub(super) fn of(id: i64) -> Option<LeaseId> {
        (id != 0).then_some(LeaseId(id))
    }
}

impl Keys {
    /// That key.
    pub fn one(key: impl Into<Vec<u8>>) -> Keys {
        Keys::One(key.into())
    }

    /// All keys that begin so.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Keys {
        Keys::Prefix(prefix.into())
    }

    /// As etcd has it: from a key up to another one, without that.
    pub(super) fn range(&self) -> KeyRange {
        match self {
            Keys::One(key) => KeyRange {
                key: key.clone(),
                range_end: Vec::new(),
            },
            // An empty key is none; the first that there can be is a zero.
            Keys::Prefix(prefix) if prefix.is_empty() => KeyRange {
                key: vec![0],
                range_end: vec![0],
            },
            Keys::Prefix(prefix) => KeyRange {
                key: prefix.clone(),
                range_end: end_of(prefix),
            },
        }
    }
}

/// The first key after all that begin with `prefix`. A zero stands for the end of all keys.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff);
    last.map_or(vec![0], |last| {
        let mut end = prefix[..=last].to_vec();
        end[last] += 1;
        end
    })
}

impl From<KeyValue> for Entry {
    fn from(wire: KeyValue) -> Entry {
        Entry {
            key: wire.key,
            value: wire.value,
            create_revision: wire.create_revision,
            mod_revision: wire.mod_revision,
            lease: LeaseId::of(wire.lease),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        for (prefix, end) in [
            (&b"/a/"[..], &b"/a0"[..]),
            (b"a\xff", b"b"),
            (b"\xff\xff", b"\0"),
            (b"", b"\0"),
        ] {
            assert_eq!(Keys::prefix(prefix).range().range_end, end, "{prefix:?}");
        }
    }

    #[test]
    fn one_key_has_no_end() {
        let range = Keys::one("a").range();
        assert_eq!((range.key, range.range_end), (b"a".to_vec(), Vec::new()));
    }
}
