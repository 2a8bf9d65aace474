//! How long to wait before the next connection, by how those before ended, and whether they look as if another client had
//! the same id. Pure.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::connection::Cause;
use crate::model::{ErrorKind, ErrorReport};

/// With its jitter (up to as much again) a broker that is back is asked within 2 s, which leaves 3 s of the 5 s
/// that are promised for sending everything. One client that knocks every 2 s is no burden for a broker.
const UNREACHABLE: ExponentialBuilder = delays(Duration::from_millis(250), Duration::from_secs(1));

/// A broker that refuses our login is there; it may ban who asks too often.
const REFUSED: ExponentialBuilder = delays(Duration::from_secs(1), Duration::from_secs(8));

/// A broker that ends one connection after the other. The first few are made again as fast as to one that was unreachable.
const SHORT_LIVED: ExponentialBuilder = delays(Duration::from_secs(1), Duration::from_secs(60));

/// Short-lived connections in a row that do not slow down the next one.
const FORGIVEN: u32 = 3;

/// Short-lived connections in a row after which another client with the same id is the probable reason. A message that
/// the broker never takes costs fewer until it is found.
const CONFLICT: u32 = 6;

/// The same, where the broker says so.
const TAKEN_OVER: u32 = 2;

/// A connection that lasted this long was a good one: the next pauses are short again.
const QUIET: Duration = Duration::from_secs(10);

type Delays = <ExponentialBuilder as BackoffBuilder>::Backoff;

const fn delays(min: Duration, max: Duration) -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(min)
        .with_max_delay(max)
        .with_jitter()
        .without_max_times()
}

/// The pauses between connections.
pub(super) struct Backoff {
    unreachable: Delays,
    refused: Delays,
    short_lived: Delays,
    /// Short-lived connections in a row, and those that another client has taken over.
    interrupted: u32,
}

impl Backoff {
    pub(super) fn new() -> Backoff {
        Backoff {
            unreachable: UNREACHABLE.build(),
            refused: REFUSED.build(),
            short_lived: SHORT_LIVED.build(),
            interrupted: 0,
        }
    }

    /// Whether a connection that ended so was a good one. One that another client has taken over was not, however long it
    /// lasted.
    pub(super) fn was_good(lasted: Duration, cause: Option<&Cause>) -> bool {
        lasted >= QUIET && !is_taken_over(cause)
    }

    /// The pause after a connection that lasted so long, or after an attempt at one (`None`).
    pub(super) fn pause(&mut self, lasted: Option<Duration>, cause: Option<&Cause>) -> Duration {
        match lasted {
            Some(lasted) if Backoff::was_good(lasted, cause) => *self = Backoff::new(),
            Some(_) => self.interrupted += 1,
            None => {}
        }
        let delays = match cause {
            Some(Cause::Credentials(_) | Cause::Unsupported(_)) => &mut self.refused,
            _ if lasted.is_some() && self.interrupted > FORGIVEN => &mut self.short_lived,
            _ => &mut self.unreachable,
        };
        delays.next().unwrap_or(QUIET)
    }

    /// That another client probably has the same id, where the last connection and those before ended as if it were so.
    pub(super) fn conflict(
        &self,
        cause: Option<&Cause>,
        broker: &str,
        client_id: &str,
    ) -> Option<ErrorReport> {
        // Without a word of the broker there is another possible reason.
        let (enough, or_no_rights, or_rights) = match cause? {
            Cause::TakenOver(_) => (TAKEN_OVER, "", ""),
            Cause::Lost(_) => (
                CONFLICT,
                ", or the broker ends them for whatever this bridge publishes",
                "; check that mqtt.username may publish below mqtt.prefix",
            ),
            _ => return None,
        };
        let message = format!(
            "broker {broker}: {} connections in a row ended moments after they came about: another client probably \
             uses the same client id, {client_id:?}{or_no_rights}",
            self.interrupted
        );
        let remedy = format!(
            "give each bridge its own bridge.id (by default it is the name of the host, which a cloned machine or \
             container shares) or mqtt.client_id; with mosquitto, do not set use_username_as_clientid{or_rights}"
        );
        let report = ErrorReport::new(ErrorKind::Connect, message, remedy);
        (self.interrupted >= enough).then_some(report)
    }
}

fn is_taken_over(cause: Option<&Cause>) -> bool {
    matches!(cause, Some(Cause::TakenOver(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    fn lost() -> Cause {
        Cause::Lost("closed".to_owned())
    }

    fn conflict(backoff: &Backoff, cause: &Cause) -> Option<ErrorReport> {
        backoff.conflict(Some(cause), "b:1883", "id")
    }

    #[test]
    fn the_pause_grows_with_connections_that_do_not_last() {
        let (mut backoff, lost) = (Backoff::new(), lost());
        for _ in 0..FORGIVEN {
            assert!(backoff.pause(Some(SHORT), Some(&lost)) <= Duration::from_secs(2));
        }
        let pauses: Vec<_> = (0..8).map(|_| backoff.pause(Some(SHORT), Some(&lost))).collect();
        assert!(pauses[7] >= Duration::from_secs(60), "{pauses:?}");
        let report = conflict(&backoff, &lost).expect("a report");
        assert!(report.remedy.contains("mqtt.username may publish"), "{report:?}");
        let pause = backoff.pause(Some(QUIET), Some(&lost));
        assert!(
            pause <= Duration::from_secs(2),
            "a good one begins again: {pause:?}"
        );
    }

    #[test]
    fn a_connection_that_was_taken_over_was_no_good_one() {
        let (mut backoff, taken_over) = (Backoff::new(), Cause::TakenOver("session taken over".to_owned()));
        for _ in 0..10 {
            backoff.pause(Some(6 * QUIET), Some(&taken_over));
        }
        let pause = backoff.pause(Some(6 * QUIET), Some(&taken_over));
        assert!(pause >= Duration::from_secs(60), "{pause:?}");
        let report = conflict(&backoff, &taken_over).expect("a report");
        assert!(!report.remedy.contains("mqtt.username"), "{report:?}");
    }

    #[test]
    fn a_broker_that_names_another_reason_is_no_conflict() {
        let (mut backoff, too_large) = (Backoff::new(), Cause::TooLarge("packet too large".to_owned()));
        for _ in 0..2 * CONFLICT {
            backoff.pause(Some(Duration::ZERO), Some(&too_large));
            assert_eq!(conflict(&backoff, &too_large), None);
        }
    }

    #[test]
    fn connections_are_a_conflict_only_when_they_are_many() {
        for (cause, enough) in [(lost(), CONFLICT), (Cause::TakenOver(String::new()), TAKEN_OVER)] {
            let mut backoff = Backoff::new();
            for count in 1..=enough {
                backoff.pause(Some(SHORT), Some(&cause));
                assert_eq!(conflict(&backoff, &cause).is_some(), count == enough, "{cause:?}");
            }
        }
    }
}
