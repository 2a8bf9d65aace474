//! The way to the broker: one connection after the other, with pauses in between.
//!
//! Owns the log lines about it, and what is known of it ([`LinkStatus`]). What the connection is for is its owner's
//! business.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::backoff::Backoff;
use super::connection::{Cause, Client, ConnectionError, Event, Purpose, address, connect};
use crate::cluster::fence::Fence;
use crate::config::Mqtt;
use crate::model::ErrorReport;

/// What is known of one connection to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// Whether the broker has accepted us.
    pub connected: bool,
    /// Since when.
    pub since: Timestamp,
    /// Why the last connection failed or ended; stays when another one has come about.
    pub last_error: Option<String>,
    /// Connections that came about.
    pub connections: u64,
}

/// What is known of an edge node's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeNodeStatus {
    /// The connection.
    pub link: LinkStatus,
    /// Whether hosts have its birth. Without it the connection or the primary host is not there, or the birth is too large.
    pub born: bool,
    /// Hosts that speak Sparkplug 2.2, as far as they have been seen.
    pub old_hosts: usize,
}

pub(crate) struct Link {
    settings: Mqtt,
    purpose: Purpose,
    connection: Option<(Client, mpsc::Receiver<Event>)>,
    connected_at: Option<Instant>,
    /// Attempts that have failed: each begins with the next of the broker's addresses. One that comes about stays there.
    failed_attempts: usize,
    /// When the attempt under way, or the last one, began.
    attempted_at: Instant,
    next_attempt: Instant,
    backoff: Backoff,
    /// That another client probably has the same id: reported once in a run.
    conflict: Option<ErrorReport>,
    conflict_reported: bool,
    status: LinkStatus,
    logged: Logged,
    /// Where another bridge may be the same client: this one connects only while it may write.
    fence: Option<Fence>,
}

/// What was logged of connections.
struct Logged {
    /// Failures since the last good connection.
    failures: HashSet<String>,
    /// Whether a failure that no recovery has followed.
    recovery_is_news: bool,
}

impl Link {
    pub(crate) fn new(settings: Mqtt, purpose: Purpose) -> Link {
        let now = Instant::now();
        Link {
            settings,
            purpose,
            connection: None,
            connected_at: None,
            failed_attempts: 0,
            attempted_at: now,
            next_attempt: now,
            backoff: Backoff::new(),
            conflict: None,
            conflict_reported: false,
            status: LinkStatus {
                connected: false,
                since: Timestamp::now(),
                last_error: None,
                connections: 0,
            },
            logged: Logged {
                failures: HashSet::new(),
                recovery_is_news: true,
            },
            fence: None,
        }
    }

    /// Connects only while that permits it: whoever connects ends the connection of another owner of the shard. A connection
    /// that there is goes on.
    pub(crate) fn only_while(mut self, fence: Option<Fence>) -> Link {
        self.fence = fence;
        self
    }

    /// What the next connection is for; the one that there is goes on as it began.
    pub(crate) fn set_purpose(&mut self, purpose: Purpose) {
        self.purpose = purpose;
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected_at.is_some()
    }

    pub(crate) fn status(&self) -> &LinkStatus {
        &self.status
    }

    /// The connection's sending side, once the broker has accepted us.
    pub(crate) fn client(&self) -> Option<&Client> {
        let (client, _) = self.connection.as_ref()?;
        self.connected_at.map(|_| client)
    }

    /// The next event; connects when there is no connection. Safe to drop at any time.
    pub(crate) async fn next(&mut self) -> Event {
        if self.connection.is_none() {
            sleep_until(self.next_attempt).await;
            if let Some(fence) = &mut self.fence {
                fence.permitted().await;
            }
            self.attempted_at = Instant::now();
        }
        let connection = self
            .connection
            .get_or_insert_with(|| connect(&self.settings, &self.purpose, self.failed_attempts));
        let event = connection.1.recv().await.unwrap_or(Event::Closed(Ok(())));
        self.note(event)
    }

    /// The broker's address, for messages.
    pub(crate) fn broker(&self) -> String {
        address(&self.settings.broker).to_string()
    }

    /// Ends the connection without DISCONNECT, so that the broker publishes the will; nothing more comes of it.
    pub(crate) fn abandon(&mut self) {
        if self.connection.is_some() {
            self.closed(None);
        }
    }

    /// Ends the connection with DISCONNECT, if there is one; says whether the broker has closed it in time.
    pub(crate) async fn close(&mut self, within: Duration) -> bool {
        if !self.client().is_some_and(Client::disconnect) {
            return true;
        }
        let closed = async { while !matches!(self.next().await, Event::Closed(_)) {} };
        timeout(within, closed).await.is_ok()
    }

