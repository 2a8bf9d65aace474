//! Reason codes of MQTT 5 in words, for codes that arrive where the client library cannot read them.

/// PUBLISH was larger than the broker takes.
pub(super) const PACKET_TOO_LARGE: u8 = 0x95;

/// SUBSCRIBE had a filter with a wildcard: in words.
pub const NO_WILDCARDS: &str = "wildcard subscriptions not supported";

/// A subscription got no answer.
pub const UNANSWERED: &str =
    "the connection ended before the broker answered, more than once; it is tried again later";

/// A reason code in words (MQTT 5, 2.4), with its number.
pub(super) fn words(code: u8) -> String {
    let words = match code {
        0x80 => "unspecified error",
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x83 => "implementation specific error",
        0x84 => "unsupported protocol version",
        0x85 => "client identifier not valid",
        0x86 => "bad user name or password",
        0x87 => "not authorized",
        0x88 => "server unavailable",
        0x89 => "server busy",
        0x8a => "banned",
        0x8b => "server shutting down",
        0x8c => "bad authentication method",
        0x8d => "keep alive timeout",
        0x8e => "session taken over",
        0x8f => "topic filter invalid",
        0x90 => "topic name invalid",
        0x91 => "packet identifier in use",
        0x92 => "packet identifier not found",
        0x93 => "receive maximum exceeded",
        0x94 => "topic alias invalid",
        PACKET_TOO_LARGE => "packet too large",
        0x96 => "message rate too high",
        0x97 => "quota exceeded",
        0x98 => "administrative action",
        0x99 => "payload format invalid",
        0x9a => "retain not supported",
        0x9b => "QoS not supported",
        0x9c => "use another server",
        0x9d => "server moved",
        0x9e => "shared subscriptions not supported",
        0x9f => "connection rate exceeded",
        0xa0 => "maximum connect time",
        0xa1 => "subscription identifiers not supported",
        0xa2 => NO_WILDCARDS,
        _ => "unknown reason",
    };
    format!("{words}, reason code 0x{code:02x}")
}

/// What to do about a subscription that was refused for a reason in these words.
pub fn subscription_remedy(reason: &str) -> &'static str {
    let is = |words: &str| reason.starts_with(words);
    if is("quota exceeded") {
        "raise the broker's limit of subscriptions per connection, or divide the devices among several bridges"
    } else if is("topic filter invalid") || is("topic name invalid") {
        "check the broker's limit of topic levels; mqtt.prefix must be short enough for it"
    } else if is(NO_WILDCARDS) {
        "allow wildcard subscriptions in the broker, or use another one"
    } else if is(UNANSWERED) {
        "check that no other client has the bridge's client id (mqtt.client_id, by default of bridge.id), and that the user \
         of the bridge (mqtt.username) may subscribe there"
    } else {
        "let the user of the bridge (mqtt.username) subscribe there, in the broker's list of rights"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_text_and_number() {
        assert_eq!(words(0x95), "packet too large, reason code 0x95");
        assert_eq!(words(0xee), "unknown reason, reason code 0xee");
    }

    #[test]
    fn the_remedy_fits_the_reason() {
        assert!(subscription_remedy("quota exceeded: \"50\"").contains("limit of subscriptions"));
        assert!(subscription_remedy(&words(0xa2)).contains("wildcard"));
        assert!(subscription_remedy("not authorized").contains("mqtt.username"));
        assert!(subscription_remedy(UNANSWERED).contains("client id"));
    }
}
