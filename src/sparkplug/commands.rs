//! What hosts write, as commands of the contract: they go the way of every command, on disk first. What none of them is,
//! is told as a dead letter.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::metrics::{REBIRTH, REFRESH, event_metric, relay_event};
use super::topics::Place;
use super::wire::Written;
use crate::command::Inbox;
use crate::contract::topics::Topics;
use crate::model::{CommandTopic, DeadLetter, ErrorKind, ErrorReport, Operation, Origin, Update};
use crate::records::dead_letter;
use crate::wording::quoted;

/// What hosts have written and nobody has looked at yet. Full: it is dropped, and that is told.
const WRITES_WAITING: usize = 64;
/// Ends that the edge node has not taken yet. Full: they wait.
const ENDS_WAITING: usize = 64;
/// Metrics that a dead letter names.
const NAMED: usize = 5;

/// What a host has written.
#[derive(Debug)]
pub(super) struct Write {
    /// The device; `None` for the edge node.
    pub(super) place: Option<Place>,
    /// Whether the LANTIME of that device is one of this bridge, though it may be away.
    pub(super) is_ours: bool,
    pub(super) metrics: Vec<Written>,
    /// The message by which it came.
    pub(super) topic: String,
    pub(super) payload: Bytes,
}

/// What was written has changed nothing, or was refused: hosts do not know that yet.
#[derive(Debug)]
pub(super) struct Unchanged {
    /// The device; `None` for the edge node.
    pub(super) place: Option<Place>,
    /// The metrics that were written.
    pub(super) names: Vec<String>,
}

/// The ends at the edge node.
#[derive(Debug)]
pub(super) struct Writes {
    pub(super) writes: mpsc::Sender<Write>,
    pub(super) unchanged: mpsc::Receiver<Unchanged>,
}

/// The task that carries out what hosts write.
#[derive(Debug)]
pub struct Commands {
    inbox: Inbox,
    topics: Topics,
    updates: mpsc::Sender<Update>,
    writes: mpsc::Receiver<Write>,
    unchanged: mpsc::Sender<Unchanged>,
    running: JoinSet<()>,
}

impl Commands {
    /// `topics` are those of the contract; dead letters go to `updates`.
    pub(super) fn new(inbox: Inbox, topics: Topics, updates: mpsc::Sender<Update>) -> (Commands, Writes) {
        let (sender, writes) = mpsc::channel(WRITES_WAITING);
        let (unchanged, receiver) = mpsc::channel(ENDS_WAITING);
        let commands = Commands {
            inbox,
            topics,
            updates,
            writes,
            unchanged,
            running: JoinSet::new(),
        };
        let writes = Writes {
            writes: sender,
            unchanged: receiver,
        };
        (commands, writes)
    }

    /// Takes what is written, until `stop`. What is under way then stays in the inbox, for the next run.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                // As many as the dispatcher lets wait for each device.
                Some(_) = self.running.join_next() => {}
                Some(write) = self.writes.recv() => self.take(write).await,
            }
        }
    }

    async fn take(&mut self, write: Write) {
        if let Some(place) = write.place.as_ref().filter(|_| !write.is_ours) {
            return self.refuse(&write, stranger(place)).await;
        }
        let (commands, refused) = understood(&self.topics, write.place.as_ref(), &write.metrics);
        if !refused.is_empty() {
            self.refuse(&write, refusal(write.place.as_ref(), &refused)).await;
            let names = refused.iter().filter_map(|written| written.name.clone());
            let unchanged = Unchanged {
                place: write.place.clone(),
                names: names.collect(),
            };
            // Its other end is gone only when the bridge stops.
            let _ = self.unchanged.send(unchanged).await;
        }
        for Asked {
            topic,
            payload,
            operation,
            names,
        } in commands
        {
            let place = write.place.clone();
            // One after the other: each is on disk, and in the queue of its device, before the next one.
            let reply = self.inbox.begin(topic.clone(), payload, operation).await;
            let unchanged = self.unchanged.clone();
            self.running.spawn(async move {
                let reply = serde_json::from_slice(&reply.await).unwrap_or_default();
                tell_lost(&topic, &reply);
                log_warnings(&topic, &reply);
                if !has_changed(&reply) {
                    let _ = unchanged.send(Unchanged { place, names }).await;
                }
            });
        }
    }

    async fn refuse(&self, write: &Write, report: ErrorReport) {
        let letter = letter(write, report);
        // Its end is gone only when the bridge stops.
        let _ = self.updates.send(Update::DeadLetter(Box::new(letter))).await;
    }
}

/// A command of the contract.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    topic: String,
    payload: Bytes,
    operation: Operation,
    /// The metrics that were written.
    names: Vec<String>,
}

