//! What one input leads to.

use super::input::Effect;
use crate::boot_time::BootTime;

/// The effects of one input, and when something is due of itself.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) now: BootTime,
    effects: Vec<Effect>,
    wake_at: Option<BootTime>,
}

impl Turn {
    pub(super) fn new(now: BootTime) -> Turn {
        Turn {
            now,
            effects: Vec::new(),
            wake_at: None,
        }
    }

    pub(super) fn push(&mut self, effect: impl Into<Option<Effect>>) {
        self.effects.extend(effect.into());
    }

    /// Whether that time has come. If not, there will be a timer for it.
    pub(super) fn is_due(&mut self, at: BootTime) -> bool {
        if at > self.now {
            self.wake_at = Some(self.wake_at.map_or(at, |other| other.min(at)));
        }
        at <= self.now
    }

    pub(super) fn into_effects(mut self) -> Vec<Effect> {
        self.effects.extend(self.wake_at.map(Effect::WakeAt));
        self.effects
    }
}
