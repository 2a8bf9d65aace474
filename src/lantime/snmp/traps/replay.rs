//! Whether a v3 trap may be taken for the first of its sender after the receiver was replaced.
//!
//! The receiver refuses what is older than what it has seen of an engine, but a new receiver has seen nothing. The
//! sender's uptime is part of what a v3 message authenticates: by it a trap that was recorded earlier is known. Pure.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::DeviceId;

/// How far a clock may be off: the time window of RFC 3414.
const WINDOW: Duration = Duration::from_secs(150);
/// Most engines that are remembered; who has the keys could invent more.
const MOST: usize = 8192;

#[derive(Debug)]
struct Seen {
    device: DeviceId,
    generation: u64,
    /// Hundredths of a second; wraps.
    uptime: u32,
    at: Instant,
}

/// What was seen of each engine.
#[derive(Debug, Default)]
pub(super) struct Engines(HashMap<Vec<u8>, Seen>);

impl Engines {
    /// Whether a trap of that engine is no replay, as far as can be known. `started` is when its device has last
    /// restarted, as REST shows.
    pub(super) fn accepts(
        &mut self,
        engine_id: &[u8],
        device: &DeviceId,
        generation: u64,
        uptime: u32,
        started: Option<Instant>,
        now: Instant,
    ) -> bool {
        let fits = match self.0.get(engine_id) {
            Some(seen) if seen.generation != generation => match started.filter(|started| *started > seen.at)
            {
                // Not older than its start; how much younger, nobody knows.
                Some(started) => centiseconds(now.duration_since(started) + WINDOW) >= u64::from(uptime),
                None => {
                    let elapsed = centiseconds(now.duration_since(seen.at)) as u32;
                    let ahead = uptime.wrapping_sub(seen.uptime.wrapping_add(elapsed)) as i32;
                    u64::from(ahead.unsigned_abs()) <= centiseconds(WINDOW)
                }
            },
            _ => true,
        };
        if fits && (self.0.len() < MOST || self.0.contains_key(engine_id)) {
            let seen = Seen {
                device: device.clone(),
                generation,
                uptime,
                at: now,
            };
            self.0.insert(engine_id.to_vec(), seen);
        }
        fits
    }

    /// Of these devices nothing was seen.
    pub(super) fn forget(&mut self, is_forgotten: impl Fn(&DeviceId) -> bool) {
        self.0.retain(|_, seen| !is_forgotten(&seen.device));
    }

    /// Whether that device has sent v3 traps.
    pub(super) fn knows(&self, device: &DeviceId) -> bool {
        self.0.values().any(|seen| seen.device == *device)
    }
}

fn centiseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis() / 10).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINE: &[u8] = b"engine";
    const HOUR: u32 = 360_000;

    fn after(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    fn accepts(
        engines: &mut Engines,
        engine_id: &[u8],
        generation: u64,
        uptime: u32,
        started: Option<Instant>,
        now: Instant,
    ) -> bool {
        let device = DeviceId::new("m1").unwrap();
        engines.accepts(engine_id, &device, generation, uptime, started, now)
    }

    #[test]
    fn within_one_receiver_the_library_decides() {
        let (mut engines, now) = (Engines::default(), Instant::now());
        assert!(accepts(&mut engines, ENGINE, 0, HOUR, None, now));
        assert!(accepts(&mut engines, ENGINE, 0, 5, None, now));
    }

    #[test]
    fn a_new_receiver_takes_no_old_trap() {
        let (mut engines, begin) = (Engines::default(), Instant::now());
        assert!(accepts(&mut engines, ENGINE, 0, HOUR, None, begin));
        let now = after(begin, 600);
        assert!(
            !accepts(&mut engines, ENGINE, 1, HOUR, None, now),
            "as it was 10 minutes ago"
        );
        assert!(
            !accepts(&mut engines, ENGINE, 1, 5, None, now),
            "before an earlier start"
        );
        assert!(
            !accepts(&mut engines, ENGINE, 1, 10 * HOUR, None, now),
            "in an earlier, longer run"
        );
        assert!(accepts(&mut engines, ENGINE, 1, HOUR + 60_000, None, now));
        assert!(accepts(&mut engines, b"another", 1, 5, None, now));
    }

    #[test]
    fn a_device_that_has_restarted_begins_from_nothing() {
        let (mut engines, begin) = (Engines::default(), Instant::now());
        assert!(accepts(&mut engines, ENGINE, 0, HOUR, None, begin));
        let started = Some(after(begin, 100));
        let now = after(begin, 160);
        assert!(
            !accepts(&mut engines, ENGINE, 1, HOUR, started, now),
            "it cannot run for an hour"
        );
        assert!(accepts(&mut engines, ENGINE, 1, 6_000, started, now));
    }

    #[test]
    fn a_device_that_is_forgotten_is_judged_from_the_beginning() {
        let (mut engines, now) = (Engines::default(), Instant::now());
        assert!(accepts(&mut engines, ENGINE, 0, HOUR, None, now));
        engines.forget(|device| device.as_str() != "m1");
        assert!(
            !accepts(&mut engines, ENGINE, 1, 5, None, now),
            "it is another one"
        );
        engines.forget(|device| device.as_str() == "m1");
        assert!(accepts(&mut engines, ENGINE, 1, 5, None, now));
        assert!(
            !accepts(&mut engines, ENGINE, 2, HOUR, None, now),
            "as of any other"
        );
    }

    #[test]
    fn an_uptime_that_wraps_is_no_jump() {
        let (mut engines, begin) = (Engines::default(), Instant::now());
        assert!(accepts(&mut engines, ENGINE, 0, u32::MAX - 100, None, begin));
        assert!(accepts(&mut engines, ENGINE, 1, 900, None, after(begin, 10)));
    }
}
