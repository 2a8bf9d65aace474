//! The slots of a status document: clocks, relay modules, the changeover unit.

use super::{Entry, MAX_TEXT, Reader, is_damaged, trimmed};
use crate::lantime::rest::json::cursor::{FromJson, Malformed};
use crate::lantime::rest::profile::{Contact, Profile, RelayModuleEntries, Supervision, is_one_of};
use crate::lantime::rest::wire::{self, Data, Members, Node, Scalar, Slot, SyncStatus};
use crate::model::snapshot::{Module, Rsc};
use crate::model::{
    Clock, Detail, Details, ModuleInfo, Position, RelayModule, Signal, SlotId, Snapshot, Status,
};

impl Reader {
    pub(super) fn chassis(&mut self, data: &Data<'_>, profile: &Profile, snapshot: &mut Snapshot) {
        let Some(chassis) = self.object(&data.chassis0, || "data.chassis0".to_owned()) else {
            return;
        };
        let list = self.list(&chassis.slots, "data.chassis0.slots");
        snapshot.all_slots_seen = chassis.slots.other.is_none() && chassis.slots.cut == 0;
        snapshot.slots.reserve_exact(list.len());
        for (index, slot) in list.iter().enumerate() {
            match self.slot_id(index, slot) {
                None => snapshot.all_slots_seen = false,
                Some((id, _)) if snapshot.module(&id).is_some() => {
                    self.note(|| format!("the slot {id} is listed twice"));
                }
                Some((id, slot)) => self.slot(&id, slot, profile, snapshot),
            }
        }
    }

    fn slot_id<'s, 'a>(&mut self, index: usize, slot: &'s Node<Slot<'a>>) -> Option<(SlotId, &'s Slot<'a>)> {
        let place = || format!("data.chassis0.slots[{index}]");
        let slot = self.object(slot, place)?;
        let text = self.text(&slot.slot_id, || place() + ".slot-id")?;
        let id = SlotId::new(text);
        if id.is_none() {
            self.note(|| format!("{}.slot-id is no usable id", place()));
        }
        Some((id?, slot))
    }

    fn slot(&mut self, id: &SlotId, slot: &Slot<'_>, profile: &Profile, snapshot: &mut Snapshot) {
        let signal = match id.as_str() {
            "clk1" => Some(Signal::Clk1),
            "clk2" => Some(Signal::Clk2),
            _ => None,
        };
        if matches!(slot.module, Node::Missing) {
            snapshot
                .clocks
                .extend(signal.map(|signal| clock_without(signal, Status::Absent)));
            snapshot.slots.push((id.clone(), Module::Empty));
            return;
        }
        let module = self.object(&slot.module, || format!("the module in slot {id}"));
        let info = module.and_then(|module| self.module_info(id, module));
        let model = info.as_ref().map(|info| info.model.clone());
        if model.as_deref().is_some_and(is_damaged) {
            // What is in this slot is not known, which is neither nothing nor another module.
            self.note(|| format!("the model in slot {id} is damaged: {model:?}"));
            snapshot.all_slots_seen = false;
        } else {
            snapshot.slots.push((id.clone(), Module::Fitted(model.clone())));
        }
        if let Some(signal) = signal {
            let clock = match module {
                Some(module) => self.clock(id, signal, module, model.as_deref(), profile),
                None => Clock {
                    is_malformed: true,
                    ..clock_without(signal, Status::Unknown)
                },
            };
            snapshot.clocks.push(clock);
        } else if let (Some(module), Some(info)) = (module, info) {
            if profile.relay_module.models.contain(&info.model) {
                let relay_module = self.relay_module(id, info, module, &profile.relay_module, snapshot);
                snapshot.relay_modules.push((id.clone(), relay_module));
            } else if profile.rsc.models.contain(&info.model) {
                let mode = |text: &str| Some(text.into());
                let mode = self.look_up("rsc.mode", id, module, &profile.rsc.mode.pointer, mode, snapshot);
                let detail = mode
                    .flatten()
                    .map(|mode| ("mode", Detail::Text(mode)))
                    .into_iter()
                    .collect();
                snapshot.rsc = Some(Rsc { detail });
            }
        }
    }

