//! Texts of the configuration into values: durations, ids, addresses, words to choose from. Pure; URLs have
//! a file of their own.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::problem::Problem;
use crate::model::DeviceId;
use crate::model::id::{MAX_ID_LENGTH, is_valid_id, to_id};
use crate::wording::is_name;

/// Device ids that would collide with the bridge's own topics.
const RESERVED_IDS: [&str; 2] = ["bridge", "dead-letter"];

/// Longest client id; every broker takes that many characters, also with a suffix per connection.
pub(super) const MAX_CLIENT_ID: usize = 64;

/// Longest topic prefix; a limit of ours.
const MAX_PREFIX: usize = 256;

/// Durations to show how one is written.
const EXAMPLES: [(&str, Duration); 6] = [
    ("1s", Duration::from_secs(1)),
    ("500ms", Duration::from_millis(500)),
    ("30s", Duration::from_secs(30)),
    ("15m", Duration::from_secs(15 * 60)),
    ("1h", Duration::from_secs(3600)),
    ("1d", Duration::from_secs(DAY)),
];

/// Seconds of a day.
const DAY: u64 = 24 * 3600;

type Parsed<T> = Result<T, Problem>;

/// A duration as the configuration writes it.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    // One that is negative is out of every range.
    Some(Duration::try_from(duration).unwrap_or(Duration::MAX))
}

/// A duration within bounds.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&str) -> Parsed<Duration> {
    move |text| {
        let duration = span(text).ok_or_else(|| match text.trim().parse::<f64>() {
            Ok(_) => no_unit(&range),
            Err(_) => Problem::new("not a duration", examples(&range)),
        })?;
        let (least, most) = (spelled(*range.start()), spelled(*range.end()));
        let remedy = || format!(r#"write at least "{least}" and at most "{most}""#);
        let is_within = range.contains(&duration);
        is_within
            .then_some(duration)
            .ok_or_else(|| Problem::new("out of range", remedy()))
    }
}

/// What is said of a bare number where a duration belongs.
pub(super) fn no_unit(range: &RangeInclusive<Duration>) -> Problem {
    Problem::new("a number without a unit", examples(range))
}

/// How a duration of that range is written.
fn examples(range: &RangeInclusive<Duration>) -> String {
    let fitting = EXAMPLES.iter().filter(|(_, duration)| range.contains(duration));
    let fitting: Vec<_> = fitting.take(2).map(|(text, _)| format!("{text:?}")).collect();
    format!("write a number and a unit, such as {}", fitting.join(" or "))
}

/// As the configuration writes it.
pub(super) fn spelled(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() == 0 && seconds > 0 && seconds.is_multiple_of(DAY) {
        return format!("{}d", seconds / DAY);
    }
    SignedDuration::try_from(duration).map_or_else(|_| format!("{duration:?}"), |d| format!("{d:#}"))
}

/// An id: one level of a topic.
pub(super) fn id(text: &str) -> Parsed<DeviceId> {
    DeviceId::new(text).ok_or_else(|| id_problem(text))
}

/// Why `text` is no id, and one that is.
pub(super) fn id_problem(text: &str) -> Problem {
    let what = "not an id of lower case letters, digits, _ and -";
    match to_id(text) {
        Some(id) => Problem::new(what, format!("write {id:?}")),
        None => Problem::new(what, format!("write 1 to {MAX_ID_LENGTH} of them")),
    }
}

/// A device's id.
pub(super) fn device_id(text: &str) -> Parsed<DeviceId> {
    if RESERVED_IDS.contains(&text) {
        let what = "taken by topics of the bridge itself";
        return Err(Problem::new(
            what,
            format!(r#"write another id, such as "{text}-1""#),
        ));
    }
    id(text)
}

/// The first levels of every topic.
pub(super) fn prefix(text: &str) -> Option<String> {
    let is_prefix = text.len() <= MAX_PREFIX && text.split('/').all(is_valid_id);
    is_prefix.then(|| text.to_owned())
}

/// A text that is not empty.
pub(super) fn filled(text: &str) -> Parsed<String> {
    match text {
        "" => Err(Problem::new("empty", "write a value, or leave the key out")),
        _ => Ok(text.to_owned()),
    }
}

/// Words for people, in one line.
pub(super) fn name(text: &str) -> Option<String> {
    (is_name(text) && text.trim() == text).then(|| text.to_owned())
}

/// A topic, or the first levels of one.
pub(super) fn topic(text: &str) -> Option<String> {
    let is_level = |level: &str| !level.is_empty() && !level.chars().any(char::is_control);
    let is_topic = !text.contains(['+', '#']) && text.split('/').all(is_level);
    (is_topic && text.len() <= MAX_PREFIX).then(|| text.to_owned())
}

/// An MQTT client id.
pub(super) fn client_id(text: &str) -> Option<String> {
    let is_id = (1..=MAX_CLIENT_ID).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    is_id.then(|| text.to_owned())
}

/// An address to listen at, or `off`.
pub(super) fn listen_or_off(text: &str) -> Option<Option<SocketAddr>> {
    match text {
        "off" => Some(None),
        _ => text.parse().ok().map(Some),
    }
}

/// The octets that hexadecimal digits stand for, two digits each.
pub(crate) fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
    let octet = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
    digits.as_bytes().chunks(2).map(octet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn read(text: &str) -> Result<Duration, String> {
        let parsed = duration(Duration::from_millis(100)..=HOUR)(text);
        parsed.map_err(|problem| problem.what)
    }

    #[test]
    fn durations_have_a_unit_and_bounds() {
        assert_eq!(read("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(read("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(read("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(read("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(read("1h"), Ok(HOUR));
        assert_eq!(duration(HOUR..=HOUR * 48)("1d 2h").ok(), Some(HOUR * 26));
        assert_eq!(read("5"), Err("a number without a unit".to_owned()));
        assert_eq!(read("1.5"), Err("a number without a unit".to_owned()));
        for text in ["", "s", "1 parsec", "inf", "1mo", "1y"] {
            assert!(read(text).is_err(), "{text}");
        }
        for text in ["99ms", "0s", "-1s", "61m", "1s ago", "9999999999h"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(
            [HOUR, HOUR * 48, Duration::from_millis(100)].map(spelled),
            ["1h", "2d", "100ms"]
        );
    }

    #[test]
    fn a_prefix_is_levels_of_ids() {
        for good in ["lantime", "plant/a_b-1"] {
            assert!(prefix(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "a/+",
            "#",
            "$sys",
            "A",
            "a\0",
            &"a".repeat(300),
        ] {
            assert!(prefix(bad).is_none(), "{bad}");
        }
    }
}