/// What a metric that can be written asks for.
enum Wish<'m> {
    /// Whether an event switches a relay.
    Event { relay: &'m str, event: &'m str },
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
fn understood<'m>(
    topics: &Topics,
    place: Option<&Place>,
    metrics: &'m [Written],
) -> (Vec<Asked>, Vec<&'m Written>) {
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
    let events = events.into_iter();
    let mut commands: Vec<_> = events
        .map(|(relay, events)| choose(topics, place, relay, &events))
        .collect();
    if is_refresh {
        commands.push(Asked {
            topic: topics.command(&CommandTopic::Refresh(place.device.clone())),
            payload: Bytes::new(),
            operation: Operation::Refresh,
            names: vec![REFRESH.to_owned()],
        });
    }
    (commands, refused)
}

fn choose(topics: &Topics, place: &Place, relay: &str, events: &BTreeMap<&str, bool>) -> Asked {
    let topic = CommandTopic::RelayEvents {
        device: place.device.clone(),
        slot: place.slot.as_ref().map(ToString::to_string).unwrap_or_default(),
        relay: relay.to_owned(),
    };
    let chosen = |wanted: bool| -> Vec<_> {
        let chosen = events.iter().filter(|(_, flag)| **flag == wanted);
        chosen.map(|(event, _)| *event).collect()
    };
    let payload = json!({ "add": chosen(true), "remove": chosen(false) });
    Asked {
        topic: topics.command(&topic),
        payload: payload.to_string().into(),
        operation: Operation::RelayEvents,
        names: events.keys().map(|event| event_metric(relay, event)).collect(),
    }
}

fn stranger(place: &Place) -> ErrorReport {
    let message = format!(
        "a Sparkplug command writes to device {place}: this bridge has no device {}",
        place.device
    );
    ErrorReport::new(ErrorKind::NotFound, message, "take a device of its configuration")
}

fn refusal(place: Option<&Place>, refused: &[&Written]) -> ErrorReport {
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

/// Of the bridge, where no LANTIME of it was written to.
fn letter(write: &Write, report: ErrorReport) -> DeadLetter {
    let place = write.place.as_ref().filter(|_| write.is_ours);
    DeadLetter {
        device: place.map(|place| place.device.clone()),
        slot: place.and_then(|place| place.slot.clone()),
        origin: Some(Origin {
            topic: write.topic.clone(),
            payload: write.payload.clone(),
            payload_length: None,
            correlation: None,
            response_topic: None,
        }),
        ..dead_letter::new(Operation::Command, report, Timestamp::now())
    }
}

/// Whether a reply tells of a change: then hosts are told of it by what has changed.
fn has_changed(reply: &Value) -> bool {
    reply["ok"] == true && reply["result"]["changed"] == true
}

/// Tells of a command that could not even be stored: no dead letter does.
fn tell_lost(topic: &str, reply: &Value) {
    if reply["ok"] == false && reply["dead_letter"].is_null() {
        let reason = &reply["error"]["message"];
        let remedy = &reply["error"]["remedy"];
        tracing::warn!(topic, %reason, %remedy, "what a Sparkplug host has written was not carried out");
    }
}

/// A host gets no reply: what a success warns of is for the log.
fn log_warnings(topic: &str, reply: &Value) {
    for warning in reply["result"]["warnings"].as_array().into_iter().flatten() {
        tracing::warn!(topic, %warning, "a Sparkplug host has selected events that may switch no relay");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeviceId;

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
        let (commands, refused) = understood(&topics(), Some(&place), &metrics);
        let told: Vec<_> = commands
            .iter()
            .map(|asked| (asked.topic.as_str(), std::str::from_utf8(&asked.payload).unwrap()))
            .collect();
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
        assert_eq!((told, refused), (expected.to_vec(), Vec::new()));
    }

    #[test]
    fn refresh_is_of_a_lantime_and_false_asks_for_nothing() {
        let lantime = Place::parse("m1").unwrap();
        let [asked, idle] = [true, false].map(|flag| written(&[(REFRESH, Some(flag))]));
        let (commands, _) = understood(&topics(), Some(&lantime), &asked);
        assert_eq!(commands[0].topic, "lantime/m1/refresh");
        let nothing = (Vec::new(), Vec::new());
        assert_eq!(understood(&topics(), Some(&lantime), &idle), nothing);
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
            let (commands, refused) = understood(&topics(), place, &metrics);
            assert_eq!((commands.len(), refused.len()), (0, 1), "{name}");
            let message = refusal(place, &refused).message.to_string();
            assert!(message.contains(name), "{message}");
            let is_of_type = message.contains("true and false only");
            assert_eq!(is_of_type, flag.is_none(), "{message}");
        }
    }
}
