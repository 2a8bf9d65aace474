//! A command as an edge of the bridge takes it: the message, which is kept on disk, and what it asks for, which is not.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::payload::Payload;
use super::relay_events;
use super::request::{Refusal, Request, Target, asked, target};
use crate::contract::topics::Topics;
use crate::model::{CommandTopic, DeviceId, ErrorReport, Operation, Relay, SlotId};
use crate::records::{MAX_PAYLOAD, Received};

/// A message that came as a command, and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The message. A later run of the bridge reads it again.
    pub message: Received,
    /// What its sender calls it, where that can be read; its reply is called the same.
    pub id: Option<String>,
    /// Which command it is, and what that asks for; `None` where no command has its topic.
    ///
    /// A refusal, when it must not or cannot be carried out: it was retained, is too large or came too late, its topic
    /// names what cannot be, or its payload is not what the command asks for.
    pub command: Option<(CommandTopic, Result<Request, Box<Refusal>>)>,
}

impl Incoming {
    /// Reads a message, of which `topic` is what its topic says.
    pub fn read(message: Received, topic: Option<CommandTopic>, now: Timestamp) -> Incoming {
        let payload = Payload::read(&message.payload[..message.payload.len().min(MAX_PAYLOAD)]);
        let (id, fail_fast) = (payload.id().map(str::to_owned), payload.fail_fast());
        let command = topic.map(|topic| {
            let request = asked(&message, now, fail_fast, || target(&topic, payload));
            (topic, request)
        });
        Incoming { message, id, command }
    }

    /// Reads a message that is on disk.
    pub(super) fn read_again(message: Received, topics: &Topics, now: Timestamp) -> Incoming {
        let topic = topics.parse_command(&message.topic);
        Incoming::read(message, topic, now)
    }

    /// A command that somebody on this machine sends with a payload, now.
    pub fn local(topics: &Topics, topic: CommandTopic, payload: Bytes) -> Incoming {
        let message = Received::local(topics.command(&topic), payload);
        let now = message.received_at;
        Incoming::read(message, Some(topic), now)
    }

    /// Run the command of the dead letter `dead_letter` again, now.
    pub fn replay(topics: &Topics, dead_letter: Uuid) -> Incoming {
        let payload = json!({ "id": dead_letter }).to_string();
        let target = || Ok(Target::Replay(dead_letter));
        let command = Incoming::typed(topics, CommandTopic::Replay, payload, target);
        let id = Some(dead_letter.to_string());
        Incoming { id, ..command }
    }

    /// Add and remove events that switch a relay, now.
    pub fn edit_events(
        topics: &Topics,
        (device, slot, relay): (DeviceId, SlotId, Relay),
        add: Vec<&str>,
        remove: Vec<&str>,
    ) -> Incoming {
        let topic = CommandTopic::RelayEvents {
            device: device.clone(),
            slot: slot.to_string(),
            relay: relay.to_string(),
        };
        let payload = json!({ "add": add, "remove": remove }).to_string();
        let target = || {
            Ok(Target::Device(
                device,
                relay_events::edit(slot, relay, add, remove)?,
            ))
        };
        Incoming::typed(topics, topic, payload, target)
    }

    /// Of who has no payload: it is written for the disk, and read by a later run only.
    fn typed(
        topics: &Topics,
        topic: CommandTopic,
        payload: String,
        target: impl FnOnce() -> Result<Target, ErrorReport>,
    ) -> Incoming {
        let message = Received::local(topics.command(&topic), payload);
        let request = asked(&message, message.received_at, None, target);
        let (id, command) = (None, Some((topic, request)));
        Incoming { message, id, command }
    }

    /// What its topic says, where a command has it.
    pub(crate) fn topic(&self) -> Option<&CommandTopic> {
        self.command.as_ref().map(|(topic, _)| topic)
    }

    /// Which command it is, as far as that is known.
    pub(super) fn operation(&self) -> Operation {
        self.topic().map_or(Operation::Command, CommandTopic::operation)
    }
}

/// The dead letter whose command `message` runs again; `None` where it does something else, or would be refused.
pub fn dead_letter_of(topics: &Topics, message: &Received, now: Timestamp) -> Option<Uuid> {
    let (_, request) = Incoming::read_again(message.clone(), topics, now).command?;
    match request.ok()?.target {
        Target::Replay(dead_letter) => Some(dead_letter),
        Target::Device(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topics() -> Topics {
        Topics::new("lantime", DeviceId::new("b1").unwrap())
    }

    /// What a later run makes of it.
    fn again(incoming: &Incoming) -> Incoming {
        let message = incoming.message.clone();
        let now = message.received_at;
        Incoming::read_again(message, &topics(), now)
    }

    #[test]
    fn a_replay_reads_the_same_again() {
        let replay = Incoming::replay(&topics(), Uuid::now_v7());
        assert_eq!(again(&replay), replay);
    }

    proptest! {
        #[test]
        fn an_edit_reads_the_same_again(
            relay in prop_oneof![Just(Relay::A), Just(Relay::B), Just(Relay::C)],
            add in proptest::collection::vec("[a-z]{0,3}|.{0,130}", 0..130),
            remove in proptest::collection::vec("[a-z]{1,3}", 0..130),
        ) {
            let place = (DeviceId::new("m1").unwrap(), SlotId::new("io3").unwrap(), relay);
            let add = add.iter().map(String::as_str).collect();
            let remove = remove.iter().map(String::as_str).collect();
            let edit = Incoming::edit_events(&topics(), place, add, remove);
            prop_assert_eq!(again(&edit), edit);
        }
    }
}
