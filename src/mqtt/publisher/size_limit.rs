//! How large a packet may be: what the broker announces, and what was learned from packets that it has not taken. Pure
//! data.
//!
//! With MQTT 3.1.1 a broker cannot announce its limit, and mosquitto's `message_size_limit` is announced in no version.

use std::fmt;

/// Packets of at least so many bytes are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooLarge {
    /// The broker announces that it takes so many bytes at most.
    Announced(u32),
    /// The broker has not taken a packet of so many bytes.
    Learned(usize),
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TooLarge::Announced(limit) => write!(f, "the broker takes {limit}"),
            TooLarge::Learned(refused) => write!(f, "the broker has not taken a message of {refused}"),
        }
    }
}

/// What is known of the broker's limit. Sizes are those of [`crate::mqtt::connection::packet_size`].
#[derive(Debug, Default)]
pub(super) struct SizeLimit {
    announced: Option<u32>,
    /// The largest packet that it has acknowledged.
    taken: usize,
    /// The smallest packet that it has not taken; larger than `taken`.
    refused: Option<usize>,
}

impl SizeLimit {
    /// A new connection, with what the broker announces.
    pub(super) fn announced(&mut self, limit: Option<u32>) {
        self.announced = limit;
    }

    /// Why a packet of that size is not sent; `None` if it may be.
    pub(super) fn check(&self, bytes: usize) -> Option<TooLarge> {
        let announced = self.announced.filter(|limit| bytes > *limit as usize);
        let refused = self.refused.filter(|refused| bytes >= *refused);
        announced
            .map(TooLarge::Announced)
            .or(refused.map(TooLarge::Learned))
    }

    /// The broker has taken a packet of that size.
    pub(super) fn took(&mut self, bytes: usize) {
        self.taken = self.taken.max(bytes);
        self.refused = self.refused.filter(|refused| *refused > self.taken);
    }

    /// The broker has said that a packet of that size is too large.
    pub(super) fn refused(&mut self, bytes: usize) {
        // It has a smaller limit than before.
        self.taken = self.taken.min(bytes.saturating_sub(1));
        self.refused = Some(self.refused.map_or(bytes, |refused| refused.min(bytes)));
    }

    /// The broker has ended connections, without a reason, at a packet of that size. Says whether its size may be the
    /// reason: then larger ones are held back. It is not where the broker announces a limit, took larger ones, or has taken
    /// nothing at all.
    pub(super) fn blamed(&mut self, bytes: usize) -> bool {
        let may_be = self.announced.is_none() && self.taken > 0 && bytes > self.taken;
        if may_be {
            self.refused(bytes);
        }
        may_be
    }

    /// Whether a packet of that size is larger than any that was taken, and smaller than what was not.
    pub(super) fn is_suspect(&self, bytes: usize) -> bool {
        self.taken < bytes && self.refused.is_some_and(|refused| bytes < refused)
    }

    /// Forgets what was learned, to try again.
    pub(super) fn try_again(&mut self) {
        self.refused = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_and_what_was_learned_both_count() {
        let mut limit = SizeLimit::default();
        assert_eq!(limit.check(usize::MAX), None);
        limit.announced(Some(100));
        assert_eq!(
            (limit.check(100), limit.check(101)),
            (None, Some(TooLarge::Announced(100)))
        );
        limit.refused(80);
        limit.refused(90);
        assert_eq!(
            (limit.check(79), limit.check(80)),
            (None, Some(TooLarge::Learned(80)))
        );
        limit.try_again();
        assert_eq!(limit.check(80), None);
    }

    #[test]
    fn a_size_that_was_taken_is_not_blamed() {
        let mut limit = SizeLimit::default();
        assert!(!limit.blamed(1), "it takes nothing");
        limit.took(1_000);
        assert!(!limit.blamed(1_000));
        assert_eq!(limit.check(1_000), None);
        assert!(limit.blamed(2_000));
        limit.took(2_500);
        assert_eq!(limit.check(2_000), None, "it takes larger ones after all");
    }
}
