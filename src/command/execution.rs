//! One command that is understood, to its reply: given to its device, answered; or one that is refused.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::admission::{Accepted, Refused};
use super::command_store::Beginning;
use super::context::Context;
use super::inbox::Entry;
use super::reply_topic::reply_destination;
use super::request::{self, Refusal};
use super::route::Route;
use super::unknown_target::no_such_device;
use crate::contract::Time;
use crate::contract::dead_letter_marks::Replayed;
use crate::contract::reply::CommandReply;
use crate::contract::topics::Destination;
use crate::fault_point;
use crate::lantime::device::Job;
use crate::model::{
    CommandTopic, DeadLetter, DeviceCommand, ErrorKind, ErrorReport, Operation, Origin, Outcome,
};
use crate::records::store::End;
use crate::records::{Received, Record, dead_letter};

/// Attempts after which a command is given up: the process has ended in each of them.
const MAX_ATTEMPTS: u32 = 5;

impl Context {
    /// Carries a command out, unless the same one was answered before.
    pub(super) async fn carry_out(&self, accepted: Accepted) {
        let entry = &accepted.entry;
        if matches!(accepted.command, DeviceCommand::RelayEvents { .. }) {
            self.store.until_free(&accepted.device).await;
        }
        let earlier = match self.store.begin(entry.number, entry.key()).await {
            Beginning::Attempt(attempt) => return self.attempt(accepted, attempt).await,
            Beginning::Answered(answer) => CommandReply::read(&answer),
            Beginning::Uncounted => self.earlier_reply(entry).await,
            Beginning::Elsewhere => return,
        };
        match earlier {
            Some(earlier) => self.repeat(accepted.entry, earlier).await,
            None => {
                let attempt = entry.attempts + 1;
                self.attempt(accepted, attempt).await;
            }
        }
    }

    /// Asks the device, unless it was asked too often, or the command has expired.
    async fn attempt(&self, accepted: Accepted, attempt: u32) {
        if attempt > MAX_ATTEMPTS {
            let message = format!(
                "this program has ended {} times while it was carried out",
                attempt - 1
            );
            let remedy = "read the log of the bridge, and report what you find there";
            let report = ErrorReport::new(ErrorKind::Internal, message, remedy);
            return self.fail(accepted.entry, report.into(), attempt - 1).await;
        }
        // It may have waited.
        if let Some(report) = request::expired(accepted.entry.message(), Timestamp::now()) {
            return self.fail(accepted.entry, report.into(), attempt).await;
        }
        match self.ask_device(&accepted, attempt).await {
            Ok(outcome) => self.succeed(accepted.entry, outcome).await,
            Err(report) => self.fail(accepted.entry, report.into(), attempt).await,
        }
    }

    /// The answer that the same command got when it was carried out, within the last hour.
    async fn earlier_reply(&self, entry: &Entry) -> Option<CommandReply> {
        // A store that fails knows of none: to carry it out again is harmless.
        let answer = self.store.answer(entry.key()?).await.ok().flatten()?;
        CommandReply::read(&answer)
    }

    /// Gives the command to its device's task, and again to a task that takes its place.
    async fn ask_device(&self, accepted: &Accepted, mut attempt: u32) -> Result<Outcome, ErrorReport> {
        let mut routes = self.routes.clone();
        let expires_in = accepted.entry.message().expires_at.map(|at| {
            // Below zero for one that has expired just now.
            Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
        });
        let mut deadline = None;
        loop {
            let route = routes.borrow_and_update().get(&accepted.device).cloned();
            let Some(route) = route else {
                return Err(no_such_device(&accepted.device, &self.routes.borrow()));
            };
            let Route {
                mut jobs,
                timeout,
                grace,
                ..
            } = route;
            let deadline = *deadline.get_or_insert_with(|| {
                // What has expired must not be written any more.
                Instant::now() + expires_in.map_or(timeout, |expires_in| expires_in.min(timeout))
            });
            let (answer, answered) = oneshot::channel();
            let job = Job {
                command: accepted.command.clone(),
                attempt,
                deadline,
                fail_fast: accepted.fail_fast.unwrap_or(route.fail_fast),
                answer,
            };
            let asked = async {
                jobs.try_send(Box::new(job)).ok()?;
                answered.await.ok()
            };
            if let Ok(Some(result)) = timeout_at(deadline + grace, asked).await {
                return result;
            }
            // Its task has ended: it is being replaced, or the bridge stops. It may have begun.
            attempt += 1;
            let is_replaced = matches!(timeout_at(deadline, routes.changed()).await, Ok(Ok(())));
            if !is_replaced || attempt > MAX_ATTEMPTS {
                let remedy = "send the command again; if this continues, read the log of the bridge";
                let message = "the task of this device does not answer";
                return Err(ErrorReport::new(ErrorKind::Internal, message, remedy));
            }
        }
    }

    async fn succeed(&self, entry: Entry, outcome: Outcome) {
        tracing::info!(topic = entry.message().topic, "command carried out");
        self.counts.send_modify(|counts| counts.carried_out += 1);
        let record = Uuid::now_v7();
        let id = id_or(&entry, record);
        let reply = match &entry.replays {
            None => CommandReply::carried_out(id, outcome),
            Some((dead_letter, origin)) => {
                CommandReply::replayed(id, *dead_letter, origin.topic.clone(), outcome)
            }
        };
        self.end(entry, record, reply, None, true).await;
    }

