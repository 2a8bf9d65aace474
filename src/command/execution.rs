//! One command that is understood, to its reply: given to its device, answered; or one that is refused.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::admission::{Accepted, Message, Refused};
use super::context::Context;
use super::inbox::Entry;
use super::reply_topic::reply_destination;
use super::request;
use super::route::Route;
use super::unknown::no_such_device;
use crate::contract::reply::{self, Replayed};
use crate::contract::topics::Destination;
use crate::fault_point;
use crate::lantime::device::Job;
use crate::model::{DeadLetter, ErrorKind, ErrorReport, Operation, Origin, Outcome};
use crate::records::store::{End, Waiting};
use crate::records::{Received, Record, dead_letter};

/// Attempts after which a command is given up: the process has ended in each of them.
const MAX_ATTEMPTS: u32 = 5;

impl Context {
    /// Carries a command out, unless the same one was answered before.
    pub(super) async fn carry_out(&self, accepted: Accepted) {
        if let Some(answer) = self.earlier_answer(&accepted.message).await {
            return self
                .end(accepted.message, Uuid::now_v7(), answer, None, false)
                .await;
        }
        let Waiting { number, attempts, .. } = accepted.message.entry.waiting;
        // Without the count on disk the command is still safe to repeat.
        let attempt = self.store.attempt(number).await.unwrap_or(attempts + 1);
        if attempt > MAX_ATTEMPTS {
            let message = format!(
                "this program has ended {} times while it was carried out",
                attempt - 1
            );
            let remedy = "look at its log, and report what you find there";
            let report = ErrorReport::new(ErrorKind::Internal, message, remedy);
            return self.refuse(accepted.refused(report), attempt - 1).await;
        }
        // It may have waited.
        if let Some(report) = request::expired(accepted.message.received(), Timestamp::now()) {
            return self.refuse(accepted.refused(report), attempt).await;
        }
        match self.ask_device(&accepted, attempt).await {
            Ok(outcome) => self.succeed(accepted.message, outcome).await,
            Err(report) => self.refuse(accepted.refused(report), attempt).await,
        }
    }

    /// The answer that the same command got when it was carried out, within the last hour.
    async fn earlier_answer(&self, message: &Message) -> Option<Bytes> {
        // A store that fails knows of none: to carry it out again is harmless.
        self.store.answer(message.key()?).await.ok().flatten()
    }

    /// Gives the command to its device's task, and again to a task that takes its place.
    async fn ask_device(&self, accepted: &Accepted, mut attempt: u32) -> Result<Outcome, ErrorReport> {
        let mut routes = self.routes.clone();
        let expires_in = accepted.message.received().expires_at.map(|at| {
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
                jobs, timeout, grace, ..
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
                jobs.send(Box::new(job)).await.ok()?;
                answered.await.ok()
            };
            if let Ok(Some(result)) = timeout_at(deadline + grace, asked).await {
                return result;
            }
            // Its task has ended: it is being replaced, or the bridge stops. It may have begun.
            attempt += 1;
            let is_replaced = matches!(timeout_at(deadline, routes.changed()).await, Ok(Ok(())));
            if !is_replaced || attempt > MAX_ATTEMPTS {
                let remedy = "send the command again; if this goes on, look at the log of the bridge";
                let message = "the task of this device does not answer";
                return Err(ErrorReport::new(ErrorKind::Internal, message, remedy));
            }
        }
    }

    async fn succeed(&self, message: Message, outcome: Outcome) {
        tracing::info!(topic = message.received().topic, "command carried out");
        self.counts.send_modify(|counts| counts.carried_out += 1);
        let record = Uuid::now_v7();
        let id = message.id.as_deref();
        let payload = match &message.replays {
            None => reply::success(id, record, &outcome),
            Some((letter, origin)) => {
                let replayed = Replayed {
                    dead_letter: *letter,
                    topic: origin.topic.clone(),
                    outcome,
                };
                reply::replayed(id, record, &replayed)
            }
        };
        self.end(message, record, payload, None, true).await;
    }

    /// Refuses a command: a reply, and a dead letter with the message. A duplicate gets the answer of the first
    /// one, whatever speaks against it now.
    pub(super) async fn refuse(&self, refused: Refused, attempts: u32) {
        let Refused {
            mut report,
            is_permanent,
            message,
        } = refused;
        if let Some(answer) = self.earlier_answer(&message).await {
            return self.end(message, Uuid::now_v7(), answer, None, false).await;
        }
        let received = message.received();
        if may_be_for_lack_of_time(report.kind)
            && let Some(expired) = request::expired(received, Timestamp::now())
        {
            let message = format!("{}: {}", expired.message, report.message);
            report = ErrorReport { message, ..expired };
        }
        let (kind, topic) = (report.kind, &received.topic);
        tracing::warn!(%kind, topic, "command refused: {}", report.message);
        // A stored copy comes at each connect: it counts once, as it is told once.
        if !message.entry.is_repeated {
            self.counts.send_modify(|counts| counts.refuse(kind));
        }
        let record = Uuid::now_v7();
        let asked_for = message
            .replays
            .as_ref()
            .map_or(message.operation, |_| Operation::Replay);
        let letter = DeadLetter {
            device: message.device.clone(),
            slot: message.slot.clone(),
            attempts,
            first_at: received.received_at,
            origin: Some(match &message.replays {
                Some((_, origin)) => origin.clone(),
                None => origin(received),
            }),
            ..dead_letter::new(message.operation, report.clone(), Timestamp::now())
        };
        let letter = Some(letter).filter(|_| !message.entry.is_repeated);
        let reported_by = letter.as_ref().map(|letter| letter.id);
        let payload = reply::failure(message.id.as_deref(), record, asked_for, &report, reported_by);
        self.end(message, record, payload, letter, is_permanent).await;
    }

    /// Stores the reply, and with it forgets the command. `remember`: the same command gets the same answer. Most
    /// refusals are not remembered: what they advise, and then to send the same again, must be possible.
    async fn end(
        &self,
        message: Message,
        record: Uuid,
        payload: Bytes,
        letter: Option<DeadLetter>,
        remember: bool,
    ) {
        let key = message.key().filter(|_| remember);
        let Entry {
            waiting,
            local,
            is_repeated,
            ..
        } = message.entry;
        let mut records = Vec::new();
        // A stored copy comes at each connect, and nobody waits for an answer to that.
        let is_awaited = !is_repeated || waiting.command.response_topic.is_some();
        if !waiting.command.local && is_awaited {
            records.push(Record {
                id: record,
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

/// Whether a command may have failed so because it was given up when it expired: a device that is away fails in many
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
