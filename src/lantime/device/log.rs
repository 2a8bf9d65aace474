//! What the log says of a device: what was found there, and what could not be understood.

use super::DeviceTask;
use crate::model::{DeviceId, DeviceView, SlotId, SlotState, SlotView, Snapshot, WiringSource};

/// Most texts of a device that are remembered as reported.
const MAX_REPORTED: usize = 256;

impl DeviceTask {
    /// Says once what could not be understood, and which entries of the profile find nothing.
    pub(super) fn report(&mut self, snapshot: &Snapshot) {
        let device = &self.id;
        for note in &snapshot.notes {
            if self.reported.len() < MAX_REPORTED && self.reported.insert(note.clone()) {
                tracing::warn!(%device, "status document: {note}");
            }
        }
        let profile = &snapshot.identity.profile;
        for entry in &snapshot.unresolved {
            if self.reported.insert(format!("{profile} {entry}")) {
                tracing::info!(
                    %device,
                    "this device does not report what entry {entry} of API profile {profile} looks for; \
                     it is derived where that is possible, else unknown"
                );
            }
        }
    }
}

/// Says in the log what was found at a device that was heard for the first time.
pub(super) fn greet(device: &DeviceId, snapshot: &Snapshot, view: &DeviceView) {
    let firmware = snapshot.identity.firmware.as_deref().unwrap_or("unknown");
    let slots: Vec<_> = view.slots.keys().map(SlotId::as_str).collect();
    tracing::info!(%device, firmware, ?slots, "device is online");
    if slots.is_empty() {
        tracing::warn!(%device, "no slot holds a relay module; list the slots in the configuration if it has one");
    }
    for (slot, SlotView { state, wiring, .. }) in &view.slots {
        if *state != SlotState::Online {
            let state = state.as_str();
            tracing::warn!(%device, %slot, state, "no relay module in this slot; compare slots in the configuration with the device");
        } else if let Some((_, WiringSource::Assumed)) = wiring {
            tracing::warn!(%device, %slot, "the usual wiring is assumed; compare it with the jumpers, and set relays for this slot in the configuration");
        }
    }
}
