//! The way to the broker: one connection after the other, with back-off in between.
//!
//! Owns when to connect, the log lines about it, and what is known of it ([`LinkStatus`]). What the connection
//! is for is its owner's business.

use std::collections::HashSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::connection::{Cause, Client, ConnectionError, Event, Purpose, address, connect};
use crate::config::Mqtt;
use crate::model::{ErrorKind, ErrorReport};

/// With its jitter (up to as much again) a broker that is back is asked within 2 s, which leaves 3 s of the 5 s
/// that are promised for sending everything. One client that knocks every 2 s is no burden for a broker.
const AWAY: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(250))
    .with_max_delay(Duration::from_secs(1))
    .with_jitter()
    .without_max_times();

/// A broker that refuses our login is there; it may ban who asks too often.
const REFUSED: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_secs(1))
    .with_max_delay(Duration::from_secs(8))
    .with_jitter()
    .without_max_times();

/// A broker that ends one connection after the other. The first few are made again as fast as to one that was away.
const SHORT_LIVED: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_secs(1))
    .with_max_delay(Duration::from_secs(60))
    .with_jitter()
    .without_max_times();

/// Short-lived connections in a row that do not slow down the next one.
const FORGIVEN: u32 = 3;

/// Short-lived connections in a row after which another client with the same id is the probable reason. A message that
/// the broker never takes costs fewer until it is found.
const CONFLICT: u32 = 6;

/// The same, where the broker says so.
const TAKEN_OVER: u32 = 2;

/// A connection that lasted this long was a good one: back-off and log begin anew.
const QUIET: Duration = Duration::from_secs(10);

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

