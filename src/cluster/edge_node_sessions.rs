//! The number of the last session of a shard's edge node (`bdSeq` of Sparkplug), in etcd: whoever owns the shard goes on after
//! it. A death that comes late, of an owner before, must not be taken for one of the session that is.
//!
//! Only the owner writes it: each write compares the token. It also compares what it has found, so that a request which is carried
//! out late, after its answer was given up, does not put an earlier number there again.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::entries::{ShardId, Token};
use super::etcd::{Answer, Client, Compare, Entry, Error, Keys, Operation};
use super::keys::ClusterKeys;

/// How long one request may take: after it another node is asked.
const REQUEST: Duration = Duration::from_secs(2);
/// Pause after one that has failed.
const RETRY: Duration = Duration::from_secs(1);

/// The numbers of one shard, for as long as its owner has the same token.
#[derive(Debug)]
pub struct EdgeNodeSessions {
    last: watch::Sender<Option<u8>>,
    numbers: watch::Receiver<Option<u8>>,
    writer: Writer,
}

#[derive(Debug)]
struct Writer {
    client: Client,
    key: Vec<u8>,
    /// The key of the shard's owner.
    owner: Vec<u8>,
    shard: ShardId,
    token: Token,
    /// When the number in etcd was written; none where there is no such key.
    revision: Option<i64>,
}

/// What has become of a write.
enum Tried {
    Written,
    /// Something else was there, of an earlier request.
    Changed,
    NotOwner,
}

impl EdgeNodeSessions {
    /// Reads what earlier owners have left; to be called by the owner with that token. What is no number is logged, and counts as
    /// none.
    ///
    /// # Errors
    /// When etcd does not answer.
    pub async fn open(
        client: &Client,
        cluster: &str,
        shard: ShardId,
        token: Token,
    ) -> Result<EdgeNodeSessions, Error> {
        let (client, keys) = (client.within(REQUEST), ClusterKeys::new(cluster));
        let key = keys.edge_node_session(shard);
        let read = client.range(&Keys::one(key.clone()), None).await?;
        let found = read.entries.first();
        let last = found.and_then(|entry| {
            let number = number(&entry.value);
            if number.is_none() {
                tracing::warn!(
                    %shard,
                    "the number of the edge node's last session in etcd cannot be read, so sessions are numbered from 0 again"
                );
            }
            number
        });
        let writer = Writer {
            owner: keys.shard(shard),
            revision: found.map(|entry| entry.mod_revision),
            client,
            key,
            shard,
            token,
        };
        let (last, numbers) = watch::channel(last);
        Ok(EdgeNodeSessions {
            last,
            numbers,
            writer,
        })
    }

    /// The number of the last session. Who begins another one puts its number there.
    pub fn last(&self) -> watch::Sender<Option<u8>> {
        self.last.clone()
    }

    /// Writes each number that is put there. Ends when nobody does any more and all is written, or with the first write that fails
    /// after `stop`. Once another bridge owns the shard, nothing is written any more.
    pub async fn run(self, stop: CancellationToken) {
        let EdgeNodeSessions {
            last,
            mut numbers,
            mut writer,
        } = self;
        // With it the end of the others would never be seen.
        drop(last);
        let mut has_failed = false;
        while has_failed || numbers.changed().await.is_ok() {
            // After a failure perhaps that of a later session.
            let Some(number) = *numbers.borrow_and_update() else {
                continue;
            };
            match writer.write(number).await {
                Ok(Tried::Written) => has_failed = false,
                Ok(Tried::Changed) => has_failed = true,
                Ok(Tried::NotOwner) => return stop.cancelled().await,
                Err(error) => {
                    if !std::mem::replace(&mut has_failed, true) {
                        tracing::warn!(
                            shard = %writer.shard,
                            "the number of the edge node's session cannot be kept: {error}"
                        );
                    }
                    if stop.run_until_cancelled(sleep(RETRY)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }
}

impl Writer {
    async fn write(&mut self, number: u8) -> Result<Tried, Error> {
        let key = self.key.clone();
        let unchanged = match self.revision {
            Some(revision) => Compare::ModifiedAt(key.clone(), revision),
            None => Compare::Absent(key.clone()),
        };
        let compares = [Compare::CreatedAt(self.owner.clone(), self.token.0.0), unchanged];
        let read = [
            Operation::Range(Keys::one(self.owner.clone())),
            Operation::Range(Keys::one(key.clone())),
        ];
        let put = Operation::Put {
            key,
            value: number.to_string().into_bytes(),
            lease: None,
        };
        let done = self.client.transact(&compares, &[put], &read).await?;
        if done.succeeded {
            self.revision = Some(done.revision);
            return Ok(Tried::Written);
        }
        let mut found = done.answers.iter().map(first);
        let owner = found.next().flatten();
        if owner.is_none_or(|owner| owner.create_revision != self.token.0.0) {
            return Ok(Tried::NotOwner);
        }
        self.revision = found.next().flatten().map(|entry| entry.mod_revision);
        Ok(Tried::Changed)
    }
}

/// What was read, of one key.
fn first(answer: &Answer) -> Option<&Entry> {
    match answer {
        Answer::Range(entries) => entries.first(),
        Answer::Put | Answer::Deleted(_) => None,
    }
}

fn number(value: &[u8]) -> Option<u8> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_of_a_byte() {
        assert_eq!([number(b"0"), number(b"255")], [Some(0), Some(255)]);
        for wrong in [&b""[..], b"256", b"-1", b"x", b"\xff"] {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
    }
}