    /// Refuses a command, which no device was asked to carry out. A duplicate gets the answer of the first one, whatever
    /// speaks against it now.
    pub(super) async fn refuse(&self, (entry, refusal): Refused) {
        match self.earlier_reply(&entry).await {
            Some(earlier) => self.repeat(entry, earlier).await,
            None => self.fail(entry, refusal, 1).await,
        }
    }

    /// Answers a command that is not carried out: a reply, and a dead letter with the message.
    async fn fail(&self, entry: Entry, refusal: Box<Refusal>, attempts: u32) {
        let Refusal {
            mut report,
            is_permanent,
        } = *refusal;
        if may_be_for_lack_of_time(report.kind)
            && let Some(expired) = request::expired(entry.message(), Timestamp::now())
        {
            let message = format!("{}: {}", expired.message, report.message);
            report = ErrorReport { message, ..expired };
        }
        let (kind, topic) = (report.kind, &entry.message().topic);
        tracing::warn!(%kind, topic, "command refused: {}", report.message);
        let mut dead_letter = None;
        // A stored copy comes at each connect: it counts once, and has one dead letter.
        if !entry.is_repeated {
            self.counts.send_modify(|counts| counts.refuse(kind));
            dead_letter = Some(dead_letter_about(&entry, report.clone(), attempts));
        }
        let replay = entry.replays.as_ref().map(|_| Operation::Replay);
        let operation = replay.unwrap_or_else(|| entry.incoming.operation());
        let record = Uuid::now_v7();
        let dead_letter_id = dead_letter.as_ref().map(|dead_letter| dead_letter.id);
        let reply = CommandReply::failure(id_or(&entry, record), operation, report, dead_letter_id);
        self.end(entry, record, reply, dead_letter, is_permanent).await;
    }

    /// Gives the answer that the same command got before.
    async fn repeat(&self, entry: Entry, earlier: CommandReply) {
        self.end(entry, Uuid::now_v7(), earlier, None, false).await;
    }

    /// Stores the reply, and with it forgets the command. `remember`: the same command gets the same answer. Most
    /// refusals are not remembered: what they advise, and then to send the same again, must be possible.
    async fn end(
        &self,
        entry: Entry,
        record: Uuid,
        reply: CommandReply,
        dead_letter: Option<DeadLetter>,
        remember: bool,
    ) {
        let key = entry.key().filter(|_| remember);
        let Entry { incoming, local, .. } = entry;
        let message = incoming.message;
        let payload = reply.to_json();
        let mut records = Vec::new();
        // A stored copy comes at each connect, and nobody waits for an answer to that.
        let is_awaited = !entry.is_repeated || message.response_topic.is_some();
        if !message.local && is_awaited {
            records.push(Record {
                id: record,
                destination: Destination::Reply(reply_destination(&self.topics, &message)),
                payload: payload.clone(),
                correlation: message.correlation,
            });
        }
        records.extend(dead_letter.map(|dead_letter| dead_letter::record(&dead_letter, &self.bridge)));
        let replayed = entry.replays.as_ref().map(|(dead_letter, _)| {
            let at = Time(Timestamp::now());
            (
                *dead_letter,
                Replayed {
                    at,
                    ok: reply.error.is_none(),
                },
            )
        });
        let end = End {
            records,
            replayed,
            answer: key.map(|key| (key, payload)),
            local: local.map(|local| (local, reply)),
        };
        self.store.finish(entry.number, end).await;
        fault_point::reached("reply-stored");
    }
}

/// What the reply calls the command: as its sender does, else as the record that carries it.
fn id_or(entry: &Entry, record: Uuid) -> String {
    let id = entry.incoming.id.clone();
    id.unwrap_or_else(|| record.to_string())
}

fn dead_letter_about(entry: &Entry, report: ErrorReport, attempts: u32) -> DeadLetter {
    let (topic, message) = (entry.incoming.topic(), entry.message());
    let replayed = entry.replays.as_ref().map(|(_, origin)| origin.clone());
    DeadLetter {
        device: topic.and_then(CommandTopic::device).cloned(),
        slot: topic.and_then(CommandTopic::slot),
        attempts,
        first_at: message.received_at,
        origin: Some(replayed.unwrap_or_else(|| origin(message))),
        ..dead_letter::new(entry.incoming.operation(), report, Timestamp::now())
    }
}

/// Whether a command may have failed so because it was given up when it expired: an unreachable device fails in many
/// ways.
fn may_be_for_lack_of_time(kind: ErrorKind) -> bool {
    use ErrorKind::{Conflict, Forbidden, Profile, Rejected, Unauthorized};
    !matches!(kind, Conflict | Forbidden | Profile | Rejected | Unauthorized)
}

fn origin(received: &Received) -> Origin {
    Origin {
        topic: received.topic.clone(),
        payload: received.payload.clone(),
        payload_length: received.payload_length,
        correlation: received.correlation.clone(),
        response_topic: received.response_topic.clone(),
    }
}
