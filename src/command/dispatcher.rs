//! From the inbox to the devices: one command at a time per device, in order; each gets exactly one reply,
//! and a dead letter if it fails. Devices do not wait for one another.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::admission::{Accepted, Refused};
use super::command_store::CommandStore;
use super::context::Context;
use super::counts::Counts;
use super::elsewhere::Elsewhere;
use super::inbox::{Entry, Inbox};
use super::route::Routes;
use crate::contract::topics::Topics;
use crate::model::{DeviceId, ErrorKind, ErrorReport};
use crate::records::Received;
use crate::records::store::{AnswerKey, End, StoreError, options};

/// Commands that wait for one device, beside the one that is carried out; more are refused as busy.
const WAITING_PER_DEVICE: usize = 8;
/// Commands between the inbox and the dispatcher: all that the inbox takes, so it is never full.
const ON_THE_WAY: usize = options::INBOX.entries;
/// Retained commands that are remembered as refused.
const RETAINED: usize = 1024;
/// How long the commands that are being carried out may take to end when the bridge stops. What does not
/// end stays in the inbox, for the next run.
const END_WITHIN: Duration = Duration::from_secs(2);

/// The task between the inbox and the devices.
#[derive(Debug)]
pub struct Dispatcher {
    context: Arc<Context>,
    entries: mpsc::Receiver<Entry>,
    /// What waits for each device. There while a command for it is carried out.
    queues: HashMap<DeviceId, VecDeque<Accepted>>,
    running: JoinSet<()>,
    /// The device that each command which is carried out is for.
    devices: HashMap<Id, DeviceId>,
    /// Retained commands that were refused: a broker that keeps one gives it again at each connect.
    retained: HashSet<AnswerKey>,
}

impl Dispatcher {
    /// A dispatcher of everything that comes into the inbox, and of what an earlier run has left there. In a cluster it
    /// knows of what is `elsewhere`.
    ///
    /// # Errors
    /// When the inbox cannot be read.
    pub async fn new(
        store: CommandStore,
        topics: Topics,
        bridge: DeviceId,
        routes: watch::Receiver<Routes>,
        elsewhere: Option<Elsewhere>,
    ) -> Result<(Dispatcher, Inbox), StoreError> {
        let (entries, receiver) = mpsc::channel(ON_THE_WAY);
        for waiting in store.inbox().await? {
            // There is room for all of them.
            let _ = entries.try_send(Entry::left_over(waiting, &topics));
        }
        let inbox = Inbox::new(store.clone(), entries);
        let dispatcher = Dispatcher {
            context: Arc::new(Context {
                store,
                topics,
                bridge,
                routes,
                counts: watch::Sender::default(),
                elsewhere,
            }),
            entries: receiver,
            queues: HashMap::new(),
            running: JoinSet::new(),
            devices: HashMap::new(),
            retained: HashSet::new(),
        };
        Ok((dispatcher, inbox))
    }

    /// How many commands there were.
    pub fn counts(&self) -> watch::Receiver<Counts> {
        self.context.counts.subscribe()
    }

    /// Carries commands out until `stop`; then lets those that have begun come to their end, if it is near.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                Some(entry) = self.entries.recv() => self.take(entry).await,
            }
        }
        let end = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(END_WITHIN, end).await.is_err() {
            tracing::info!(
                commands = self.running.len(),
                "commands for devices that do not answer stay in the inbox; the next run carries them out"
            );
        }
    }

    async fn take(&mut self, mut entry: Entry) {
        let is_left_over = entry.is_left_over;
        let command = entry.message();
        if command.retained && command.payload.is_empty() {
            // It clears a retained command, and is none itself.
            let (context, number) = (self.context.clone(), entry.number);
            let forget = async move { context.store.finish(number, End::default()).await };
            self.running.spawn(forget);
            return;
        }
        entry.is_repeated = command.retained && self.is_repeated(command);
        match self.context.admit(entry).await {
            Ok(accepted) => self.queue(accepted, is_left_over),
            Err(refused) => self.refuse(*refused),
        }
    }

    /// Whether a dead letter has reported this retained command already.
    fn is_repeated(&mut self, command: &Received) -> bool {
        if self.retained.len() >= RETAINED {
            self.retained.clear();
        }
        let key = AnswerKey::new(&command.topic, "", &command.payload);
        !self.retained.insert(key)
    }

    fn queue(&mut self, accepted: Accepted, is_left_over: bool) {
        match self.queues.get_mut(&accepted.device) {
            None => {
                self.queues.insert(accepted.device.clone(), VecDeque::new());
                self.start(accepted);
            }
            Some(queue) if is_left_over || queue.len() < WAITING_PER_DEVICE => {
                queue.push_back(accepted);
            }
            Some(_) => {
                let message = format!("{WAITING_PER_DEVICE} commands are waiting for this device already");
                let remedy = "wait for their replies, and send the command again";
                let report = ErrorReport::new(ErrorKind::Busy, message, remedy);
                self.refuse((accepted.entry, report.into()));
            }
        }
    }

    fn start(&mut self, accepted: Accepted) {
        let (context, device) = (self.context.clone(), accepted.device.clone());
        let task = self
            .running
            .spawn(async move { context.carry_out(accepted).await });
        self.devices.insert(task.id(), device);
    }

    fn refuse(&mut self, refused: Refused) {
        let context = self.context.clone();
        self.running.spawn(async move { context.refuse(refused).await });
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!("command interrupted; it stays in the inbox for the next run: {error}");
                error.id()
            }
        };
        let Some(device) = self.devices.remove(&task) else {
            return;
        };
        match self.queues.get_mut(&device).and_then(|queue| queue.pop_front()) {
            Some(accepted) => self.start(accepted),
            None => drop(self.queues.remove(&device)),
        }
    }
}
