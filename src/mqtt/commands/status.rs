//! How commands come in, for who reports it.

use std::time::Duration;

use super::subscriptions::RefusedSubscription;
use crate::mqtt::link::LinkStatus;

/// What is known of the way commands come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandsStatus {
    /// The connection.
    pub link: LinkStatus,
    /// Whether the broker has answered every subscription of this connection.
    pub subscribed: bool,
    /// How long the broker keeps the session while the bridge is disconnected, where that is less than was asked for.
    pub kept_for: Option<Duration>,
    /// How often the broker had lost the session in this run: commands that were sent meanwhile may be lost.
    pub sessions_lost: u64,
    /// Subscriptions that it has refused: commands for them do not come.
    pub refused: Vec<RefusedSubscription>,
    /// Commands that are not stored yet. Others are not woken for each of them, only when it becomes zero or is no
    /// longer.
    pub waiting: usize,
    /// Why they could not be stored, as long as that lasts.
    pub failing: Option<String>,
}
