//! One command, from the inbox to its reply: understood or refused, given to its device, answered.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::dispatcher::{Route, Routes};
use super::inbox::Entry;
use super::reply::{self, Replayed};
use super::request::{self, Refusal, Request, Target};
use crate::fault_point;
use crate::lantime::device::Job;
use crate::model::{
    DeadLetter, DeviceCommand, DeviceId, ErrorKind, ErrorReport, Operation, Origin, Outcome, SlotId,
};
use crate::mqtt::commands::reply_destination;
use crate::mqtt::topics::Topics;
use crate::records::store::{AnswerKey, End, Store};
use crate::records::{Destination, Received, Record, dead_letter};

/// Attempts after which a command is given up: it has ended the process each time.
const MAX_ATTEMPTS: u32 = 5;
/// How much later than the deadline a device task may be with its answer.
const GRACE: Duration = Duration::from_secs(5);

/// What every command needs.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) store: Store,
    pub(super) topics: Topics,
    pub(super) bridge: DeviceId,
    pub(super) routes: watch::Receiver<Routes>,
}

/// A command that is understood.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) device: DeviceId,
    command: DeviceCommand,
    of: Of,
}

/// A command that is not carried out.
#[derive(Debug)]
pub(super) struct Refused {
    device: Option<DeviceId>,
    slot: Option<SlotId>,
    operation: Operation,
    report: ErrorReport,
    of: Of,
}

/// The message that it came by, and what its sender gets back.
#[derive(Debug)]
struct Of {
    entry: Entry,
    id: Option<String>,
    replayed: Option<Replayed>,
    /// The message of which the dead letter that is replayed told.
    origin: Option<Origin>,
}

impl Of {
    fn received(&self) -> &Received {
        &self.entry.waiting.command
    }

    /// Under what the answer is remembered. A replay runs anew, and so does what has no id.
    fn key(&self) -> Option<AnswerKey> {
        let id = self.id.as_deref().filter(|_| self.replayed.is_none())?;
        let received = self.received();
        Some(AnswerKey::new(&received.topic, id, &received.payload))
    }
}

impl Work {
    /// The same, not to be carried out after all.
    pub(super) fn refused(self, report: ErrorReport) -> Refused {
        let slot = match &self.command {
            DeviceCommand::RelayEvents { slot, .. } => Some(slot.clone()),
            DeviceCommand::Refresh | DeviceCommand::HttpSessions { .. } => None,
        };
        Refused {
            device: Some(self.device),
            slot,
            operation: self.command.operation(),
            report,
            of: self.of,
        }
    }
}

impl Context {
    /// Understands a command.
    pub(super) async fn prepare(&self, entry: Entry) -> Result<Work, Box<Refused>> {
        let mut of = Of {
            entry,
            id: None,
            replayed: None,
            origin: None,
        };
        let parsed = self.understand(of.received(), Timestamp::now());
        let refuse = |of, refusal: Refusal| {
            Box::new(Refused {
                device: refusal.device,
                slot: None,
                operation: refusal.operation,
                report: refusal.report,
                of,
            })
        };
        let request = match parsed {
            Ok(request) => request,
            Err(refusal) => {
                of.id = refusal.id.clone();
                return Err(refuse(of, refusal));
            }
        };
        of.id = request.id;
        let (device, command) = match request.target {
            Target::Device(device, command) => (device, command),
            Target::Replay(id) => match self.replayed(id, &mut of).await {
                Ok(target) => target,
                Err(refusal) => return Err(refuse(of, refusal)),
            },
        };
        let work = Work { device, command, of };
        if self.routes.borrow().contains_key(&work.device) {
            return Ok(work);
        }
        let message = format!("this bridge has no device {}", work.device);
        let remedy = "take a device of its configuration";
        let report = ErrorReport::new(ErrorKind::NotFound, message, remedy);
        Err(Box::new(work.refused(report)))
    }

