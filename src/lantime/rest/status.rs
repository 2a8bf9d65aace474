//! The answer as sent, read with a profile -> a [`Snapshot`]. Pure.
//!
//! What is missing or of another type costs its field and leaves a note; only an answer that is no status
//! document at all is an error.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use super::profile::{Contact, Profile, Profiles, Supervision, is_one_of};
use super::wire::{self, ClockModule, Data, Document, List, Node, Scalar, Slot};
use crate::model::snapshot::{Module, Rsc, major_version};
use crate::model::{
    Clock, Detail, EventName, EventState, EventType, Identity, ModuleInfo, Position, RelayModule, Signal,
    SlotId, Snapshot, Status,
};

/// Most notes that one document may leave; more would only repeat themselves.
const MAX_NOTES: usize = 32;
/// Longest text of a device that is kept; a limit of ours, against garbage from the wire.
const MAX_TEXT: usize = 256;

/// Why an answer is no status document.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Not JSON.
    #[error("the answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not what a LANTIME answers.
    #[error("the answer is JSON, but no LANTIME status document: {0}")]
    NotStatus(String),
}

/// A status document, read.
#[derive(Debug)]
pub struct Reading {
    /// What it tells.
    pub snapshot: Snapshot,
    /// What each entry of the profile found in it.
    pub entries: Vec<Entry>,
}

/// What an entry of the profile found in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry's name in the profile.
    pub name: &'static str,
    /// Where it was looked up: the slot.
    pub slot: SlotId,
    /// What stood there; `None` where the pointer resolves to nothing.
    pub found: Option<String>,
    /// Whether the profile knows what that means.
    pub understood: bool,
}

/// Reads a status document.
///
/// # Errors
/// When the answer is broken JSON, or has neither slots nor notification events.
pub fn read(body: &[u8], profiles: &Profiles, web_interface: &str) -> Result<Reading, StatusError> {
    let document = match wire::parse(body)? {
        Node::Found(document) => document,
        Node::Other(kind) => return Err(StatusError::NotStatus(format!("it is {kind}"))),
        Node::Missing => return Err(StatusError::NotStatus("it is empty".to_owned())),
    };
    let Some(data) = document.data.found() else {
        return Err(StatusError::NotStatus("it has no object \"data\"".to_owned()));
    };
    let has_slots = data
        .chassis0
        .found()
        .is_some_and(|chassis| chassis.slots.other.is_none());
    let notification = data.notification.found();
    let has_events = notification.is_some_and(|notification| notification.events.other.is_none());
    if !has_slots && !has_events {
        let reason = "its \"data\" has neither \"chassis0.slots\" nor \"notification.events\"";
        return Err(StatusError::NotStatus(reason.to_owned()));
    }
    let mut reader = Reader {
        notes: Vec::new(),
        entries: Vec::new(),
    };
    let mut identity = reader.identity(&document, data);
    let profile = profiles.for_version(identity.api_version.as_deref().and_then(major_version));
    identity.profile.clone_from(&profile.name);
    web_interface.clone_into(&mut identity.web_interface);
    let mut snapshot = Snapshot {
        identity,
        events: reader.events(data),
        ..Snapshot::default()
    };
    reader.chassis(data, profile, &mut snapshot);
    snapshot.notes = reader.notes;
    Ok(Reading {
        snapshot,
        entries: reader.entries,
    })
}

/// Collects notes and findings while it reads.
struct Reader {
    notes: Vec<String>,
    entries: Vec<Entry>,
}

