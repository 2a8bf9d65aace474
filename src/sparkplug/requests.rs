//! What hosts write, as commands of the contract; or why it is none. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::metrics::{REBIRTH, REFRESH, event_metric, relay_event};
use super::topics::Place;
use super::wire::Written;
use crate::command::Incoming;
use crate::contract::topics::Topics;
use crate::model::{CommandTopic, DeviceId, ErrorKind, ErrorReport, Relay, SlotId};
use crate::wording::quoted;

/// Metrics that a dead letter names.
const NAMED: usize = 5;

/// What hosts ask for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) command: Incoming,
    /// The metrics that were written.
    pub(super) names: Vec<String>,
}

/// What a metric that can be written asks for.
enum Wish<'m> {
    /// Whether an event switches a relay.
    Event { relay: Relay, event: &'m str },
    /// A poll.
    Refresh,
    /// Births, which the edge node gives by itself.
    Rebirth,
}

fn wish<'m>(place: Option<&Place>, name: &'m str) -> Option<Wish<'m>> {
    match place {
        None => (name == REBIRTH).then_some(Wish::Rebirth),
        Some(Place { slot: None, .. }) => (name == REFRESH).then_some(Wish::Refresh),
        Some(Place { slot: Some(_), .. }) => {
            relay_event(name).map(|(relay, event)| Wish::Event { relay, event })
        }
    }
}

/// The commands that one message is, and its metrics that are none. All events of one relay are one command.
pub(super) fn requests<'m>(
    topics: &Topics,
    place: Option<&Place>,
    metrics: &'m [Written],
) -> (Vec<Request>, Vec<&'m Written>) {
    let (mut events, mut is_refresh, mut refused) = (BTreeMap::new(), false, Vec::new());
    for written in metrics {
        let wish = written.name.as_deref().and_then(|name| wish(place, name));
        match (wish, written.flag) {
            (None, _) | (_, None) => refused.push(written),
            (Some(Wish::Event { relay, event }), Some(flag)) => {
                let of_relay: &mut BTreeMap<_, _> = events.entry(relay).or_default();
                of_relay.insert(event, flag);
            }
            // Written back to false by hosts that show it as a button.
            (Some(Wish::Refresh), Some(flag)) => is_refresh |= flag,
            (Some(Wish::Rebirth), Some(_)) => {}
        }
    }
    let Some(place) = place else {
        return (Vec::new(), refused);
    };
    let mut commands = Vec::new();
    if let Some(slot) = &place.slot {
        let events = events.into_iter();
        commands.extend(events.map(|(relay, events)| choose(topics, (&place.device, slot, relay), &events)));
    }
    if is_refresh {
        let topic = CommandTopic::Refresh(place.device.clone());
        commands.push(Request {
            command: Incoming::local(topics, topic, Bytes::new()),
            names: vec![REFRESH.to_owned()],
        });
    }
    (commands, refused)
}

fn choose(
    topics: &Topics,
    (device, slot, relay): (&DeviceId, &SlotId, Relay),
    events: &BTreeMap<&str, bool>,
) -> Request {
    let selection = |wanted: bool| -> Vec<_> {
        let selection = events.iter().filter(|(_, flag)| **flag == wanted);
        selection.map(|(event, _)| *event).collect()
    };
    let place = (device.clone(), slot.clone(), relay);
    Request {
        command: Incoming::edit_events(topics, place, selection(true), selection(false)),
        names: events.keys().map(|event| event_metric(relay, event)).collect(),
    }
}

/// Why a device of another bridge is not written to.
pub(super) fn unknown_device(place: &Place) -> ErrorReport {
    let message = format!(
        "a Sparkplug command writes to device {place}: this bridge has no device {}",
        place.device
    );
    ErrorReport::new(ErrorKind::NotFound, message, "take a device of its configuration")
}

