//! The way in for every command, wherever it comes from: on disk first, then to the dispatcher.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::contract::reply;
use crate::fault_point;
use crate::model::{ErrorKind, ErrorReport, Operation};
use crate::records::Received;
use crate::records::store::{Store, StoreError, Waiting};

/// A command on its way to the dispatcher.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) waiting: Waiting,
    /// Whether it was there before this process: it has been accepted, however many wait.
    pub(super) is_left_over: bool,
    /// Whether it was refused before: a retained command that the broker gives again.
    pub(super) is_repeated: bool,
    /// Gets the reply, for one who asks from this machine.
    pub(super) local: Option<oneshot::Sender<Bytes>>,
}

/// Takes commands. Clones take them for the same dispatcher.
#[derive(Debug, Clone)]
pub struct Inbox {
    store: Store,
    entries: mpsc::Sender<Entry>,
}

impl Inbox {
    pub(super) fn new(store: Store, entries: mpsc::Sender<Entry>) -> Inbox {
        Inbox { store, entries }
    }

    /// Takes commands in order. When it returns they are on disk, and will be answered, by this process or
    /// by the next one.
    ///
    /// # Errors
    /// When they cannot be stored: then none of them has been taken.
    pub async fn submit(&self, commands: Vec<Received>) -> Result<(), StoreError> {
        let numbers = self.store.receive(commands.clone()).await?;
        fault_point::reached("in-the-inbox");
        for (number, command) in numbers.into_iter().zip(commands) {
            self.hand_over(number, command, None).await;
        }
        Ok(())
    }

    /// Runs the command that `topic` and `payload` would be over MQTT, because somebody asks for it otherwise (command
    /// line, page, Sparkplug); gives the JSON of the reply, which is not published. Who does not wait for that leaves a
    /// command that goes on all the same.
    pub async fn ask(&self, topic: String, payload: impl Into<Bytes>, operation: Operation) -> Bytes {
        let (inbox, payload) = (self.clone(), payload.into());
        // A task of its own: cut off between disk and dispatcher, the command would wait there for the next run.
        let asked = tokio::spawn(async move { inbox.begin(topic, payload, operation).await.await });
        asked.await.unwrap_or_else(|_| stopping(operation))
    }

    /// The same in two steps, for one who has more to ask meanwhile: what was begun earlier comes to its device
    /// earlier. The command is on disk when this returns; what it returns gives the reply.
    pub async fn begin(
        &self,
        topic: String,
        payload: Bytes,
        operation: Operation,
    ) -> impl Future<Output = Bytes> + Send + use<> {
        let command = Received::local(topic, payload);
        let (local, answered) = oneshot::channel();
        let refused = match self.store.receive(vec![command.clone()]).await.as_deref() {
            Ok([number, ..]) => {
                self.hand_over(*number, command, Some(local)).await;
                None
            }
            Ok([]) => None,
            Err(error) => {
                let remedy = "ask again when the store works";
                let report = ErrorReport::new(ErrorKind::Storage, error.to_string(), remedy);
                Some(failed(operation, report))
            }
        };
        async move {
            if let Some(refused) = refused {
                return refused;
            }
            answered.await.unwrap_or_else(|_| stopping(operation))
        }
    }

    /// Runs the command of a dead letter once more. `topic` is that of the command that does so over MQTT.
    pub async fn replay(&self, topic: String, letter: Uuid) -> Bytes {
        let payload = serde_json::json!({ "id": letter }).to_string();
        self.ask(topic, payload, Operation::Replay).await
    }

    async fn hand_over(&self, number: u64, command: Received, local: Option<oneshot::Sender<Bytes>>) {
        let waiting = Waiting {
            number,
            command,
            attempts: 0,
        };
        let entry = Entry {
            waiting,
            is_left_over: false,
            is_repeated: false,
            local,
        };
        // The dispatcher is gone only when the bridge stops: then the next run finds the command on disk.
        let _ = self.entries.send(entry).await;
    }
}

fn failed(operation: Operation, report: ErrorReport) -> Bytes {
    reply::failure(None, Uuid::now_v7(), operation, &report, None)
}

fn stopping(operation: Operation) -> Bytes {
    let remedy = "look for its end in the dead letters, and in the log of the bridge";
    let message = "the bridge is stopping; the command stays in its inbox for the next run";
    failed(operation, ErrorReport::new(ErrorKind::Internal, message, remedy))
}
