//! The session in which the broker keeps commands while the bridge is disconnected: how long, and whether it is still
//! there.

use std::time::Duration;

use crate::mqtt::connection::Limits;

#[derive(Debug)]
pub(super) struct Session {
    /// The broker's address, for messages.
    broker: String,
    /// `mqtt.session_expiry`.
    wanted: Duration,
    /// How long the broker keeps it, where that is less than was asked for.
    pub(super) kept_for: Option<Duration>,
    /// Whether this run has had a session.
    is_known: bool,
    /// How often it was lost in this run.
    pub(super) lost: u64,
}

impl Session {
    pub(super) fn new(broker: String, wanted: Duration) -> Session {
        Session {
            broker,
            wanted,
            kept_for: None,
            is_known: false,
            lost: 0,
        }
    }

    /// A new connection. Each finding is logged when it is new.
    pub(super) fn connected(&mut self, limits: &Limits) {
        let broker = &self.broker;
        let kept_for = limits.session_expiry.filter(|granted| *granted < self.wanted);
        if let Some(granted) = kept_for
            && self.kept_for != kept_for
        {
            tracing::warn!(
                broker,
                seconds = granted.as_secs(),
                "the broker keeps commands for {} s only while the bridge is disconnected: raise its limit of the session \
                 expiry, or lower mqtt.session_expiry ({} s)",
                granted.as_secs(),
                self.wanted.as_secs()
            );
        }
        self.kept_for = kept_for;
        if std::mem::replace(&mut self.is_known, true) && !limits.session_present {
            self.lost += 1;
            tracing::warn!(
                broker,
                "the broker has lost the session: commands that were sent while the bridge was disconnected may be lost; \
                 let the broker keep sessions on disk (mosquitto: persistence true), for as long as mqtt.session_expiry"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_connection_of_a_run_has_lost_nothing() {
        let mut session = Session::new(String::new(), Duration::from_secs(3600));
        session.connected(&Limits::default());
        assert_eq!((session.lost, session.kept_for), (0, None));
        session.connected(&Limits::default());
        assert_eq!(session.lost, 1);
        session.connected(&Limits {
            session_present: true,
            session_expiry: Some(Duration::from_secs(60)),
            ..Limits::default()
        });
        assert_eq!(
            (session.lost, session.kept_for),
            (1, Some(Duration::from_secs(60)))
        );
    }
}
