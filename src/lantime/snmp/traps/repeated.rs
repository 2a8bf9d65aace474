//! Informs that come again, since their acknowledgement was lost or late: they are one inform. Pure.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::trap::Received;

/// How long a sender may go on repeating.
const SAME_FOR: Duration = Duration::from_secs(60);
/// Most informs that are remembered.
const MOST: usize = 4096;

/// Informs of the last minute, by what stays the same when they are repeated.
#[derive(Debug, Default)]
pub(super) struct Repeated(HashMap<(IpAddr, i32, Option<String>), Instant>);

impl Repeated {
    /// Whether this is an inform that came before.
    pub(super) fn is_repeated(&mut self, received: &Received, now: Instant) -> bool {
        let Some(request) = received.request_id.filter(|_| received.trap.confirmed) else {
            return false;
        };
        if self.0.len() >= MOST {
            self.0.retain(|_, at| now.duration_since(*at) < SAME_FOR);
        }
        if self.0.len() >= MOST {
            return false;
        }
        let key = (received.source, request, received.trap.oid.clone());
        let before = self.0.insert(key, now);
        before.is_some_and(|before| now.duration_since(before) < SAME_FOR)
    }
}
