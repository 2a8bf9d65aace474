//! From a message to a command that a device is asked to carry out, or to a refusal. Also the command that a dead
//! letter carries.

use jiff::Timestamp;
use uuid::Uuid;

use super::context::Context;
use super::inbox::Entry;
use super::replay::command_of;
use super::request::{self, Refusal, Request, Target};
use super::unknown::{no_such_device, no_such_topic};
use crate::model::{
    CommandTopic, DeviceCommand, DeviceId, ErrorKind, ErrorReport, Operation, Origin, SlotId,
};
use crate::records::Received;
use crate::records::store::AnswerKey;

/// A command that its device is asked to carry out.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) device: DeviceId,
    pub(super) command: DeviceCommand,
    /// Whether it is to be refused at once while the device is offline; `None`: as the device's configuration says.
    pub(super) fail_fast: Option<bool>,
    pub(super) message: Message,
}

/// A command that is not carried out.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) report: ErrorReport,
    /// Whether the same message could never be carried out: then it gets the same answer.
    pub(super) is_permanent: bool,
    pub(super) message: Message,
}

/// The message by which a command came, and what has to be known of it to answer.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) entry: Entry,
    /// What its sender calls it.
    pub(super) id: Option<String>,
    /// Which command it is; of a replay the one that is run again, as soon as it is known.
    pub(super) operation: Operation,
    pub(super) device: Option<DeviceId>,
    pub(super) slot: Option<SlotId>,
    /// For a replay, the dead letter and the message that it carries.
    pub(super) replays: Option<(Uuid, Origin)>,
}

impl Accepted {
    /// The same, not to be carried out after all.
    pub(super) fn refused(self, report: ErrorReport) -> Refused {
        Refused {
            report,
            is_permanent: false,
            message: self.message,
        }
    }
}

impl Message {
    pub(super) fn received(&self) -> &Received {
        &self.entry.waiting.command
    }

    /// Under what the answer is remembered. A replay is carried out each time, and so is what has no id.
    pub(super) fn key(&self) -> Option<AnswerKey> {
        let id = self.id.as_deref().filter(|_| self.replays.is_none())?;
        let received = self.received();
        Some(AnswerKey::new(&received.topic, id, &received.payload))
    }

    fn is_for(&mut self, topic: &CommandTopic) {
        self.operation = topic.operation();
        self.device = topic.device().cloned();
        self.slot = topic.slot();
    }
}

impl Context {
    /// Decides whether a device is asked to carry a command out.
    pub(super) async fn admit(&self, entry: Entry) -> Result<Accepted, Box<Refused>> {
        let mut message = Message {
            id: request::id_of(&entry.waiting.command),
            entry,
            operation: Operation::Command,
            device: None,
            slot: None,
            replays: None,
        };
        match self.read(&mut message).await {
            Ok((device, command, fail_fast)) => Ok(Accepted {
                device,
                command,
                fail_fast,
                message,
            }),
            Err(refusal) => Err(Box::new(Refused {
                report: refusal.report,
                is_permanent: refusal.is_permanent,
                message,
            })),
        }
    }

    /// The device that is asked, the command, and its `fail_fast`.
    async fn read(
        &self,
        message: &mut Message,
    ) -> Result<(DeviceId, DeviceCommand, Option<bool>), Box<Refusal>> {
        let now = Timestamp::now();
        let Some(topic) = self.topics.parse_command(&message.received().topic) else {
            request::deliverable(message.received(), now)?;
            let topic = &message.received().topic;
            return Err(no_such_topic(topic, &self.topics, &self.routes.borrow()).into());
        };
        message.is_for(&topic);
        let Request {
            target, fail_fast, ..
        } = request::read(&topic, message.received(), now)?;
        let (device, command, fail_fast) = match target {
            Target::Device(device, command) => (device, command, fail_fast),
            Target::Replay(letter) => {
                let (device, command, its_own) = self.replayed(letter, message).await?;
                (device, command, fail_fast.or(its_own))
            }
        };
        let routes = self.routes.borrow();
        let route = routes.get(&device);
        let route = route.ok_or_else(|| no_such_device(&device, &routes))?;
        route.check(&command, fail_fast)?;
        Ok((device, command, fail_fast))
    }

    /// The command that a dead letter carries, and its own `fail_fast`. A refusal is about that command as soon as it is known.
    async fn replayed(
        &self,
        id: Uuid,
        message: &mut Message,
    ) -> Result<(DeviceId, DeviceCommand, Option<bool>), Box<Refusal>> {
        let (topic, origin) = self.carried(id).await?;
        let again = Received {
            topic: origin.topic.clone(),
            payload: origin.payload.clone(),
            payload_length: origin.payload_length,
            retained: false,
            expires_at: None,
            ..message.received().clone()
        };
        message.is_for(&topic);
        message.replays = Some((id, origin));
        let request = request::read(&topic, &again, Timestamp::now())?;
        match request.target {
            Target::Device(device, command) => Ok((device, command, request.fail_fast)),
            Target::Replay(_) => Err(not_replayable(id, "its message is itself a replay").into()),
        }
    }

    /// The message that a dead letter carries, and which command it is.
    async fn carried(&self, id: Uuid) -> Result<(CommandTopic, Origin), ErrorReport> {
        let letter = self.store.dead_letter(id).await.map_err(|error| {
            let remedy = "send the command again when the store works";
            ErrorReport::new(ErrorKind::Storage, error.to_string(), remedy)
        })?;
        let letter = letter.ok_or_else(|| {
            let message = format!("no dead letter in the archive has the id {id}");
            let remedy = "`lantime2mqtt dead-letters list` shows them; the oldest go when there are more than dead_letter.keep";
            ErrorReport::new(ErrorKind::NotFound, message, remedy)
        })?;
        let origin = command_of(&letter)?;
        let topic = self.topics.parse_command(&origin.topic);
        let topic = topic.ok_or_else(|| not_replayable(id, "its message is no command of this bridge"))?;
        Ok((topic, origin))
    }
}

fn not_replayable(letter: Uuid, why: &str) -> ErrorReport {
    let message = format!("dead letter {letter} cannot be replayed: {why}");
    let remedy = "replay one whose origin is a command for a device";
    ErrorReport::new(ErrorKind::Rejected, message, remedy)
}
