//! Times as devices write them -> instants. Pure.
//!
//! A device writes UTC without a zone (`2026-02-10T09:45:48`). What other firmware, or a user's setting, may put
//! beside it is read where it says which instant is meant. There is no time zone database here: the name of a zone
//! other than UTC says nothing.

use jiff::civil::DateTime;
use jiff::fmt::temporal::{Pieces, TimeZoneAnnotationKind};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// Length of `2026-02-10T09:45:48`.
const WITHOUT_ZONE: usize = 19;
/// Names of UTC, beside the `Z`.
const UTC_NAMES: [&str; 6] = ["UTC", "GMT", "Etc/UTC", "Etc/GMT", "UCT", "Zulu"];

/// The instant that is written; `None` where it is not known for certain which one is meant.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim_ascii();
    let (civil, rest) = text.split_at_checked(WITHOUT_ZONE)?;
    let is_leap = has_leap_second(civil)?;
    if rest.is_empty() && !is_leap {
        // As devices write it.
        let civil: DateTime = civil.parse().ok()?;
        return Offset::UTC.to_timestamp(civil).ok();
    }
    let text = format!("{civil}{}", without_blanks(rest));
    let pieces = Pieces::parse(text.as_bytes()).ok()?;
    let civil = DateTime::from_parts(pieces.date(), pieces.time()?);
    let at = offset(&pieces)?.to_timestamp(civil).ok()?;
    if is_leap { after_leap_second(at) } else { Some(at) }
}

/// Whether the seconds are 60 in a text of that length; `None` where it is no date and time with seconds.
fn has_leap_second(text: &str) -> Option<bool> {
    let text = text.as_bytes();
    let marks = [4, 7, 10, 13, 16].map(|place| text[place]);
    matches!(marks, [b'-', b'-', b'T' | b't' | b' ', b':', b':']).then(|| text.ends_with(b"60"))
}

/// A fraction and a zone without the blanks that may set a zone off (" UTC", " +02:00", "+02:00 [Europe/Berlin]"), and
/// with `Z` for UTC's names.
fn without_blanks(text: &str) -> String {
    let is_fraction = |c: char| matches!(c, '.' | ',' | '0'..='9');
    let (fraction, zone) = text.split_at(text.find(|c| !is_fraction(c)).unwrap_or(text.len()));
    match zone.trim_start() {
        // Digits that a blank sets off belong to nothing: as it is, it will not be read.
        zone if zone.starts_with(|c: char| c.is_ascii_digit()) => text.to_owned(),
        zone if is_utc(zone) => format!("{fraction}Z"),
        zone => format!("{fraction}{}", zone.replace(" [", "[")),
    }
}

fn is_utc(name: &str) -> bool {
    UTC_NAMES.iter().any(|utc| utc.eq_ignore_ascii_case(name))
}

/// What has to be subtracted to come to UTC; `None` where that is not known, or contradicts itself.
fn offset(pieces: &Pieces<'_>) -> Option<Offset> {
    let written = pieces.to_numeric_offset();
    let Some(annotation) = pieces.time_zone_annotation() else {
        return Some(written.unwrap_or(Offset::UTC));
    };
    let annotated = match annotation.kind() {
        TimeZoneAnnotationKind::Offset(offset) => Some(*offset),
        TimeZoneAnnotationKind::Named(name) => is_utc(name.as_str()).then_some(Offset::UTC),
        _ => None,
    };
    match (written, annotated) {
        (Some(written), Some(annotated)) => (written == annotated).then_some(written),
        (written, annotated) => written.or(annotated),
    }
}

