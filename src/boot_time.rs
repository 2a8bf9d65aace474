//! The time since the machine was booted, with the time for which it was suspended: the clock of leases, and of whether anybody
//! has watched.

use std::ops::Add;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment by `CLOCK_BOOTTIME`.
///
/// A lease ends at etcd while this machine sleeps. [`std::time::Instant`] does not see that: on Linux it is
/// `CLOCK_MONOTONIC`, which stands still while the machine is suspended. A bridge that measured its lease by it would wake up,
/// and go on writing with a lease that etcd has given to another one. The clock on the wall counts suspension, but an operator
/// or NTP can set it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BootTime(Duration);

impl BootTime {
    /// The current time.
    pub fn now() -> BootTime {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
        BootTime(Duration::new(seconds, nanoseconds))
    }

    /// The moment so long after the boot.
    pub const fn after_boot(time: Duration) -> BootTime {
        BootTime(time)
    }

    /// How long it is from `earlier` until this moment; zero if that is later.
    pub fn saturating_duration_since(self, earlier: BootTime) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for BootTime {
    type Output = BootTime;

    fn add(self, duration: Duration) -> BootTime {
        BootTime(self.0.saturating_add(duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_and_does_not_go_back() {
        let first = BootTime::now();
        assert!(first > BootTime::default());
        assert!(BootTime::now() >= first);
    }

    #[test]
    fn times_are_added_and_compared() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let boot = BootTime::after_boot(minute);
        assert_eq!((boot + second).saturating_duration_since(boot), second);
        assert_eq!(boot.saturating_duration_since(boot + second), Duration::ZERO);
    }
}