    /// A module's description; an empty power slot has a module without one, which is no fault.
    fn module_info(&mut self, id: &SlotId, module: &Members<'_>) -> Option<ModuleInfo> {
        let info = self.member::<wire::ModuleInfo<'_>>(id, module, "info");
        let info = info.found()?;
        let model = self.owned(&info.model, || format!("the model in slot {id}"))?;
        let mut optional = |scalar: &Scalar<'_>, key: &str| match scalar {
            Scalar::Missing => None,
            other => self.owned(other, || format!("the {key} in slot {id}")),
        };
        let serial_number = optional(&info.serial_number, "serial-number");
        let software_revision = optional(&info.software_revision, "software-revision");
        Some(ModuleInfo {
            model,
            serial_number,
            software_revision,
        })
    }

    fn member<'a, T: FromJson<'a>>(&mut self, id: &SlotId, module: &Members<'a>, name: &str) -> Node<T> {
        module.object(name).unwrap_or_else(|Malformed| {
            self.is_malformed = true;
            self.note(|| format!("{name} of the module in slot {id} is malformed"));
            Node::Missing
        })
    }

    fn clock(
        &mut self,
        id: &SlotId,
        signal: Signal,
        module: &Members<'_>,
        model: Option<&str>,
        profile: &Profile,
    ) -> Clock {
        let mut clock = clock_without(signal, Status::Unknown);
        let place = |key: &str| format!("the clock in slot {id}: {key}");
        let sync = self.member::<SyncStatus<'_>>(id, module, "sync-status");
        clock.is_malformed = is_malformed(&sync);
        let Some(sync) = self.object(&sync, || place("sync-status")) else {
            return clock;
        };
        let state = self.object(&sync.clock_status, || place("clock-status"));
        let text = state.and_then(|state| self.text(&state.clock, || place("clock")));
        clock.status = text.map_or(Status::Unknown, |text| self.clock_status(text, &place, profile));
        clock.selected = optional_text(&sync.clock_idx).map(|text| text == "selected");
        let antenna = profile.clock.receivers.iter().find_map(|receiver| {
            let receiver = self.member::<wire::Receiver<'_>>(id, module, &receiver.key);
            receiver.found().and_then(antenna)
        });
        let texts = [
            ("model", model),
            ("clock", text),
            (
                "oscillator",
                state.and_then(|state| optional_text(&state.oscillator)),
            ),
            ("osc_type", optional_text(&sync.osc_type)),
            ("time_quality", optional_text(&sync.est_time_quality)),
            ("antenna", antenna),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(key, text)| Some((key, Detail::Text(text?.into()))));
        let selected = clock
            .selected
            .map(|selected| ("selected", Detail::Flag(selected)));
        clock.detail = texts.chain(selected).collect();
        clock
    }

    fn clock_status(&mut self, text: &str, place: &dyn Fn(&str) -> String, profile: &Profile) -> Status {
        if profile.clock.synchronized.contain(text) {
            Status::Ok
        } else if profile.clock.not_synchronized.contain(text) {
            Status::Fail
        } else {
            self.note(|| {
                place(&format!(
                    "the clock says {text:?}, which profile {} does not know",
                    profile.name
                ))
            });
            Status::Unknown
        }
    }

    fn relay_module(
        &mut self,
        id: &SlotId,
        info: ModuleInfo,
        module: &Members<'_>,
        entries: &RelayModuleEntries,
        snapshot: &mut Snapshot,
    ) -> RelayModule {
        let mut contact = |name, contact: &Contact| {
            let position = |text: &str| match text {
                text if is_one_of(&contact.no, text) => Some(Position::No),
                text if is_one_of(&contact.nc, text) => Some(Position::Nc),
                _ => None,
            };
            let found = self.look_up(name, id, module, &contact.pointer, position, snapshot);
            found.map(|position| position.unwrap_or(Position::Unknown))
        };
        let positions = [
            contact("relay_module.relay_a", &entries.relay_a),
            contact("relay_module.relay_b", &entries.relay_b),
            contact("relay_module.relay_c", &entries.relay_c),
        ];
        let mut signals = Vec::new();
        let mut supervision = |name, signal, supervision: &Supervision| {
            let status = |text: &str| match text {
                text if is_one_of(&supervision.ok, text) => Some(Status::Ok),
                text if is_one_of(&supervision.fail, text) => Some(Status::Fail),
                _ => None,
            };
            let status = self.look_up(name, id, module, &supervision.pointer, status, snapshot);
            signals.extend(status.map(|status| (signal, status.unwrap_or(Status::Unknown))));
        };
        supervision("relay_module.pps", Signal::Pps, &entries.pps);
        supervision("relay_module.10mhz", Signal::TenMhz, &entries.ten_mhz);
        RelayModule {
            info,
            positions,
            signals,
        }
    }

    /// What the entry's pointer finds, as `understand` reads it: `None` where nothing stands there, and
    /// `Some(None)` where the profile does not know what it says.
    fn look_up<T>(
        &mut self,
        name: &'static str,
        slot: &SlotId,
        module: &Members<'_>,
        pointer: &str,
        understand: impl FnOnce(&str) -> Option<T>,
        snapshot: &mut Snapshot,
    ) -> Option<Option<T>> {
        let scalar = module.scalar_at(pointer).unwrap_or_else(|Malformed| {
            self.is_malformed = true;
            None
        });
        let text = scalar.as_ref().map(Scalar::to_text);
        let text = text
            .as_deref()
            .map(|text| trimmed(&text[..text.floor_char_boundary(MAX_TEXT)]));
        let value = text.and_then(understand);
        match (text, &value) {
            (None, _) if !snapshot.unresolved.contains(&name) => snapshot.unresolved.push(name),
            (Some(text), None) => {
                self.note(|| format!("{name} in slot {slot} says {text:?}, which the profile does not know"));
            }
            _ => {}
        }
        if let Some(entries) = &mut self.entries {
            let found = text.map(str::to_owned);
            entries.push(Entry {
                name,
                slot: slot.clone(),
                found,
                understood: value.is_some(),
            });
        }
        text.map(|_| value)
    }
}

