//! A message that came in, as both protocol versions give it.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::records::{MAX_PAYLOAD, Received};

/// A message as it arrives now. What only MQTT 5 knows is left for its caller to add.
///
/// The payload is copied: it shares its buffer with whatever else was read from the network.
pub(super) fn received(topic: String, payload: &Bytes, retained: bool) -> Received {
    let kept = &payload[..payload.len().min(MAX_PAYLOAD)];
    Received {
        topic,
        payload: Bytes::copy_from_slice(kept),
        payload_length: (payload.len() > MAX_PAYLOAD).then_some(payload.len()),
        retained,
        response_topic: None,
        correlation: None,
        received_at: Timestamp::now(),
        expires_at: None,
        local: false,
    }
}

/// When a message that arrived at `at` and is good for `seconds` more expires.
pub(super) fn expiry(at: Timestamp, seconds: u32) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds.into()))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_payload_the_beginning_is_kept_and_the_length() {
        for (length, payload_length) in [
            (0, None),
            (MAX_PAYLOAD, None),
            (MAX_PAYLOAD + 1, Some(MAX_PAYLOAD + 1)),
        ] {
            let message = received("t".to_owned(), &Bytes::from(vec![b'x'; length]), false);
            assert_eq!(message.payload.len(), length.min(MAX_PAYLOAD));
            assert_eq!(message.payload_length, payload_length);
        }
    }

    #[test]
    fn no_expiry_is_beyond_the_end_of_time() {
        assert_eq!(expiry(Timestamp::UNIX_EPOCH, 60).as_second(), 60);
        assert_eq!(expiry(Timestamp::MAX, u32::MAX), Timestamp::MAX);
    }
}
