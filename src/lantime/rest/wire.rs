//! The status document as a device sends it: borrowed, only the keys that are needed, everything optional.
//!
//! A value of another type than expected is noted by its type and does not cost the document; only broken
//! JSON does. What a field means is for [`super::status`].

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Most elements of a list that are read; the largest recorded lists have some thirty.
pub const MAX_LIST: usize = 512;

/// The whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Document<'a> {
    /// What the device says of itself.
    #[serde(borrow)]
    pub system_information: Node<SystemInformation<'a>>,
    /// Everything else.
    #[serde(borrow)]
    pub data: Node<Data<'a>>,
}

/// `system-information`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct SystemInformation<'a> {
    /// "LANTIME REST API V10.21.016"
    #[serde(borrow, rename = "API Version")]
    pub api_version: Scalar<'a>,
    /// "fw_7.06.014-light"
    #[serde(borrow)]
    pub version: Scalar<'a>,
    /// Of the chassis.
    #[serde(borrow)]
    pub serial_number: Scalar<'a>,
    /// Host name.
    #[serde(borrow)]
    pub hostname: Scalar<'a>,
    /// "M300"
    #[serde(borrow)]
    pub model: Scalar<'a>,
}

/// `data`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Data<'a> {
    /// The REST API itself.
    #[serde(borrow)]
    pub rest_api: Node<RestApi<'a>>,
    /// Notification events.
    #[serde(borrow)]
    pub notification: Node<Notification<'a>>,
    /// The chassis.
    #[serde(borrow)]
    pub chassis0: Node<Chassis<'a>>,
}

/// `data.rest-api`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct RestApi<'a> {
    /// "10.21.016"
    #[serde(borrow)]
    pub api_version: Scalar<'a>,
}

/// `data.notification`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Notification<'a> {
    /// Every notification event that this firmware knows.
    #[serde(borrow)]
    pub events: List<Event<'a>>,
}

/// One of `data.notification.events`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Event<'a> {
    /// Name.
    #[serde(borrow)]
    pub object_id: Scalar<'a>,
    /// Classification.
    #[serde(borrow, rename = "type")]
    pub kind: Scalar<'a>,
    /// 0 or 1.
    #[serde(borrow)]
    pub triggered: Scalar<'a>,
    /// "2026-02-10T09:45:48" in UTC, or "never".
    #[serde(borrow)]
    pub last_triggered: Scalar<'a>,
}

/// `data.chassis0`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Chassis<'a> {
    /// Slots, in no fixed order.
    #[serde(borrow)]
    pub slots: List<Slot<'a>>,
}

/// One of `data.chassis0.slots`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Slot<'a> {
    /// "clk1", "io3"
    #[serde(borrow)]
    pub slot_id: Scalar<'a>,
    /// The module; missing where none is fitted.
    #[serde(borrow)]
    pub module: Node<Members<'a>>,
}

/// An object whose members are kept as sent: what is read of a module depends on what it is.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }

    /// The member of that name as an object; missing and other types as such.
    pub fn object<T: Deserialize<'a>>(&self, name: &str) -> Result<Node<T>, serde_json::Error> {
        self.get(name)
            .map_or(Ok(Node::Missing), |value| serde_json::from_str(value.get()))
    }

    /// The scalar at a JSON pointer (RFC 6901) that starts at this object.
    pub fn scalar_at(&self, pointer: &str) -> Option<Scalar<'a>> {
        serde_json::from_str(self.pointer(pointer)?.get()).ok()
    }

    fn pointer(&self, pointer: &str) -> Option<&'a RawValue> {
        let mut tokens = pointer.split('/').skip(1);
        let mut value = self.get(&unescaped(tokens.next()?))?;
        for token in tokens {
            value = match value.get().as_bytes().first() {
                Some(b'[') => {
                    let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
                    *items.get(token.parse::<usize>().ok()?)?
                }
                Some(b'{') => {
                    let members: Members<'_> = serde_json::from_str(value.get()).ok()?;
                    members.get(&unescaped(token))?
                }
                _ => return None,
            };
        }
        Some(value)
    }
}

