//! What a unit asks right before each write to a device: whether etcd confirms that its shard is still its own, and whether an
//! earlier owner may still be writing there.
//!
//! A device checks no token, and may need two minutes for a write, which is far longer than a lease lives. So each write is
//! announced by a *mark* in etcd, a key of the device: its value is the token, and it stands under a lease of its own, which lasts
//! longer than the write can. One transaction compares the token with the key of the shard, finds no mark of another token, and
//! puts the mark. It is removed when the device has answered; without an answer it stands until its lease ends, as etcd
//! measures it: no clocks of hosts are compared.
//!
//! Who meets a mark of another token does not write, and is to try again from the beginning: what it has read of the device may
//! be of before that write. So [`WriteGuard::check`] comes before reading, and [`WriteGuard::before_write`] with its token before
//! writing: if both succeed, nobody else has written in between.
//!
//! A bridge may write over a mark with its own token. After it has lost a shard and won it again, it has another token, and
//! a mark of its own holds it up like that of any other bridge.

use std::sync::Arc;
use std::time::Duration;

use super::entries::{LeaseId, ShardId, Token};
use super::etcd::{Answer, Client, Compare, Entry, Error, Keys, Operation};
use super::fence::Fence;
use super::keys::ClusterKeys;
use crate::boot_time::BootTime;
use crate::fault_point;
use crate::model::{DeviceId, ErrorKind, ErrorReport};

/// How much longer than the write its mark lives. Half of it is for etcd to confirm it, the other half for clocks that differ in
/// rate.
const MARGIN: Duration = Duration::from_secs(4);

/// How often etcd is asked at most: for no mark, for one of one's own, and for none again if that was removed in between.
const TRIES: usize = 3;

/// Where this bridge does not own the shard.
const OWNER_REMEDY: &str =
    "nothing is to be done if another bridge owns the shard; if none does, check that the bridges reach etcd";

/// What all devices of a shard ask before they are written to. A clone asks the same.
#[derive(Debug, Clone)]
pub struct WriteGuard(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    client: Client,
    keys: ClusterKeys,
    shard: ShardId,
    fence: Fence,
}

/// A write may be under way. If it is dropped, the mark stands until its lease ends.
#[derive(Debug)]
#[must_use = "it is to be removed when the device has answered"]
pub struct WriteMark {
    client: Client,
    lease: LeaseId,
}

impl WriteGuard {
    /// For the devices of that shard, with what permits writing to them.
    pub fn new(client: Client, cluster: &str, shard: ShardId, fence: Fence) -> WriteGuard {
        WriteGuard(Arc::new(Parts {
            client,
            keys: ClusterKeys::new(cluster),
            shard,
            fence,
        }))
    }

    /// To be asked before reading what is to be changed at a device: whether this bridge owns the shard, and no earlier owner
    /// may still be writing there. Gives the token to write with. Cancel safe.
    ///
    /// # Errors
    /// When it is not so, or etcd does not confirm it. All errors are transient.
    pub async fn check(&self, device: &DeviceId) -> Result<Token, ErrorReport> {
        let token = self.0.fence.may_write(BootTime::now());
        let token = token.ok_or_else(|| not_permitted(self.0.shard))?;
        self.confirm(device, token, &[]).await?;
        Ok(token)
    }

    /// To be asked right before a write to a device, with the token of [`WriteGuard::check`]. The write, with all that is sent again
    /// for it, must end within `lasts`, and nothing else may come before it. Cancel safe: a mark may be left then, until its
    /// lease ends.
    ///
    /// # Errors
    /// As of [`WriteGuard::check`]. Nothing may be written then.
    pub async fn before_write(
        &self,
        device: &DeviceId,
        token: Token,
        lasts: Duration,
    ) -> Result<WriteMark, ErrorReport> {
        let began = BootTime::now();
        self.is_permitted(token, began)?;
        let client = self.0.client.clone();
        let granted = client.grant(lasts + MARGIN).await;
        let lease = granted.map_err(|error| unconfirmed(&error))?.id;
        let mark = WriteMark { client, lease };
        let put = Operation::Put {
            key: self.mark(device),
            value: token.as_mark(),
            lease: Some(lease),
        };
        fault_point::reached("checking");
        let confirmed = self.confirm(device, token, &[put]).await;
        match confirmed.and_then(|()| self.is_still_permitted(token, began)) {
            Ok(()) => Ok(mark),
            Err(report) => {
                mark.remove();
                Err(report)
            }
        }
    }

