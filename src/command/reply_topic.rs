//! Where the reply to a command goes.

use crate::contract::topics::{Topics, is_publishable, reply_topic};
use crate::records::Received;

/// The response topic that the sender of a command asks for, if a reply may go there; else `<command topic>/reply`.
///
/// Not there: where no broker takes it, where only the broker itself publishes (`$..`), and below the prefix, where
/// it could pass for state, a dead letter or a command, unless it is below the command's own topic.
pub(super) fn reply_destination(topics: &Topics, command: &Received) -> String {
    let is_own = |topic: &str| {
        let below = topic.strip_prefix(command.topic.as_str());
        below.is_some_and(|below| below.starts_with('/')) && topics.parse_command(topic).is_none()
    };
    let may_be_used = |topic: &&String| {
        is_publishable(topic) && !topic.starts_with('$') && (!topics.is_below_prefix(topic) || is_own(topic))
    };
    match command.response_topic.as_ref().filter(may_be_used) {
        Some(topic) => topic.clone(),
        None => reply_topic(&command.topic),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;
    use crate::model::DeviceId;

    #[test]
    fn a_response_topic_is_used_where_a_reply_may_go() {
        let topics = Topics::new("lantime", DeviceId::new("b1").unwrap());
        let own = "lantime/m1/refresh/reply";
        let too_long = "x".repeat(65_536);
        for (asked, expected) in [
            (None, own),
            (Some("my/inbox"), "my/inbox"),
            (Some("lantime/m1/refresh/reply/x"), "lantime/m1/refresh/reply/x"),
            (Some(""), own),
            (Some("my/+"), own),
            (Some("my/#"), own),
            (Some("my\0inbox"), own),
            (Some("$SYS/broker"), own),
            (Some(&too_long), own),
            (Some("lantime/m1/refresh"), own),
            (Some("lantime/m2/io3/relay/a/events/set"), own),
            (Some("lantime/bridge/b1/dead-letters/replay"), own),
            (Some("lantime/bridge/b2/dead-letters/replay"), own),
            (Some("lantime/m1/refresh/relay/a/events/set"), own),
            (Some("lantime/m2/state"), own),
            (Some("lantime"), own),
            (Some("lantimes/inbox"), "lantimes/inbox"),
        ] {
            let command = Received {
                topic: "lantime/m1/refresh".to_owned(),
                payload: Bytes::new(),
                payload_length: None,
                retained: false,
                response_topic: asked.map(str::to_owned),
                correlation: None,
                received_at: Timestamp::UNIX_EPOCH,
                expires_at: None,
                local: false,
            };
            assert_eq!(reply_destination(&topics, &command), expected);
        }
    }
}