    fn understand(&self, received: &Received, now: Timestamp) -> Result<Request, Refusal> {
        match self.topics.parse_command(&received.topic) {
            Some(topic) => request::parse(&topic, received, now),
            None => Err(Refusal {
                id: None,
                device: None,
                operation: Operation::Command,
                report: ErrorReport::new(
                    ErrorKind::NotFound,
                    "no command has this topic",
                    "compare the topic with docs/mqtt.md",
                ),
            }),
        }
    }

    /// The command that a dead letter carries.
    async fn replayed(&self, id: Uuid, of: &mut Of) -> Result<(DeviceId, DeviceCommand), Refusal> {
        let refusal = |report| Refusal {
            id: None,
            device: None,
            operation: Operation::Replay,
            report,
        };
        let fail = |kind, message: String, remedy: &str| refusal(ErrorReport::new(kind, message, remedy));
        let archived = self.store.dead_letter(id).await;
        let archived = archived.map_err(|error| {
            let remedy = "check the disk of state.directory, and send the command again";
            fail(ErrorKind::Storage, error.to_string(), remedy)
        })?;
        let archived = archived.ok_or_else(|| {
            let remedy = "list what is there with `lantime2mqtt dead-letters list`; old ones go when there are too many";
            fail(ErrorKind::NotFound, format!("there is no dead letter {id} in the archive"), remedy)
        })?;
        let no_command = |why: &str| {
            let remedy = "replay dead letters whose origin is a command for a device";
            fail(ErrorKind::Rejected, format!("dead letter {id} cannot be replayed: {why}"), remedy)
        };
        let origin = dead_letter::origin(&archived).ok_or_else(|| no_command("it carries no message"))?;
        let again = Received {
            topic: origin.topic.clone(),
            payload: origin.payload.clone(),
            payload_length: origin.payload_length,
            retained: false,
            response_topic: None,
            correlation: None,
            received_at: of.received().received_at,
            expires_at: None,
            local: false,
        };
        let is_command = self.topics.parse_command(&again.topic).is_some();
        if !is_command {
            return Err(no_command("its message is no command of this bridge"));
        }
        let request = self.understand(&again, Timestamp::now());
        of.replayed = Some(Replayed {
            dead_letter: id,
            topic: origin.topic.clone(),
        });
        of.origin = Some(origin);
        match request?.target {
            Target::Device(device, command) => Ok((device, command)),
            Target::Replay(_) => Err(no_command("its message is itself a replay")),
        }
    }

    /// Carries a command out, unless the same one was answered before.
    pub(super) async fn carry_out(&self, work: Work) {
        let number = work.of.entry.waiting.number;
        if let Some(key) = work.of.key()
            && let Ok(Some(answer)) = self.store.answer(key).await
        {
            return self.answer_again(work.of, answer).await;
        }
        // Without the count on disk the command is still safe to repeat.
        let before = work.of.entry.waiting.attempts;
        let attempt = self.store.attempt(number).await.unwrap_or(before + 1);
        if attempt > MAX_ATTEMPTS {
            let message = format!("this program has ended {} times while it was carried out", attempt - 1);
            let remedy = "look at its log, and report what you find there";
            let report = ErrorReport::new(ErrorKind::Internal, message, remedy);
            return self.refuse(work.refused(report), attempt - 1).await;
        }
        if work.of.received().expires_at.is_some_and(|at| at <= Timestamp::now()) {
            return self.refuse(work.refused(request::expired()), attempt).await;
        }
        match self.ask_device(&work, attempt).await {
            Ok(outcome) => self.succeed(work, &outcome).await,
            Err(report) => self.refuse(work.refused(report), attempt).await,
        }
    }

