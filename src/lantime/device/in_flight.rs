//! Futures that go on beside others. Boxed: what is not in flight takes no room.

use std::fmt;
use std::future::pending;
use std::pin::Pin;

use super::input::Input;

/// At most one future of that kind.
pub(super) struct InFlight<T>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> InFlight<T> {
    /// Nothing yet.
    pub(super) fn idle() -> InFlight<T> {
        InFlight(None)
    }

    /// Begins; what was in flight is dropped.
    pub(super) fn begin(&mut self, future: impl Future<Output = T> + Send + 'static) {
        self.0 = Some(Box::pin(future));
    }

    pub(super) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Waits for its end; for ever, where nothing is in flight. It may be dropped while it waits.
    pub(super) async fn end(&mut self) -> T {
        let Some(future) = &mut self.0 else {
            return pending().await;
        };
        let output = future.await;
        self.0 = None;
        output
    }
}

/// A way to a device, which travels into the future that uses it, and comes back with what has happened.
#[derive(Debug)]
pub(super) struct Way<W> {
    /// `None` while it is used, and where there is none.
    idle: Option<W>,
    used: InFlight<(W, Input)>,
}

impl<W> Way<W> {
    pub(super) fn new(way: Option<W>) -> Way<W> {
        Way {
            idle: way,
            used: InFlight::idle(),
        }
    }

    /// Uses it, where it is not used already.
    pub(super) fn ask<F>(&mut self, ask: impl FnOnce(W) -> F)
    where
        F: Future<Output = (W, Input)> + Send + 'static,
    {
        if let Some(way) = self.idle.take() {
            self.used.begin(ask(way));
        }
    }

    /// Waits for the end of what uses it. It may be dropped while it waits.
    pub(super) async fn end(&mut self) -> Input {
        let (way, input) = self.used.end().await;
        self.idle = Some(way);
        input
    }
}

impl<T> fmt::Debug for InFlight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_idle = self.is_idle();
        f.debug_struct("InFlight").field("is_idle", &is_idle).finish()
    }
}
