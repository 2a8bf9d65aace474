//! The tries of one request, and the time that each has.

use std::time::Duration;

use tokio::time::Instant;

use super::{Call, Gateway, Node};
use crate::cluster::etcd::error::{Error, Subject};

/// The tries of one request: each node once, and a read again, since the first connection may have been an old one that
/// the node has just closed.
#[derive(Debug)]
pub(in crate::cluster::etcd) struct Attempts<'a> {
    gateway: &'a Gateway,
    call: Call,
    end: Instant,
    /// Tries that are left, with this one.
    tries: usize,
    /// Nodes that have not been asked, with this one.
    nodes: usize,
    pub(in crate::cluster::etcd) node: Node,
}

impl<'a> Attempts<'a> {
    pub(in crate::cluster::etcd) fn new(gateway: &'a Gateway, call: Call, timeout: Duration) -> Attempts<'a> {
        Attempts {
            gateway,
            call,
            end: Instant::now() + timeout,
            tries: gateway.urls.len() + usize::from(!call.is_write),
            nodes: gateway.urls.len(),
            node: gateway.current(),
        }
    }

    pub(in crate::cluster::etcd) fn subject(&self) -> Subject<'a> {
        self.gateway.subject(self.node, &self.call)
    }

    /// Until when this try may last. A write has all the time: it is not tried again once it was sent.
    pub(in crate::cluster::etcd) fn deadline(&self) -> Instant {
        match self.call.is_write {
            true => self.end,
            false => Instant::now() + share(left(self.end), self.nodes),
        }
    }

    /// Goes on to the next node.
    ///
    /// # Errors
    /// `error`, where no other try is left or allowed.
    pub(in crate::cluster::etcd) fn failed(&mut self, error: Error) -> Result<(), Error> {
        if !error.is_of_endpoint() {
            return Err(error);
        }
        self.gateway.leave(self.node);
        let may_repeat = !self.call.is_write || error.is_unsent();
        self.tries -= 1;
        self.nodes = self.nodes.saturating_sub(1);
        if !may_repeat || self.tries == 0 || left(self.end).is_zero() {
            return Err(error);
        }
        self.node = Node((self.node.0 + 1) % self.gateway.urls.len());
        Ok(())
    }
}

pub(in crate::cluster::etcd) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

pub(super) fn share(time: Duration, among: usize) -> Duration {
    time / u32::try_from(among.max(1)).unwrap_or(u32::MAX)
}
