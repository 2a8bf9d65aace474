//! The answer as sent, read with a profile -> a [`Snapshot`]. Pure.
//!
//! `events` and `modules` read the two parts that matter, this file who the device is, and takes notes.
//! What is missing, malformed or of another type costs its field and leaves a note; only an answer that is no status
//! document at all is an error.

mod events;
mod modules;
mod time;

use std::time::Duration;

use events::KnownEvents;
use jiff::{SignedDuration, Timestamp};
use time::instant;

use super::json::JsonBody;
use super::profile::Profiles;
use super::wire::{Data, Document, List, Node, Scalar};
use crate::model::snapshot::major_version;
use crate::model::{Identity, SlotId, Snapshot, Text};

/// Most notes that one document may leave; more would only repeat themselves.
const MAX_NOTES: usize = 32;
/// Longest text of a device that is kept; a limit of ours, against malformed input.
const MAX_TEXT: usize = 256;

/// Why an answer is no status document.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Not JSON, and beyond repair.
    #[error("the answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not what a LANTIME answers.
    #[error("the answer is JSON, but no LANTIME status document: {0}")]
    NotStatus(String),
}

/// A status document, read for a person.
#[derive(Debug)]
pub struct Reading {
    /// What it reports.
    pub snapshot: Snapshot,
    /// What each entry of the profile found in it.
    pub entries: Vec<Entry>,
}

/// What an entry of the profile found in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry's name in the profile.
    pub name: &'static str,
    /// Where it was looked up: the slot.
    pub slot: SlotId,
    /// What stood there; `None` where the pointer resolves to nothing.
    pub found: Option<String>,
    /// Whether the profile knows what that means.
    pub understood: bool,
}

/// What a status document says of its own times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// How long the device has been running.
    pub uptime: Option<Duration>,
    /// How much older than the answer what it shows may be, by the device's own clock: from `api-last-update`, or
    /// `current-time` where that is older, to the end of the second that the envelope's `time-stamp` names. `None` where
    /// the device does not say, or nothing sound follows from it.
    pub lag: Option<Duration>,
}

/// Longest lag that is believed: a clock that was set meanwhile, or an update of another kind, would keep what traps
/// have moved for too long.
const MAX_LAG: Duration = Duration::from_secs(30);

/// Reads the status documents of one device, poll by poll. What stands in a document as it stood in the one before is
/// not read again.
#[derive(Debug, Default)]
pub struct StatusReader {
    known_events: Option<KnownEvents>,
}

impl StatusReader {
    /// What a status document reports, and what it says of its times.
    ///
    /// # Errors
    /// When the answer is broken JSON, or has neither slots nor notification events.
    pub fn read(
        &mut self,
        body: &[u8],
        profiles: &Profiles,
        web_interface: &str,
    ) -> Result<(Snapshot, Timing), StatusError> {
        let mut reader = Reader {
            known_events: self.known_events.take(),
            ..Reader::default()
        };
        let snapshot = read_into(&mut reader, body, profiles, web_interface);
        self.known_events = reader.known_events;
        Ok((snapshot?, reader.timing))
    }
}

/// What a status document reports.
///
/// # Errors
/// As [`StatusReader::read`].
pub fn snapshot(body: &[u8], profiles: &Profiles, web_interface: &str) -> Result<Snapshot, StatusError> {
    read_into(&mut Reader::default(), body, profiles, web_interface)
}

/// Reads a status document, and says what each entry of the profile found in it.
///
/// # Errors
/// As [`StatusReader::read`].
pub fn read(body: &[u8], profiles: &Profiles, web_interface: &str) -> Result<Reading, StatusError> {
    let mut reader = Reader {
        entries: Some(Vec::new()),
        ..Reader::default()
    };
    let snapshot = read_into(&mut reader, body, profiles, web_interface)?;
    Ok(Reading {
        snapshot,
        entries: reader.entries.unwrap_or_default(),
    })
}

fn read_into(
    reader: &mut Reader,
    body: &[u8],
    profiles: &Profiles,
    web_interface: &str,
) -> Result<Snapshot, StatusError> {
    let body = JsonBody::new(body);
    let snapshot = read_document(reader, &body.read()?, profiles, web_interface);
    let mut snapshot = if reader.is_malformed && !body.is_repaired() {
        *reader = reader.begin_again();
        let snapshot = read_document(reader, &body.read_repaired()?, profiles, web_interface);
        if reader.is_malformed {
            return Err(body.error().into());
        }
        snapshot
    } else {
        snapshot
    }?;
    // First: they say why a field is not as expected.
    snapshot.notes.splice(..0, body.notes().iter().cloned());
    snapshot.notes.truncate(MAX_NOTES);
    Ok(snapshot)
}

