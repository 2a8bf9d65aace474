//! What the devices of the demo went through in the days before: made up, and written here alone.

use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::{DateTime, Time, time};

use super::devices::OF_STORY;
use crate::simulator::Action::{
    self, AntennaOff, AntennaOn, ChangeOver, ClearEvent, FailSignal, FireEvent, LoseSync, PowerOff, PowerOn,
    RegainSync, RestoreSignal,
};
use crate::simulator::Clock::{Clk1, Clk2};
use crate::simulator::Signal::{Pps, TenMhz};
use What::{Acknowledged, Does, Ends, Silent, Starts, Talks};

/// Whom a step concerns, by the place in the fleet.
type Devices = Range<usize>;

const SIM_1: Devices = 0..1;
const SIM_2: Devices = 1..2;
const SIM_3: Devices = 2..3;
const ALL: Devices = 0..OF_STORY;

/// Until then the last night, with what belongs to it, is over.
const MORNING: Time = time(8, 0, 0, 0);

/// Something that happened.
#[derive(Debug)]
pub(super) struct Step {
    /// When, by the clock of this machine.
    pub(super) at: DateTime,
    pub(super) devices: Devices,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// The bridge begins to watch, for the first time or again.
    Starts,
    /// It ends: nobody watches.
    Ends,
    /// The device does something.
    Does(Action),
    /// It answers no poll any more: it is offline.
    Silent,
    /// It answers again.
    Talks,
    /// Somebody has seen the last faults.
    Acknowledged,
}

/// All that happened until `now`, in order. The last night is the last one that is over.
pub(super) fn steps(now: DateTime) -> Vec<Step> {
    let today = now.date();
    let last = match now.time() < MORNING {
        true => today.saturating_sub(1.day()),
        false => today,
    };
    let step = |(days, [hour, minute, second], devices, what): (i64, [i8; 3], _, _)| Step {
        at: last.saturating_sub(days.days()).at(hour, minute, second, 0),
        devices,
        what,
    };
    table().into_iter().map(step).collect()
}

/// Days before the last night, time of day, devices, and what happened.
fn table() -> Vec<(i64, [i8; 3], Devices, What)> {
    let io4 = || "io4".to_owned();
    let link = || "network-link-down".to_owned();
    vec![
        // The bridge is installed. A week before the last, so that the view of 30 days has an end, too.
        (13, [9, 30, 12], ALL, Starts),
        (13, [11, 2, 41], SIM_1, Does(AntennaOff(Clk2))),
        (13, [11, 20, 5], SIM_1, Does(AntennaOn(Clk2))),
        (10, [21, 17, 30], SIM_2, Does(LoseSync(Clk1))),
        (10, [21, 44, 2], SIM_2, Does(RegainSync(Clk1))),
        // The last week. A relay module is exchanged.
        (6, [14, 0, 12], SIM_3, Does(PowerOff(io4()))),
        (6, [14, 11, 50], SIM_3, Does(PowerOn(io4()))),
        (6, [22, 47, 33], SIM_2, Does(LoseSync(Clk1))),
        (6, [23, 5, 12], SIM_2, Does(RegainSync(Clk1))),
        // So short that nobody who looks at it now and then would see it.
        (5, [13, 15, 8], SIM_2, Does(FailSignal(Pps))),
        (5, [13, 15, 14], SIM_2, Does(RestoreSignal(Pps))),
        // The bridge is updated, and somebody forgets to start it.
        (4, [9, 0, 3], ALL, Ends),
        (4, [10, 1, 48], ALL, Starts),
        (4, [16, 31, 20], SIM_3, Does(LoseSync(Clk2))),
        (4, [16, 58, 3], SIM_3, Does(RegainSync(Clk2))),
        // A switch in the network is replaced.
        (3, [10, 12, 9], SIM_2, Silent),
        (3, [10, 52, 31], SIM_2, Talks),
        (2, [19, 20, 10], SIM_2, Does(FailSignal(TenMhz))),
        (2, [19, 24, 40], SIM_2, Does(RestoreSignal(TenMhz))),
        (1, [11, 44, 15], SIM_1, Does(FireEvent(link()))),
        (1, [11, 46, 2], SIM_1, Does(ClearEvent(link()))),
        (1, [16, 5, 0], ALL, Acknowledged),
        // The last night: the receiver of clock 1 fails three times. The switch goes to clock 2, so the time stays right.
        (0, [2, 13, 7], SIM_1, Does(LoseSync(Clk1))),
        (0, [2, 19, 22], SIM_1, Does(RegainSync(Clk1))),
        (0, [3, 40, 16], SIM_1, Does(LoseSync(Clk1))),
        (0, [3, 41, 3], SIM_1, Does(RegainSync(Clk1))),
        (0, [4, 55, 31], SIM_1, Does(LoseSync(Clk1))),
        (0, [5, 20, 12], SIM_1, Does(RegainSync(Clk1))),
        // As it was before: so the demo begins.
        (0, [7, 32, 40], SIM_1, Does(ChangeOver)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_over_and_in_order_at_any_time_of_day() {
        for now in [
            "2026-03-01T00:00:00",
            "2026-03-01T07:59:59",
            "2026-03-01T08:00:00",
            "2026-03-01T23:59:59",
        ] {
            let now: DateTime = now.parse().unwrap();
            let steps = steps(now);
            assert!(steps.is_sorted_by_key(|step| step.at));
            let age = |step: &Step| now.duration_since(step.at).as_secs_f64() / 3600.0;
            let last = age(steps.last().unwrap());
            assert!(last > 0.0 && last < 24.5, "{now}: {last} h ago");
        }
    }
}
