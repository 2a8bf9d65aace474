//! From a message to a command that a device is asked to carry out, or to a refusal. Also the command that a dead
//! letter carries.

use jiff::Timestamp;
use uuid::Uuid;

use super::context::Context;
use super::inbox::Entry;
use super::incoming::Incoming;
use super::replay::command_of;
use super::request::{self, Refusal, Request, Target};
use super::unknown_target::{no_such_device, no_such_topic};
use crate::model::{CommandTopic, DeviceCommand, DeviceId, ErrorKind, ErrorReport, Origin};
use crate::records::Received;

/// A command that its device is asked to carry out.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) device: DeviceId,
    pub(super) command: DeviceCommand,
    /// Whether it is to be refused at once while the device is offline; `None`: as the device's configuration says.
    pub(super) fail_fast: Option<bool>,
    pub(super) entry: Entry,
}

/// A command that is not carried out, and why.
pub(super) type Refused = (Entry, Box<Refusal>);

/// What a device is asked: which one, the command, and its `fail_fast`.
type Asked = (DeviceId, DeviceCommand, Option<bool>);

impl Context {
    /// Decides whether a device is asked to carry a command out.
    pub(super) async fn admit(&self, mut entry: Entry) -> Result<Accepted, Box<Refused>> {
        match self.asked(&mut entry).await {
            Ok((device, command, fail_fast)) => Ok(Accepted {
                device,
                command,
                fail_fast,
                entry,
            }),
            Err(refusal) => Err(Box::new((entry, refusal))),
        }
    }

    async fn asked(&self, entry: &mut Entry) -> Result<Asked, Box<Refusal>> {
        let Some((_, request)) = &entry.incoming.command else {
            request::deliverable(entry.message(), Timestamp::now())?;
            let topic = &entry.message().topic;
            return Err(no_such_topic(topic, &self.topics, &self.routes.borrow()).into());
        };
        let Request { target, fail_fast } = request.clone()?;
        let (device, command, fail_fast) = match target {
            Target::Device(device, command) => (device, command, fail_fast),
            Target::Replay(dead_letter) => {
                let (device, command, its_own) = self.replayed(dead_letter, entry).await?;
                (device, command, fail_fast.or(its_own))
            }
        };
        let routes = self.routes.borrow();
        let route = routes.get(&device);
        let elsewhere = || self.elsewhere.as_ref()?.refusal(&device);
        let route = route.ok_or_else(|| elsewhere().unwrap_or_else(|| no_such_device(&device, &routes)))?;
        route.check(&command, fail_fast)?;
        Ok((device, command, fail_fast))
    }

    /// What the command of a dead letter asks. A refusal is about that command as soon as it is known.
    async fn replayed(&self, id: Uuid, entry: &mut Entry) -> Result<Asked, Box<Refusal>> {
        let (topic, origin) = self.carried(id).await?;
        let again = Received {
            topic: origin.topic.clone(),
            payload: origin.payload.clone(),
            payload_length: origin.payload_length,
            retained: false,
            expires_at: None,
            ..entry.message().clone()
        };
        let again = Incoming::read(again, Some(topic), Timestamp::now());
        entry.incoming.command = again.command.clone();
        entry.replays = Some((id, origin));
        match again.command.map(|(_, request)| request).transpose()? {
            Some(Request {
                target: Target::Device(device, command),
                fail_fast,
            }) => Ok((device, command, fail_fast)),
            _ => Err(not_replayable(id, "its message is itself a replay").into()),
        }
    }

    /// The message that a dead letter carries, and which command it is.
    async fn carried(&self, id: Uuid) -> Result<(CommandTopic, Origin), ErrorReport> {
        let unreadable = |error: String| {
            let remedy = "send the command again when the store works";
            ErrorReport::new(ErrorKind::Storage, error, remedy)
        };
        let kept = self.store.dead_letter(id).await;
        let mut dead_letter = kept.map_err(|error| unreadable(error.to_string()))?;
        if let (None, Some(elsewhere)) = (&dead_letter, &self.elsewhere) {
            let kept = elsewhere.dead_letter(id).await;
            dead_letter = kept.map_err(|error| unreadable(error.to_string()))?;
        }
        let dead_letter = dead_letter.ok_or_else(|| {
            let message = format!("no dead letter in the archive has the id {id}");
            let remedy = "`lantime2mqtt dead-letters list` shows them; the oldest go when there are more than dead_letter.keep";
            ErrorReport::new(ErrorKind::NotFound, message, remedy)
        })?;
        let origin = command_of(&dead_letter)?;
        let topic = self.topics.parse_command(&origin.topic);
        let topic = topic.ok_or_else(|| not_replayable(id, "its message is no command of this bridge"))?;
        Ok((topic, origin))
    }
}

fn not_replayable(dead_letter: Uuid, why: &str) -> ErrorReport {
    let message = format!("dead letter {dead_letter} cannot be replayed: {why}");
    let remedy = "replay one whose origin is a command for a device";
    ErrorReport::new(ErrorKind::Rejected, message, remedy)
}