type Delays = <ExponentialBuilder as BackoffBuilder>::Backoff;

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
    away: Delays,
    refused: Delays,
    short_lived: Delays,
    /// Short-lived connections in a row, and those that another client has taken over.
    interrupted: u32,
    /// That another client probably has the same id: reported once in a run.
    conflict: Option<ErrorReport>,
    conflict_reported: bool,
    status: LinkStatus,
    /// Failures that were told since the last quiet period.
    told: HashSet<String>,
    /// Whether a failure was told that no recovery has followed.
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
            away: AWAY.build(),
            refused: REFUSED.build(),
            short_lived: SHORT_LIVED.build(),
            interrupted: 0,
            conflict: None,
            conflict_reported: false,
            status: LinkStatus {
                connected: false,
                since: Timestamp::now(),
                last_error: None,
                connections: 0,
            },
            told: HashSet::new(),
            recovery_is_news: true,
        }
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

    /// Ends the connection without a goodbye, so that the broker publishes the will; nothing more comes of it.
    pub(crate) fn abandon(&mut self) {
        if self.connection.is_some() {
            self.closed(None);
        }
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
        if std::mem::take(&mut self.recovery_is_news) {
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
        let cause = error.map(ConnectionError::cause);
        self.count_interruption(was_connected.map(|at| at.elapsed()), cause);
        let delays = match cause {
            Some(Cause::Credentials(_) | Cause::Unsupported(_)) => &mut self.refused,
            _ if was_connected.is_some() && self.interrupted > FORGIVEN => &mut self.short_lived,
            _ => &mut self.away,
        };
        let delay = delays.next().unwrap_or(QUIET);
        // From the beginning of the attempt: what waited for an answer in vain has waited already.
        self.next_attempt = self.attempted_at.max(was_connected.unwrap_or(self.attempted_at)) + delay;
        let text = error.map(ToString::to_string);
        if let Some(text) = &text {
            self.tell(text);
        }
        if was_connected.is_some() {
            self.status.since = Timestamp::now();
        }
        self.status.connected = false;
        self.status.last_error = text.or(self.status.last_error.take());
    }

    /// Counts connections that came about and ended soon: the pause before the next one grows with them. One that another
    /// client has taken over counts however long it lasted.
    fn count_interruption(&mut self, lasted: Option<Duration>, cause: Option<&Cause>) {
        let Some(lasted) = lasted else { return };
        let is_taken_over = matches!(cause, Some(Cause::TakenOver(_)));
        if lasted >= QUIET && !is_taken_over {
            self.begin_again();
            return;
        }
        self.interrupted += 1;
        let is_unexplained = matches!(cause, Some(Cause::Lost(_)));
        if (is_unexplained && self.interrupted >= CONFLICT)
            || (is_taken_over && self.interrupted >= TAKEN_OVER)
        {
            self.report_conflict(is_taken_over);
        }
    }

    fn begin_again(&mut self) {
        self.away = AWAY.build();
        self.refused = REFUSED.build();
        self.short_lived = SHORT_LIVED.build();
        self.interrupted = 0;
        self.told.clear();
    }

    fn report_conflict(&mut self, is_taken_over: bool) {
        if std::mem::replace(&mut self.conflict_reported, true) {
            return;
        }
        let broker = address(&self.settings.broker);
        let client_id = self.purpose.client_id(&self.settings);
        // Without a word of the broker there is another possible reason.
        let (or_no_rights, or_rights) = match is_taken_over {
            true => ("", ""),
            false => (
                ", or the broker ends them for whatever this bridge publishes",
                "; check that mqtt.username may publish below mqtt.prefix",
            ),
        };
        let report = ErrorReport::new(
            ErrorKind::Connect,
            format!(
                "broker {broker}: {} connections in a row ended moments after they came about: another client probably \
                 uses the same client id, {client_id:?}{or_no_rights}",
                self.interrupted
            ),
            format!(
                "give each bridge its own bridge.id (by default it is the name of the host, which a cloned machine or \
                 container shares) or mqtt.client_id; with mosquitto, do not set use_username_as_clientid{or_rights}"
            ),
        );
        tracing::error!(client_id, remedy = %report.remedy, "{}", report.message);
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

    /// The owner knows why the last connections ended, and that the next one will last.
    pub(crate) fn is_explained(&mut self) {
        self.begin_again();
    }

    fn tell(&mut self, error: &str) {
        let client_id = self.purpose.client_id(&self.settings);
        // Bounded, should a broker find ever new words.
        if self.told.len() < 100 && self.told.insert(error.to_owned()) {
            tracing::warn!(error, client_id, "no connection to the broker; trying again");
            self.recovery_is_news = true;
        } else {
            tracing::debug!(error, client_id, "no connection to the broker; trying again");
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

    fn link() -> Link {
        let settings = Mqtt::for_test(MqttVersion::V5);
        Link::new(settings, Purpose::Commands)
    }

    /// The pause after a connection that lasted so long and ended for that reason.
    async fn pause_after(link: &mut Link, lasted: Duration, cause: Cause) -> Duration {
        link.attempted_at = Instant::now();
        link.opened();
        tokio::time::advance(lasted).await;
        let error = ConnectionError::for_test(cause);
        link.closed(Some(&error));
        link.next_attempt - (Instant::now() - lasted)
    }

    fn lost() -> Cause {
        Cause::Lost("closed".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_with_connections_that_do_not_last() {
        let mut link = link();
        let short = Duration::from_millis(100);
        for _ in 0..FORGIVEN {
            assert!(pause_after(&mut link, short, lost()).await <= Duration::from_secs(2));
        }
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(pause_after(&mut link, short, lost()).await);
        }
        assert!(pauses[7] >= Duration::from_secs(60), "{pauses:?}");
        let report = link.take_conflict().expect("a report");
        assert!(report.remedy.contains("mqtt.username may publish"), "{report:?}");
        assert!(link.take_conflict().is_none(), "once");
        let pause = pause_after(&mut link, QUIET, lost()).await;
        assert!(
            pause <= Duration::from_secs(2),
            "a good one begins again: {pause:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_taken_over_was_no_good_one() {
        let mut link = link();
        let taken_over = || Cause::TakenOver("session taken over".to_owned());
        for _ in 0..10 {
            pause_after(&mut link, 6 * QUIET, taken_over()).await;
        }
        let pause = pause_after(&mut link, 6 * QUIET, taken_over()).await;
        assert!(pause >= Duration::from_secs(60), "{pause:?}");
        let report = link.take_conflict().expect("a report");
        assert!(!report.remedy.contains("mqtt.username"), "{report:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_names_another_reason_is_no_conflict() {
        let mut link = link();
        for _ in 0..2 * CONFLICT {
            let cause = Cause::TooLarge("packet too large".to_owned());
            pause_after(&mut link, Duration::ZERO, cause).await;
        }
        assert!(link.take_conflict().is_none());
    }
}
