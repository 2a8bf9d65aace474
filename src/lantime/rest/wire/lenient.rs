//! Values that take whatever stands there: a value of another type is named, and costs nothing but itself.

use std::borrow::Cow;

use crate::lantime::rest::json::cursor::{self, Cursor, FromJson, Malformed};

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

/// A value as it was sent.
#[derive(Debug, Default, Clone, Copy)]
pub struct Unread<'a>(pub Option<&'a [u8]>);

impl<'a> Unread<'a> {
    /// Whether it is a list.
    pub fn is_list(self) -> bool {
        self.0.is_some_and(|text| text.starts_with(b"["))
    }

    /// Reads it as a list of these.
    ///
    /// # Errors
    /// It is malformed.
    pub fn list<T: FromJson<'a>>(self) -> Result<List<T>, Malformed> {
        self.0.map_or_else(|| Ok(List::default()), cursor::read)
    }
}

impl<'a> FromJson<'a> for Unread<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        cursor.raw().map(|text| Unread(Some(text)))
    }
}

impl<'a> FromJson<'a> for Scalar<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        if cursor.first()? == b'"' {
            return cursor.text()?.decoded().map(Scalar::Text);
        }
        Ok(match cursor.raw()? {
            b"true" => Scalar::Bool(true),
            b"false" => Scalar::Bool(false),
            number @ [b'-' | b'0'..=b'9', ..] => {
                Scalar::Number(serde_json::from_slice(number).map_err(|_| Malformed)?)
            }
            other => Scalar::Other(name(other)),
        })
    }
}

/// What a value of another type is called in notes.
fn name(value: &[u8]) -> &'static str {
    match value {
        [b'{', ..] => "an object",
        [b'[', ..] => "a list",
        [b'"', ..] => "text",
        b"null" => "null",
        b"true" | b"false" => "a boolean",
        _ => "a number",
    }
}

impl<'a, T: FromJson<'a>> FromJson<'a> for Node<T> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        match cursor.first()? {
            b'{' => T::read(cursor).map(Node::Found),
            _ => cursor.raw().map(|other| Node::Other(name(other))),
        }
    }
}

impl<'a, T: FromJson<'a>> FromJson<'a> for List<T> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let mut list = List::default();
        if cursor.first()? != b'[' {
            list.other = Some(name(cursor.raw()?));
            return Ok(list);
        }
        list.other = None;
        // As many slots as most chassis have.
        list.items.reserve(16);
        cursor.list(|cursor| {
            if list.items.len() < MAX_LIST {
                list.items.push(Node::read(cursor)?);
                return Ok(());
            }
            list.cut += 1;
            cursor.skip()
        })?;
        Ok(list)
    }
}
