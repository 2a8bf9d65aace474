//! Plays a scenario on a fleet. What the steps mean is the devices' own.

use super::device::SimulatedDevice;
use super::fault::Fault;
use super::fleet::Fleet;
use super::scenario::{Happening, Scenario, Target};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// One moment of a scenario: a step, or the end of a fault that a step has begun.
struct Moment<'a> {
    at: Duration,
    target: &'a Target,
    what: What<'a>,
}

enum What<'a> {
    Happens(&'a Happening),
    Ends(&'a Fault),
}

impl Fleet {
    /// Plays a scenario until it is over (never, when it repeats) or `stop`. A step that is impossible on
    /// a device is logged and skipped there.
    pub async fn play(&self, scenario: &Scenario, stop: CancellationToken) {
        let moments = moments(scenario);
        loop {
            let start = Instant::now();
            for moment in &moments {
                if stop
                    .run_until_cancelled(sleep_until(start + moment.at))
                    .await
                    .is_none()
                {
                    return;
                }
                self.carry_out(moment);
            }
            let Some(period) = scenario.repeat_every else {
                return;
            };
            if stop
                .run_until_cancelled(sleep_until(start + period))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    fn carry_out(&self, moment: &Moment<'_>) {
        for device in self.devices() {
            if matches!(moment.target, Target::Device(id) if id != device.id()) {
                continue;
            }
            match moment.what {
                What::Happens(happening) => happen(device, happening),
                // Another fault may have taken its place meanwhile.
                What::Ends(fault) if device.fault().as_ref() == Some(fault) => device.set_fault(None),
                What::Ends(_) => (),
            }
        }
    }
}

fn happen(device: &SimulatedDevice, happening: &Happening) {
    debug!(device = device.id(), ?happening, "scenario");
    match happening {
        Happening::Action(action) => {
            if let Err(error) = device.apply(action) {
                warn!(device = device.id(), ?action, %error, "a step of the scenario is impossible");
            }
        }
        Happening::Fault(fault, _) => device.set_fault(Some(fault.clone())),
        Happening::ClearFault => device.set_fault(None),
    }
}

/// All moments in their order; those of the same time in the order of the file.
fn moments(scenario: &Scenario) -> Vec<Moment<'_>> {
    let mut moments = Vec::new();
    for step in &scenario.steps {
        let target = &step.target;
        moments.push(Moment {
            at: step.at,
            target,
            what: What::Happens(&step.happening),
        });
        if let Happening::Fault(fault, Some(lasts)) = &step.happening {
            moments.push(Moment {
                at: step.at.saturating_add(*lasts),
                target,
                what: What::Ends(fault),
            });
        }
    }
    moments.sort_by_key(|moment| moment.at);
    moments
}
