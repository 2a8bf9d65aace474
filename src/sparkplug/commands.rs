//! Carries out what hosts write, by the way of every command: on disk first. What is no command becomes a dead letter.

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::requests::{Request, refusal, requests, unknown_device};
use super::topics::Place;
use super::wire::Written;
use crate::command::Inbox;
use crate::contract::reply::{CommandReply, CommandResult};
use crate::contract::topics::Topics;
use crate::model::{DeadLetter, ErrorReport, Operation, Origin, Outcome, Update};
use crate::records::dead_letter;

/// What hosts have written and is not read yet. Full: it is dropped, and that is logged.
const WRITES_WAITING: usize = 64;
/// Ends that the edge node has not taken yet. Full: they wait.
const ENDS_WAITING: usize = 64;
/// What a host has written.
#[derive(Debug)]
pub(super) struct Write {
    /// The device; `None` for the edge node.
    pub(super) place: Option<Place>,
    /// Whether the LANTIME of that device is one of this bridge, though it may be offline.
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
            return self.refuse(&write, unknown_device(place)).await;
        }
        let (requests, refused) = requests(&self.topics, write.place.as_ref(), &write.metrics);
        if !refused.is_empty() {
            self.refuse(&write, refusal(write.place.as_ref(), &refused)).await;
            let names = refused.iter().filter_map(|written| written.name.clone());
            let unchanged = Unchanged {
                place: write.place.clone(),
                names: names.collect(),
            };
            // The channel is closed only when the bridge stops.
            let _ = self.unchanged.send(unchanged).await;
        }
        for Request { command, names } in requests {
            let (place, topic) = (write.place.clone(), command.message.topic.clone());
            // One after the other: each comes to its device before the next one.
            let reply = self.inbox.begin(command).await;
            let unchanged = self.unchanged.clone();
            self.running.spawn(async move {
                let reply = reply.await;
                log_lost(&topic, &reply);
                if !has_changed(&topic, &reply) {
                    let _ = unchanged.send(Unchanged { place, names }).await;
                }
            });
        }
    }

    async fn refuse(&self, write: &Write, report: ErrorReport) {
        let dead_letter = dead_letter(write, report);
        // The channel is closed only when the bridge stops.
        let _ = self.updates.send(Update::DeadLetter(Box::new(dead_letter))).await;
    }
}

/// Of the bridge, where no LANTIME of it was written to.
fn dead_letter(write: &Write, report: ErrorReport) -> DeadLetter {
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

/// Whether a command has changed something: then hosts see that by the metrics. They get no reply: the warnings of a
/// success are for the log.
fn has_changed(topic: &str, reply: &CommandReply) -> bool {
    let Some(CommandResult::Device(Outcome::RelayEvents {
        changed, warnings, ..
    })) = &reply.result
    else {
        return false;
    };
    for warning in warnings {
        tracing::warn!(topic, %warning, "a Sparkplug host has selected events that may switch no relay");
    }
    *changed
}

/// Logs a command that could not even be stored: no dead letter has it.
fn log_lost(topic: &str, reply: &CommandReply) {
    if let Some(error) = reply.error.as_ref().filter(|_| reply.dead_letter.is_none()) {
        let (reason, remedy) = (&error.message, &error.remedy);
        tracing::warn!(topic, %reason, %remedy, "write of a Sparkplug host not carried out");
    }
}
