//! The way in for every command, wherever it comes from: on disk first, then to the dispatcher.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::fault_point;
use crate::records::Received;
use crate::records::store::{Store, StoreError, Waiting};

/// A command on its way to the dispatcher.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) waiting: Waiting,
    /// Whether it was there before this process: it has been accepted, however many wait.
    pub(super) is_left_over: bool,
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

    /// Takes a command from this machine; the receiver gets its reply, which is not published.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn submit_local(&self, command: Received) -> Result<oneshot::Receiver<Bytes>, StoreError> {
        let (local, reply) = oneshot::channel();
        let numbers = self.store.receive(vec![command.clone()]).await?;
        for number in numbers {
            self.hand_over(number, command, Some(local)).await;
            break;
        }
        Ok(reply)
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
            local,
        };
        // The dispatcher is gone only when the bridge stops: then the next run finds the command on disk.
        let _ = self.entries.send(entry).await;
    }
}
