//! The notification events of a status document.

use std::sync::Arc;

use super::time::instant;
use super::{Reader, is_damaged};
use crate::lantime::rest::wire::{self, Data, Node, Scalar};
use crate::model::{EventName, EventState, EventType, LastTriggered};

impl Reader {
    pub(super) fn events(&mut self, data: &Data<'_>) -> Arc<[EventState]> {
        let Some(notification) = self.object(&data.notification, || "data.notification".to_owned()) else {
            return Arc::default();
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
        events.into()
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
        let name_on_device = (name.as_str() != spelling).then(|| spelling.into());
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
                LastTriggered::At,
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
