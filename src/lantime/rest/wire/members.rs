//! A module's object, of which only some members are read, and which ones depends on what the module is.

use std::borrow::Cow;

use super::lenient::{Node, Scalar};
use crate::lantime::rest::json::cursor::{self, Cursor, FromJson, Malformed};

/// An object whose members are kept as sent: what is read of a module depends on what it is.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, [u8]>, &'a [u8])>);

impl<'a> Members<'a> {
    /// The member of that name; of several, the last.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let member = self.0.iter().rfind(|(key, _)| **key == *name.as_bytes());
        member.map(|(_, value)| *value)
    }

    /// The member of that name as an object; missing and other types as such.
    pub fn object<T: FromJson<'a>>(&self, name: &str) -> Result<Node<T>, Malformed> {
        self.get(name).map_or(Ok(Node::Missing), cursor::read)
    }

    /// The scalar at a JSON pointer (RFC 6901) that starts at this object.
    pub fn scalar_at(&self, pointer: &str) -> Result<Option<Scalar<'a>>, Malformed> {
        self.pointer(pointer)?.map(cursor::read).transpose()
    }

    fn pointer(&self, pointer: &str) -> Result<Option<&'a [u8]>, Malformed> {
        let mut tokens = pointer.split('/').skip(1);
        let mut found = tokens.next().and_then(|token| self.get(&unescaped(token)));
        for token in tokens {
            let Some(value) = found else { break };
            found = match value.first() {
                Some(b'[') => {
                    let Elements(elements) = cursor::read(value)?;
                    let index = token.parse().ok();
                    index.and_then(|index: usize| elements.get(index).copied())
                }
                Some(b'{') => {
                    let members: Members<'_> = cursor::read(value)?;
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

impl<'a> FromJson<'a> for Members<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let mut members = Vec::with_capacity(8);
        cursor.object(|cursor, key| {
            members.push((key.bytes()?, cursor.raw()?));
            Ok(())
        })?;
        Ok(Members(members))
    }
}

/// A list whose elements are kept as sent.
struct Elements<'a>(Vec<&'a [u8]>);

impl<'a> FromJson<'a> for Elements<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let mut elements = Vec::new();
        cursor.list(|cursor| {
            elements.push(cursor.raw()?);
            Ok(())
        })?;
        Ok(Elements(elements))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_finds_what_stands_there() {
        let module: Members<'_> =
            cursor::read(br#"{"a":{"b/c":[1,{"d":"x"}],"e~":null},"n":6,"k\u0065y":true,"n":7}"#).unwrap();
        let at = |pointer| {
            let found = module.pointer(pointer).unwrap();
            found.map(|value| std::str::from_utf8(value).unwrap())
        };
        assert_eq!(at("/a/b~1c/1/d"), Some("\"x\""));
        assert_eq!(at("/a/e~0"), Some("null"));
        assert_eq!(at("/n"), Some("7"));
        assert_eq!(at("/key"), Some("true"));
        for nothing in ["", "/", "/a/b", "/a/b~1c/2", "/a/b~1c/x", "/n/x", "/a/e~0/x"] {
            assert_eq!(at(nothing), None, "{nothing}");
        }
    }
}
