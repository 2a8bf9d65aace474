//! What every command needs.

use tokio::sync::watch;

use super::counts::Counts;
use super::route::Routes;
use crate::contract::topics::Topics;
use crate::model::DeviceId;
use crate::records::store::Store;

/// Shared by all commands.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) store: Store,
    pub(super) topics: Topics,
    pub(super) bridge: DeviceId,
    pub(super) routes: watch::Receiver<Routes>,
    pub(super) counts: watch::Sender<Counts>,
}
