//! The log of a device's HTTP sessions: a ring of the latest requests, without credentials and bodies.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;

/// Most sessions that can be kept.
pub const MAX_SESSIONS: usize = 1000;

/// One request and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSession {
    /// Counts the requests to this device since the log was made.
    pub id: u64,
    /// HTTP method.
    pub method: &'static str,
    /// Path on the device.
    pub path: Arc<str>,
    /// Status of the answer; `None` for no answer.
    pub status: Option<u16>,
    /// When the request was begun.
    pub started_at: Timestamp,
    /// Milliseconds until the head of the answer was there, connecting included.
    pub request_ms: f64,
    /// Milliseconds from there to the last byte.
    pub response_ms: f64,
    /// Milliseconds for all of it.
    pub rtt_ms: f64,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// Kind of the error, for a request that failed.
    pub error: Option<&'static str>,
}

/// The latest sessions, at most so many, while it is enabled.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSessions {
    enabled: bool,
    max_count: usize,
    next_id: u64,
    sessions: VecDeque<Arc<HttpSession>>,
}

impl HttpSessions {
    /// An empty log for at most `max_count` sessions, [`MAX_SESSIONS`] at the most.
    pub fn new(enabled: bool, max_count: usize) -> HttpSessions {
        HttpSessions {
            enabled,
            max_count: max_count.min(MAX_SESSIONS),
            next_id: 1,
            sessions: VecDeque::new(),
        }
    }

    /// Whether sessions are kept.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// How many sessions are kept at most.
    pub fn max_count(&self) -> usize {
        self.max_count
    }

    /// Switches it on or off; what was kept goes when it is switched off.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
        if !enabled {
            self.sessions = VecDeque::new();
        }
    }

    /// Keeps at most so many from now on; the oldest go.
    pub fn set_max_count(&mut self, max_count: usize) {
        self.max_count = max_count.min(MAX_SESSIONS);
        while self.sessions.len() > self.max_count {
            self.sessions.pop_front();
        }
        self.sessions.shrink_to_fit();
    }

    /// Adds a session, whose id it gives, when it is enabled.
    pub fn push(&mut self, mut session: HttpSession) {
        session.id = self.next_id;
        self.next_id += 1;
        if !self.enabled || self.max_count == 0 {
            return;
        }
        if self.sessions.len() >= self.max_count {
            self.sessions.pop_front();
        }
        self.sessions.push_back(Arc::new(session));
    }

    /// The sessions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &HttpSession> {
        self.sessions.iter().map(AsRef::as_ref)
    }

    /// The number that the next session gets: it changes with each of them.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> HttpSession {
        HttpSession {
            id: 0,
            method: "GET",
            path: "/api/status".into(),
            status: Some(200),
            started_at: Timestamp::UNIX_EPOCH,
            request_ms: 1.0,
            response_ms: 1.0,
            rtt_ms: 2.0,
            bytes: 20_000,
            error: None,
        }
    }

    fn ids(log: &HttpSessions) -> Vec<u64> {
        log.iter().map(|session| session.id).collect()
    }

    #[test]
    fn the_oldest_sessions_go() {
        let mut log = HttpSessions::new(true, 3);
        (0..5).for_each(|_| log.push(session()));
        assert_eq!(ids(&log), [3, 4, 5]);
        log.set_max_count(2);
        assert_eq!(ids(&log), [4, 5]);
        log.set_max_count(usize::MAX);
        assert_eq!(log.max_count(), MAX_SESSIONS);
    }

    #[test]
    fn nothing_is_kept_while_it_is_off() {
        let mut log = HttpSessions::new(false, 3);
        log.push(session());
        assert!(ids(&log).is_empty());
        log.set_enabled(true);
        log.push(session());
        assert_eq!(ids(&log), [2]);
        log.set_enabled(false);
        assert!(ids(&log).is_empty());
    }
}
