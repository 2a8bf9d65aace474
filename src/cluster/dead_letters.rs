//! The dead letters of commands that the ledgers of all shards have left in etcd, as any bridge reads them.

use bytes::Bytes;
use uuid::Uuid;

use super::etcd::{Client, Error, Keys};
use super::keys::ClusterKeys;

/// Reads them.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    client: Client,
    keys: ClusterKeys,
}

impl DeadLetters {
    /// Those of that cluster.
    pub fn new(client: Client, cluster: &str) -> DeadLetters {
        DeadLetters {
            client,
            keys: ClusterKeys::new(cluster),
        }
    }

    /// One, as it was published; its origin by `contract::dead_letter::origin`.
    ///
    /// # Errors
    /// When etcd does not answer.
    pub async fn get(&self, id: Uuid) -> Result<Option<Bytes>, Error> {
        let read = self
            .client
            .range(&Keys::one(self.keys.dead_letter(id)), None)
            .await?;
        Ok(read.entries.into_iter().next().map(|entry| entry.value.into()))
    }
}
