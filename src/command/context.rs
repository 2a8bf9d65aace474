//! What every command needs.

use tokio::sync::watch;

use super::command_store::CommandStore;
use super::counts::Counts;
use super::elsewhere::Elsewhere;
use super::route::Routes;
use crate::contract::topics::Topics;
use crate::model::DeviceId;

/// Shared by all commands.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) store: CommandStore,
    pub(super) topics: Topics,
    pub(super) bridge: DeviceId,
    pub(super) routes: watch::Receiver<Routes>,
    pub(super) counts: watch::Sender<Counts>,
    /// The rest of the cluster, for a bridge that belongs to one.
    pub(super) elsewhere: Option<Elsewhere>,
}
