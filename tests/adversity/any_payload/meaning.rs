//! What a command says, read in another way than the bridge does it, and what is so after it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use bytes::Bytes;
use lantime2mqtt::simulator::{Relay, World};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::LONGEST;
use super::tried::{EVENTS, NO_RELAY, To};

/// A JSON object as it is written.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The members of a payload that has none but these, each once, and an `id` that can be one.
fn members(payload: &[u8], known: &[&str]) -> Option<BTreeMap<String, Value>> {
    let Members(list) = serde_json::from_slice(payload).ok()?;
    let members: BTreeMap<_, _> = list.iter().cloned().collect();
    let is_known = |key: &String| key == "id" || known.contains(&key.as_str());
    let can_be_id = |id: &Value| {
        id.as_str()
            .is_some_and(|id| (1..=128).contains(&id.chars().count()))
    };
    let is_right = members.len() == list.len()
        && members.keys().all(is_known)
        && members.get("id").is_none_or(can_be_id);
    is_right.then_some(members)
}

/// Whether its sender has given it a name, and nothing else is wrong.
pub(super) fn has_id(payload: &[u8]) -> bool {
    let members = members(payload, &["replace", "add", "remove", "enabled", "max_count"]);
    members.is_some_and(|members| members.contains_key("id"))
}

/// The names of a list, as the device writes them; none where it is no list of its events.
fn names(list: &Value) -> Option<BTreeSet<String>> {
    let name = |name: &Value| match name.as_str()? {
        "leap-second-announced" => Some("leapsecond-announced".to_owned()),
        name => (EVENTS.contains(&name) || name == NO_RELAY).then(|| name.to_owned()),
    };
    list.as_array()?.iter().map(name).collect()
}

/// What a member says, where it is there; no answer where it says something else.
fn said<T>(
    members: &BTreeMap<String, Value>,
    key: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<Option<T>> {
    members.get(key).map_or(Some(None), |value| read(value).map(Some))
}

/// What has been selected and set so far, and what was answered.
pub(super) struct Model {
    pub(super) selected: BTreeMap<Relay, BTreeSet<String>>,
    /// Whether they are kept, and how many.
    pub(super) sessions: (bool, u64),
    /// What was refused, and is a dead letter.
    pub(super) refused: HashSet<(String, Vec<u8>)>,
    /// The first answers to what was carried out.
    pub(super) answers: HashMap<(String, Vec<u8>), Bytes>,
    /// How many there were so far.
    pub(super) commands: usize,
}

impl Model {
    /// A device as it is before the first command.
    pub(super) fn of(world: &World) -> Model {
        let names = |relay| {
            world
                .relay_events("io4", relay)
                .into_iter()
                .map(str::to_owned)
                .collect()
        };
        Model {
            selected: [Relay::A, Relay::C].map(|relay| (relay, names(relay))).into(),
            sessions: (false, 100),
            refused: HashSet::new(),
            answers: HashMap::new(),
            commands: 0,
        }
    }

    /// Changes what the payload says; `None` where it must change nothing.
    pub(super) fn carry_out(&mut self, to: To, payload: &[u8]) -> Option<()> {
        match to {
            _ if payload.len() > LONGEST => None,
            To::Refresh => Some(()),
            To::Elsewhere(_) | To::Replay => None,
            To::Sessions => self.log_sessions(payload),
            To::Events(relay) => self.choose(relay, payload),
        }
    }

    fn log_sessions(&mut self, payload: &[u8]) -> Option<()> {
        let members = members(payload, &["enabled", "max_count"])?;
        let count = |value: &Value| value.as_u64().filter(|count| (1..=1000).contains(count));
        let enabled = said(&members, "enabled", Value::as_bool)?;
        let count = said(&members, "max_count", count)?;
        if enabled.is_none() && count.is_none() {
            return None;
        }
        self.sessions = (
            enabled.unwrap_or(self.sessions.0),
            count.unwrap_or(self.sessions.1),
        );
        Some(())
    }

    fn choose(&mut self, relay: Relay, payload: &[u8]) -> Option<()> {
        let members = members(payload, &["replace", "add", "remove"])?;
        let list = |key| said(&members, key, names);
        let selected = &self.selected[&relay];
        let after: BTreeSet<_> = match (list("replace")?, list("add")?, list("remove")?) {
            (None, None, None) => return None,
            (Some(replace), None, None) => replace,
            (Some(_), ..) => return None,
            (None, add, remove) => {
                let (add, remove) = (add.unwrap_or_default(), remove.unwrap_or_default());
                if !add.is_disjoint(&remove) {
                    return None;
                }
                selected
                    .union(&add)
                    .filter(|name| !remove.contains(*name))
                    .cloned()
                    .collect()
            }
        };
        let can_be = !after.contains(NO_RELAY);
        can_be.then(|| drop(self.selected.insert(relay, after)))
    }
}
