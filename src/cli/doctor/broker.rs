//! The broker: whether it takes the bridge, and what it takes from it.

use std::time::Duration;

use super::finding::Finding;
use crate::config::{Broker, Mqtt, MqttVersion};
use crate::model::DeviceId;
use crate::mqtt::connection::{Limits, address};
use crate::mqtt::neighbours::neighbours;
use crate::mqtt::probe;

const BROKER: &str = "broker";

/// A command with its properties may have as much, and so may the dead letter that repeats it.
const NEEDED_PACKET: u32 = 128 * 1024;
/// With fewer messages in flight a start with many devices takes long.
const NEEDED_IN_FLIGHT: u16 = 20;

/// `stopped` is the id of the bridge with these settings, if it does not run.
pub(super) async fn of(settings: &Mqtt, stopped: Option<&DeviceId>) -> Vec<Finding> {
    if let Broker::Embedded { .. } = settings.broker {
        return vec![Finding::ok(BROKER, "is part of the bridge")];
    }
    match probe::limits(settings).await {
        Ok(limits) => {
            let mut findings = judge(settings, &limits);
            if let Some(bridge) = stopped {
                findings.extend(namesake(settings, bridge).await);
            }
            findings
        }
        Err(error) => {
            let text = error.to_string();
            let (message, remedy) = text.split_once("; ").unwrap_or((&text, "see the broker's log"));
            vec![Finding::fail(BROKER, message, remedy)]
        }
    }
}

/// Another bridge with the id of this one, which does not run. Nothing where that cannot be looked up.
async fn namesake(settings: &Mqtt, bridge: &DeviceId) -> Option<Finding> {
    let found = neighbours(settings, bridge.clone()).await.ok()?;
    found.online.contains(bridge.as_str()).then(|| {
        let message = format!(
            "a bridge with the id {:?} is online there, and this one does not run: another one has the same id",
            bridge.as_str()
        );
        let remedy = "set another bridge.id before this one starts: each would end the other's connections";
        Finding::warn(BROKER, message, remedy)
    })
}

fn judge(settings: &Mqtt, limits: &Limits) -> Vec<Finding> {
    let login = settings.credentials.as_ref();
    let user = login.map_or("anybody".to_owned(), |login| format!("user {}", login.username));
    let (at, version) = (address(&settings.broker), settings.version.as_str());
    let mut findings = vec![Finding::ok(
        BROKER,
        format!("{at} takes {user}, MQTT {version}{}", announced(limits)),
    )];
    let mut warn = |message: String, remedy: &str| findings.push(Finding::warn(BROKER, message, remedy));
    if let Some(bytes) = limits.maximum_packet_size.filter(|bytes| *bytes < NEEDED_PACKET) {
        warn(
            format!(
                "it takes packets of {bytes} bytes, and the bridge may send {NEEDED_PACKET}: larger messages are dropped"
            ),
            "raise the limit in the broker (mosquitto: max_packet_size)",
        );
    }
    if limits.receive_maximum < NEEDED_IN_FLIGHT {
        let number = limits.receive_maximum;
        warn(
            format!("it takes {number} messages at a time, so that many devices are published slowly"),
            "raise the limit in the broker (mosquitto: max_inflight_messages)",
        );
    }
    if !limits.wildcards {
        warn(
            "it takes no subscriptions with wildcards, which commands need".to_owned(),
            "allow them in the broker, or use another one",
        );
    }
    let wanted = settings.session_expiry;
    if let Some(kept) = limits.session_expiry.filter(|kept| *kept < wanted) {
        warn(
            format!(
                "it keeps commands for {} s without a bridge, and mqtt.session_expiry is {} s",
                kept.as_secs(),
                wanted.as_secs()
            ),
            "raise the limit in the broker, or lower mqtt.session_expiry",
        );
    }
    if settings.version == MqttVersion::V311 {
        let message = "MQTT 3.1.1 announces no limits, and commands have no expiry";
        warn(
            message.to_owned(),
            "set mqtt.version = \"5\" if the broker has it",
        );
    }
    findings
}

fn announced(limits: &Limits) -> String {
    let packets = limits.maximum_packet_size;
    let packets = packets.map(|bytes| format!(", packets of up to {bytes} bytes"));
    let in_flight = Some(limits.receive_maximum).filter(|number| *number < u16::MAX);
    let in_flight = in_flight.map(|number| format!(", {number} messages at a time"));
    let kept = limits.session_expiry.map(|kept: Duration| kept.as_secs());
    let kept = kept.map(|seconds| format!(", sessions for {seconds} s"));
    [packets, in_flight, kept].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_is_named() {
        let settings = Mqtt::for_test(MqttVersion::V5);
        let warnings = |limits: Limits| {
            let findings = judge(&settings, &limits).into_iter();
            let warnings = findings.filter(|finding| finding.level == Level::Warn);
            warnings.map(|finding| finding.message).collect::<Vec<_>>()
        };
        assert!(warnings(Limits::default()).is_empty());
        for (limits, word) in [
            (
                Limits {
                    maximum_packet_size: Some(NEEDED_PACKET - 1),
                    ..Limits::default()
                },
                "packets",
            ),
            (
                Limits {
                    receive_maximum: NEEDED_IN_FLIGHT - 1,
                    ..Limits::default()
                },
                "messages at a time",
            ),
            (
                Limits {
                    wildcards: false,
                    ..Limits::default()
                },
                "wildcards",
            ),
            (
                Limits {
                    session_expiry: Some(Duration::from_secs(59)),
                    ..Limits::default()
                },
                "session_expiry",
            ),
        ] {
            let found = warnings(limits);
            assert!(found.len() == 1 && found[0].contains(word), "{word}: {found:?}");
        }
    }
}
