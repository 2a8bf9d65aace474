//! How long an election waits for what. See `cluster` for the reasons.

use std::time::Duration;

use crate::boot_time::BootTime;

/// Until when a lease that was renewed by a request sent then permits to write: 0.8 of its TTL. What is left is for clocks that
/// do not run equally fast, and for a write that was just begun.
pub(super) fn deadline(sent: BootTime, ttl: Duration) -> BootTime {
    sent + ttl * 4 / 5
}

/// When a lease that was renewed by a request sent then is renewed again. If that hangs for all its time
/// ([`renewal_timeout`]), another one is sent before the deadline; more, if it fails sooner.
pub(super) fn renewal(sent: BootTime, ttl: Duration) -> BootTime {
    sent + ttl / 3
}

/// How long a renewal may take.
pub fn renewal_timeout(ttl: Duration) -> Duration {
    ttl / 5
}

/// Until a request that has failed is made again.
pub(super) const RETRY: Duration = Duration::from_millis(500);

/// For so long after a snapshot a shard without an owner is left to those that run it, or are starting as well.
pub(super) const GATHER: Duration = Duration::from_secs(2);

/// How much later each further eligible member claims a shard, if the one before it does not.
pub(super) const CLAIM_STEP: Duration = Duration::from_secs(3);

/// From when on a broker that is not reached counts as such.
pub(super) const BROKER_LOST: Duration = Duration::from_secs(4);

/// For how long another member has to be more suitable before shards are handed over to it: after an outage of the broker not
/// all bridges reach it at the same moment.
pub(super) const UNSUITED: Duration = Duration::from_secs(5);

/// For how long no shard may have moved before one moves for equal shares.
pub(super) const SETTLING: Duration = Duration::from_secs(10);

/// For how long a member has to be as it is before it is handed shards for equal shares.
pub(super) const NEWCOMER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_that_hangs_leaves_time_for_another_one() {
        for seconds in 3..=60 {
            let ttl = Duration::from_secs(seconds);
            let sent = BootTime::default();
            let again = renewal(sent, ttl) + renewal_timeout(ttl) + RETRY;
            assert!(again + ttl / 10 <= deadline(sent, ttl), "{seconds} s");
        }
    }
}
