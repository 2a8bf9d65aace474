//! One run: what is measured, and how.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lantime2mqtt::simulator::{Action, FleetOptions, SimulatedDevice};

use super::common::children::{self, Running};
use super::common::devices::Devices;
use super::common::process;
use super::subscriber::{self, Arrivals};

/// The event that is fired and cleared to measure the way from an answer to a subscriber.
const EVENT: &str = "low-system-resources";
/// Changes a second.
const CHANGES: u32 = 20;
/// A poll is kept when it comes within this part of its interval.
const KEPT_WITHIN: f64 = 0.05;

/// Names of the columns.
pub(crate) const HEADER: &str = "what    devices  over   polls/s  kept %   CPU s per 1000 polls  resident MiB  simulator CPU s per 1000  answer to subscriber p50/p99 ms (samples)";

/// A number of devices, polled once a second.
pub(crate) struct Load {
    pub(crate) devices: usize,
    pub(crate) https: bool,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

impl Load {
    /// The HTTP client alone.
    pub(crate) fn floor(&self) -> anyhow::Result<String> {
        let directory = tempfile::tempdir()?;
        let devices = self.devices()?;
        let child = children::floor(&devices.config(directory.path(), 1)?)?;
        self.measure("floor", &devices, &child, None)
    }

    /// The bridge, with a broker and a subscriber.
    pub(crate) fn bridge(&self) -> anyhow::Result<String> {
        let directory = tempfile::tempdir()?;
        let (_broker, port) = children::mosquitto(directory.path())?;
        let devices = self.devices()?;
        let config = devices.config(directory.path(), port)?;
        let arrivals = subscriber::subscribe(port, &format!("lantime/+/event/{EVENT}"))?;
        let child = children::bridge(&config)?;
        self.measure("bridge", &devices, &child, Some(&arrivals))
    }

    fn devices(&self) -> anyhow::Result<Devices> {
        Devices::start(FleetOptions {
            devices: self.devices,
            https: self.https,
            ..FleetOptions::default()
        })
    }

    fn measure(
        &self,
        what: &str,
        served: &Devices,
        child: &Running,
        arrivals: Option<&Arc<Arrivals>>,
    ) -> anyhow::Result<String> {
        std::thread::sleep(self.warm_up);
        let devices = served.fleet.devices();
        let samples = self.measured.as_secs() as usize + 8;
        devices.iter().for_each(|device| device.record_arrivals(samples));
        if let Some(arrivals) = arrivals {
            arrivals.clear();
        }
        let requests = || {
            devices
                .iter()
                .map(|device| device.counters().documents)
                .sum::<u64>()
        };
        let before = (
            process::cpu(&child.id())?,
            process::cpu(&served.thread)?,
            requests(),
        );
        let started = Instant::now();
        let changes = if arrivals.is_some() {
            self.change(devices)?
        } else {
            Vec::new()
        };
        std::thread::sleep(self.measured.saturating_sub(started.elapsed()));
        let elapsed = started.elapsed();
        let polls = (requests() - before.2) as f64;
        let per_thousand = |now: Duration, before: Duration| (now - before).as_secs_f64() / polls * 1000.0;
        let mut row = format!(
            "{what:<7} {:>7}  {:<5}",
            self.devices,
            if self.https { "https" } else { "http" }
        );
        let kept = kept(devices);
        write!(row, "  {:>7.1}  {kept:>6.2}", polls / elapsed.as_secs_f64())?;
        write!(
            row,
            "  {:>21.4}",
            per_thousand(process::cpu(&child.id())?, before.0)
        )?;
        write!(row, "  {:>12.1}", process::resident(&child.id())?)?;
        write!(
            row,
            "  {:>24.4}",
            per_thousand(process::cpu(&served.thread)?, before.1)
        )?;
        if let Some(arrivals) = arrivals {
            // The last changes have a second to be polled and another to arrive.
            std::thread::sleep(Duration::from_secs(2));
            write!(row, "  {}", latencies(&changes, arrivals))?;
        }
        Ok(row)
    }

    /// Fires and clears the event on one device after the other. Each device, with the generation of each change.
    fn change(
        &self,
        devices: &[Arc<SimulatedDevice>],
    ) -> anyhow::Result<Vec<(Arc<SimulatedDevice>, Vec<u64>)>> {
        let pause = Duration::from_secs(1) / CHANGES;
        let count = (self.measured.as_millis() / pause.as_millis()) as usize;
        let started = Instant::now();
        let mut changes: Vec<(Arc<SimulatedDevice>, Vec<u64>)> = devices
            .iter()
            .map(|device| (Arc::clone(device), Vec::new()))
            .collect();
        // At most one change of a device in two polls, so that each has an answer of its own.
        let devices_changed = devices.len().min(count);
        let pause = pause.max(Duration::from_millis(2500) / devices_changed as u32);
        for index in 0..count {
            let (device, generations) = &mut changes[index % devices_changed];
            let action = if generations.len() % 2 == 0 {
                Action::FireEvent(EVENT.to_owned())
            } else {
                Action::ClearEvent(EVENT.to_owned())
            };
            generations.push(device.apply(&action)?);
            let due = started + pause * (index as u32 + 1);
            if due > started + self.measured {
                break;
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok(changes)
    }
}

/// Percentage of polls that came within 5% of one second after the one before.
fn kept(devices: &[Arc<SimulatedDevice>]) -> f64 {
    let (mut all, mut kept) = (0_u32, 0_u32);
    for device in devices {
        for pair in device.take_arrivals().windows(2) {
            all += 1;
            let interval = (pair[1] - pair[0]).as_secs_f64();
            kept += u32::from((interval - 1.0).abs() <= KEPT_WITHIN);
        }
    }
    100.0 * f64::from(kept) / f64::from(all.max(1))
}

/// From the answer that carries a change to its message at the subscriber.
fn latencies(changes: &[(Arc<SimulatedDevice>, Vec<u64>)], arrivals: &Arrivals) -> String {
    let mut millis = Vec::new();
    let mut lost = 0;
    for (device, generations) in changes {
        let arrived = arrivals.of(&format!("lantime/{}/event/{EVENT}", device.id()));
        for (index, generation) in generations.iter().enumerate() {
            match (device.answered_at(*generation), arrived.get(index)) {
                (Some(answered), Some(arrived)) => {
                    millis.push(arrived.saturating_duration_since(answered).as_secs_f64() * 1e3)
                }
                _ => lost += 1,
            }
        }
    }
    millis.sort_by(f64::total_cmp);
    let percentile = |p: usize| {
        millis
            .get((millis.len() * p).div_ceil(100).max(1) - 1)
            .copied()
            .unwrap_or(f64::NAN)
    };
    format!(
        "{:.2} / {:.2} ({}, {lost} without)",
        percentile(50),
        percentile(99),
        millis.len()
    )
}
