//! The keys of a cluster in etcd. Nobody else makes one.

use uuid::Uuid;

use super::entries::{BridgeId, ShardId};
use crate::model::DeviceId;
use crate::records::store::AnswerKey;

/// All keys of one cluster: `/lantime2mqtt/{cluster}/..`.
#[derive(Debug, Clone)]
pub(super) struct ClusterKeys {
    root: String,
}

impl ClusterKeys {
    pub(super) fn new(cluster: &str) -> ClusterKeys {
        ClusterKeys {
            root: format!("/lantime2mqtt/{cluster}/"),
        }
    }

    /// What the bridges have agreed on.
    pub(super) fn meta(&self) -> Vec<u8> {
        format!("{}meta", self.root).into_bytes()
    }

    /// What the keys of all members and shards begin with.
    pub(super) fn election(&self) -> String {
        format!("{}election/", self.root)
    }

    /// What the keys of all members begin with.
    pub(super) fn members(&self) -> String {
        format!("{}election/members/", self.root)
    }

    /// What the keys of all owners begin with.
    pub(super) fn shards(&self) -> String {
        format!("{}election/shards/", self.root)
    }

    /// The entry of a member.
    pub(super) fn member(&self, bridge: &BridgeId) -> Vec<u8> {
        format!("{}{bridge}", self.members()).into_bytes()
    }

    /// Who owns a shard.
    pub(super) fn shard(&self, shard: ShardId) -> Vec<u8> {
        format!("{}{shard}", self.shards()).into_bytes()
    }

    /// What the dead letters of commands begin with, whichever shard they are of.
    pub(super) fn dead_letters(&self) -> String {
        format!("{}dead-letters/", self.root)
    }

    /// A dead letter, by its id.
    pub(super) fn dead_letter(&self, id: Uuid) -> Vec<u8> {
        format!("{}{id}", self.dead_letters()).into_bytes()
    }

    /// What the commands of a shard begin with.
    pub(super) fn inbox(&self, shard: ShardId) -> String {
        format!("{}inbox/{shard}/", self.root)
    }

    /// What the replies of a shard begin with.
    pub(super) fn replies(&self, shard: ShardId) -> String {
        format!("{}replies/{shard}/", self.root)
    }

    /// The answer to a command of a shard.
    pub(super) fn answer(&self, shard: ShardId, key: &AnswerKey) -> Vec<u8> {
        format!("{}answers/{shard}/{}", self.root, key.hex()).into_bytes()
    }

    /// That a write to a device may be under way.
    pub(super) fn write_mark(&self, shard: ShardId, device: &DeviceId) -> Vec<u8> {
        format!("{}writes/{shard}/{device}", self.root).into_bytes()
    }

    /// The number of the last session of a shard's edge node.
    pub(super) fn edge_node_session(&self, shard: ShardId) -> Vec<u8> {
        format!("{}bdseq/{shard}", self.root).into_bytes()
    }

    /// What the last transaction about a shard's commands has left.
    pub(super) fn mark(&self, shard: ShardId) -> Vec<u8> {
        format!("{}marks/{shard}", self.root).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_below_its_cluster() {
        let (keys, shard) = (ClusterKeys::new("plant-a"), ShardId(3));
        let answer = AnswerKey::new("t", "id", b"");
        let text = |key: Vec<u8>| String::from_utf8(key).unwrap();
        for (key, expected) in [
            (text(keys.meta()), "meta"),
            (
                text(keys.member(&BridgeId::new("b1").unwrap())),
                "election/members/b1",
            ),
            (text(keys.shard(shard)), "election/shards/03"),
            (keys.inbox(shard), "inbox/03/"),
            (keys.replies(shard), "replies/03/"),
            (text(keys.mark(shard)), "marks/03"),
            (text(keys.edge_node_session(shard)), "bdseq/03"),
            (
                text(keys.dead_letter(Uuid::nil())),
                "dead-letters/00000000-0000-0000-0000-000000000000",
            ),
            (
                text(keys.answer(shard, &answer)),
                &format!("answers/03/{}", answer.hex()),
            ),
        ] {
            assert_eq!(key, format!("/lantime2mqtt/plant-a/{expected}"));
        }
        assert_eq!(answer.hex().len(), 64);
    }
}