    /// The last look, after the transaction.
    fn is_still_permitted(&self, token: Token, began: BootTime) -> Result<(), ErrorReport> {
        let now = BootTime::now();
        match now.saturating_duration_since(began) > MARGIN / 2 {
            true => Err(late()),
            false => self.is_permitted(token, now),
        }
    }

    fn is_permitted(&self, token: Token, now: BootTime) -> Result<(), ErrorReport> {
        match self.0.fence.may_write(now) == Some(token) {
            true => Ok(()),
            false => Err(not_permitted(self.0.shard)),
        }
    }

    /// Carries this out, if the shard has that token, and the device has no mark of another one.
    async fn confirm(&self, device: &DeviceId, token: Token, then: &[Operation]) -> Result<(), ErrorReport> {
        let (shard, mark) = (self.0.keys.shard(self.0.shard), self.mark(device));
        let owned = Compare::CreatedAt(shard.clone(), token.0.0);
        let read = [shard, mark.clone()].map(|key| Operation::Range(Keys::one(key)));
        let mut unmarked = Compare::Absent(mark.clone());
        for _ in 0..TRIES {
            let compares = [owned.clone(), unmarked];
            let done = self.0.client.transact(&compares, then, &read).await;
            let done = done.map_err(|error| unconfirmed(&error))?;
            if done.succeeded {
                return Ok(());
            }
            let found = |key: usize| done.answers.get(key).and_then(first);
            if found(0).is_none_or(|shard| shard.create_revision != token.0.0) {
                return Err(not_owned(self.0.shard));
            }
            unmarked = match found(1) {
                None => Compare::Absent(mark.clone()),
                Some(own) if own.value == token.as_mark() => Compare::Value(mark.clone(), token.as_mark()),
                Some(_) => break,
            };
        }
        Err(marked(self.0.shard))
    }

    fn mark(&self, device: &DeviceId) -> Vec<u8> {
        self.0.keys.write_mark(self.0.shard, device)
    }
}

impl WriteMark {
    /// The write has ended: the device has answered. Goes on by itself; if it fails, the mark stands until its lease ends.
    pub fn remove(self) {
        // With the lease goes what stands under it; not a mark that was written over this one, which has another.
        tokio::spawn(async move { self.client.revoke(self.lease).await });
    }
}

/// The entry that was read.
fn first(answer: &Answer) -> Option<&Entry> {
    match answer {
        Answer::Range(entries) => entries.first(),
        _ => None,
    }
}

/// The fence permits nothing.
fn not_permitted(shard: ShardId) -> ErrorReport {
    let message = format!(
        "this bridge does not own shard {shard}, or has not renewed its lease in etcd in time: it does not write to the device"
    );
    ErrorReport::new(ErrorKind::Busy, message, OWNER_REMEDY)
}

/// The transaction has found another token, or none.
fn not_owned(shard: ShardId) -> ErrorReport {
    let message =
        format!("shard {shard} no longer belongs to this bridge, by etcd: it does not write to the device");
    ErrorReport::new(ErrorKind::Busy, message, OWNER_REMEDY)
}

fn marked(shard: ShardId) -> ErrorReport {
    let message = format!("an earlier owner of shard {shard} may still be writing to the device");
    let remedy = "wait, and send the command again: that ends by itself, after two minutes at the latest";
    ErrorReport::new(ErrorKind::Busy, message, remedy)
}

fn unconfirmed(error: &Error) -> ErrorReport {
    let (endpoint, cause) = (error.endpoint(), error.cause());
    let message =
        format!("etcd {endpoint} does not confirm that this bridge may write to the device: {cause}");
    ErrorReport::new(ErrorKind::Busy, message, cause.remedy())
}

fn late() -> ErrorReport {
    let message = "etcd took too long to confirm that this bridge may write to the device";
    let remedy = "check that etcd's disk is fast enough: its log says \"took too long\" where it is not, and that its nodes reach one another";
    ErrorReport::new(ErrorKind::Busy, message, remedy)
}
