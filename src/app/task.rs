//! A task of the bridge with its name, for errors about a task that fails or does not stop.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::thread;

use anyhow::{Context, anyhow};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub(super) struct Task {
    name: &'static str,
    stop: CancellationToken,
    handle: JoinHandle<anyhow::Result<()>>,
}

impl Task {
    /// Starts a task that ends when its token is cancelled.
    pub(super) fn spawn<F>(name: &'static str, task: impl FnOnce(CancellationToken) -> F) -> Task
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Task::spawn_fallible(name, |stop| {
            let task = task(stop);
            async move {
                task.await;
                Ok(())
            }
        })
    }

    /// The same with one that may end by an error.
    pub(super) fn spawn_fallible<F>(name: &'static str, task: impl FnOnce(CancellationToken) -> F) -> Task
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let handle = tokio::spawn(task(stop.clone()));
        Task { name, stop, handle }
    }

    /// The same on a thread of its own, where it holds nobody up.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn spawn_on_thread<F>(
        name: &'static str,
        task: impl FnOnce(CancellationToken) -> F,
    ) -> anyhow::Result<Task>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let what = || format!("cannot start a thread for the {name}");
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.with_context(what)?;
        let stop = CancellationToken::new();
        let task = task(stop.clone());
        let (ended, end) = oneshot::channel();
        let run = move || {
            runtime.block_on(task);
            // Nobody waits for it any more at a stop that takes too long.
            let _ = ended.send(());
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
        thread.with_context(what)?;
        let handle = tokio::spawn(async move { end.await.context("its thread has panicked") });
        Ok(Task { name, stop, handle })
    }

    /// Lets the task end.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Stops the task, and aborts it when it does not end in time.
    ///
    /// # Errors
    /// Its name, when it did not.
    pub(super) async fn end(mut self, deadline: Instant) -> Result<(), &'static str> {
        self.stop.cancel();
        // One whose end has been seen already must not be asked again.
        if self.handle.is_finished() || tokio::time::timeout_at(deadline, &mut self.handle).await.is_ok() {
            return Ok(());
        }
        self.handle.abort();
        Err(self.name)
    }
}

/// Whoever drops a task does not want it any more: a start that has failed.
impl Drop for Task {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Ends these tasks one after the other. Gives those that did not end in time.
pub(super) async fn end_all(tasks: impl IntoIterator<Item = Task>, deadline: Instant) -> Vec<&'static str> {
    let mut late = Vec::new();
    for task in tasks {
        late.extend(task.end(deadline).await.err());
    }
    late
}

/// Waits until one of these tasks ends, and says how.
pub(super) async fn any_end<'t>(tasks: impl Iterator<Item = &'t mut Task>) -> anyhow::Error {
    let mut tasks: Vec<_> = tasks.collect();
    poll_fn(|context| {
        for task in &mut tasks {
            let name = task.name;
            let Poll::Ready(ended) = Pin::new(&mut task.handle).poll(context) else {
                continue;
            };
            return Poll::Ready(match ended {
                Ok(Ok(())) => anyhow!("the {name} has ended"),
                Ok(Err(error)) => error.context(format!("the {name} has ended")),
                Err(error) => anyhow!("the {name} has ended: {error}"),
            });
        }
        Poll::Pending
    })
    .await
}
