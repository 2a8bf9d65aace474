//! What a subject can be: the words of topics, and what is said of a time of which nothing is known.

use serde::{Serialize, Serializer};

/// A value of a device, slot, relay, signal or event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// Not known.
    Unknown,
    /// Position of a relay in normal operation.
    No,
    /// Position of a relay in a fault.
    Nc,
    /// Status of a signal.
    Ok,
    /// Status of a signal.
    Fail,
    /// Of a signal, or a slot without a module.
    Absent,
    /// Of a device or slot.
    Online,
    /// Of a device or slot, and so of all that belongs to it.
    Offline,
    /// Of a slot with another module.
    Mismatch,
    /// Of an event that is triggered.
    True,
    /// Of an event that is not.
    False,
    /// No bridge watched.
    NotObserved,
    /// The history does not reach back to then.
    NotKept,
}

impl Value {
    /// All of them. A place in this list is on disk: new ones go to the end.
    const ALL: [Value; 13] = [
        Value::Unknown,
        Value::No,
        Value::Nc,
        Value::Ok,
        Value::Fail,
        Value::Absent,
        Value::Online,
        Value::Offline,
        Value::Mismatch,
        Value::True,
        Value::False,
        Value::NotObserved,
        Value::NotKept,
    ];

    /// Its name in payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            Value::Unknown => "unknown",
            Value::No => "NO",
            Value::Nc => "NC",
            Value::Ok => "ok",
            Value::Fail => "fail",
            Value::Absent => "absent",
            Value::Online => "online",
            Value::Offline => "offline",
            Value::Mismatch => "mismatch",
            Value::True => "true",
            Value::False => "false",
            Value::NotObserved => "not-observed",
            Value::NotKept => "not-kept",
        }
    }

    /// The value of that name.
    pub fn from_name(name: &str) -> Option<Value> {
        Value::ALL.into_iter().find(|value| value.as_str() == name)
    }

    /// Whether an event is triggered.
    pub fn of_event(triggered: bool) -> Value {
        match triggered {
            true => Value::True,
            false => Value::False,
        }
    }

    /// Its number on disk.
    pub(crate) fn code(self) -> u8 {
        let place = Value::ALL.iter().position(|value| *value == self);
        place
            .and_then(|place| u8::try_from(place).ok())
            .unwrap_or_default()
    }

    /// The value of that number.
    pub(crate) fn from_code(code: u8) -> Option<Value> {
        Value::ALL.get(usize::from(code)).copied()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_come_back() {
        for value in Value::ALL {
            assert_eq!(Value::from_name(value.as_str()), Some(value));
            assert_eq!(Value::from_code(value.code()), Some(value));
        }
        assert_eq!(Value::from_code(200), None);
    }
}
