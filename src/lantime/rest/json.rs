//! JSON that a device has sent: read as it is, and where that fails, once more with what is malformed replaced.

mod repair;

use std::cell::OnceCell;

use serde::Deserialize;

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
    pub fn parse<'s, T: Deserialize<'s>>(&'s self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.body).or_else(|_| self.parse_repaired())
    }

    /// Parses the body after repair, for a part of it that only turned out to be malformed later.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_repaired<'s, T: Deserialize<'s>>(&'s self) -> Result<T, serde_json::Error> {
        let repaired = self.repaired.get_or_init(|| repair::repair(self.body));
        serde_json::from_str(&repaired.text)
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
