//! The way in for every command, wherever it comes from: kept first, then to the dispatcher.

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::command_store::CommandStore;
use super::incoming::Incoming;
use crate::contract::reply::CommandReply;
use crate::contract::topics::Topics;
use crate::fault_point;
use crate::model::{ErrorKind, ErrorReport, Operation, Origin};
use crate::records::Received;
use crate::records::store::{AnswerKey, StoreError, Waiting};

/// Who asks from this machine, and waits for the reply.
pub(super) type Local = oneshot::Sender<CommandReply>;

/// A command between the inbox and its reply.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its number in the inbox.
    pub(super) number: u64,
    /// Attempts that have begun.
    pub(super) attempts: u32,
    /// Whether it was there before this process: it has been accepted, however many wait.
    pub(super) is_left_over: bool,
    /// Whether it was refused before: a retained command that the broker gives again.
    pub(super) is_repeated: bool,
    pub(super) local: Option<Local>,
    /// The message; its command is, of a replay, the one that is run again, as soon as that is known.
    pub(super) incoming: Incoming,
    /// For a replay, the dead letter and the message that it carries.
    pub(super) replays: Option<(Uuid, Origin)>,
}

impl Entry {
    fn new(number: u64, incoming: Incoming, local: Option<Local>) -> Entry {
        Entry {
            number,
            attempts: 0,
            is_left_over: false,
            is_repeated: false,
            local,
            incoming,
            replays: None,
        }
    }

    /// What an earlier run has left.
    pub(super) fn left_over(waiting: Waiting, topics: &Topics) -> Entry {
        let incoming = Incoming::read_again(waiting.command, topics, Timestamp::now());
        Entry {
            attempts: waiting.attempts,
            is_left_over: true,
            ..Entry::new(waiting.number, incoming, None)
        }
    }

    pub(super) fn message(&self) -> &Received {
        &self.incoming.message
    }

    /// Under what the answer is remembered. A replay is carried out each time, and so is what has no id.
    pub(super) fn key(&self) -> Option<AnswerKey> {
        let id = self.incoming.id.as_deref().filter(|_| self.replays.is_none())?;
        let message = self.message();
        Some(AnswerKey::new(&message.topic, id, &message.payload))
    }
}

/// Takes commands. Clones take them for the same dispatcher.
#[derive(Debug, Clone)]
pub struct Inbox {
    store: CommandStore,
    entries: mpsc::Sender<Entry>,
}

impl Inbox {
    pub(super) fn new(store: CommandStore, entries: mpsc::Sender<Entry>) -> Inbox {
        Inbox { store, entries }
    }

    /// Takes commands in order. When it returns they are on disk, and will be answered, by this process or
    /// by the next one.
    ///
    /// # Errors
    /// When they cannot be stored: then none of them has been taken.
    pub async fn submit(&self, commands: Vec<Incoming>) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let messages = commands.iter().map(|command| command.message.clone());
        let (messages, entries) = (messages.collect(), self.entries.clone());
        let done = move |stored: Result<Vec<u64>, _>| {
            let commands = |numbers: Vec<u64>| numbers.into_iter().zip(commands);
            let taken = stored.map(|numbers| hand_over(&entries, commands(numbers), None));
            let _ = answer.send(taken);
        };
        self.store.receive_then(messages, done).await;
        let ended = |_| Err(StoreError::Io("its thread has ended".to_owned()));
        answered.await.unwrap_or_else(ended)
    }

    /// Runs a command that does not come over MQTT (command line, page, Sparkplug); gives the reply, which is not
    /// published. Who does not wait for that leaves a command that goes on all the same.
    pub async fn ask(&self, command: Incoming) -> CommandReply {
        self.begin(command).await.await
    }

    /// The same in two steps, for one who has more to ask meanwhile: what was begun earlier comes to its device
    /// earlier. What it returns gives the reply.
    pub async fn begin(&self, command: Incoming) -> impl Future<Output = CommandReply> + Send + use<> {
        let operation = command.operation();
        let (local, answered) = oneshot::channel();
        let (messages, entries) = (vec![command.message.clone()], self.entries.clone());
        let done = move |stored: Result<Vec<u64>, _>| match stored {
            Ok(numbers) => hand_over(&entries, numbers.into_iter().zip([command]), Some(local)),
            Err(error) => drop(local.send(not_taken(operation, &error))),
        };
        self.store.receive_then(messages, done).await;
        async move { answered.await.unwrap_or_else(|_| stopping(operation)) }
    }
}

/// Hands over what is on disk. The store's thread does so: a command is carried out even if its edge has been dropped by
/// then, and does not wait for the next run.
fn hand_over(
    entries: &mpsc::Sender<Entry>,
    commands: impl Iterator<Item = (u64, Incoming)>,
    mut local: Option<Local>,
) {
    fault_point::reached("in-the-inbox");
    for (number, incoming) in commands {
        // There is room for all of the inbox. The channel is closed only when the bridge stops: then the next run finds
        // the command on disk.
        let _ = entries.try_send(Entry::new(number, incoming, local.take()));
    }
}

fn not_taken(operation: Operation, error: &StoreError) -> CommandReply {
    let (message, remedy) = (error.to_string(), "send the command again when the store works");
    failure(operation, ErrorReport::new(ErrorKind::Storage, message, remedy))
}

fn stopping(operation: Operation) -> CommandReply {
    let remedy = "look for its result in the dead letters, and in the log of the bridge";
    let message = "the bridge stops to work for the device; the command stays in the inbox, for the next run or for another bridge of a cluster";
    failure(operation, ErrorReport::new(ErrorKind::Internal, message, remedy))
}

fn failure(operation: Operation, error: ErrorReport) -> CommandReply {
    CommandReply::failure(Uuid::now_v7().to_string(), operation, error, None)
}
