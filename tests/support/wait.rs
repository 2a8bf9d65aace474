//! Waiting for what reports no change of itself, such as another program's answers: asked again and again.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::PATIENCE;

/// Waits until the condition holds.
///
/// # Panics
/// When it does not within [`PATIENCE`], with `what`.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for_value(what, async || condition().await.then_some(()).ok_or("")).await;
}

/// The same in a task that may move to another thread.
pub async fn until_holds(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        pause(begin, PATIENCE, what, "").await;
    }
}

/// Asks until there is a value, and gives it.
///
/// # Panics
/// When there is none within [`PATIENCE`], with `what` and what was there instead.
pub async fn for_value<T, E: Display>(what: &str, ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    within(PATIENCE, what, ask).await
}

/// The same with another patience.
pub async fn within<T, E: Display>(
    patience: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let begin = Instant::now();
    loop {
        match ask().await {
            Ok(value) => return value,
            Err(instead) => pause(begin, patience, what, instead).await,
        }
    }
}

/// Waits until nothing is `left`, for as long as it becomes less: a busy machine is slow, and no fault.
pub async fn none_left(mut left: impl FnMut() -> usize) -> bool {
    let (mut least, mut since) = (usize::MAX, Instant::now());
    loop {
        let now = left();
        if now == 0 {
            return true;
        }
        if now < least {
            (least, since) = (now, Instant::now());
        } else if since.elapsed() > 10 * PATIENCE {
            return false;
        }
        pause(since, 11 * PATIENCE, "none is left", now).await;
    }
}

/// Ever longer: it may cost much to ask.
async fn pause(begin: Instant, patience: Duration, what: &str, instead: impl Display) {
    let waited = begin.elapsed();
    assert!(waited < patience, "{what}: never; {instead}");
    sleep((waited / 8).clamp(Duration::from_millis(2), Duration::from_millis(200))).await;
}