/// A token of a JSON pointer as the key that it stands for.
fn unescaped(token: &str) -> Cow<'_, str> {
    if token.contains('~') {
        token.replace("~1", "/").replace("~0", "~").into()
    } else {
        token.into()
    }
}

/// `module.info`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ModuleInfo<'a> {
    /// Type name.
    #[serde(borrow)]
    pub model: Scalar<'a>,
    /// May carry trailing blanks, or be "N/A".
    #[serde(borrow)]
    pub serial_number: Scalar<'a>,
    /// "v2.08"
    #[serde(borrow)]
    pub software_revision: Scalar<'a>,
}

/// `module.sync-status`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct SyncStatus<'a> {
    /// "selected"
    #[serde(borrow)]
    pub clock_idx: Scalar<'a>,
    /// "tcxo"
    #[serde(borrow)]
    pub osc_type: Scalar<'a>,
    /// "less-than-100ns"
    #[serde(borrow)]
    pub est_time_quality: Scalar<'a>,
    /// Clock and oscillator.
    #[serde(borrow)]
    pub clock_status: Node<ClockStatus<'a>>,
}

/// `module.sync-status.clock-status`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClockStatus<'a> {
    /// "synchronized"
    #[serde(borrow)]
    pub clock: Scalar<'a>,
    /// "warmed-up"
    #[serde(borrow)]
    pub oscillator: Scalar<'a>,
}

/// `module.grc`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Receiver<'a> {
    /// The antenna.
    #[serde(borrow)]
    pub antenna: Node<Antenna<'a>>,
}

/// `module.grc.antenna`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Antenna<'a> {
    /// Whether one is there.
    #[serde(borrow)]
    pub connected: Scalar<'a>,
    /// Whether its cable is shorted.
    #[serde(borrow)]
    pub short_circuit: Scalar<'a>,
}

/// A value that should be text, a number, or yes or no.
#[derive(Debug, Default, Clone, PartialEq)]
pub enum Scalar<'a> {
    /// The key is not there.
    #[default]
    Missing,
    /// Text.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// Yes or no.
    Bool(bool),
    /// Something else, named.
    Other(&'static str),
}

impl Scalar<'_> {
    /// As text, whatever it is.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Scalar::Text(text) => Cow::Borrowed(text),
            Scalar::Number(number) => Cow::Owned(number.to_string()),
            Scalar::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Scalar::Other(kind) => Cow::Borrowed(kind),
            Scalar::Missing => Cow::Borrowed(""),
        }
    }
}

/// An object that should be there.
#[derive(Debug, Default)]
pub enum Node<T> {
    /// The key is not there.
    #[default]
    Missing,
    /// An object.
    Found(T),
    /// Something else, named.
    Other(&'static str),
}

impl<T> Node<T> {
    /// The object, where there is one.
    pub fn found(&self) -> Option<&T> {
        match self {
            Node::Found(value) => Some(value),
            _ => None,
        }
    }
}

/// A list of objects.
#[derive(Debug)]
pub struct List<T> {
    /// The first [`MAX_LIST`] elements.
    pub items: Vec<Node<T>>,
    /// How many more there were.
    pub cut: usize,
    /// What stood there where it was no list.
    pub other: Option<&'static str>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List {
            items: Vec::new(),
            cut: 0,
            other: Some("nothing"),
        }
    }
}

/// Implements the visits that end in "something of another type".
macro_rules! visit_other {
    ($wrap:expr; $($visit:ident($type:ty) = $name:literal),* $(,)?) => {
        $(fn $visit<E: serde::de::Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok($wrap($name))
        })*
        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok($wrap("null"))
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor(PhantomData))
    }
}

struct ScalarVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for ScalarVisitor<'a> {
    type Value = Scalar<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(flag))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Other("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an object"))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Node<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor(PhantomData))
    }
}

