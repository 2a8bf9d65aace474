//! What makes two commands the same: topic, id and payload.

use std::fmt::{self, Write};

use ring::digest::{Context, SHA256};

/// SHA-256 over a command's topic, id and payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnswerKey([u8; 32]);

impl AnswerKey {
    /// The key of that command.
    pub fn new(topic: &str, id: &str, payload: &[u8]) -> AnswerKey {
        let mut hash = Context::new(&SHA256);
        for part in [topic.as_bytes(), id.as_bytes(), payload] {
            // With its length, so that no part can run into the next.
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut key = [0; 32];
        key.copy_from_slice(hash.finish().as_ref());
        AnswerKey(key)
    }

    /// In hexadecimal digits.
    pub(crate) fn hex(&self) -> String {
        self.0.iter().fold(String::new(), |mut hex, byte| {
            // A text takes everything.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// As it is on disk.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for AnswerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..4] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_command_has_the_same_key() {
        let key = AnswerKey::new("ab", "c", b"d");
        assert_eq!(key, AnswerKey::new("ab", "c", b"d"));
        for (topic, id, payload) in [
            ("a", "bc", "d"),
            ("ab", "cd", ""),
            ("ab", "c", "e"),
            ("abc", "", "d"),
        ] {
            assert_ne!(key, AnswerKey::new(topic, id, payload.as_bytes()));
        }
    }
}
