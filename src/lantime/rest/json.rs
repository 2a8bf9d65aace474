//! JSON that a device has sent: read as it is, and if that fails, again with what is malformed replaced.

pub mod cursor;
mod repair;
mod scan;

use std::cell::OnceCell;

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Error;

use cursor::{FromJson, Malformed};
use repair::Repaired;

/// The body of an answer. What is parsed may borrow from it.
#[derive(Debug)]
pub struct JsonBody<'b> {
    body: &'b [u8],
    /// Only where the body had to be repaired.
    repaired: OnceCell<Repaired>,
}

impl<'b> JsonBody<'b> {
    /// Nothing is parsed yet.
    pub fn new(body: &'b [u8]) -> JsonBody<'b> {
        JsonBody {
            body,
            repaired: OnceCell::new(),
        }
    }

    /// Parses the body as it is; where that fails, repaired.
    ///
    /// # Errors
    /// The body is malformed beyond repair. The error gives line and column.
    pub fn parse<'s, T: Deserialize<'s>>(&'s self) -> Result<T, Error> {
        serde_json::from_slice(self.body).or_else(|_| serde_json::from_str(self.repaired_text()))
    }

    /// As [`Self::parse`], without `serde`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn read<'s, T: FromJson<'s>>(&'s self) -> Result<T, Error> {
        cursor::read(self.body).or_else(|Malformed| self.read_repaired())
    }

    /// Reads the body after repair, for a part of it that only turned out to be malformed later.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn read_repaired<'s, T: FromJson<'s>>(&'s self) -> Result<T, Error> {
        let text = self.repaired_text();
        cursor::read(text.as_bytes()).map_err(|Malformed| error(text))
    }

    /// Why a part of the body is malformed after repair, too.
    pub fn error(&self) -> Error {
        error(self.repaired_text())
    }

    fn repaired_text(&self) -> &str {
        let repaired = self.repaired.get_or_init(|| repair::repair(self.body));
        &repaired.text
    }

    /// What was replaced; empty for a body that was read as it is.
    pub fn notes(&self) -> &[String] {
        self.repaired.get().map_or(&[], |repaired| &repaired.notes)
    }

    /// Whether the body had to be repaired.
    pub fn is_repaired(&self) -> bool {
        self.repaired.get().is_some()
    }
}

/// Where a text is malformed, in the words of a parser that counts lines.
fn error(text: &str) -> Error {
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
    parsed.err().unwrap_or_else(|| Error::custom("malformed"))
}
