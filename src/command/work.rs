//! A command that is understood, or refused: which device it is for, what it asks for, who sent it. Also the
//! command that a dead letter carries.

use jiff::Timestamp;
use uuid::Uuid;

use super::execution::Context;
use super::inbox::Entry;
use super::replay::command_of;
use super::request::{self, Request, Target};
use super::unknown::{no_such_device, no_such_topic};
use crate::model::{
    CommandTopic, DeviceCommand, DeviceId, ErrorKind, ErrorReport, Operation, Origin, SlotId,
};
use crate::records::Received;
use crate::records::store::AnswerKey;

/// A command that is understood.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) device: DeviceId,
    pub(super) command: DeviceCommand,
    /// Whether it is to be refused at once while the device is offline; `None`: as the device's configuration says.
    pub(super) fail_fast: Option<bool>,
    pub(super) task: Task,
}

/// A command that is not carried out.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) operation: Operation,
    pub(super) report: ErrorReport,
    /// Whether the same command could never be carried out: then it gets the same answer.
    pub(super) is_for_its_words: bool,
    pub(super) task: Task,
}

/// The message by which a command came, and what has to be known of it to answer.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) entry: Entry,
    /// What its sender calls it.
    pub(super) id: Option<String>,
    pub(super) device: Option<DeviceId>,
    pub(super) slot: Option<SlotId>,
    /// For a replay, the dead letter and the message that it carries.
    pub(super) replays: Option<(Uuid, Origin)>,
}

impl Task {
    fn new(entry: Entry) -> Task {
        Task {
            entry,
            id: None,
            device: None,
            slot: None,
            replays: None,
        }
    }

    pub(super) fn received(&self) -> &Received {
        &self.entry.waiting.command
    }

    /// Under what the answer is remembered. A replay runs anew, and so does what has no id.
    pub(super) fn key(&self) -> Option<AnswerKey> {
        let id = self.id.as_deref().filter(|_| self.replays.is_none())?;
        let received = self.received();
        Some(AnswerKey::new(&received.topic, id, &received.payload))
    }

    fn is_for(&mut self, topic: &CommandTopic) {
        self.device = topic.device().cloned();
        self.slot = topic.slot();
    }

    fn refused(self, operation: Operation, report: ErrorReport) -> Box<Refused> {
        Box::new(Refused {
            operation,
            report,
            is_for_its_words: false,
            task: self,
        })
    }
}

impl Work {
    /// The same, not to be carried out after all.
    pub(super) fn refused(self, report: ErrorReport) -> Refused {
        let operation = match self.command {
            DeviceCommand::RelayEvents { .. } => Operation::RelayEvents,
            DeviceCommand::Refresh => Operation::Refresh,
            DeviceCommand::HttpSessions { .. } => Operation::HttpSessions,
        };
        Refused {
            operation,
            report,
            is_for_its_words: false,
            task: self.task,
        }
    }
}

impl Context {
    /// Understands a command.
    pub(super) async fn prepare(&self, entry: Entry) -> Result<Work, Box<Refused>> {
        let mut task = Task::new(entry);
        let Some(topic) = self.topics.parse_command(&task.received().topic) else {
            task.id = request::id_of(task.received());
            let report = match request::deliverable(task.received(), Timestamp::now()) {
                Err(report) => report,
                Ok(()) => no_such_topic(&task.received().topic, &self.topics, &self.routes.borrow()),
            };
            return Err(task.refused(Operation::Command, report));
        };
        task.is_for(&topic);
        let request = request::read(&topic, task.received(), Timestamp::now());
        let Request {
            id,
            mut fail_fast,
            target,
        } = match request {
            Ok(request) => request,
            Err(refusal) => {
                task.id = refusal.id;
                return Err(Box::new(Refused {
                    operation: refusal.operation,
                    report: refusal.report,
                    is_for_its_words: refusal.is_for_its_words,
                    task,
                }));
            }
        };
        task.id = id;
        let (device, command) = match target {
            Target::Device(device, command) => (device, command),
            Target::Replay(letter) => match self.replayed(letter, &mut task).await {
                Ok((target, its_own)) => {
                    fail_fast = fail_fast.or(its_own);
                    target
                }
                Err((operation, report)) => return Err(task.refused(operation, report)),
            },
        };
        let route = self.routes.borrow().get(&device).cloned();
        let work = Work {
            device,
            command,
            fail_fast,
            task,
        };
        let refusal = match route {
            None => Some(no_such_device(&work.device, &self.routes.borrow())),
            Some(route) => route.refuses(&work.command, work.fail_fast),
        };
        match refusal {
            None => Ok(work),
            Some(report) => Err(Box::new(work.refused(report))),
        }
    }

    /// The command that a dead letter carries, and its own `fail_fast`. A refusal is about that command as soon as it is known.
    async fn replayed(
        &self,
        id: Uuid,
        task: &mut Task,
    ) -> Result<((DeviceId, DeviceCommand), Option<bool>), (Operation, ErrorReport)> {
        let (topic, origin) = self
            .carried(id)
            .await
            .map_err(|report| (Operation::Replay, report))?;
        let again = Received {
            topic: origin.topic.clone(),
            payload: origin.payload.clone(),
            payload_length: origin.payload_length,
            retained: false,
            expires_at: None,
            ..task.received().clone()
        };
        task.is_for(&topic);
        task.replays = Some((id, origin));
        match request::read(&topic, &again, Timestamp::now()) {
            Ok(Request {
                target: Target::Device(device, command),
                fail_fast,
                ..
            }) => Ok(((device, command), fail_fast)),
            Ok(_) => Err((
                Operation::Replay,
                not_replayable(id, "its message is itself a replay"),
            )),
            Err(refusal) => Err((refusal.operation, refusal.report)),
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
