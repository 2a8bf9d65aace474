//! How many files and connections this process may have open at a time (`RLIMIT_NOFILE`).
//!
//! The soft limit is raised to the hard one at the start. Where even that is too little for the configured devices, it
//! stays a little below the hard one, and what lies between is for the connections to the broker and for the bridge's
//! own HTTP server: state is published, and health and metrics are answered, while polls find no descriptor.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the bridge needs for itself: the store, its sockets, the broker's connections, some pages.
const OWN: u64 = 128;
/// For each device: its connection, and another one for SNMP, or that begins while the first one ends.
const PER_DEVICE: u64 = 2;
/// What polls cannot have where the limit is too low; at most a quarter of the limit.
const RESERVE: u64 = 16;

/// Held while the soft limit is raised: two threads that did so at once would leave it raised.
static RAISED: Mutex<()> = Mutex::new(());
/// Whether there is a reserve.
static HAS_RESERVE: AtomicBool = AtomicBool::new(false);

/// How many descriptors so many devices need.
fn needed(devices: usize) -> u64 {
    OWN + PER_DEVICE * devices as u64
}

/// The soft limit, where `most` is the hard one and so many descriptors are needed.
fn soft_limit(most: u64, needed: u64) -> u64 {
    match most >= needed {
        true => most,
        false => most - RESERVE.min(most / 4),
    }
}

/// The hard limit and how many descriptors so many devices need, where these are more.
pub(crate) fn shortage(devices: usize) -> Option<(u64, u64)> {
    let most = getrlimit(Resource::Nofile).maximum?;
    let needed = needed(devices);
    (most < needed).then_some((most, needed))
}

/// Raises the soft limit to the hard one. What the system refuses stays as it was.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    set(limit.maximum, limit.maximum);
}

/// Warns where the limit is too low for so many devices, and keeps the reserve then.
pub(crate) fn plan_for(devices: usize) {
    let _not_raised = lock();
    let limit = getrlimit(Resource::Nofile);
    let Some(most) = limit.maximum else { return };
    let needed = needed(devices);
    set(Some(soft_limit(most, needed)), limit.maximum);
    HAS_RESERVE.store(most < needed, Ordering::Relaxed);
    if most < needed {
        tracing::warn!(
            limit = most,
            needed,
            devices,
            "too few open files and connections are allowed for the configured devices, some of which will not be \
             reachable; allow {needed} or more: by LimitNOFILE in the unit of systemd, --ulimit nofile of the \
             container, or ulimit -Hn of the shell"
        );
    }
}

/// Whether descriptors may be short, so that there is a reserve. Other threads cannot have it: what blocks is better done on
/// this one then, where it is short.
pub(crate) fn has_reserve() -> bool {
    HAS_RESERVE.load(Ordering::Relaxed)
}

/// How many of `wanted` connections there may be of others, who ask this process: a quarter of the limit at most.
pub(crate) fn share_for_others(wanted: usize) -> usize {
    let _not_raised = lock();
    let quarter = getrlimit(Resource::Nofile).current.map(|limit| limit / 4);
    let quarter = quarter.and_then(|quarter| usize::try_from(quarter).ok());
    wanted.min(quarter.unwrap_or(wanted))
}

/// Lets `work` use the reserve for descriptors that it opens. The soft limit is the process's, so it is raised only while
/// `work` runs, and not while it waits; what another thread opens just then may have the reserve, too.
pub(crate) async fn with_reserve<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|context| {
        let _raised = lock();
        let limit = getrlimit(Resource::Nofile);
        set(limit.maximum, limit.maximum);
        let polled = work.as_mut().poll(context);
        set(limit.current, limit.maximum);
        polled
    })
    .await
}

fn lock() -> MutexGuard<'static, ()> {
    RAISED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set(current: Option<u64>, maximum: Option<u64>) {
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current, maximum }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_leaves_a_reserve() {
        assert_eq!(needed(100), 328);
        assert_eq!(soft_limit(1 << 20, 328), 1 << 20);
        assert_eq!(soft_limit(328, 328), 328);
        assert_eq!(soft_limit(327, 328), 327 - RESERVE);
        assert_eq!(soft_limit(32, 328), 24, "something is left for the devices");
    }
}
