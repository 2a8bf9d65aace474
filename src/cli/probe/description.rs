//! What a device's document says, for a person and for a report.

use std::fmt::Write as _;

use crate::lantime::rest::Profile;
use crate::lantime::rest::status::Reading;
use crate::model::snapshot::Module;
use crate::model::{SlotId, Snapshot, Text};

/// One line for each fact.
pub(super) fn describe(
    reading: &Reading,
    profile: &Profile,
    relay_events: &str,
    show_serials: bool,
) -> String {
    let mut lines = Lines {
        text: String::new(),
        show_serials,
    };
    lines.add_identity(&reading.snapshot, profile);
    let mut slots: Vec<_> = reading.snapshot.slots.iter().collect();
    slots.sort_by_key(|(id, _)| id);
    for (id, module) in slots {
        lines.add_slot(&reading.snapshot, id, module);
    }
    lines.add_entries(reading, profile, relay_events);
    for note in &reading.snapshot.notes {
        lines.add("note", note);
    }
    lines.text
}

struct Lines {
    text: String,
    show_serials: bool,
}

impl Lines {
    fn add(&mut self, name: &str, text: &str) {
        // What a device sends must not move the cursor.
        let text = text.replace(char::is_control, "\u{fffd}");
        let _ = writeln!(self.text, "{name:<13} {text}");
    }

    fn add_identity(&mut self, snapshot: &Snapshot, profile: &Profile) {
        let identity = &snapshot.identity;
        let serial = self.serial(identity.serial_number.as_ref());
        self.add("model", known(identity.model.as_ref()));
        self.add("serial", &serial);
        self.add("host name", known(identity.hostname.as_ref()));
        self.add("firmware", known(identity.firmware.as_ref()));
        self.add("REST API", known(identity.api_version.as_ref()));
        let explained = "(entries that were never seen on a device are marked \"assumed\")";
        self.add("profile", &format!("{} {explained}", profile.name));
        self.add("events", &snapshot.events.len().to_string());
    }

    fn add_slot(&mut self, snapshot: &Snapshot, id: &SlotId, module: &Module) {
        let module = match module {
            Module::Empty => "-",
            Module::Fitted(model) => known(model.as_ref()),
        };
        let mut text = format!("{id:<6} {module}");
        let mut clocks = snapshot.clocks.iter();
        if let Some(clock) = clocks.find(|clock| clock.signal.as_str() == id.as_str()) {
            let _ = write!(text, ", clock {}", clock.status.as_str());
        }
        if let Some(relay) = snapshot.relay_module(id) {
            let serial = self.serial(relay.info.serial_number.as_ref());
            let _ = write!(text, ", relay module, serial {serial}");
        }
        self.add("slot", &text);
    }

    fn add_entries(&mut self, reading: &Reading, profile: &Profile, relay_events: &str) {
        let mut add = |entry: &str, slot: &str, found: &str| {
            let seen = if profile.is_seen(entry) { "seen" } else { "assumed" };
            self.add("entry", &format!("{entry:<22} {seen:<8} {slot:<6} {found}"));
        };
        for entry in &reading.entries {
            let found = match &entry.found {
                Some(text) if entry.understood => text.clone(),
                Some(text) => format!("{text:?}, which the profile does not know"),
                None => "nothing".to_owned(),
            };
            add(entry.name, entry.slot.as_str(), &found);
        }
        add("relay_events.read", "", relay_events);
        add("relay_events.write", "", "not tried");
        add("relay_events.apply", "", "not tried");
    }

    /// A serial number, of which a report shows the last two characters.
    fn serial(&self, serial: Option<&Text>) -> String {
        match serial {
            Some(serial) if !self.show_serials => mask(serial),
            other => known(other).to_owned(),
        }
    }
}

fn known(text: Option<&Text>) -> &str {
    text.map_or("unknown", Text::as_str)
}

/// All but the last two characters hidden.
fn mask(serial: &str) -> String {
    let hidden = serial.chars().count().saturating_sub(2);
    "*".repeat(hidden) + &serial.chars().skip(hidden).collect::<String>()
}