/// Why these metrics are not written.
pub(super) fn refusal(place: Option<&Place>, refused: &[&Written]) -> ErrorReport {
    let named = refused.iter().take(NAMED);
    let named = named.map(|written| why_not(place, written));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = refused.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let of = place.map_or_else(|| "the edge node".to_owned(), |place| format!("device {place}"));
    let message = format!("a Sparkplug command writes what cannot be written of {of}: {named}{more}");
    let remedy = "write relay/a/events/EVENT or relay/c/events/EVENT of a slot, Device Control/Refresh of a LANTIME, or \
                  Node Control/Rebirth of the edge node: docs/sparkplug.md";
    ErrorReport::new(ErrorKind::Rejected, message, remedy)
}

fn why_not(place: Option<&Place>, written: &Written) -> String {
    match written.name.as_deref() {
        None => "a metric without a name".to_owned(),
        Some(name) if wish(place, name).is_some() => {
            format!("{}, which takes true and false only", quoted(name))
        }
        Some(name) => quoted(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Received;

    fn topics() -> Topics {
        Topics::new("lantime", DeviceId::new("b1").unwrap())
    }

    fn written(metrics: &[(&str, Option<bool>)]) -> Vec<Written> {
        let written = |(name, flag): &(&str, Option<bool>)| Written {
            name: Some((*name).to_owned()),
            flag: *flag,
        };
        metrics.iter().map(written).collect()
    }

    #[test]
    fn all_events_of_a_relay_in_one_message_are_one_command() {
        let place = Place::parse("m1:io3").unwrap();
        let metrics = written(&[
            ("relay/a/events/ntp-not-sync", Some(true)),
            ("relay/a/events/antenna-faulty", Some(false)),
            ("relay/c/events/ntp-not-sync", Some(false)),
            ("relay/c/events/ntp-not-sync", Some(true)),
        ]);
        let (commands, refused) = requests(&topics(), Some(&place), &metrics);
        let message = |asked: &Request| {
            let Received { topic, payload, .. } = asked.command.message.clone();
            (topic, String::from_utf8(payload.to_vec()).unwrap())
        };
        let found: Vec<_> = commands.iter().map(message).collect();
        let expected = [
            (
                "lantime/m1/io3/relay/a/events/set",
                r#"{"add":["ntp-not-sync"],"remove":["antenna-faulty"]}"#,
            ),
            (
                "lantime/m1/io3/relay/c/events/set",
                r#"{"add":["ntp-not-sync"],"remove":[]}"#,
            ),
        ];
        let expected = expected.map(|(topic, payload)| (topic.to_owned(), payload.to_owned()));
        assert_eq!((found, refused), (expected.to_vec(), Vec::new()));
    }

    #[test]
    fn refresh_is_of_a_lantime_and_false_asks_for_nothing() {
        let lantime = Place::parse("m1").unwrap();
        let [asked, idle] = [true, false].map(|flag| written(&[(REFRESH, Some(flag))]));
        let (commands, _) = requests(&topics(), Some(&lantime), &asked);
        assert_eq!(commands[0].command.message.topic, "lantime/m1/refresh");
        let (commands, refused) = requests(&topics(), Some(&lantime), &idle);
        assert_eq!((commands.len(), refused.len()), (0, 0));
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let (slot, lantime) = (Place::parse("m1:io3").unwrap(), Place::parse("m1").unwrap());
        for (place, name, flag) in [
            (Some(&slot), "relay/a/position", Some(true)),
            (Some(&slot), REFRESH, Some(true)),
            (Some(&slot), "relay/a/events/ntp-not-sync", None),
            (Some(&lantime), "relay/a/events/ntp-not-sync", Some(true)),
            (Some(&lantime), REBIRTH, Some(true)),
            (None, REFRESH, Some(true)),
        ] {
            let metrics = written(&[(name, flag)]);
            let (commands, refused) = requests(&topics(), place, &metrics);
            assert_eq!((commands.len(), refused.len()), (0, 1), "{name}");
            let message = refusal(place, &refused).message.to_string();
            assert!(message.contains(name), "{message}");
            let is_of_type = message.contains("true and false only");
            assert_eq!(is_of_type, flag.is_none(), "{message}");
        }
    }
}