fn clock_without(signal: Signal, status: Status) -> Clock {
    Clock {
        signal,
        status,
        selected: None,
        is_malformed: false,
        detail: Details::default(),
    }
}

/// Whether a clock says something of its status, or of its being selected, that is not as expected; a missing key says
/// nothing.
fn is_malformed(sync: &Node<SyncStatus<'_>>) -> bool {
    let is_odd = |scalar: &Scalar<'_>| *scalar != Scalar::Missing && optional_text(scalar).is_none();
    let is_odd_state = |state: &Node<wire::ClockStatus<'_>>| match state {
        Node::Missing => false,
        Node::Other(_) => true,
        Node::Found(state) => is_odd(&state.clock),
    };
    match sync {
        Node::Missing => false,
        Node::Other(_) => true,
        Node::Found(sync) => is_odd(&sync.clock_idx) || is_odd_state(&sync.clock_status),
    }
}

fn optional_text<'s>(scalar: &'s Scalar<'_>) -> Option<&'s str> {
    match scalar {
        Scalar::Text(text) if text.len() <= MAX_TEXT => Some(trimmed(text)),
        _ => None,
    }
}

fn antenna(receiver: &wire::Receiver<'_>) -> Option<&'static str> {
    let antenna = receiver.antenna.found()?;
    match (flag(&antenna.short_circuit), flag(&antenna.connected)) {
        (Some(true), _) => Some("short-circuit"),
        (_, Some(true)) => Some("connected"),
        (_, Some(false)) => Some("not-connected"),
        _ => None,
    }
}

fn flag(scalar: &Scalar<'_>) -> Option<bool> {
    match scalar {
        Scalar::Bool(flag) => Some(*flag),
        Scalar::Number(number) if *number == 0.0 => Some(false),
        Scalar::Number(number) if *number == 1.0 => Some(true),
        _ => None,
    }
}
