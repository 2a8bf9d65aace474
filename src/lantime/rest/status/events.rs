//! The notification events of a status document.

use std::hash::BuildHasher;
use std::sync::{Arc, LazyLock};

use foldhash::quality::RandomState;

use super::time::instant;
use super::{Reader, is_damaged};
use crate::lantime::rest::json::cursor::Malformed;
use crate::lantime::rest::wire::{self, Data, List, Node, Scalar, Unread};
use crate::model::{EventName, EventState, EventType, LastTriggered};

/// The events of a device's last document that left no note.
#[derive(Debug)]
pub(super) struct KnownEvents {
    /// Of their text, with a key of this process.
    hash: u64,
    events: Arc<[EventState]>,
}

static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);

impl Reader {
    /// The events. Where their text is that of the document before, so are they.
    pub(super) fn events(&mut self, data: &Data<'_>) -> Arc<[EventState]> {
        let Some(notification) = self.object(&data.notification, || "data.notification".to_owned()) else {
            return Arc::default();
        };
        let hash = HASHER.hash_one(notification.events.0);
        if let Some(known) = self.known_events.as_ref().filter(|known| known.hash == hash) {
            return Arc::clone(&known.events);
        }
        let notes = self.notes.len();
        let events: Arc<[EventState]> = self.listed_events(notification.events).into();
        self.known_events = (self.notes.len() == notes).then(|| KnownEvents {
            hash,
            events: Arc::clone(&events),
        });
        events
    }

    fn listed_events(&mut self, list: Unread<'_>) -> Vec<EventState> {
        let list: List<wire::Event<'_>> = list.list().unwrap_or_else(|Malformed| {
            self.is_malformed = true;
            self.note(|| "data.notification.events is malformed".to_owned());
            List::default()
        });
        let list = self.list(&list, "data.notification.events");
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
        // A name of which a character is not known would be that of another event.
        let known = Some(spelling).filter(|name| !is_damaged(name));
        let Some(name) = known.and_then(EventName::canonical) else {
            self.note(|| format!("{} is no usable name", place(".object-id")));
            return None;
        };
        let name_on_device = (name.as_str() != spelling).then(|| Box::new(spelling.into()));
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
            None => LastTriggered::Unclear,
            Some("never") => LastTriggered::Never,
            Some(text) => instant(text).map_or_else(
                || {
                    let place = place(".last-triggered");
                    self.note(|| format!("{place} is no time that is known for certain"));
                    LastTriggered::Unclear
                },
                LastTriggered::at,
            ),
        };
        Some(EventState {
            name,
            name_on_device,
            triggered,
            kind,
            last_triggered,
        })
    }
}