impl Reader {
    fn note(&mut self, note: impl FnOnce() -> String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note());
        }
    }

    /// The text of a field that every device has; its absence is worth a note.
    fn text<'s>(&mut self, scalar: &'s Scalar<'_>, place: impl FnOnce() -> String) -> Option<&'s str> {
        let other = match scalar {
            Scalar::Text(text) if text.len() <= MAX_TEXT => return Some(text.trim_end()),
            Scalar::Text(_) => "overlong",
            Scalar::Missing => "missing",
            Scalar::Number(_) => "a number",
            Scalar::Bool(_) => "a boolean",
            Scalar::Other(kind) => kind,
        };
        self.note(|| format!("{} is {other}, expected text", place()));
        None
    }

    fn owned(&mut self, scalar: &Scalar<'_>, place: impl FnOnce() -> String) -> Option<String> {
        self.text(scalar, place)
            .filter(|text| !text.is_empty() && *text != "N/A")
            .map(str::to_owned)
    }

    fn object<'n, T>(&mut self, node: &'n Node<T>, place: impl FnOnce() -> String) -> Option<&'n T> {
        let other = match node {
            Node::Found(value) => return Some(value),
            Node::Missing => "missing",
            Node::Other(kind) => kind,
        };
        self.note(|| format!("{} is {other}, expected an object", place()));
        None
    }

    fn list<'l, T>(&mut self, list: &'l List<T>, place: &str) -> &'l [Node<T>] {
        if let Some(other) = list.other {
            self.note(|| format!("{place} is {other}, expected a list"));
        }
        if list.cut > 0 {
            self.note(|| format!("{place} has {} entries too many, which are left out", list.cut));
        }
        &list.items
    }

    fn identity(&mut self, document: &Document<'_>, data: &Data<'_>) -> Identity {
        let mut identity = Identity::default();
        if let Some(api) = data.rest_api.found() {
            identity.api_version = self.owned(&api.api_version, || "data.rest-api.api-version".to_owned());
        }
        let place = |key: &str| format!("system-information.{key}");
        let Some(system) = self.object(&document.system_information, || "system-information".to_owned())
        else {
            return identity;
        };
        identity.model = self.owned(&system.model, || place("model"));
        identity.serial_number = self.owned(&system.serial_number, || place("serial-number"));
        identity.hostname = self.owned(&system.hostname, || place("hostname"));
        identity.firmware = self.owned(&system.version, || place("version"));
        if identity.api_version.is_none() {
            let version = self.owned(&system.api_version, || place("API Version"));
            let number = version.as_deref().and_then(|text| text.rsplit([' ', 'V']).next());
            identity.api_version = number.map(str::to_owned);
        }
        identity
    }

    fn events(&mut self, data: &Data<'_>) -> Vec<EventState> {
        let Some(notification) = self.object(&data.notification, || "data.notification".to_owned()) else {
            return Vec::new();
        };
        let list = self.list(&notification.events, "data.notification.events");
        let mut events: Vec<EventState> = Vec::with_capacity(list.len());
        for (index, event) in list.iter().enumerate() {
            let Some(event) = self.event(index, event) else {
                continue;
            };
            if events.iter().any(|known| known.name == event.name) {
                self.note(|| format!("the event {} is listed twice", event.name));
            } else {
                events.push(event);
            }
        }
        events
    }

    fn event(&mut self, index: usize, event: &Node<wire::Event<'_>>) -> Option<EventState> {
        let place = |key: &str| format!("data.notification.events[{index}]{key}");
        let event = self.object(event, || place(""))?;
        let spelling = self.text(&event.object_id, || place(".object-id"))?;
        let Some(name) = EventName::canonical(spelling) else {
            self.note(|| format!("{} is no usable name", place(".object-id")));
            return None;
        };
        let name_on_device = (name.as_str() != spelling).then(|| spelling.to_owned());
        let kind = self
            .text(&event.kind, || place(".type"))
            .map_or(EventType::Unknown, EventType::from_name);
        let triggered = match &event.triggered {
            Scalar::Number(number) if *number == 0.0 => Some(false),
            Scalar::Number(number) if *number == 1.0 => Some(true),
            Scalar::Bool(flag) => Some(*flag),
            _ => {
                self.note(|| format!("{} is neither 0 nor 1", place(".triggered")));
                None
            }
        };
        let last = self.text(&event.last_triggered, || place(".last-triggered"));
        let last_triggered = match last {
            None | Some("never") => None,
            Some(text) => {
                let time = time_in_utc(text);
                if time.is_none() {
                    self.note(|| format!("{} is no time", place(".last-triggered")));
                }
                time
            }
        };
        Some(EventState {
            name,
            name_on_device,
            triggered,
            kind,
            last_triggered,
        })
    }

    fn chassis(&mut self, data: &Data<'_>, profile: &Profile, snapshot: &mut Snapshot) {
        let Some(chassis) = self.object(&data.chassis0, || "data.chassis0".to_owned()) else {
            return;
        };
        snapshot.chassis_seen = chassis.slots.other.is_none();
        for (index, slot) in self
            .list(&chassis.slots, "data.chassis0.slots")
            .iter()
            .enumerate()
        {
            let place = || format!("data.chassis0.slots[{index}]");
            let Some(slot) = self.object(slot, place) else {
                continue;
            };
            let Some(id) = self.text(&slot.slot_id, || place() + ".slot-id") else {
                continue;
            };
            let Some(id) = SlotId::new(id) else {
                self.note(|| format!("{}.slot-id is no usable id", place()));
                continue;
            };
            if snapshot.module(&id).is_some() {
                self.note(|| format!("the slot {id} is listed twice"));
                continue;
            }
            self.slot(&id, slot, profile, snapshot);
        }
    }

    fn slot(&mut self, id: &SlotId, slot: &Slot<'_>, profile: &Profile, snapshot: &mut Snapshot) {
        let signal = match id.as_str() {
            "clk1" => Some(Signal::Clk1),
            "clk2" => Some(Signal::Clk2),
            _ => None,
        };
        let Some(raw) = slot.module else {
            if let Some(signal) = signal {
                let clock = Clock {
                    signal,
                    status: Status::Absent,
                    selected: None,
                    detail: Vec::new(),
                };
                snapshot.clocks.push(clock);
            }
            snapshot.slots.push((id.clone(), Module::Empty));
            return;
        };
        if let Some(signal) = signal {
            let (clock, model) = self.clock(id, signal, raw, profile);
            snapshot.clocks.push(clock);
            snapshot.slots.push((id.clone(), Module::Fitted(model)));
            return;
        }
        let info = self.module_info(id, raw);
        let model = info.as_ref().map(|info| info.model.clone());
        snapshot.slots.push((id.clone(), Module::Fitted(model)));
        let Some(info) = info else { return };
        if profile.relay_module.models.contain(&info.model) {
            let module = self.relay_module(id, info, raw, profile);
            snapshot.relay_modules.push((id.clone(), module));
        } else if profile.rsc.models.contain(&info.model) {
            snapshot.rsc = Some(self.rsc(id, raw, profile));
        }
    }

    /// A module's description; an empty power slot has a module without one, which is no fault.
    fn module_info(&mut self, id: &SlotId, raw: &RawValue) -> Option<ModuleInfo> {
        let module = match serde_json::from_str::<Node<wire::Module<'_>>>(raw.get()) {
            Ok(module) => module,
            Err(error) => {
                self.note(|| format!("the module in slot {id} cannot be read: {error}"));
                return None;
            }
        };
        let info = self
            .object(&module, || format!("the module in slot {id}"))?
            .info
            .found()?;
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

    fn clock(
        &mut self,
        id: &SlotId,
        signal: Signal,
        raw: &RawValue,
        profile: &Profile,
    ) -> (Clock, Option<String>) {
        let mut clock = Clock {
            signal,
            status: Status::Unknown,
            selected: None,
            detail: Vec::new(),
        };
        let place = |key: &str| format!("the clock in slot {id}: {key}");
        let module = match serde_json::from_str::<Node<ClockModule<'_>>>(raw.get()) {
            Ok(module) => module,
            Err(error) => {
                self.note(|| place(&error.to_string()));
                return (clock, None);
            }
        };
        let Some(module) = self.object(&module, || place("the module")) else {
            return (clock, None);
        };
        let model = module
            .info
            .found()
            .and_then(|info| self.owned(&info.model, || place("model")));
        let Some(sync) = self.object(&module.sync_status, || place("sync-status")) else {
            return (clock, model);
        };
        let mut detail = |key: &'static str, text: Option<&str>| {
            if let Some(text) = text {
                clock.detail.push((key, Detail::Text(text.to_owned())));
            }
        };
        detail("model", model.as_deref());
        if let Some(state) = self.object(&sync.clock_status, || place("clock-status")) {
            let text = self.text(&state.clock, || place("clock"));
            clock.status = text.map_or(Status::Unknown, |text| self.clock_status(text, &place, profile));
            detail("clock", text);
            detail("oscillator", optional_text(&state.oscillator));
        }
        detail("osc_type", optional_text(&sync.osc_type));
        detail("time_quality", optional_text(&sync.est_time_quality));
        detail("antenna", module.grc.found().and_then(antenna));
        clock.selected = optional_text(&sync.clock_idx).map(|text| text == "selected");
        if let Some(selected) = clock.selected {
            clock.detail.push(("selected", Detail::Flag(selected)));
        }
        (clock, model)
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
        raw: &RawValue,
        profile: &Profile,
    ) -> RelayModule {
        // Small, and read by pointers that only the profile knows: the one place for an untyped value.
        let object = serde_json::from_str::<serde_json::Value>(raw.get()).unwrap_or_default();
        let entries = &profile.relay_module;
        let mut contact = |name, contact: &Contact| {
            let position = |text: &str| match text {
                text if is_one_of(&contact.no, text) => Some(Position::No),
                text if is_one_of(&contact.nc, text) => Some(Position::Nc),
                _ => None,
            };
            self.look_up(name, id, &object, &contact.pointer, position)
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
            let status = self.look_up(name, id, &object, &supervision.pointer, status);
            signals.extend(status.map(|status| (signal, status)));
        };
        supervision("relay_module.pps", Signal::Pps, &entries.pps);
        supervision("relay_module.10mhz", Signal::TenMhz, &entries.ten_mhz);
        RelayModule {
            info,
            positions,
            signals,
        }
    }

    fn rsc(&mut self, id: &SlotId, raw: &RawValue, profile: &Profile) -> Rsc {
        let object = serde_json::from_str::<serde_json::Value>(raw.get()).unwrap_or_default();
        let mode = |text: &str| Some(text.to_owned());
        let mode = self.look_up("rsc.mode", id, &object, &profile.rsc.mode.pointer, mode);
        Rsc {
            status: None,
            detail: mode
                .map(|mode| ("mode", Detail::Text(mode)))
                .into_iter()
                .collect(),
        }
    }

    /// What the entry's pointer finds, as `understand` reads it.
    fn look_up<T>(
        &mut self,
        name: &'static str,
        slot: &SlotId,
        object: &serde_json::Value,
        pointer: &str,
        understand: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let found = object.pointer(pointer).map(|value| match value {
            serde_json::Value::String(text) => text.chars().take(MAX_TEXT).collect(),
            other => other.to_string().chars().take(MAX_TEXT).collect::<String>(),
        });
        let value = found.as_deref().and_then(understand);
        if let (Some(found), None) = (&found, &value) {
            self.note(|| format!("{name} in slot {slot} says {found:?}, which the profile does not know"));
        }
        self.entries.push(Entry {
            name,
            slot: slot.clone(),
            found,
            understood: value.is_some(),
        });
        value
    }
}

fn optional_text<'s>(scalar: &'s Scalar<'_>) -> Option<&'s str> {
    match scalar {
        Scalar::Text(text) if text.len() <= MAX_TEXT => Some(text),
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

/// A device writes times in UTC and without a zone.
fn time_in_utc(text: &str) -> Option<Timestamp> {
    let time: DateTime = text.parse().ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
