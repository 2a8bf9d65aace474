//! What is asked of the history. Pure.

use axum::http::StatusCode;
use jiff::Timestamp;
use reqwest::Url;

use crate::config::span;
use crate::history::Window;
use crate::model::{DeviceId, ErrorKind};
use crate::records::store::{HistoryFilter, HistoryQuery};
use crate::web::answer::Refusal;
use crate::wording::quoted;

/// Entries that are given where nobody says how many.
const USUAL: usize = 100;
/// Faults that are given where nobody says how many.
const USUAL_FAULTS: usize = 1000;
/// The most entries or faults that are given at a time.
const MOST: usize = 10_000;
/// The time that is shown where nobody says from when on.
const USUAL_TIME: &str = "24h";

/// What to write where something is no [`moment`].
pub(crate) const REMEDY: &str =
    "write a time in RFC 3339, such as 2026-02-10T09:45:48Z, or how long ago, such as 24h or 7d";

/// Which entries are wanted.
#[derive(Debug)]
pub(super) struct OfEntries {
    pub(super) of: HistoryFilter,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
    pub(super) before: Option<u64>,
    pub(super) limit: Option<usize>,
}

/// A device, and when.
#[derive(Debug)]
pub(super) struct OfDevice {
    pub(super) device: DeviceId,
    pub(super) window: Window,
}

/// Faults, of all devices or one.
#[derive(Debug)]
pub(super) struct OfFaults {
    pub(super) device: Option<DeviceId>,
    pub(super) window: Window,
    pub(super) limit: usize,
}

impl OfEntries {
    pub(super) fn read(query: &str, now: Timestamp) -> Result<OfEntries, Refusal> {
        let mut asked = OfEntries {
            of: HistoryFilter::default(),
            from: None,
            to: None,
            before: None,
            limit: None,
        };
        for (key, value) in pairs(query) {
            let of = &mut asked.of;
            match key.as_str() {
                "device" => of.device = Some(device(&value)?),
                "slot" => of.slot = Some(value),
                "relay" => of.relay = Some(value.to_ascii_lowercase()),
                "signal" => of.signal = Some(value),
                "event" => of.event = Some(value),
                "from" => asked.from = Some(time(&key, &value, now)?),
                "to" => asked.to = Some(time(&key, &value, now)?),
                "cursor" => asked.before = Some(cursor(&value)?),
                "limit" => asked.limit = Some(limit(&value)?),
                _ => {
                    let known = "device, slot, relay, signal, event, from, to, limit or cursor";
                    return Err(unknown(&key, known));
                }
            }
        }
        Ok(asked)
    }

    /// A page of them.
    pub(super) fn query(self) -> HistoryQuery {
        HistoryQuery {
            of: self.of,
            from: self.from,
            to: self.to,
            before: self.before,
            limit: self.limit.unwrap_or(USUAL),
        }
    }
}

impl OfDevice {
    pub(super) fn read(query: &str, now: Timestamp) -> Result<OfDevice, Refusal> {
        let mut of = None;
        let window = window(query, now, |key, value| {
            match key {
                "device" => of = Some(device(value)?),
                _ => return Err(unknown(key, "device, from or to")),
            }
            Ok(())
        })?;
        let missing = || refused("no device is named".to_owned(), "write ?device= and its id");
        Ok(OfDevice {
            device: of.ok_or_else(missing)?,
            window,
        })
    }
}

impl OfFaults {
    pub(super) fn read(query: &str, now: Timestamp) -> Result<OfFaults, Refusal> {
        let (mut of, mut most) = (None, USUAL_FAULTS);
        let window = window(query, now, |key, value| {
            match key {
                "device" => of = Some(device(value)?),
                "limit" => most = limit(value)?,
                _ => return Err(unknown(key, "device, from, to or limit")),
            }
            Ok(())
        })?;
        Ok(OfFaults {
            device: of,
            window,
            limit: most,
        })
    }
}

