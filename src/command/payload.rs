//! The JSON object that a command is, member by member. Which members a command has is its own.
//!
//! No message repeats more than a few words of a payload: it comes from anybody who reaches the broker.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::model::{ErrorKind, ErrorReport};
use crate::wording::{kind_of, nearest, quoted};

/// Longest id of a request, in characters; it comes back in each reply.
pub(super) const MAX_ID: usize = 128;

/// A member that each command may have.
const ID: &str = "id";
/// Another one: not to wait while the device is offline.
pub(super) const FAIL_FAST: &str = "fail_fast";

/// What is in a payload, be it right or wrong.
pub(super) struct Payload {
    /// The members of the object, down to where it is broken.
    members: Vec<(String, Value)>,
    fault: Option<Fault>,
}

/// Why a payload is no JSON object.
enum Fault {
    Empty,
    NotAnObject,
    NotJson(serde_json::Error),
}

/// The members of a command: each is known, and there once.
pub(super) struct Members(Vec<(String, Value)>);

impl Payload {
    /// Takes it apart as far as that goes.
    pub(super) fn read(payload: &[u8]) -> Payload {
        let mut members = Vec::new();
        let mut json = serde_json::Deserializer::from_slice(payload);
        let read = Object(&mut members).deserialize(&mut json);
        let fault = match read.and_then(|()| json.end()) {
            Ok(()) => None,
            Err(_) if payload.trim_ascii().is_empty() => Some(Fault::Empty),
            Err(error) if error.is_data() => Some(Fault::NotAnObject),
            Err(error) => Some(Fault::NotJson(error)),
        };
        Payload { members, fault }
    }

    /// The id of the request, where there is one and only one that can be one.
    pub(super) fn id(&self) -> Option<&str> {
        let mut ids = self.members.iter().filter(|(key, _)| key == ID);
        match (ids.next(), ids.next()) {
            (Some((_, id)), None) => as_id(id),
            _ => None,
        }
    }

    /// Whether the command is not to wait while the device is offline, where it says so, once and as it should be.
    pub(super) fn fail_fast(&self) -> Option<bool> {
        let mut flags = self.members.iter().filter(|(key, _)| key == FAIL_FAST);
        match (flags.next(), flags.next()) {
            (Some((_, flag)), None) => flag.as_bool(),
            _ => None,
        }
    }

    /// The members, none of which is unknown or there twice; `example` is a payload that would be right.
    pub(super) fn members(self, known: &[&str], example: &str) -> Result<Members, ErrorReport> {
        match self.fault {
            None => {}
            Some(Fault::Empty) => {
                let remedy = format!(
                    "send a JSON object such as {example}; if this was to clear a retained command, that has worked"
                );
                return Err(wrong("the payload is empty", remedy));
            }
            Some(Fault::NotAnObject) => {
                let what = "the payload is not a JSON object";
                return Err(wrong(what, format!("send a JSON object such as {example}")));
            }
            Some(Fault::NotJson(error)) => {
                let what = format!("the payload is not JSON: {error}");
                let remedy =
                    format!("send a JSON object such as {example}; a shell needs single quotes around it");
                return Err(wrong(what, remedy));
            }
        }
        for (index, (key, _)) in self.members.iter().enumerate() {
            if !known.contains(&key.as_str()) {
                return Err(unknown(key, known));
            }
            // All before are known and there once: they are few.
            if self.members[..index].iter().any(|(earlier, _)| earlier == key) {
                let what = format!("\"{key}\" is there twice");
                return Err(wrong(what, "leave one of them out: only one could count"));
            }
        }
        let members = Members(self.members);
        members.flag(FAIL_FAST)?;
        match members.get(ID) {
            Some(id) if as_id(id).is_none() => {
                let what = format!("\"id\" is not a text of 1 to {MAX_ID} characters");
                Err(wrong(what, "write such a text in double quotes, or leave it out"))
            }
            _ => Ok(members),
        }
    }
}

impl Members {
    fn get(&self, key: &str) -> Option<&Value> {
        let mut members = self.0.iter();
        members.find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// A text, where it is there.
    pub(super) fn checked_text(&self, key: &str, example: &str) -> Result<Option<&str>, ErrorReport> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let wrong = || {
            wrong_kind(
                &named(key),
                value,
                "a text",
                &format!("send, for example, {example}"),
            )
        };
        value.as_str().ok_or_else(wrong).map(Some)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ErrorReport> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let flag = value.as_bool().ok_or_else(|| {
            let remedy = "write true or false, without quotes";
            wrong_kind(&named(key), value, "true or false", remedy)
        });
        flag.map(Some)
    }

    pub(super) fn number(
        &self,
        key: &str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, ErrorReport> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
        if !(value.is_u64() || value.is_i64()) {
            return Err(wrong_kind(&named(key), value, "a whole number", &remedy));
        }
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(rejected(format!("\"{key}\" is {value}, out of range"), remedy)),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&str>>, ErrorReport> {
        let remedy = format!("write \"{key}\":[\"..\",\"..\"], each in double quotes");
        let list = match self.get(key) {
            None => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(value) => return Err(wrong_kind(&named(key), value, "a list of texts", &remedy)),
        };
        let texts = list.iter().map(|value| {
            let entry = format!("an entry of \"{key}\"");
            value
                .as_str()
                .ok_or_else(|| wrong_kind(&entry, value, "a text", &remedy))
        });
        texts.collect::<Result<_, _>>().map(Some)
    }
}

fn as_id(value: &Value) -> Option<&str> {
    let fits = |id: &&str| (1..=MAX_ID).contains(&id.chars().count());
    value.as_str().filter(fits)
}

/// A payload that cannot be understood.
pub(super) fn wrong(message: impl Into<String>, remedy: impl Into<String>) -> ErrorReport {
    ErrorReport::new(ErrorKind::Decode, message, remedy)
}

/// A command that is understood, and cannot be.
pub(super) fn rejected(message: impl Into<String>, remedy: impl Into<String>) -> ErrorReport {
    ErrorReport::new(ErrorKind::Rejected, message, remedy)
}

fn unknown(key: &str, known: &[&str]) -> ErrorReport {
    let remedy = match nearest(key, known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known here: {}", known.join(", ")),
    };
    wrong(format!("unknown key {}", quoted(key)), remedy)
}

fn named(key: &str) -> String {
    format!("\"{key}\"")
}

fn wrong_kind(what: &str, value: &Value, wanted: &str, remedy: &str) -> ErrorReport {
    let found = kind_of(value);
    wrong(format!("{what} is {found} where {wanted} is needed"), remedy)
}

/// Reads an object into a list, so that a key which is there twice is noticed, and what was read before a
/// fault is not lost.
struct Object<'a>(&'a mut Vec<(String, Value)>);

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(member) = map.next_entry()? {
            self.0.push(member);
        }
        Ok(())
    }
}
