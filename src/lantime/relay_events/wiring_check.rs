//! Whether software can select what switches a relay, as far as its wiring is known, and what to do where it
//! cannot.

use crate::model::{
    DeviceView, ErrorKind, ErrorReport, Relay, RelayPlace, Signal, SlotId, SlotState, SlotView, WiringSource,
};

/// Whether software can select what switches this relay, as far as the wiring is known.
pub(super) fn check_wiring(view: &DeviceView, place: &RelayPlace) -> Result<(), ErrorReport> {
    let (slot, relay) = (&place.slot, place.relay);
    let name = relay.as_str().to_uppercase();
    let Some(found) = view.slots.get(slot) else {
        let slots: Vec<_> = view.slots.keys().map(SlotId::as_str).collect();
        let message = format!("no slot {slot} is watched at this device");
        let remedy = format!("take one of its slots: {}", slots.join(", "));
        return Err(ErrorReport::new(ErrorKind::NotFound, message, remedy));
    };
    if found.state != SlotState::Online {
        let message = format!(
            "slot {slot} holds no relay module (it is {})",
            found.state.as_str()
        );
        let remedy = "compare the slots in the configuration with the device";
        return Err(ErrorReport::new(ErrorKind::NotFound, message, remedy));
    }
    let Some((wiring, source)) = found.wiring else {
        let message = format!("what drives the relays of slot {slot} is not known yet");
        let remedy = "send the command again when the slot is online";
        return Err(ErrorReport::new(ErrorKind::Rejected, message, remedy));
    };
    let driver = wiring.driver(relay);
    let list = slots_to_paste(view, slot, relay);
    if source == WiringSource::Assumed {
        let message = format!(
            "the jumpers of the module in slot {slot} are only assumed (relay {name}: {driver}): no interface of the \
             device reports them"
        );
        let remedy = format!(
            "look at the module; if relay {name} is on notification, configure the device with {list}{}",
            to_compare(view, slot)
        );
        return Err(ErrorReport::new(ErrorKind::Rejected, message, remedy));
    }
    if driver != Signal::Notification {
        let message = format!(
            "a jumper wires relay {name} of slot {slot} to {driver}: events do not switch it, and no software can move \
             the jumper"
        );
        let remedy = format!(
            "move the jumper on the module to notification; if it is there already, correct the configuration: \
             {list}{}",
            to_compare(view, slot)
        );
        return Err(ErrorReport::new(ErrorKind::Rejected, message, remedy));
    }
    Ok(())
}

/// All slots of the device as they would stand in its configuration with `relay` on notification: a list
/// replaces `auto`, and what it leaves out is watched no longer. In single quotes, since a reply is JSON: there
/// double ones would be escaped, and could not be pasted.
fn slots_to_paste(view: &DeviceView, slot: &SlotId, relay: Relay) -> String {
    let entries = view.slots.iter().map(|(id, found)| {
        let Some((wiring, _)) = found.wiring else {
            return format!("{{ id = '{id}' }}");
        };
        let [a, b, c] = Relay::ALL.map(|other| match id == slot && other == relay {
            true => Signal::Notification,
            false => wiring.driver(other),
        });
        format!("{{ id = '{id}', relays = {{ a = '{a}', b = '{b}', c = '{c}' }} }}")
    });
    format!("slots = [{}]", entries.collect::<Vec<_>>().join(", "))
}

/// What to say of the other slots of that list whose wiring is only assumed.
fn to_compare(view: &DeviceView, slot: &SlotId) -> String {
    let is_assumed = |(id, found): &(&SlotId, &SlotView)| {
        *id != slot && matches!(found.wiring, Some((_, WiringSource::Assumed)))
    };
    let assumed = view.slots.iter().filter(is_assumed);
    let assumed: Vec<_> = assumed.map(|(id, _)| id.as_str()).collect();
    match assumed.as_slice() {
        [] => String::new(),
        assumed => format!(
            " (what stands there of {} is assumed too: compare it with the modules)",
            assumed.join(", ")
        ),
    }
}
