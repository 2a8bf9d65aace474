//! What leaves the bridge as JSON, and where: one struct for each topic, record and reply, and every topic built and
//! parsed. Users build on it, so a change here is a change for them.
//!
//! Pure: values of the model in, text out. The page's API shows the same structs, and the scalar layout is made of them.
//! `tests/contract/golden` shows all of it by examples, in a file for each topic.

pub(crate) mod dead_letter;
pub(crate) mod dead_letter_marks;
pub(crate) mod incident;
pub mod read_back;
pub(crate) mod record;
pub mod reply;
pub mod scalar;
pub mod state;
pub mod topics;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::model::time::rfc3339;

pub(crate) fn to_json(value: &impl Serialize) -> Bytes {
    let json = serde_json::to_vec(value).expect("texts, numbers and flags can be written as JSON");
    Bytes::from(json)
}

/// A time: RFC 3339 in UTC, with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Time(pub(crate) Timestamp);

impl TryFrom<String> for Time {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Time, jiff::Error> {
        text.parse().map(Time)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(self.0))
    }
}

/// A value, or the word `unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OrUnknown<T>(pub(crate) Option<T>);

impl<T: Serialize> Serialize for OrUnknown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str("unknown"),
        }
    }
}

/// Whether a mark that is only shown while it is set is left out.
fn is_unset(mark: &bool) -> bool {
    !mark
}