    /// Gives the command to its device's task, and once more to the task that takes its place.
    async fn ask_device(&self, work: &Work, attempt: u32) -> Result<Outcome, ErrorReport> {
        let mut routes = self.routes.clone();
        let route = |routes: &mut watch::Receiver<Routes>| -> Option<Route> {
            routes.borrow_and_update().get(&work.device).cloned()
        };
        let gone = || {
            let remedy = "take a device of its configuration";
            ErrorReport::new(ErrorKind::NotFound, "the device has left the configuration", remedy)
        };
        let first = route(&mut routes).ok_or_else(gone)?;
        let deadline = Instant::now() + first.timeout;
        let mut next = Some(first);
        while let Some(route) = next {
            let (answer, answered) = oneshot::channel();
            let job = Job {
                command: work.command.clone(),
                attempt,
                deadline,
                answer,
            };
            let asked = async {
                route.jobs.send(job).await.ok()?;
                answered.await.ok()
            };
            if let Ok(Some(result)) = timeout_at(deadline + GRACE, asked).await {
                return result;
            }
            // Its task has ended: it is being replaced, or the bridge stops.
            if !matches!(timeout_at(deadline, routes.changed()).await, Ok(Ok(()))) {
                let remedy = "send the command again; if this goes on, look at the log of the bridge";
                return Err(ErrorReport::new(ErrorKind::Internal, "the task of this device does not answer", remedy));
            }
            next = self::Context::route_now(&mut routes, &work.device);
        }
        Err(gone())
    }

    fn route_now(routes: &mut watch::Receiver<Routes>, device: &DeviceId) -> Option<Route> {
        routes.borrow_and_update().get(device).cloned()
    }

    async fn succeed(&self, work: Work, outcome: &Outcome) {
        let Work { command, of, .. } = work;
        let id = Uuid::now_v7();
        let payload = reply::success(of.id.as_deref(), id, command.operation(), outcome, of.replayed.as_ref());
        self.end(of, id, payload, None).await;
    }

    /// Refuses a command: a reply, and a dead letter with the message.
    pub(super) async fn refuse(&self, refused: Refused, attempts: u32) {
        let Refused {
            device,
            slot,
            operation,
            report,
            of,
        } = refused;
        let received = of.received();
        let (kind, topic) = (report.kind, &received.topic);
        tracing::warn!(%kind, topic, "command refused: {}", report.message);
        let id = Uuid::now_v7();
        let payload = reply::failure(of.id.as_deref(), id, operation, &report, of.replayed.as_ref());
        let origin = of.origin.clone().unwrap_or_else(|| Origin {
            topic: received.topic.clone(),
            payload: received.payload.clone(),
            payload_length: received.payload_length,
            correlation: received.correlation.clone(),
            response_topic: received.response_topic.clone(),
        });
        let letter = DeadLetter {
            id: Uuid::now_v7(),
            at: Timestamp::now(),
            device,
            slot,
            operation,
            error: report,
            attempts,
            first_at: received.received_at,
            repeats: None,
            recovered: false,
            origin: Some(origin),
        };
        self.end(of, id, payload, Some(letter)).await;
    }

    async fn answer_again(&self, of: Of, payload: Bytes) {
        self.end(of, Uuid::now_v7(), payload, None).await;
    }

    /// Stores the reply, and with it forgets the command.
    async fn end(&self, of: Of, id: Uuid, payload: Bytes, letter: Option<DeadLetter>) {
        let key = of.key();
        let Entry { waiting, local, .. } = of.entry;
        let mut records = Vec::new();
        if !waiting.command.local {
            records.push(Record {
                id,
                destination: Destination::Reply(reply_destination(&self.topics, &waiting.command)),
                payload: payload.clone(),
                correlation: waiting.command.correlation,
            });
        }
        records.extend(letter.map(|letter| dead_letter::record(&letter, &self.bridge)));
        let answer = key.map(|key| (key, payload.clone()));
        self.store.finish(waiting.number, End { records, answer }).await;
        fault_point::reached("reply-stored");
        if let Some(local) = local {
            // Who asked may have gone.
            let _ = local.send(payload);
        }
    }
}
