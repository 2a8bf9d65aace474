//! The history as text. Pure, but for the time zone of this machine.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::cli::table::{self, plain};
use crate::web::history::{Page, Row};

/// Below so many seconds tenths are shown.
const SHORT: i64 = 10;

/// A line for each entry, the first page under a head.
pub(super) fn table(page: &Page, utc: bool, is_first: bool) -> String {
    if page.entries.is_empty() {
        return if is_first { nothing(page) } else { String::new() };
    }
    let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
    let head = ["TIME", "DEVICE", "WHAT", "CHANGE", "LASTED", "CAUSE"].map(str::to_owned);
    let rows = page.entries.iter().map(|entry| row(entry, &zone));
    let table = table::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
    match is_first {
        true => table,
        false => table
            .split_once('\n')
            .map_or_else(String::new, |(_, rows)| rows.to_owned()),
    }
}

/// Nobody is to take "nothing is kept" for "nothing has happened".
fn nothing(page: &Page) -> String {
    match &page.kept_since {
        Some(since) => format!("no changes; the history begins at {}\n", plain(since)),
        None => "no history is kept: history.keep is 0s\n".to_owned(),
    }
}

fn row(entry: &Row, zone: &TimeZone) -> [String; 6] {
    [
        time(&entry.at, zone),
        plain(&entry.device),
        plain(&what(entry)),
        plain(&format!("{} -> {}", entry.old, entry.new)),
        lasted(entry),
        plain(&cause(entry, zone)),
    ]
}

/// With the offset of the zone.
pub(in crate::cli) fn time(at: &str, zone: &TimeZone) -> String {
    match at.parse::<Timestamp>() {
        Ok(time) => time
            .to_zoned_datetime(zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S%:z")
            .to_string(),
        Err(_) => plain(at),
    }
}

fn what(entry: &Row) -> String {
    let slot = entry.slot.as_deref().unwrap_or_default();
    match (&entry.relay, &entry.signal, &entry.event) {
        (Some(relay), ..) => format!("{slot} relay {relay}"),
        (_, Some(signal), _) => format!("{slot} signal {signal}"),
        (.., Some(event)) => format!("event {event}"),
        _ if slot.is_empty() => "device".to_owned(),
        _ => format!("slot {slot}"),
    }
}

fn lasted(entry: &Row) -> String {
    match (&entry.until, entry.duration_s) {
        (None, _) => "still".to_owned(),
        // The clock was set in between.
        (Some(_), None) => "?".to_owned(),
        (Some(_), Some(seconds)) => length(seconds),
    }
}

/// So many seconds, for people.
pub(in crate::cli) fn length(seconds: f64) -> String {
    let whole = seconds.round() as i64;
    match whole < SHORT {
        true => format!("{seconds:.1}s"),
        false => format!("{:#}", SignedDuration::from_secs(whole)),
    }
}

fn cause(entry: &Row, zone: &TimeZone) -> String {
    match (&entry.cause, &entry.not_observed_since) {
        (Some(cause), _) => cause.clone(),
        (None, Some(since)) => format!("not observed since {}", time(since, zone)),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_line_with_its_time_cause_and_length() {
        let json = r#"{"kept_since":"2026-01-01T00:00:00.000Z","entries":[
            {"id":"3","at":"2026-02-10T09:46:00.500Z","device":"m1","slot":"io3","relay":"a","old":"NC","new":"NO"},
            {"id":"2","at":"2026-02-10T09:45:48.123Z","device":"m1","slot":"io3","relay":"a","old":"NO","new":"NC","cause":"clock-not-sync","until":"2026-02-10T11:46:00.500Z","duration_s":7212.377},
            {"id":"1","at":"2026-02-10T09:00:00.000Z","device":"m1","old":"online","new":"online","not_observed_since":"2026-02-10T08:00:00.000Z","until":"2026-02-10T08:59:00.000Z"}]}"#;
        let page: Page = serde_json::from_str(json).unwrap();
        let expected = "\
            TIME                       DEVICE  WHAT         CHANGE            LASTED     CAUSE\n\
            2026-02-10 09:46:00+00:00  m1      io3 relay a  NC -> NO          still\n\
            2026-02-10 09:45:48+00:00  m1      io3 relay a  NO -> NC          2h 12s     clock-not-sync\n\
            2026-02-10 09:00:00+00:00  m1      device       online -> online  ?          not observed since 2026-02-10 08:00:00+00:00\n";
        let found = table(&page, true, true);
        let words = |text: &str| {
            text.lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&found), words(expected));
        assert_eq!(words(&table(&page, true, false)), words(expected)[1..]);
        let empty = Page {
            entries: Vec::new(),
            ..page
        };
        assert!(table(&empty, true, true).contains("begins at 2026-01-01"));
    }

    #[test]
    fn a_length_is_rounded_and_a_short_one_has_tenths() {
        for (seconds, shown) in [
            (0.0, "0.0s"),
            (0.04, "0.0s"),
            (8.96, "9.0s"),
            (9.4, "9.4s"),
            (9.999, "10s"),
            (59.6, "1m"),
            (7211.5, "2h 12s"),
        ] {
            assert_eq!(length(seconds), shown, "{seconds}");
        }
    }

    #[test]
    fn times_are_those_of_a_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(
            time("2026-02-10T23:45:48.123Z", &zone),
            "2026-02-11 01:45:48+02:00"
        );
    }
}
