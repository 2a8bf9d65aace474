//! How much memory the bridge takes.

use std::time::{Duration, Instant};

/// After so long it has all that it needs: what it takes more from then on is a tenth at most, in a run that is
/// long enough to see.
const WARM: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(300);
/// A shorter run shows only what leaks fast: after so long it has almost all, and takes a third more at most.
const ALMOST_WARM: Duration = Duration::from_secs(20);

/// The bridge's resident memory over time.
pub(crate) struct Memory {
    process: u32,
    begin: Instant,
    /// When, and KiB.
    samples: Vec<(Duration, u64)>,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Memory {
        Memory {
            process,
            begin: Instant::now(),
            samples: Vec::new(),
        }
    }

    /// Looks once a second.
    pub(crate) async fn watch(&mut self, until: Instant) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        while Instant::now() < until {
            seconds.tick().await;
            self.samples.push((self.begin.elapsed(), resident(self.process)));
        }
    }

    /// The mean over ten seconds that end then, in KiB: what is freed in a moment does not count.
    fn around(&self, end: Duration) -> u64 {
        let is_near = |at: Duration| at <= end && at + Duration::from_secs(10) > end;
        let near: Vec<_> = self
            .samples
            .iter()
            .filter(|(at, _)| is_near(*at))
            .map(|(_, kib)| *kib)
            .collect();
        near.iter().sum::<u64>() / near.len().max(1) as u64
    }

    /// That it is flat.
    pub(crate) fn check(&self) {
        let (last, _) = *self.samples.last().expect("it ran");
        let minutes = (1..)
            .map(|minute| minute * Duration::from_secs(60))
            .take_while(|minute| *minute < last);
        for at in [ALMOST_WARM].into_iter().chain(minutes).chain([last]) {
            println!(
                "memory at {:>4} s: {:.1} MiB",
                at.as_secs(),
                self.around(at) as f64 / 1024.0
            );
        }
        let (since, percent) = if last < LONG {
            (ALMOST_WARM, 133)
        } else {
            (WARM, 110)
        };
        let (before, end) = (self.around(since), self.around(last));
        assert!(
            end * 100 <= before * percent,
            "{before} KiB after {since:?}, {end} KiB in the end"
        );
    }
}

/// KiB that are in memory.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("Linux shows it");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number")
}
