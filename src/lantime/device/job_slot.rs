//! How one command at a time gets to a device's task: a channel of a single place. Those of tokio have room for 32 from
//! their beginning, 800 bytes for each device.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use super::command::Job;

/// Gives commands to a device's task.
#[derive(Debug, Clone)]
pub struct JobSender(Arc<Slot>);

/// Takes them.
#[derive(Debug)]
pub struct JobReceiver(Arc<Slot>);

#[derive(Debug)]
struct Slot {
    content: Mutex<Content>,
    /// There is room again, or the receiver is dropped.
    is_emptied: Notify,
}

#[derive(Debug)]
enum Content {
    /// With who waits for a command.
    Empty(Option<Waker>),
    Waiting(Box<Job>),
    /// The receiver is dropped.
    Closed,
}

/// Both ends of a slot.
pub fn job_slot() -> (JobSender, JobReceiver) {
    let slot = Arc::new(Slot {
        content: Mutex::new(Content::Empty(None)),
        is_emptied: Notify::new(),
    });
    (JobSender(Arc::clone(&slot)), JobReceiver(slot))
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the command back where there is no room.
    fn put(&self, job: Box<Job>) -> Option<Box<Job>> {
        let mut content = self.lock();
        let Content::Empty(receiver) = &mut *content else {
            return Some(job);
        };
        let receiver = receiver.take();
        *content = Content::Waiting(job);
        drop(content);
        receiver.into_iter().for_each(Waker::wake);
        None
    }

    fn poll_take(&self, context: &Context<'_>) -> Poll<Box<Job>> {
        let empty = Content::Empty(Some(context.waker().clone()));
        let before = std::mem::replace(&mut *self.lock(), empty);
        match before {
            Content::Waiting(job) => {
                self.is_emptied.notify_waiters();
                Poll::Ready(job)
            }
            Content::Empty(_) | Content::Closed => Poll::Pending,
        }
    }

    fn is_closed(&self) -> bool {
        matches!(*self.lock(), Content::Closed)
    }
}

impl JobSender {
    /// Gives a command, once there is room; `None` when the task has ended. It may be dropped while it waits: then the
    /// command is not given.
    pub async fn send(&self, job: Job) -> Option<()> {
        let mut job = Box::new(job);
        loop {
            let emptied = self.0.is_emptied.notified();
            tokio::pin!(emptied);
            // From here on: what happens before it waits must not be missed.
            emptied.as_mut().enable();
            match self.0.put(job) {
                None => break,
                Some(_) if self.0.is_closed() => return None,
                Some(back) => job = back,
            }
            emptied.await;
        }
        Some(())
    }
}

impl JobReceiver {
    /// Waits for a command. It may be dropped while it waits.
    pub(super) async fn recv(&mut self) -> Job {
        *poll_fn(|context| self.0.poll_take(context)).await
    }
}

/// A command that waits is dropped with its answer: it may be given again.
impl Drop for JobReceiver {
    fn drop(&mut self) {
        *self.0.lock() = Content::Closed;
        self.0.is_emptied.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;
    use crate::model::{DeviceCommand, ErrorReport, Outcome};

    type Answered = oneshot::Receiver<Result<Outcome, ErrorReport>>;

    fn job(attempt: u32) -> (Job, Answered) {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            command: DeviceCommand::Refresh,
            attempt,
            deadline: Instant::now(),
            fail_fast: false,
            answer,
        };
        (job, answered)
    }

    #[tokio::test]
    async fn one_command_waits_and_the_next_one_for_room() {
        let (sender, mut receiver) = job_slot();
        let jobs: Vec<_> = (1..=3).map(|attempt| job(attempt).0).collect();
        let give = async {
            for job in jobs {
                sender.send(job).await.unwrap();
            }
        };
        let take = async {
            for expected in 1..=3 {
                assert_eq!(receiver.recv().await.attempt, expected);
            }
        };
        tokio::join!(give, take);
    }

    #[tokio::test]
    async fn the_end_of_the_task_drops_what_waits_and_refuses_the_rest() {
        let (sender, receiver) = job_slot();
        let ((waiting, answered), (next, _)) = (job(1), job(2));
        sender.send(waiting).await.unwrap();
        let end = async { drop(receiver) };
        let (refused, ()) = tokio::join!(biased; sender.send(next), end);
        assert_eq!(refused, None);
        assert!(answered.await.is_err(), "it may be given again");
        assert_eq!(sender.send(job(3).0).await, None);
    }

    #[tokio::test]
    async fn whoever_stops_waiting_for_a_command_misses_none() {
        let (sender, mut receiver) = job_slot();
        {
            let recv = receiver.recv();
            tokio::pin!(recv);
            tokio::select! {
                biased;
                _ = &mut recv => panic!("there is none"),
                () = async {} => {}
            }
            sender.send(job(1).0).await.unwrap();
        }
        assert_eq!(receiver.recv().await.attempt, 1);
    }
}