struct NodeVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NodeVisitor<T> {
    type Value = Node<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    visit_other! { Node::Other; visit_str(&str) = "text", visit_f64(f64) = "a number", visit_u64(u64) = "a number",
    visit_i64(i64) = "a number", visit_bool(bool) = "a boolean" }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Node::Found)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

fn no_list<T>(other: &'static str) -> List<T> {
    List {
        items: Vec::new(),
        cut: 0,
        other: Some(other),
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    visit_other! { no_list; visit_str(&str) = "text", visit_f64(f64) = "a number", visit_u64(u64) = "a number",
    visit_i64(i64) = "a number", visit_bool(bool) = "a boolean" }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(no_list("an object"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < MAX_LIST {
            match list.next_element()? {
                Some(item) => items.push(item),
                None => {
                    return Ok(List {
                        items,
                        cut: 0,
                        other: None,
                    });
                }
            }
        }
        let mut cut = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            cut += 1;
        }
        Ok(List {
            items,
            cut,
            other: None,
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(PhantomData))
    }
}

struct MembersVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for MembersVisitor<'a> {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some((key, value)) = map.next_entry::<Scalar<'a>, &'a RawValue>()? {
            if let Scalar::Text(key) = key {
                members.push((key, value));
            }
        }
        Ok(Members(members))
    }
}

/// Reads an answer.
///
/// # Errors
/// Broken JSON; the error tells line and column.
pub fn parse(body: &[u8]) -> Result<Node<Document<'_>>, serde_json::Error> {
    serde_json::from_slice(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_costs_its_field_only() {
        let body = br#"{"system-information":{"API Version":["x"],"model":7,"hostname":"a\u0062"},"data":{
            "notification":{"events":{"no":"list"}},"chassis0":{"slots":[null,{"slot-id":"io1","module":null},[]]}}}"#;
        let document = parse(body).unwrap();
        let document = document.found().unwrap();
        let system = document.system_information.found().unwrap();
        assert_eq!(system.api_version, Scalar::Other("a list"));
        assert_eq!(system.model, Scalar::Number(7.0));
        assert_eq!(system.hostname, Scalar::Text("ab".into()));
        assert_eq!(system.version, Scalar::Missing);
        let data = document.data.found().unwrap();
        assert_eq!(data.notification.found().unwrap().events.other, Some("an object"));
        let slots = &data.chassis0.found().unwrap().slots;
        assert!(matches!(
            slots.items[..],
            [Node::Other("null"), Node::Found(_), Node::Other("a list")]
        ));
        assert!(matches!(
            slots.items[1].found().unwrap().module,
            Node::Other("null")
        ));
        assert!(matches!(data.rest_api, Node::Missing));
    }

    #[test]
    fn a_pointer_finds_what_stands_there() {
        let module: Members<'_> =
            serde_json::from_str(r#"{"a":{"b/c":[1,{"d":"x"}],"e~":null},"n":7,"k\u0065y":true}"#).unwrap();
        let at = |pointer| module.pointer(pointer).map(RawValue::get);
        assert_eq!(at("/a/b~1c/1/d"), Some("\"x\""));
        assert_eq!(at("/a/e~0"), Some("null"));
        assert_eq!(at("/n"), Some("7"));
        assert_eq!(at("/key"), Some("true"));
        for nothing in ["", "/", "/a/b", "/a/b~1c/2", "/a/b~1c/x", "/n/x", "/a/e~0/x"] {
            assert_eq!(at(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let body = format!(
            r#"{{"data":{{"notification":{{"events":[{}{{}}]}}}}}}"#,
            "{},".repeat(MAX_LIST + 6)
        );
        let document = parse(body.as_bytes()).unwrap();
        let events = &document
            .found()
            .unwrap()
            .data
            .found()
            .unwrap()
            .notification
            .found()
            .unwrap()
            .events;
        assert_eq!((events.items.len(), events.cut), (MAX_LIST, 7));
    }
}
