//! A device's traps: which of them is new, and by what they are known to be its own. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::events::{Events, TrapKind};
use super::informs::{Informs, Repetition};
use super::input::Effect;
use super::turn::Turn;
use crate::lantime::snmp::traps::{DeviceTrap, Receipt, SenderIdentity};
use crate::records::trap::record;

/// What is known of the traps of one device.
#[derive(Debug, Default)]
pub(super) struct Traps {
    informs: Informs,
    sender: SenderIdentity,
    /// How long the device had been running when it last said so.
    uptime: Option<Duration>,
}

impl Traps {
    /// What the task that follows knows of them.
    pub(super) fn into_prior(self) -> Traps {
        Traps { uptime: None, ..self }
    }

    /// A trap has come. Says whether it is worth a look at the device.
    pub(super) fn take(&mut self, trap: DeviceTrap, events: &mut Events, turn: &mut Turn) -> bool {
        let DeviceTrap { mut trap, receipt } = trap;
        let now = turn.now.instant;
        let receipt = match self.informs.take(receipt, now) {
            Repetition::New(receipt) => receipt,
            Repetition::Waiting => return false,
            Repetition::Settled(receipt) => {
                turn.push(Effect::Acknowledge(receipt));
                return false;
            }
        };
        let mut kind = TrapKind::New;
        if let Some(event) = &trap.event {
            let (event, naming) = events.name(event);
            kind = events.trap(&event, trap.message.as_deref(), now);
            (trap.event, trap.naming) = (Some(event), naming);
        }
        if kind == TrapKind::New {
            let record = record(&turn.settings.id, &trap, turn.now.wall);
            turn.push(Effect::Record(record, receipt));
        } else {
            self.informs.settle(&receipt);
            // The record of the poll may not be on disk yet: by the time the inform is repeated it is.
            turn.push((kind == TrapKind::Repeated).then_some(Effect::Repeated(receipt)));
        }
        // Also for a repeated one: should it have come again unnoticed, the device's document shows a newer time.
        true
    }

    /// The records of these traps are stored: they are acknowledged, and with them those that have repeated them meanwhile.
    pub(super) fn stored(&mut self, receipts: Vec<Receipt>, turn: &mut Turn) {
        for receipt in receipts {
            let repetitions = self.informs.settle(&receipt);
            let all = std::iter::once(receipt).chain(repetitions);
            turn.effects.extend(all.map(Effect::Acknowledge));
        }
    }

    /// The device says what it is called.
    pub(super) fn is_called(&mut self, host_name: Option<&str>) -> Option<Effect> {
        if self.sender.host_name.as_deref() == host_name {
            return None;
        }
        self.sender.host_name = host_name.map(str::to_owned);
        Some(Effect::Identify(self.sender.clone()))
    }

    /// The device says how long it has been running: less than before means that it has restarted.
    pub(super) fn runs_for(&mut self, uptime: Option<Duration>, now: Instant) -> Option<Effect> {
        let before = self.uptime;
        self.uptime = uptime.or(before);
        let uptime = uptime.filter(|uptime| before.is_some_and(|before| *uptime < before))?;
        self.sender.restarted = Some(now.checked_sub(uptime).unwrap_or(now));
        Some(Effect::Identify(self.sender.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_uptime_than_before_is_a_restart() {
        let (mut traps, now) = (Traps::default(), Instant::now());
        let second = Duration::from_secs(1);
        for uptime in [Some(100 * second), None, Some(101 * second)] {
            assert!(traps.runs_for(uptime, now).is_none());
        }
        let Some(Effect::Identify(sender)) = traps.runs_for(Some(second), now + 10 * second) else {
            panic!("a restart");
        };
        assert_eq!(sender.restarted, Some(now + 9 * second));
    }
}
