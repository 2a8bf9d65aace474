//! JSON with its keys in the order of writing, as the device sends it, and with places for the time that
//! can be overwritten without building the document again.

use jiff::Timestamp;
use std::borrow::Cow;
use std::io::Write;

/// A value to be written.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Text(Cow<'static, str>),
    Number(String),
    Bool(bool),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
    Time(TimeField),
}

/// A value that follows the clock. Each is written with a fixed width, so that it can be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeField {
    /// `2026-03-22T20:26:47`, of the answer.
    Stamp,
    /// `2026-03-22T20:26:47`, of what the answer shows.
    Updated,
    /// `2026-03-22T20:26:47.622380042 UTC`
    Nanoseconds,
    /// `2026-03-22T20:26:47.622Z`
    Milliseconds,
    /// Seconds since the start, as a number of twelve characters.
    Uptime,
}

/// Characters of an uptime; a device that runs for 300 years gets no wider.
const UPTIME_WIDTH: usize = 12;

impl TimeField {
    const fn width(self) -> usize {
        match self {
            Self::Stamp | Self::Updated => 19,
            Self::Nanoseconds => 33,
            Self::Milliseconds => 24,
            Self::Uptime => UPTIME_WIDTH,
        }
    }
}

/// An object, keys in the order given.
macro_rules! object {
    ($($key:literal : $value:expr),* $(,)?) => {
        $crate::simulator::document::json::Json::Object(vec![
            $(($key, $crate::simulator::document::json::Json::from($value))),*
        ])
    };
}
pub(crate) use object;

impl From<&'static str> for Json {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}
impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}
impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<i32> for Json {
    fn from(value: i32) -> Self {
        Self::Number(value.to_string())
    }
}
impl From<usize> for Json {
    fn from(value: usize) -> Self {
        Self::Number(value.to_string())
    }
}
impl From<f64> for Json {
    /// The documents hold finite numbers only; `Debug` writes them as JSON does, with a decimal point.
    fn from(value: f64) -> Self {
        Self::Number(format!("{value:?}"))
    }
}
impl From<Vec<Json>> for Json {
    fn from(values: Vec<Json>) -> Self {
        Self::List(values)
    }
}
impl From<TimeField> for Json {
    fn from(field: TimeField) -> Self {
        Self::Time(field)
    }
}

/// A written document and where its times stand.
#[derive(Clone, Debug)]
pub(crate) struct Rendered {
    pub(crate) body: Vec<u8>,
    pub(crate) places: Vec<(usize, TimeField)>,
}

/// Writes a document with two blanks of indentation, without the objects' entries whose key is in `missing`.
pub(crate) fn render(document: &Json, missing: &[String]) -> Rendered {
    let mut rendered = Rendered {
        body: Vec::with_capacity(32 * 1024),
        places: Vec::new(),
    };
    write(document, missing, 0, &mut rendered);
    rendered.body.push(b'\n');
    rendered.body.shrink_to_fit();
    rendered
}

fn write(value: &Json, missing: &[String], depth: usize, out: &mut Rendered) {
    match value {
        Json::Text(text) => write_text(text, &mut out.body),
        Json::Number(number) => out.body.extend_from_slice(number.as_bytes()),
        Json::Bool(value) => out
            .body
            .extend_from_slice(if *value { b"true" } else { b"false" }),
        Json::List(values) => write_all(values.iter().map(|v| (None, v)), missing, depth, *b"[]", out),
        Json::Object(entries) => {
            let kept = entries
                .iter()
                .filter(|(key, _)| !missing.iter().any(|m| m == key));
            write_all(
                kept.map(|(key, value)| (Some(*key), value)),
                missing,
                depth,
                *b"{}",
                out,
            );
        }
        Json::Time(field) => write_time(*field, out),
    }
}

fn write_all<'a>(
    values: impl Iterator<Item = (Option<&'static str>, &'a Json)>,
    missing: &[String],
    depth: usize,
    [open, close]: [u8; 2],
    out: &mut Rendered,
) {
    out.body.push(open);
    let mut first = true;
    for (key, value) in values {
        if !first {
            out.body.push(b',');
        }
        first = false;
        new_line(depth + 1, &mut out.body);
        if let Some(key) = key {
            write_text(key, &mut out.body);
            out.body.extend_from_slice(b": ");
        }
        write(value, missing, depth + 1, out);
    }
    if !first {
        new_line(depth, &mut out.body);
    }
    out.body.push(close);
}

