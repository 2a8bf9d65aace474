//! The fence of a shard: what its unit asks right before each write to a device.
//!
//! A lease may end while nobody listens: the network is down, a task hangs, the machine is suspended. So a permit names the
//! moment at which it ends, and whoever writes compares that with the clock itself. It need not hear that the lease has ended.
//! The clock is [`BootTime`], which counts suspension.
//!
//! The clock of a virtual machine may not count the time for which it is paused, nor that since the snapshot that it was restored
//! from. So asking the fence is one half of the contract. The other half is a transaction right before each write to
//! a device that compares the token in etcd ([`Compare::CreatedAt`](super::etcd::Compare::CreatedAt)): the unit writes only if it
//! has succeeded, and the fence still permits it. Both are in [`WriteGuard`](super::write_guard::WriteGuard), which also keeps
//! others from writing there until the write has ended. A machine that stands still between this and the write itself, until its
//! lease and the mark of the write have ended, writes all the same.

use std::future::pending;

use tokio::sync::watch;

use super::entries::Token;
use crate::boot_time::BootTime;

/// Writing is allowed with that token until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// What the transactions of the unit compare in etcd.
    pub token: Token,
    /// From this moment on it is no longer valid: 0.8 of the lease's TTL after its last renewal was sent.
    pub until: BootTime,
}

/// The side that permits, one for each shard. It does what
/// [`Effect::Permit`](super::election::Effect::Permit) says.
#[derive(Debug)]
pub struct Gate(watch::Sender<Option<Permit>>);

impl Gate {
    /// A gate that permits nothing yet.
    pub fn closed() -> Gate {
        Gate(watch::Sender::new(None))
    }

    /// Permits that from now on, or nothing.
    pub fn set(&self, permit: Option<Permit>) {
        self.0.send_replace(permit);
    }

    /// What the unit asks.
    pub fn fence(&self) -> Fence {
        Fence(self.0.subscribe())
    }
}

/// The side that writes. If the gate is dropped, the last permit ends at its time.
#[derive(Debug, Clone)]
pub struct Fence(watch::Receiver<Option<Permit>>);

impl Fence {
    /// The token to write with, if writing is allowed at this moment. To be asked right before each write, after the transaction
    /// that compares the token: nothing but the write itself may follow.
    pub fn may_write(&self, now: BootTime) -> Option<Token> {
        let permit = *self.0.borrow();
        permit
            .filter(|permit| now < permit.until)
            .map(|permit| permit.token)
    }

    /// Waits until the permit changes; `false` once nothing will permit again. Cancel safe.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// Waits until writing is allowed; for ever, if it never will be again. Cancel safe.
    pub async fn permitted(&mut self) {
        while self.may_write(BootTime::now()).is_none() {
            if !self.changed().await {
                pending().await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster::entries::Revision;

    fn at(seconds: u64) -> BootTime {
        BootTime::after_boot(Duration::from_secs(seconds))
    }

    const TOKEN: Token = Token(Revision(7));

    #[test]
    fn a_permit_ends_by_itself() {
        let gate = Gate::closed();
        let fence = gate.fence();
        assert_eq!(fence.may_write(at(0)), None);
        gate.set(Some(Permit {
            token: TOKEN,
            until: at(4),
        }));
        assert_eq!(fence.may_write(at(3)), Some(TOKEN));
        assert_eq!(fence.may_write(at(4)), None);
        drop(gate);
        assert_eq!(fence.may_write(at(3)), Some(TOKEN));
        assert_eq!(fence.may_write(at(4)), None);
    }

    #[tokio::test]
    async fn a_permit_is_waited_for() {
        let gate = Gate::closed();
        let mut fence = gate.fence();
        let over = BootTime::default();
        gate.set(Some(Permit {
            token: TOKEN,
            until: over,
        }));
        let permitted = tokio::spawn(async move { fence.permitted().await });
        tokio::task::yield_now().await;
        assert!(!permitted.is_finished(), "it is over");
        let until = BootTime::now() + Duration::from_secs(60);
        gate.set(Some(Permit { token: TOKEN, until }));
        permitted.await.unwrap();
    }

    #[tokio::test]
    async fn a_change_is_reported_until_the_gate_is_dropped() {
        let gate = Gate::closed();
        let mut fence = gate.fence();
        gate.set(None);
        assert!(fence.changed().await);
        drop(gate);
        assert!(!fence.changed().await);
    }
}