/// From when to when; what else is asked is for `other`.
fn window(
    query: &str,
    now: Timestamp,
    mut other: impl FnMut(&str, &str) -> Result<(), Refusal>,
) -> Result<Window, Refusal> {
    let (mut from, mut to) = (time("from", USUAL_TIME, now)?, now);
    for (key, value) in pairs(query) {
        match key.as_str() {
            "from" => from = time(&key, &value, now)?,
            "to" => to = time(&key, &value, now)?,
            _ => other(&key, &value)?,
        }
    }
    // Nobody knows what is to come.
    let to = to.min(now);
    if from >= to {
        let message = format!("there is no time between {from} and {to}");
        return Err(refused(message, "write a from that is before to, and before now"));
    }
    Ok(Window { from, to })
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let url = Url::parse(&format!("http://localhost/?{query}"));
    let pairs = url.iter().flat_map(Url::query_pairs);
    // An empty one is as good as none: forms send it.
    let pairs = pairs.filter(|(_, value)| !value.is_empty());
    pairs
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect()
}

fn device(text: &str) -> Result<DeviceId, Refusal> {
    let wrong = || {
        refused(
            format!("{} is no id of a device", quoted(text)),
            "GET /api/devices lists them",
        )
    };
    DeviceId::new(text).ok_or_else(wrong)
}

/// A time, or how long before now.
pub(crate) fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let before = || {
        now.checked_sub(jiff::SignedDuration::try_from(span(text)?).ok()?)
            .ok()
    };
    text.parse().ok().or_else(before)
}

fn time(key: &str, text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    moment(text, now).ok_or_else(|| {
        let message = format!("{key}={} is no time", quoted(text));
        refused(message, format!("{REMEDY}; + is %2B in a query"))
    })
}

fn cursor(text: &str) -> Result<u64, Refusal> {
    let wrong = || {
        refused(
            format!("{} is no cursor", quoted(text)),
            "write next of the answer before",
        )
    };
    text.parse().map_err(|_| wrong())
}

fn limit(text: &str) -> Result<usize, Refusal> {
    let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| {
        let remedy = format!("write a number from 1 to {MOST}");
        refused(format!("{} is no limit", quoted(text)), remedy)
    })
}

fn unknown(key: &str, known: &str) -> Refusal {
    refused(
        format!("{} cannot be asked for", quoted(key)),
        format!("write {known}"),
    )
}

pub(super) fn refused(message: String, remedy: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, ErrorKind::Rejected, message, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-02-10T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_is_asked_is_read() {
        let query = "device=m1&slot=io3&relay=A&signal=&from=2026-02-10T10%3A00%3A00%2B01%3A00&to=1h&limit=7&cursor=42";
        let asked = OfEntries::read(query, now()).unwrap().query();
        assert_eq!(asked.of.device, DeviceId::new("m1"));
        assert_eq!((asked.of.relay.as_deref(), asked.of.signal), (Some("a"), None));
        assert_eq!(asked.from, "2026-02-10T09:00:00Z".parse().ok());
        assert_eq!(asked.to, "2026-02-10T11:00:00Z".parse().ok());
        assert_eq!((asked.limit, asked.before), (7, Some(42)));
        assert_eq!(OfEntries::read("", now()).unwrap().query().limit, USUAL);
    }

    #[test]
    fn a_window_ends_now_at_the_latest() {
        let asked = OfDevice::read("device=m1&to=2030-01-01T00:00:00Z", now()).unwrap();
        assert_eq!(asked.window.to, now());
        assert_eq!(asked.window.from, "2026-02-09T12:00:00Z".parse().unwrap());
        let asked = OfDevice::read("device=m1&from=7d&to=1d", now()).unwrap();
        assert_eq!(asked.window.from, "2026-02-03T12:00:00Z".parse().unwrap());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_write() {
        for query in [
            "device=A",
            "from=yesterday",
            "cursor=x",
            "limit=0",
            "limit=10001",
            "relais=a",
        ] {
            let refusal = OfEntries::read(query, now()).unwrap_err();
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{query}");
            assert!(!refusal.error.remedy.is_empty(), "{query}");
        }
        for query in ["", "device=m1&slot=io3", "device=m1&from=1h&to=2h"] {
            assert!(OfDevice::read(query, now()).is_err(), "{query}");
        }
        for query in ["relay=a", "limit=0", "from=1h&to=2h"] {
            assert!(OfFaults::read(query, now()).is_err(), "{query}");
        }
    }
}
