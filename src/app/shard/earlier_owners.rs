//! What earlier owners of a shard have left in etcd: read when its unit starts, however long that takes.

use std::time::Duration;

use tokio::time::sleep;

use crate::boot_time::BootTime;
use crate::cluster::edge_node_sessions::EdgeNodeSessions;
use crate::cluster::entries::Token;
use crate::cluster::etcd;
use crate::cluster::fence::Fence;
use crate::cluster::ledger::Ledger;
use crate::config::Cluster;
use crate::model::ShardId;

/// Pause before what cannot be read is read again.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// What there is of the shard's commands, as soon as etcd gives it and this bridge may write.
pub(super) async fn open_ledger(
    etcd: &etcd::Client,
    cluster: &Cluster,
    shard: ShardId,
    mut fence: Fence,
) -> (Ledger, Token) {
    let mut logged = None;
    loop {
        fence.permitted().await;
        let token = fence.may_write(BootTime::now());
        let opened = Ledger::open(etcd, cluster.name.as_str(), shard, fence.clone()).await;
        match (opened, token) {
            (Ok(ledger), Some(token)) => return (ledger, token),
            (Ok(_), None) => {}
            (Err(error), _) => {
                let error = error.to_string();
                if logged.as_ref() != Some(&error) {
                    tracing::error!(%shard, "the devices of the shard wait: its commands cannot be read: {error}");
                    logged = Some(error);
                }
            }
        }
        sleep(OPEN_AGAIN).await;
    }
}

/// The numbers of the sessions of the shard's edge node, as soon as etcd gives the last one.
pub(super) async fn open_sessions(
    etcd: &etcd::Client,
    cluster: &Cluster,
    shard: ShardId,
    token: Token,
) -> EdgeNodeSessions {
    let mut logged = None;
    loop {
        match EdgeNodeSessions::open(etcd, cluster.name.as_str(), shard, token).await {
            Ok(sessions) => return sessions,
            Err(error) => {
                let error = error.to_string();
                if logged.as_ref() != Some(&error) {
                    tracing::error!(
                        %shard,
                        "the devices of the shard wait: the last session of its edge node cannot be read: {error}"
                    );
                    logged = Some(error);
                }
            }
        }
        sleep(OPEN_AGAIN).await;
    }
}
