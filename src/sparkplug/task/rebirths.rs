//! Births that hosts ask for again. Pure, but for the clock.

use std::time::Duration;

use tokio::time::Instant;

/// They come at most so often: a command of 40 bytes asks for megabytes, and whoever may write it shall not flood the broker.
const PAUSE: Duration = Duration::from_secs(5);

/// What hosts have asked for in this session.
#[derive(Debug, Default)]
pub(super) struct Rebirths {
    is_asked: bool,
    /// When the last ones were made.
    made_at: Option<Instant>,
}

impl Rebirths {
    /// A host asks. What others ask until they are made is the same.
    pub(super) fn ask(&mut self) {
        self.is_asked = true;
    }

    /// When they are to be made; `None`: nobody has asked.
    pub(super) fn at(&self) -> Option<Instant> {
        let now = Instant::now;
        self.is_asked
            .then(|| self.made_at.map_or_else(now, |at| at + PAUSE))
    }

    /// Whether they are to be made now, which counts as done.
    pub(super) fn take(&mut self) -> bool {
        let is_over = |at: Instant| at.elapsed() >= PAUSE;
        let is_due = self.is_asked && self.made_at.is_none_or(is_over);
        if is_due {
            *self = Rebirths {
                is_asked: false,
                made_at: Some(Instant::now()),
            };
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_comes_at_once_and_many_in_the_pause_are_one_after_it() {
        let mut rebirths = Rebirths::default();
        assert!(!rebirths.take(), "nobody has asked");
        rebirths.ask();
        assert!(rebirths.take() && !rebirths.take());
        for _ in 0..3 {
            advance(PAUSE / 4).await;
            rebirths.ask();
            assert!(!rebirths.take());
        }
        sleep_until(rebirths.at().unwrap()).await;
        assert!(rebirths.take() && !rebirths.take());
    }
}
