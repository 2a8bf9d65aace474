//! A payload as named fields in the order of the contract: one JSON object, or one plain text per field.
//!
//! A field that does not apply is [`Field::Absent`]: JSON leaves it out, the scalar layout clears its topic.

use bytes::Bytes;
use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::model::time::rfc3339;

/// The fields of a payload or of an object in it.
pub(crate) type Fields = Vec<(&'static str, Field)>;

/// One field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    /// Does not apply now.
    Absent,
    /// Text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// Whole number.
    Count(u64),
    /// Measured number.
    Number(f64),
    /// Texts; absent when there are none.
    List(Vec<String>),
    /// Texts; there even when there are none.
    Names(Vec<String>),
    /// Fields of its own; absent when all of them are.
    Object(Fields),
    /// Objects in a row; the scalar layout has them as JSON in one topic.
    Rows(Vec<Fields>),
    /// Objects in a row, absent when there are none; the scalar layout has their first fields, which are names.
    NamedRows(Vec<Fields>),
}

impl Field {
    /// Text, or nothing.
    pub(crate) fn text(text: Option<impl Into<String>>) -> Field {
        text.map_or(Field::Absent, |text| Field::Text(text.into()))
    }

    /// A time: RFC 3339 in UTC, with milliseconds.
    pub(crate) fn time(at: Option<Timestamp>) -> Field {
        Field::text(at.map(rfc3339))
    }

    /// Yes, no, or the word `unknown`.
    pub(crate) fn known(flag: Option<bool>) -> Field {
        flag.map_or_else(|| Field::Text("unknown".to_owned()), Field::Flag)
    }

    fn is_absent(&self) -> bool {
        match self {
            Field::Absent => true,
            Field::List(texts) => texts.is_empty(),
            Field::NamedRows(rows) => rows.is_empty(),
            Field::Object(fields) => fields.iter().all(|(_, field)| field.is_absent()),
            Field::Text(_) | Field::Flag(_) | Field::Count(_) | Field::Number(_) => false,
            Field::Names(_) | Field::Rows(_) => false,
        }
    }
}

/// The fields as a JSON object.
pub(crate) fn to_json(fields: &Fields) -> Bytes {
    let json = serde_json::to_vec(&Object(fields)).expect("fields have text keys and no failing values");
    // Kept for as long as the topic: without the room to grow that serialising left.
    Bytes::from(json.into_boxed_slice())
}

/// Calls `each` for every field that the scalar layout gives a topic, with its path and its text;
/// `None` where the field does not apply.
pub(crate) fn for_each_scalar(fields: &Fields, each: &mut impl FnMut(&[&str], Option<String>)) {
    walk(fields, &mut Vec::new(), each);
}

fn walk<'a>(fields: &'a Fields, path: &mut Vec<&'a str>, each: &mut impl FnMut(&[&str], Option<String>)) {
    for (name, field) in fields {
        path.push(name);
        match field {
            Field::Object(fields) => walk(fields, path, each),
            field if field.is_absent() => each(path, None),
            Field::Text(text) => each(path, Some(text.clone())),
            Field::Flag(flag) => each(path, Some(flag.to_string())),
            Field::Count(count) => each(path, Some(count.to_string())),
            Field::Number(number) => each(path, Some(number.to_string())),
            Field::List(texts) | Field::Names(texts) => each(path, Some(texts.join(","))),
            Field::Rows(_) => each(path, serde_json::to_string(field).ok()),
            Field::NamedRows(rows) => each(path, Some(names(rows).join(","))),
            Field::Absent => each(path, None),
        }
        path.pop();
    }
}

fn names(rows: &[Fields]) -> Vec<&str> {
    let first = rows.iter().filter_map(|row| row.first());
    first
        .filter_map(|(_, field)| match field {
            Field::Text(name) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

struct Object<'a>(&'a Fields);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, field) in self.0.iter().filter(|(_, field)| !field.is_absent()) {
            map.serialize_entry(name, field)?;
        }
        map.end()
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Field::Absent => serializer.serialize_none(),
            Field::Text(text) => serializer.serialize_str(text),
            Field::Flag(flag) => serializer.serialize_bool(*flag),
            Field::Count(count) => serializer.serialize_u64(*count),
            Field::Number(number) => serializer.serialize_f64(*number),
            Field::List(texts) | Field::Names(texts) => texts.serialize(serializer),
            Field::Object(fields) => Object(fields).serialize(serializer),
            Field::Rows(rows) | Field::NamedRows(rows) => {
                let mut list = serializer.serialize_seq(Some(rows.len()))?;
                for row in rows {
                    list.serialize_element(&Object(row))?;
                }
                list.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_apply_is_left_out_of_json_and_cleared_as_scalar() {
        let fields: Fields = vec![
            ("position", Field::Text("NC".to_owned())),
            ("fault", Field::known(None)),
            ("clears", Field::List(vec![])),
            ("names", Field::List(vec!["a".to_owned(), "b".to_owned()])),
            ("none", Field::NamedRows(vec![])),
            (
                "causes",
                Field::NamedRows(
                    ["x", "y"]
                        .map(|name| vec![("cause", Field::Text(name.to_owned()))])
                        .into(),
                ),
            ),
            ("last", Field::Object(vec![("at", Field::Absent)])),
            (
                "rtt_ms",
                Field::Object(vec![("mean", Field::Number(1.5)), ("max", Field::Count(3))]),
            ),
        ];
        let json = r#"{"position":"NC","fault":"unknown","names":["a","b"],"causes":[{"cause":"x"},{"cause":"y"}],"rtt_ms":{"mean":1.5,"max":3}}"#;
        assert_eq!(to_json(&fields), json);
        let mut scalars = Vec::new();
        for_each_scalar(&fields, &mut |path, text| scalars.push((path.join("/"), text)));
        let expected = [
            ("position", Some("NC")),
            ("fault", Some("unknown")),
            ("clears", None),
            ("names", Some("a,b")),
            ("none", None),
            ("causes", Some("x,y")),
            ("last/at", None),
            ("rtt_ms/mean", Some("1.5")),
            ("rtt_ms/max", Some("3")),
        ];
        assert_eq!(
            scalars,
            expected.map(|(path, text)| (path.to_owned(), text.map(str::to_owned)))
        );
    }
}