fn new_line(depth: usize, body: &mut Vec<u8>) {
    body.push(b'\n');
    body.resize(body.len() + 2 * depth, b' ');
}

fn write_text(text: &str, body: &mut Vec<u8>) {
    serde_json::to_writer(body, text).expect("a string is written to memory");
}

fn write_time(field: TimeField, out: &mut Rendered) {
    let quoted = field != TimeField::Uptime;
    if quoted {
        out.body.push(b'"');
    }
    out.places.push((out.body.len(), field));
    out.body.resize(out.body.len() + field.width(), b'0');
    if quoted {
        out.body.push(b'"');
    }
}

/// Overwrites the times of a document. `places` come from the rendering that made `body`.
pub(crate) fn set_time(body: &mut [u8], places: &[(usize, TimeField)], now: Timestamp, booted_at: Timestamp) {
    let mut text = [0_u8; 30];
    write!(&mut text[..], "{now:.9}").expect("an RFC 3339 time with nine digits has 30 characters");
    for &(at, field) in places {
        let target = &mut body[at..at + field.width()];
        match field {
            TimeField::Stamp | TimeField::Updated => target.copy_from_slice(&text[..19]),
            TimeField::Nanoseconds => {
                target[..29].copy_from_slice(&text[..29]);
                target[29..].copy_from_slice(b" UTC");
            }
            TimeField::Milliseconds => {
                target[..23].copy_from_slice(&text[..23]);
                target[23] = b'Z';
            }
            TimeField::Uptime => write_uptime(target, now.duration_since(booted_at).as_secs_f64()),
        }
    }
}

/// The width stays the same because the fraction takes what the whole seconds leave.
fn write_uptime(mut target: &mut [u8], seconds: f64) {
    let seconds = seconds.max(0.0);
    let whole_digits = 1 + (seconds.max(1.0).log10() as usize);
    let decimals = UPTIME_WIDTH.saturating_sub(whole_digits + 1).clamp(1, 6);
    let width = UPTIME_WIDTH;
    // A number may not begin with zeros; blanks before it are as good as none to a reader of JSON.
    _ = write!(target, "{seconds:>width$.decimals$}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_missing_ones_are_left_out() {
        let document = object! { "z": 1, "a": object! { "left-out": true, "kept": 0.5 }, "list": Vec::new() };
        let rendered = render(&document, &["left-out".to_owned()]);
        let text = String::from_utf8(rendered.body).unwrap();
        assert_eq!(
            text,
            "{\n  \"z\": 1,\n  \"a\": {\n    \"kept\": 0.5\n  },\n  \"list\": []\n}\n"
        );
    }

    #[test]
    fn times_are_overwritten_in_place_at_any_uptime() {
        let document = object! {
            "stamp": TimeField::Stamp, "nanoseconds": TimeField::Nanoseconds,
            "milliseconds": TimeField::Milliseconds, "uptime": TimeField::Uptime,
        };
        let mut rendered = render(&document, &[]);
        let booted_at: Timestamp = "2026-03-22T20:26:47Z".parse().unwrap();
        for seconds in [0_i64, 1, 9, 10, 99_999, 100_000, 31_536_000 * 290] {
            let now = booted_at + jiff::SignedDuration::new(seconds, 622_380_042);
            set_time(&mut rendered.body, &rendered.places, now, booted_at);
            let value: serde_json::Value = serde_json::from_slice(&rendered.body).unwrap();
            let uptime = value["uptime"].as_f64().unwrap();
            assert!(
                (uptime - seconds as f64 - 0.622).abs() < 0.1,
                "{uptime} is not {seconds}"
            );
            assert_eq!(value["stamp"].as_str().unwrap(), &now.to_string()[..19]);
        }
        set_time(&mut rendered.body, &rendered.places, booted_at, booted_at);
        let text = String::from_utf8(rendered.body).unwrap();
        assert!(text.contains("\"2026-03-22T20:26:47.000000000 UTC\""), "{text}");
        assert!(text.contains("\"2026-03-22T20:26:47.000Z\""), "{text}");
    }
}
