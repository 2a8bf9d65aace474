//! Ids that become topic levels: `[a-z0-9_-]+`, so that no id can break out of its place in a topic.

use std::fmt;

use serde::Serialize;

use super::Text;

/// Longest id that is accepted; a limit of ours, against malformed input.
pub const MAX_ID_LENGTH: usize = 128;

/// Whether `text` can stand as one level of a topic.
pub fn is_valid_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_ID_LENGTH
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// Lower case, with every character that an id may not hold turned into `-`; `None` for an empty or overlong text.
pub fn to_id(text: &str) -> Option<String> {
    let id: String = text
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '_' | '-') => c,
            _ => '-',
        })
        .collect();
    is_valid_id(&id).then_some(id)
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(Text);

        impl $name {
            /// The id, or `None` when `text` holds anything but `[a-z0-9_-]` or is empty or overlong.
            pub fn new(text: impl Into<Text>) -> Option<Self> {
                let text = text.into();
                is_valid_id(&text).then_some(Self(text))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type! {
    /// A device's id in the configuration: one level of its topics.
    DeviceId
}
id_type! {
    /// A slot's id as the device writes it (`io3`, `clk1`).
    SlotId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_topic_level() {
        assert!(DeviceId::new("m3000-a_1").is_some());
        for bad in ["", "A", "a/b", "a+", "#", "a b", "ä", &"x".repeat(129)] {
            assert!(DeviceId::new(bad).is_none(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn foreign_text_is_made_an_id() {
        assert_eq!(to_id("Fail/lock: x").as_deref(), Some("fail-lock--x"));
        assert_eq!(to_id(""), None);
    }
}
