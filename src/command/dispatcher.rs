//! From the inbox to the devices: one command at a time per device, in order; each gets exactly one reply,
//! and a dead letter if it fails. Devices do not wait for one another.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use super::execution::Context;
use super::inbox::{Entry, Inbox};
use super::work::{Refused, Work};
use crate::contract::topics::Topics;
use crate::lantime::device::{Job, not_waited_for};
use crate::model::{DeviceCommand, DeviceId, ErrorKind, ErrorReport};
use crate::records::Received;
use crate::records::store::{AnswerKey, End, Store, StoreError};

/// Commands that wait for one device, beside the one that is carried out; more are refused as busy.
const WAITING_PER_DEVICE: usize = 8;
/// Commands between the inbox and the dispatcher. Full: who brings commands waits, and so does the broker.
const ON_THE_WAY: usize = 1024;
/// Retained commands that are remembered as refused.
const RETAINED: usize = 1024;
/// How long the commands that are being carried out may take to end when the bridge stops. What does not
/// end stays in the inbox, for the next run.
const END_WITHIN: Duration = Duration::from_secs(2);

/// How a command gets to a device.
#[derive(Debug, Clone)]
pub struct Route {
    /// Takes one command at a time.
    pub jobs: mpsc::Sender<Job>,
    /// How long a command may take.
    pub timeout: Duration,
    /// How much later than that the device's task may be with its answer: a request that has begun comes to its end.
    pub grace: Duration,
    /// Whether commands that do not say so are refused at once while the device is offline.
    pub fail_fast: bool,
    /// Why the device is offline, while it is.
    pub offline: watch::Receiver<Option<ErrorReport>>,
}

impl Route {
    /// Why a command is not even to wait for its turn: the device is offline, and the command is not to wait for that.
    pub(super) fn refuses(&self, command: &DeviceCommand, fail_fast: Option<bool>) -> Option<ErrorReport> {
        // The log of HTTP sessions is the bridge's own.
        let needs_device = !matches!(command, DeviceCommand::HttpSessions { .. });
        if !needs_device || !fail_fast.unwrap_or(self.fail_fast) {
            return None;
        }
        self.offline.borrow().clone().map(not_waited_for)
    }
}

/// The ways to all devices.
pub type Routes = Arc<HashMap<DeviceId, Route>>;

/// The task between the inbox and the devices.
#[derive(Debug)]
pub struct Dispatcher {
    context: Arc<Context>,
    entries: mpsc::Receiver<Entry>,
    left_over: VecDeque<Entry>,
    /// What waits for each device. There while a command for it is carried out.
    queues: HashMap<DeviceId, VecDeque<Work>>,
    running: JoinSet<()>,
    /// The device that each command which is carried out is for.
    devices: HashMap<Id, DeviceId>,
    /// Retained commands that were refused: a broker that keeps one gives it again at each connect.
    retained: HashSet<AnswerKey>,
}

impl Dispatcher {
    /// A dispatcher of everything that comes into the inbox, and of what an earlier run has left there.
    ///
    /// # Errors
    /// When the inbox cannot be read.
    pub async fn new(
        store: Store,
        topics: Topics,
        bridge: DeviceId,
        routes: watch::Receiver<Routes>,
    ) -> Result<(Dispatcher, Inbox), StoreError> {
        let left_over = store.inbox().await?.into_iter().map(|waiting| Entry {
            waiting,
            is_left_over: true,
            is_told: false,
            local: None,
        });
        let (entries, receiver) = mpsc::channel(ON_THE_WAY);
        let inbox = Inbox::new(store.clone(), entries);
        let dispatcher = Dispatcher {
            left_over: left_over.collect(),
            context: Arc::new(Context {
                store,
                topics,
                bridge,
                routes,
                counts: watch::Sender::default(),
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
        while let Some(entry) = self.left_over.pop_front() {
            self.take(entry).await;
        }
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
                "commands that wait for their device stay in the inbox; the next run carries them out"
            );
        }
    }

    async fn take(&mut self, mut entry: Entry) {
        let is_left_over = entry.is_left_over;
        let command = &entry.waiting.command;
        if command.retained && command.payload.is_empty() {
            // It clears a retained command, and is none itself.
            let (context, number) = (self.context.clone(), entry.waiting.number);
            let forget = async move { context.store.finish(number, End::default()).await };
            self.running.spawn(forget);
            return;
        }
        entry.is_told = command.retained && self.is_told(command);
        match self.context.prepare(entry).await {
            Ok(work) => self.queue(work, is_left_over),
            Err(refused) => self.refuse(*refused),
        }
    }

    /// Whether a dead letter has told of this retained command already.
    fn is_told(&mut self, command: &Received) -> bool {
        if self.retained.len() >= RETAINED {
            self.retained.clear();
        }
        let key = AnswerKey::new(&command.topic, "", &command.payload);
        !self.retained.insert(key)
    }

    fn queue(&mut self, work: Work, is_left_over: bool) {
        match self.queues.get_mut(&work.device) {
            None => {
                self.queues.insert(work.device.clone(), VecDeque::new());
                self.start(work);
            }
            Some(queue) if is_left_over || queue.len() < WAITING_PER_DEVICE => {
                queue.push_back(work);
            }
            Some(_) => {
                let message = format!("{WAITING_PER_DEVICE} commands are waiting for this device already");
                let remedy = "wait for their replies, and send the command again";
                let report = ErrorReport::new(ErrorKind::Busy, message, remedy);
                self.refuse(work.refused(report));
            }
        }
    }

    fn start(&mut self, work: Work) {
        let (context, device) = (self.context.clone(), work.device.clone());
        let task = self.running.spawn(async move { context.carry_out(work).await });
        self.devices.insert(task.id(), device);
    }

    fn refuse(&mut self, refused: Refused) {
        let context = self.context.clone();
        self.running
            .spawn(async move { context.refuse(refused, 1).await });
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!("a command was broken off, and stays in the inbox for the next run: {error}");
                error.id()
            }
        };
        let Some(device) = self.devices.remove(&task) else {
            return;
        };
        match self.queues.get_mut(&device).and_then(|queue| queue.pop_front()) {
            Some(work) => self.start(work),
            None => drop(self.queues.remove(&device)),
        }
    }
}
