//! A module's object, of which only some members are read, and which ones depends on what the module is.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::lenient::{Node, Scalar};

/// An object whose members are kept as sent: what is read of a module depends on what it is.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The member of that name; of several, the last.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .rfind(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }

    /// The member of that name as an object; missing and other types as such.
    pub fn object<T: Deserialize<'a>>(&self, name: &str) -> Result<Node<T>, serde_json::Error> {
        self.get(name)
            .map_or(Ok(Node::Missing), |value| serde_json::from_str(value.get()))
    }

    /// The scalar at a JSON pointer (RFC 6901) that starts at this object.
    pub fn scalar_at(&self, pointer: &str) -> Result<Option<Scalar<'a>>, serde_json::Error> {
        let found = self.pointer(pointer)?;
        found.map(|value| serde_json::from_str(value.get())).transpose()
    }

    fn pointer(&self, pointer: &str) -> Result<Option<&'a RawValue>, serde_json::Error> {
        let mut tokens = pointer.split('/').skip(1);
        let mut found = tokens.next().and_then(|token| self.get(&unescaped(token)));
        for token in tokens {
            let Some(value) = found else { break };
            found = match value.get().as_bytes().first() {
                Some(b'[') => {
                    let items: Vec<&RawValue> = serde_json::from_str(value.get())?;
                    token
                        .parse()
                        .ok()
                        .and_then(|index: usize| items.get(index).copied())
                }
                Some(b'{') => {
                    let members: Members<'_> = serde_json::from_str(value.get())?;
                    members.get(&unescaped(token))
                }
                _ => None,
            };
        }
        Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_finds_what_stands_there() {
        let module: Members<'_> =
            serde_json::from_str(r#"{"a":{"b/c":[1,{"d":"x"}],"e~":null},"n":6,"k\u0065y":true,"n":7}"#)
                .unwrap();
        let at = |pointer| module.pointer(pointer).unwrap().map(RawValue::get);
        assert_eq!(at("/a/b~1c/1/d"), Some("\"x\""));
        assert_eq!(at("/a/e~0"), Some("null"));
        assert_eq!(at("/n"), Some("7"));
        assert_eq!(at("/key"), Some("true"));
        for nothing in ["", "/", "/a/b", "/a/b~1c/2", "/a/b~1c/x", "/n/x", "/a/e~0/x"] {
            assert_eq!(at(nothing), None, "{nothing}");
        }
    }
}
