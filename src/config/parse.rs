//! Texts of the configuration into values: durations, ids, addresses, words to choose from. Pure; URLs have
//! a file of their own.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::problem::{Complaint, complaint};
use crate::model::DeviceId;
use crate::model::id::{MAX_ID_LENGTH, is_valid_id, to_id};
use crate::tls::Fingerprint;

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

type Parsed<T> = Result<T, Complaint>;

/// A duration within bounds.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl FnOnce(&str) -> Parsed<Duration> {
    move |text| {
        let parsed: Result<Span, _> = text.trim().parse();
        let duration = parsed.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
        let duration = duration.map_err(|_| match text.trim().parse::<f64>() {
            Ok(_) => no_unit(&range),
            Err(_) => complaint("not a duration", examples(&range)),
        })?;
        let duration = Duration::try_from(duration).ok();
        duration
            .filter(|duration| range.contains(duration))
            .ok_or_else(|| {
                let (least, most) = (spelled(*range.start()), spelled(*range.end()));
                complaint(
                    "out of range",
                    format!(r#"write at least "{least}" and at most "{most}""#),
                )
            })
    }
}

/// What is said of a bare number where a duration belongs.
pub(super) fn no_unit(range: &RangeInclusive<Duration>) -> Complaint {
    complaint("a number without a unit", examples(range))
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

/// One of these words.
pub(super) fn word<T: Copy>(choices: &[(&str, T)]) -> impl FnOnce(&str) -> Parsed<T> {
    move |text| {
        let found = choices.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
            complaint("not one of the choices", format!("write {}", words.join(" or ")))
        })
    }
}

/// An id: one level of a topic.
pub(super) fn id(text: &str) -> Parsed<DeviceId> {
    DeviceId::new(text).ok_or_else(|| id_complaint(text))
}

/// Why `text` is no id, and one that is.
pub(super) fn id_complaint(text: &str) -> Complaint {
    let what = "not an id of lower case letters, digits, _ and -";
    match to_id(text) {
        Some(id) => complaint(what, format!("write {id:?}")),
        None => complaint(what, format!("write 1 to {MAX_ID_LENGTH} of them")),
    }
}

/// A device's id.
pub(super) fn device_id(text: &str) -> Parsed<DeviceId> {
    if RESERVED_IDS.contains(&text) {
        let what = "taken by topics of the bridge itself";
        return Err(complaint(
            what,
            format!(r#"write another id, such as "{text}-1""#),
        ));
    }
    id(text)
}

/// The first levels of every topic.
pub(super) fn prefix(text: &str) -> Parsed<String> {
    if text.len() <= MAX_PREFIX && text.split('/').all(is_valid_id) {
        return Ok(text.to_owned());
    }
    let what = "not a topic prefix";
    let remedy = format!(
        r#"write at most {MAX_PREFIX} characters: levels of lower case letters, digits, _ and -, with / between them, such as "plant/lantime""#
    );
    Err(complaint(what, remedy))
}

/// A topic, or the first levels of one.
pub(super) fn topic(text: &str) -> Parsed<String> {
    let is_level = |level: &str| !level.is_empty() && !level.chars().any(char::is_control);
    if text.len() <= MAX_PREFIX && !text.contains(['+', '#']) && text.split('/').all(is_level) {
        return Ok(text.to_owned());
    }
    let remedy =
        format!("write at most {MAX_PREFIX} characters: levels with / between them, without + and #");
    Err(complaint("not a topic", remedy))
}

/// An MQTT client id.
pub(super) fn client_id(text: &str) -> Parsed<String> {
    let length = text.chars().count();
    if (1..=MAX_CLIENT_ID).contains(&length) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    let remedy = format!("write 1 to {MAX_CLIENT_ID} characters, none of them a control character");
    Err(complaint("not a client id", remedy))
}

/// An address to listen at.
pub(super) fn listen(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| {
        let remedy = r#"write an IP address and a port, such as "127.0.0.1:8080" or "[::]:8080""#;
        complaint("not an address to listen at", remedy)
    })
}

/// An address to listen at, or `off`.
pub(super) fn listen_or_off(text: &str) -> Parsed<Option<SocketAddr>> {
    if text == "off" {
        return Ok(None);
    }
    listen(text)
        .map(Some)
        .map_err(|Complaint { what, remedy }| complaint(what, format!(r#"{remedy}, or "off""#)))
}

/// A certificate's SHA-256.
pub(super) fn fingerprint(text: &str) -> Parsed<Fingerprint> {
    Fingerprint::parse(text).ok_or_else(|| {
        let remedy = r#"write "sha256:" and 64 hexadecimal digits, as "lantime2mqtt probe URL" prints it"#;
        complaint("not a certificate's fingerprint", remedy)
    })
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
        parsed.map_err(|complaint| complaint.what)
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
            assert!(prefix(good).is_ok(), "{good}");
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
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }
}
