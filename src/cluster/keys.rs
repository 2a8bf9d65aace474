//! Where what belongs to a cluster stands in etcd.

use super::entries::ShardId;
use crate::model::DeviceId;

/// What all keys of a cluster begin with.
pub(super) fn root(cluster: &str) -> String {
    format!("/lantime2mqtt/{cluster}/")
}

/// What the keys of all shards begin with.
pub(super) fn shards(root: &str) -> String {
    format!("{root}election/shards/")
}

/// The key of the owner of a shard.
pub(super) fn shard(root: &str, shard: ShardId) -> String {
    format!("{}{shard}", shards(root))
}

/// The key that is there while a write to a device may be under way.
pub(super) fn write_mark(root: &str, shard: ShardId, device: &DeviceId) -> String {
    format!("{root}writes/{shard}/{device}")
}