fn read_document(
    reader: &mut Reader,
    document: &Node<Document<'_>>,
    profiles: &Profiles,
    web_interface: &str,
) -> Result<Snapshot, StatusError> {
    let document = match document {
        Node::Found(document) => document,
        Node::Other(kind) => return Err(StatusError::NotStatus(format!("it is {kind}"))),
        Node::Missing => return Err(StatusError::NotStatus("it is empty".to_owned())),
    };
    let Some(data) = document.data.found() else {
        return Err(StatusError::NotStatus("it has no object \"data\"".to_owned()));
    };
    let slots = data.chassis0.found().map(|chassis| &chassis.slots);
    let has_slots = slots.is_some_and(|slots| slots.other.is_none());
    let notification = data.notification.found();
    let has_events = notification.is_some_and(|notification| notification.events.is_list());
    if !has_slots && !has_events {
        let reason = "its \"data\" has neither \"chassis0.slots\" nor \"notification.events\"";
        return Err(StatusError::NotStatus(reason.to_owned()));
    }
    let mut identity = reader.identity(document, data);
    let profile = profiles.for_version(identity.api_version.as_deref().and_then(major_version));
    identity.profile = profile.name.as_str().into();
    identity.web_interface = web_interface.into();
    reader.timing = Timing {
        uptime: data.system.found().and_then(|system| seconds(&system.uptime)),
        lag: lag(document, data),
    };
    let events = reader.events(data);
    let mut snapshot = Snapshot {
        identity: identity.into(),
        events,
        events_seen: has_events,
        chassis_seen: has_slots,
        ..Snapshot::default()
    };
    reader.chassis(data, profile, &mut snapshot);
    snapshot.notes = std::mem::take(&mut reader.notes);
    Ok(snapshot)
}

fn seconds(scalar: &Scalar<'_>) -> Option<Duration> {
    let number = match scalar {
        Scalar::Number(number) => *number,
        _ => return None,
    };
    Duration::try_from_secs_f64(number).ok()
}

fn lag(document: &Document<'_>, data: &Data<'_>) -> Option<Duration> {
    let system = data.system.found()?;
    let answered = time_of(&document.system_information.found()?.time_stamp)?;
    let updated = time_of(&system.api_last_update)?;
    // The document is gathered for some seconds: its oldest part counts.
    let shown = time_of(&system.current_time).map_or(updated, |current| current.min(updated));
    // The time-stamp is cut to the second.
    let until = answered.checked_add(SignedDuration::from_secs(1)).ok()?;
    let lag = Duration::try_from(until.duration_since(shown)).ok()?;
    (lag <= MAX_LAG).then_some(lag)
}

fn time_of(scalar: &Scalar<'_>) -> Option<Timestamp> {
    match scalar {
        Scalar::Text(text) => instant(text),
        _ => None,
    }
}

/// Without what stands behind a text in its buffer: blanks, or the NUL that ends it.
fn trimmed(text: &str) -> &str {
    // Nearly always nothing stands there, and one byte shows it.
    if text.as_bytes().last().is_some_and(u8::is_ascii_graphic) {
        return text;
    }
    text.trim_end_matches(|c: char| c.is_whitespace() || c.is_control())
}

/// Whether a character in it was lost: it would be another word without it.
fn is_damaged(text: &str) -> bool {
    let is_lost = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    !text.bytes().all(|byte| byte.is_ascii_graphic()) && text.contains(is_lost)
}

/// Collects notes and findings while it reads.
#[derive(Default)]
struct Reader {
    notes: Vec<String>,
    /// Not part of the snapshot: it is another in each document.
    timing: Timing,
    known_events: Option<KnownEvents>,
    /// Whether a part that is read later, the events or a part of a module, is no JSON.
    is_malformed: bool,
    /// Only where a person wants to know: gathering them costs more than reading the rest of a module.
    entries: Option<Vec<Entry>>,
}

impl Reader {
    /// One that has read nothing, for the same person.
    fn begin_again(&self) -> Reader {
        Reader {
            entries: self.entries.as_ref().map(|_| Vec::new()),
            ..Reader::default()
        }
    }

