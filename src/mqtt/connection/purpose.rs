//! What a connection is for, and what follows for it at the broker.

use std::time::Duration;

use super::{MAX_WINDOW, RECEIVE_MAXIMUM};
use crate::config::Mqtt;
use crate::mqtt::payload::Message;

/// How long a session that is handed on waits for its next owner, and how long the will does: an election takes as long as a
/// lease lives, and reading back what is retained a few seconds.
const HANDED_ON_EXPIRY: Duration = Duration::from_secs(60);
const WILL_DELAY: Duration = Duration::from_secs(30);

/// How long at least the broker keeps records for a bridge of a cluster that does not run.
pub(in crate::mqtt) const HISTORY_EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a connection is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// State and records go out. Every connection has a new session.
    Publishing {
        /// Published by the broker, retained, when the connection ends without DISCONNECT.
        will: Message,
        /// Whether another bridge may go on as the same client: then the session outlives the connection, and the will waits
        /// for that bridge. MQTT 5 only.
        is_handed_on: bool,
    },
    /// Commands come in. The broker keeps the session: what arrives without a connection, and what was not
    /// acknowledged, is delivered with the next one.
    Commands,
    /// Records of all bridges of a cluster come in. The broker keeps the session, likewise.
    History,
    /// What an earlier run has published is read before [`Purpose::Publishing`].
    ReadingBack {
        /// Whether that is another client, since the session of the one that publishes is to be left alone; else it is that
        /// one itself.
        is_beside: bool,
    },
    /// Only the answer to CONNECT matters.
    Probing {
        /// Whether the session is asked for that commands need: the broker says how long it keeps one. Another connection
        /// without it ends that session.
        wants_session: bool,
    },
    /// An edge node of Sparkplug: QoS 0 out, commands in. Every connection has a new session and a will of its own.
    EdgeNode {
        /// Published by the broker, not retained, when the connection ends without DISCONNECT.
        will: Message,
    },
}

impl Purpose {
    /// The client id: each connection has its own, or the broker would end the other one.
    pub fn client_id(&self, settings: &Mqtt) -> String {
        match self {
            Purpose::Publishing { .. } | Purpose::ReadingBack { is_beside: false } => {
                settings.client_id.clone()
            }
            Purpose::ReadingBack { is_beside: true } => format!("{}-read-back", settings.client_id),
            Purpose::Commands => format!("{}-commands", settings.client_id),
            Purpose::History => format!("{}-history", settings.client_id),
            Purpose::Probing { .. } => format!("{}-probe", settings.client_id),
            Purpose::EdgeNode { .. } => format!("{}-sparkplug", settings.client_id),
        }
    }

    /// What the broker publishes when the connection ends without DISCONNECT, and whether it retains that.
    pub(super) fn will(&self) -> Option<(&Message, bool)> {
        match self {
            Purpose::Publishing { will, .. } => Some((will, true)),
            Purpose::EdgeNode { will } => Some((will, false)),
            Purpose::Commands | Purpose::History | Purpose::ReadingBack { .. } | Purpose::Probing { .. } => {
                None
            }
        }
    }

    /// Whether messages are acknowledged by hand, once they are safe.
    pub(super) fn acknowledges_by_hand(&self) -> bool {
        matches!(self, Purpose::Commands | Purpose::History)
    }

    /// How long the broker keeps the session without a connection; zero for one that begins and ends with it.
    pub(super) fn session_expiry(&self, settings: &Mqtt) -> Duration {
        match self {
            Purpose::Commands | Purpose::Probing { wants_session: true } => settings.session_expiry,
            Purpose::History => settings.session_expiry.max(HISTORY_EXPIRY),
            Purpose::Publishing {
                is_handed_on: true, ..
            } => HANDED_ON_EXPIRY,
            Purpose::Publishing { .. }
            | Purpose::ReadingBack { .. }
            | Purpose::Probing { .. }
            | Purpose::EdgeNode { .. } => Duration::ZERO,
        }
    }

    /// How long the broker waits with the will for another connection of the same session.
    pub(super) fn will_delay(&self) -> Option<Duration> {
        matches!(
            self,
            Purpose::Publishing {
                is_handed_on: true,
                ..
            }
        )
        .then_some(WILL_DELAY)
    }

    /// How many events may wait for the owner. Full: the event loop waits, and with it the network; the owner
    /// reads events before anything else.
    pub(super) fn events(&self) -> usize {
        match self {
            // Two events a message, and the first and the last one.
            Purpose::Publishing { .. } | Purpose::EdgeNode { .. } => 2 * usize::from(MAX_WINDOW) + 2,
            Purpose::Commands | Purpose::History => 2 * usize::from(RECEIVE_MAXIMUM),
            Purpose::ReadingBack { .. } => usize::from(MAX_WINDOW),
            // That it is connected, and that it has ended.
            Purpose::Probing { .. } => 2,
        }
    }

    /// How much may be handed over before the event loop takes it.
    pub(super) fn requests(&self) -> usize {
        match self {
            // A full window, three subscriptions twice, and DISCONNECT.
            Purpose::Publishing { .. } => usize::from(MAX_WINDOW) + 7,
            // An acknowledgement for every packet id, so that there is always room for one, and as many
            // subscriptions. Nothing is set aside for them in advance.
            Purpose::Commands | Purpose::History => 2 * (usize::from(u16::MAX) + 1),
            // A full window, four subscriptions, and `offline`.
            Purpose::EdgeNode { .. } => usize::from(MAX_WINDOW) + 5,
            // A hundred subscriptions, and DISCONNECT.
            Purpose::ReadingBack { .. } => 128,
            Purpose::Probing { .. } => 1,
        }
    }
}
