//! The configuration in an answer of the REST API, by the pointers of a profile.

use serde_json::Value;

use crate::lantime::relay_events::configuration::{EventActions, RelayConfig};
use crate::lantime::rest::Profile;
use crate::model::{EventName, Via};
use crate::wording::{count, kind_of};

/// Why an answer is not the configuration that the profile describes.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not JSON.
    #[error("the answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Not what the profile says.
    #[error("the answer does not fit relay_events.{entry} of API profile {profile}: {reason}")]
    Malformed {
        /// Key of the entry.
        entry: &'static str,
        /// Name of the profile.
        profile: String,
        /// What is there instead.
        reason: String,
    },
}

/// Takes a document apart.
pub(super) struct Reader<'p> {
    pub(super) profile: &'p Profile,
    /// Whether anything in the document was replaced: what is not as the device wrote it must not go back to it.
    pub(super) is_repaired: bool,
}

impl Reader<'_> {
    pub(super) fn document(&self, document: &Value) -> Result<RelayConfig, ReadError> {
        let entries = &self.profile.relay_events;
        let optional = |entry, pointer: &Option<String>| {
            let pointer = pointer.as_deref();
            pointer
                .map(|pointer| self.at(document, entry, pointer))
                .transpose()
        };
        let revision = optional("revision", &entries.revision)?;
        if let Some(revision) = revision.filter(|revision| self.is_damaged(revision)) {
            return Err(self.other("revision", "a revision as the device wrote it", revision));
        }
        let pending = optional("pending", &entries.pending)?;
        let events = self.at(document, "events", &entries.events)?;
        let list = events
            .as_array()
            .ok_or_else(|| self.other("events", "a list", events))?;
        let read = list.iter().filter_map(|event| self.event(event).transpose());
        let read: Vec<_> = read.collect::<Result<_, _>>()?;
        if read.is_empty() {
            let reason = format!(
                "of {} none has a name at {} and actions at {}",
                count(list.len(), "event"),
                entries.name,
                entries.actions
            );
            return Err(self.malformed("events", reason));
        }
        Ok(RelayConfig {
            via: Via::Rest,
            revision: revision.cloned(),
            is_pending: pending.map_or(Ok(false), |pending| self.flag(pending))?,
            events: read,
        })
    }

    fn at<'d>(
        &self,
        document: &'d Value,
        entry: &'static str,
        pointer: &str,
    ) -> Result<&'d Value, ReadError> {
        let found = document.pointer(pointer);
        found.ok_or_else(|| self.malformed(entry, format!("there is nothing at {pointer}")))
    }

    fn flag(&self, value: &Value) -> Result<bool, ReadError> {
        match value {
            Value::Bool(pending) => Ok(*pending),
            Value::Number(pending) => Ok(pending.as_f64() != Some(0.0)),
            other => Err(self.other("pending", "true, false or a number", other)),
        }
    }

    /// Whether a value is not as the device wrote it.
    fn is_damaged(&self, value: &Value) -> bool {
        match value {
            Value::Null => self.is_repaired,
            Value::String(text) => self.is_repaired && text.contains(char::REPLACEMENT_CHARACTER),
            Value::Array(list) => list.iter().any(|item| self.is_damaged(item)),
            _ => false,
        }
    }

    /// `None` for an event that has no name or no actions, or not as the device wrote them.
    fn event(&self, event: &Value) -> Result<Option<EventActions>, ReadError> {
        let entries = &self.profile.relay_events;
        let (Some(name), Some(actions)) = (event.pointer(&entries.name), event.pointer(&entries.actions))
        else {
            return Ok(None);
        };
        if self.is_damaged(name) || self.is_damaged(actions) {
            return Ok(None);
        }
        let text = name.as_str().ok_or_else(|| self.other("name", "a text", name))?;
        let Some(canonical) = EventName::canonical(text) else {
            return Ok(None);
        };
        let list = actions
            .as_array()
            .ok_or_else(|| self.other("actions", "a list", actions))?;
        let word = |action: &Value| match action.as_str() {
            Some(word) => Ok(word.to_owned()),
            None => Err(self.other("actions", "a list of words", action)),
        };
        Ok(Some(EventActions {
            name: canonical,
            name_on_device: text.to_owned(),
            actions: list.iter().map(word).collect::<Result<_, _>>()?,
        }))
    }

    fn other(&self, entry: &'static str, wanted: &str, found: &Value) -> ReadError {
        let found = kind_of(found);
        self.malformed(entry, format!("expected {wanted}, found {found}"))
    }

    fn malformed(&self, entry: &'static str, reason: String) -> ReadError {
        ReadError::Malformed {
            entry,
            profile: self.profile.name.clone(),
            reason,
        }
    }
}