/// A leap second is counted by POSIX, and so here, like the second after it. There is one only at the end of a month in
/// UTC. `at` is the second before it, since 60 was read as 59.
fn after_leap_second(at: Timestamp) -> Option<Timestamp> {
    let next = at.checked_add(SignedDuration::from_secs(1)).ok()?;
    let civil = Offset::UTC.to_datetime(next);
    let is_month_begin = (civil.day(), civil.hour(), civil.minute(), civil.second()) == (1, 0, 0, 0);
    is_month_begin.then_some(next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        instant(text).map(|at| at.to_string())
    }

    #[test]
    fn each_written_form_is_the_instant_that_it_means() {
        let nine = Some("2026-02-10T09:45:48Z");
        for (text, meant) in [
            ("2026-02-10T09:45:48", nine),
            ("2026-02-10 09:45:48", nine),
            (" 2026-02-10t09:45:48 ", nine),
            ("2026-02-10T09:45:48Z", nine),
            ("2026-02-10T09:45:48z", nine),
            ("2026-02-10 09:45:48 Z", nine),
            ("2026-02-10T09:45:48 UTC", nine),
            ("2026-02-10T09:45:48utc", nine),
            ("2026-02-10 09:45:48 GMT", nine),
            ("2026-02-10T09:45:48+00:00", nine),
            ("2026-02-10T09:45:48-00:00", nine),
            ("2026-02-10T10:45:48+01:00", nine),
            ("2026-02-10T10:45:48 +0100", nine),
            ("2026-02-10T10:45:48+01", nine),
            ("2026-02-10T04:15:48-05:30", nine),
            ("2026-02-09T23:45:48-10:00", nine),
            ("2026-02-10T10:45:48+01:00[Europe/Berlin]", nine),
            ("2026-02-10T10:45:48+01:00 [Europe/Berlin]", nine),
            ("2026-02-10T10:45:48+01:00[+01:00]", nine),
            ("2026-02-10T10:45:48[+01:00]", nine),
            ("2026-02-10T09:45:48Z[UTC]", nine),
            ("2026-02-10T09:45:48[UTC]", nine),
            ("2026-02-10T09:45:48[Etc/UTC]", nine),
            ("2026-02-10T09:45:48[!GMT]", nine),
            ("2026-02-10T09:45:48.25", Some("2026-02-10T09:45:48.25Z")),
            ("2026-02-10T09:45:48,5 UTC", Some("2026-02-10T09:45:48.5Z")),
            (
                "2026-02-10 10:45:48.123456789+01:00",
                Some("2026-02-10T09:45:48.123456789Z"),
            ),
            // Leap seconds: the one of 2016, as it was written in three places.
            ("2016-12-31T23:59:60", Some("2017-01-01T00:00:00Z")),
            ("2016-12-31T23:59:60.5Z", Some("2017-01-01T00:00:00.5Z")),
            (
                "2017-01-01T00:59:60+01:00[Europe/Berlin]",
                Some("2017-01-01T00:00:00Z"),
            ),
            ("2016-12-31 18:59:60 -0500", Some("2017-01-01T00:00:00Z")),
        ] {
            assert_eq!(read(text).as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_for_certain_is_left_out() {
        for text in [
            "",
            "yes",
            "2026-02-10",
            "2026-02-10T09:45",
            "20260210T094548",
            "2026-02-30T09:45:48",
            "2026-02-10T25:45:48",
            "2026-02-10T09:45:61",
            "10.02.2026 09:45:48",
            "02/10/2026 09:45:48",
            "2026-02-10T09:45:48[Europe/Berlin]",
            "2026-02-10T09:45:48 CET",
            "2026-02-10T09:45:48 UTC+1",
            "2026-02-10T09:45:48+01:00 UTC",
            "2026-02-10T10:45:48+01:00[UTC]",
            "2026-02-10T10:45:48+01:00[+02:00]",
            "2026-02-10T09:45:48+99:00",
            "2026-02-10T09:45:48+",
            "2026-02-10T09:45:48[",
            "2026-02-10T09:45:48 PM",
            "2026-02-10T09:45:48 5",
            "2026-02-10T09:45:48.5 5",
            // No leap second: within a day, within a month, or at the end of one that is not UTC's.
            "2026-02-10T09:45:60",
            "2016-12-30T23:59:60Z",
            "2016-12-31T23:59:60+01:00",
            "2016-12-31T23:59:60 CET",
            "2026-02-10T09:45:4ü",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_instant_is_read_back_from_each_form(
            second in 0..4_102_444_800_i64,
            nanosecond in prop_oneof![Just(0), 0..1_000_000_000],
            minutes in -14 * 60..=14 * 60_i32,
        ) {
            let at = Timestamp::new(second, nanosecond).expect("within the years");
            let utc = Offset::UTC.to_datetime(at);
            let there = Offset::from_seconds(minutes * 60).expect("below a day");
            let local = there.to_datetime(at);
            let (sign, hours, rest) = (if minutes < 0 { '-' } else { '+' }, minutes.abs() / 60, minutes.abs() % 60);
            let forms = [
                format!("{utc}"),
                format!("{utc}Z"),
                format!("{utc} UTC"),
                format!("{utc}[Etc/UTC]"),
                format!("{local}{sign}{hours:02}:{rest:02}"),
                format!("{local} {sign}{hours:02}{rest:02}"),
                format!("{local}{sign}{hours:02}:{rest:02}[Europe/Berlin]"),
                format!("{local}[{sign}{hours:02}:{rest:02}]"),
            ];
            for form in forms {
                prop_assert_eq!(instant(&form), Some(at), "{}", form);
                prop_assert_eq!(instant(&form.replacen('T', " ", 1)), Some(at), "{}", form);
            }
        }

        #[test]
        fn any_text_is_an_instant_or_none(text in any::<String>(), time in "[0-9TZ:. +\\[\\]UTC-]{0,40}") {
            let _ = (instant(&text), instant(&time), instant(&format!("2026-02-10T09:45:48{time}")));
        }
    }
}