    fn note(&mut self, note: impl FnOnce() -> String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note());
        }
    }

    /// The text of a field that every device has; its absence is worth a note.
    fn text<'s>(&mut self, scalar: &'s Scalar<'_>, place: impl FnOnce() -> String) -> Option<&'s str> {
        let other = match scalar {
            Scalar::Text(text) if text.len() <= MAX_TEXT => return Some(trimmed(text)),
            Scalar::Text(_) => "overlong",
            Scalar::Missing => "missing",
            Scalar::Number(_) => "a number",
            Scalar::Bool(_) => "a boolean",
            Scalar::Other(kind) => kind,
        };
        self.note(|| format!("{} is {other}, expected text", place()));
        None
    }

    fn owned(&mut self, scalar: &Scalar<'_>, place: impl FnOnce() -> String) -> Option<Text> {
        self.text(scalar, place)
            .filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("N/A"))
            .map(Text::from)
    }

    fn object<'n, T>(&mut self, node: &'n Node<T>, place: impl FnOnce() -> String) -> Option<&'n T> {
        let other = match node {
            Node::Found(value) => return Some(value),
            Node::Missing => "missing",
            Node::Other(kind) => kind,
        };
        self.note(|| format!("{} is {other}, expected an object", place()));
        None
    }

    fn list<'l, T>(&mut self, list: &'l List<T>, place: &str) -> &'l [Node<T>] {
        if let Some(other) = list.other {
            self.note(|| format!("{place} is {other}, expected a list"));
        }
        if list.cut > 0 {
            self.note(|| format!("{place} is too long by {}: the rest is left out", list.cut));
        }
        &list.items
    }

    fn identity(&mut self, document: &Document<'_>, data: &Data<'_>) -> Identity {
        let mut identity = Identity::default();
        if let Some(api) = data.rest_api.found() {
            identity.api_version = self.owned(&api.api_version, || "data.rest-api.api-version".to_owned());
        }
        let place = |key: &str| format!("system-information.{key}");
        let Some(system) = self.object(&document.system_information, || "system-information".to_owned())
        else {
            return identity;
        };
        identity.model = self.owned(&system.model, || place("model"));
        identity.serial_number = self.owned(&system.serial_number, || place("serial-number"));
        identity.hostname = self.owned(&system.hostname, || place("hostname"));
        identity.firmware = self.owned(&system.version, || place("version"));
        if identity.api_version.is_none() {
            let version = self.owned(&system.api_version, || place("API Version"));
            let number = version.as_deref().and_then(|text| text.rsplit([' ', 'V']).next());
            identity.api_version = number.map(Text::from);
        }
        identity
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn events_are_read_again_only_where_their_text_is_another() {
        let mut reader = StatusReader::default();
        let mut read = |events: &str| {
            let body = format!(r#"{{"data":{{"notification":{{"events":[{events}]}}}}}}"#);
            reader.read(body.as_bytes(), &Profiles::built_in(), "").unwrap().0
        };
        let event = |triggered: &str| {
            let rest = r#""type":"error","last-triggered":"never""#;
            format!(r#"{{"object-id":"ntp-not-sync","triggered":{triggered},{rest}}}"#)
        };
        let (first, same, other) = (read(&event("0")), read(&event("0")), read(&event("1")));
        assert!(Arc::ptr_eq(&first.events, &same.events));
        assert_eq!(other.events[0].triggered, Some(true));
        let noted = [read(&event("7")), read(&event("7"))];
        assert!(
            noted
                .iter()
                .all(|snapshot| !snapshot.notes.is_empty() && snapshot.events[0].triggered.is_none())
        );
    }

    #[test]
    fn what_is_broken_in_a_part_that_is_read_breaks_the_document() {
        let slot =
            |module: &str| format!(r#""chassis0":{{"slots":[{{"slot-id":"clk1","module":{module}}}]}}"#);
        for broken in [
            r#""notification":{"events":[{},]}"#.to_owned(),
            r#""notification":{"events":[{} {}]},"chassis0":{"slots":[]}"#.to_owned(),
            slot(r#"{"sync-status":{"clock-idx" "selected"}}"#),
        ] {
            let body = format!(r#"{{"data":{{{broken}}}}}"#);
            let read = snapshot(body.as_bytes(), &Profiles::built_in(), "");
            assert!(matches!(read, Err(StatusError::Json(_))), "{body}: {read:?}");
        }
        let unread = format!(r#"{{"data":{{"network":[1 2,],{}}}}}"#, slot("{}"));
        assert!(snapshot(unread.as_bytes(), &Profiles::built_in(), "").is_ok());
    }

    #[test]
    fn how_far_an_answer_is_behind_follows_from_its_own_times() {
        let lag = |stamp: &str, system: &str| {
            let body = format!(
                r#"{{"system-information":{{"time-stamp":"{stamp}"}},
                    "data":{{"system":{{{system}}},"notification":{{"events":[]}}}}}}"#
            );
            let read = StatusReader::default().read(body.as_bytes(), &Profiles::built_in(), "");
            read.unwrap().1.lag.map(|lag| lag.as_millis())
        };
        let updated = r#""api-last-update":"2026-03-22T20:26:46""#;
        let current = |text: &str| format!(r#"{updated},"current-time":"{text}""#);
        for (stamp, system, expected) in [
            ("2026-03-22T20:26:47", updated.to_owned(), Some(2000)),
            // As in a recording: the oldest part counts.
            (
                "2026-03-22T20:26:47",
                current("2026-03-22T20:26:40.5 UTC"),
                Some(7500),
            ),
            (
                "2026-03-22T20:26:47",
                current("2026-03-22T20:26:47 UTC"),
                Some(2000),
            ),
            ("2026-03-22T20:26:47", current("soon"), Some(2000)),
            // Nothing sound follows: no such key, an update of long ago, one that is yet to come.
            ("2026-03-22T20:26:47", String::new(), None),
            ("2026-03-22T20:27:47", updated.to_owned(), None),
            ("2026-03-22T20:26:40", updated.to_owned(), None),
            ("soon", updated.to_owned(), None),
        ] {
            assert_eq!(lag(stamp, &system), expected, "{stamp} {system}");
        }
    }
}
