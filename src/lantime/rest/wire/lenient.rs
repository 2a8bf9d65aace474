//! Values that take whatever stands there: a value of another type is named, and costs nothing but itself.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Most elements of a list that are read; the largest recorded lists have some thirty.
pub const MAX_LIST: usize = 512;

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