    /// The next event that is there already.
    pub(crate) fn try_next(&mut self) -> Option<Event> {
        let event = self.connection.as_mut()?.1.try_recv().ok()?;
        Some(self.note(event))
    }

    fn note(&mut self, event: Event) -> Event {
        match &event {
            Event::Connected(_) => self.opened(),
            Event::Closed(end) => self.closed(end.as_ref().err()),
            Event::Sent(_) | Event::Acked { .. } | Event::Subscribed(_) | Event::Received(..) => {}
        }
        event
    }

    fn opened(&mut self) {
        self.connected_at = Some(Instant::now());
        let (broker, client_id) = (
            address(&self.settings.broker),
            self.purpose.client_id(&self.settings),
        );
        if std::mem::take(&mut self.logged.recovery_is_news) {
            let version = self.settings.version.as_str();
            tracing::info!(%broker, client_id, version, "connected to the broker");
        } else {
            tracing::debug!(%broker, client_id, "connected to the broker");
        }
        self.status.connected = true;
        self.status.since = Timestamp::now();
        self.status.connections += 1;
    }

    fn closed(&mut self, error: Option<&ConnectionError>) {
        self.connection = None;
        let was_connected = self.connected_at.take();
        if was_connected.is_none() && error.is_some() {
            self.failed_attempts = self.failed_attempts.wrapping_add(1);
        }
        let (cause, lasted) = (
            error.map(ConnectionError::cause),
            was_connected.map(|at| at.elapsed()),
        );
        if lasted.is_some_and(|lasted| Backoff::was_good(lasted, cause)) {
            self.logged.failures.clear();
        }
        let delay = self.backoff.pause(lasted, cause);
        if lasted.is_some() && !self.conflict_reported {
            self.report_conflict(cause);
        }
        // From the beginning of the attempt: what waited for an answer in vain has waited already.
        self.next_attempt = self.attempted_at.max(was_connected.unwrap_or(self.attempted_at)) + delay;
        let text = error.map(ToString::to_string);
        if let Some(text) = &text {
            self.log_failure(text);
        }
        if was_connected.is_some() {
            self.status.since = Timestamp::now();
        }
        self.status.connected = false;
        self.status.last_error = text.or(self.status.last_error.take());
    }

    fn report_conflict(&mut self, cause: Option<&Cause>) {
        let client_id = self.purpose.client_id(&self.settings);
        let Some(report) = self.backoff.conflict(cause, &self.broker(), &client_id) else {
            return;
        };
        tracing::error!(client_id, remedy = %report.remedy, "{}", report.message);
        self.conflict_reported = true;
        self.conflict = Some(report);
    }

    /// A connection that came about and ended at once. Gives the pause after it.
    #[cfg(test)]
    pub(crate) fn ended_for_test(&mut self, error: &ConnectionError) -> Duration {
        self.attempted_at = Instant::now();
        self.opened();
        self.closed(Some(error));
        self.next_attempt - self.attempted_at
    }

    /// That another client probably has the same id; once.
    pub(crate) fn take_conflict(&mut self) -> Option<ErrorReport> {
        self.conflict.take()
    }

    /// Connections last again.
    pub(crate) fn conflict_ended(&mut self) {
        let client_id = self.purpose.client_id(&self.settings);
        tracing::info!(client_id, "the connection to the broker lasts again");
        self.conflict_reported = false;
    }

    /// The owner knows why the last connections ended, and that the next one will last.
    pub(crate) fn is_explained(&mut self) {
        self.backoff = Backoff::new();
        self.logged.failures.clear();
    }

    fn log_failure(&mut self, error: &str) {
        let client_id = self.purpose.client_id(&self.settings);
        // Bounded, should a broker find ever new words.
        if self.logged.failures.len() < 100 && self.logged.failures.insert(error.to_owned()) {
            tracing::warn!(error, client_id, "no connection to the broker; retrying");
            self.logged.recovery_is_news = true;
        } else {
            tracing::debug!(error, client_id, "no connection to the broker; retrying");
        }
    }
}

/// That moment; never, for none.
pub(crate) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MqttVersion;

    #[tokio::test(start_paused = true)]
    async fn a_conflict_is_reported_once() {
        let settings = Mqtt::for_test(MqttVersion::V5);
        let mut link = Link::new(settings, Purpose::Commands);
        let taken_over = ConnectionError::for_test(Cause::TakenOver("session taken over".to_owned()));
        link.ended_for_test(&taken_over);
        assert_eq!(link.take_conflict(), None);
        link.ended_for_test(&taken_over);
        assert!(link.take_conflict().is_some());
        link.ended_for_test(&taken_over);
        assert_eq!(link.take_conflict(), None);
    }
}
