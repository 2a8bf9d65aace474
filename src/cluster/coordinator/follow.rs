//! What changes in etcd, from a snapshot on.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{Disagreement, Ended, Failure, of_task};
use crate::cluster::election::Input;
use crate::cluster::registry::{Meta, Registry};

/// Changes that wait to be taken in: what is more waits in the connection.
const HEARD: usize = 64;

/// The task that follows etcd. What an earlier one has heard goes with its channel.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) heard: mpsc::Receiver<Input>,
    /// Ends with why nothing more follows.
    pub(super) task: AbortOnDropHandle<Failure>,
}

impl Following {
    pub(super) fn start(registry: Arc<Registry>, meta: Meta) -> Following {
        let (sender, heard) = mpsc::channel(HEARD);
        let task = tokio::spawn(async move {
            let Err(failure) = follow(&registry, meta, &sender).await;
            failure
        });
        let task = AbortOnDropHandle::new(task);
        Following { heard, task }
    }
}

/// What is heard next. Cancel safe.
pub(super) async fn heard(following: &mut Option<Following>) -> Ended {
    let Some(Following { heard, task }) = following else {
        return pending().await;
    };
    if let Some(input) = heard.recv().await {
        return (input, None);
    }
    let failure = of_task(task.await);
    *following = None;
    let input = match failure {
        Failure::Etcd(_) => Input::WatchEnded,
        Failure::Disagreement(_) => Input::Expelled,
    };
    (input, Some(failure))
}

/// Reads all, then what changes, until that fails.
async fn follow(registry: &Registry, meta: Meta, heard: &mpsc::Sender<Input>) -> Result<Infallible, Failure> {
    let (snapshot, found) = registry.snapshot().await?;
    // Another one, or none if etcd was restored or created again.
    if found != Some(meta) {
        Disagreement::check(meta, registry.meta(meta).await?)?;
    }
    let mut watch = registry.watch(snapshot.revision.next()).await?;
    let mut inputs = vec![Input::Snapshot(snapshot)];
    loop {
        for input in inputs {
            // If nobody listens, this task is aborted.
            let _ = heard.send(input).await;
        }
        inputs = registry.changed(watch.next().await?);
    }
}
