//! Metrics as the protobuf of Sparkplug B, and what of commands is read of it. No state.

use bytes::Bytes;
use jiff::Timestamp;
use prost::Message;

use super::metrics::{Metric, Quality, Value};
use super::protobuf::{self, DataType, Metric as Wire, Payload, PropertySet, PropertyValue};

/// The number of the session, in births and deaths of the edge node.
pub(super) const BD_SEQ: &str = "bdSeq";

/// Name, and values, of the property by which hosts know whether a value can be relied on.
const QUALITY: &str = "Quality";
const BAD: u32 = 0;
const GOOD: u32 = 192;
const STALE: u32 = 500;

/// A message; `at` is when its values were so. Deaths of the edge node have no `seq`.
pub(super) fn encode(seq: Option<u8>, at: Timestamp, metrics: &[Metric]) -> Bytes {
    let payload = Payload {
        timestamp: Some(millis(at)),
        metrics: metrics.iter().map(|metric| wire(metric, at)).collect(),
        seq: seq.map(u64::from),
    };
    Bytes::from(payload.encode_to_vec())
}

fn wire(metric: &Metric, at: Timestamp) -> Wire {
    let (datatype, value) = match &metric.value {
        Value::Text(text) => (DataType::String, text.clone().map(protobuf::Value::String)),
        Value::Flag(flag) => (DataType::Boolean, flag.map(protobuf::Value::Boolean)),
        Value::Time(time) => (
            DataType::DateTime,
            time.map(|time| protobuf::Value::Long(millis(time))),
        ),
        Value::Number(number) => (
            DataType::Int64,
            Some(protobuf::Value::Long(number.cast_unsigned())),
        ),
    };
    Wire {
        name: Some(metric.name.clone()),
        timestamp: Some(millis(at)),
        // In data, too, though Sparkplug would rather have it in births only: Tahu's decoder for JavaScript reads no value without.
        datatype: Some(datatype.into()),
        is_null: value.is_none().then_some(true),
        properties: metric.quality.map(property),
        value,
    }
}

fn property(quality: Quality) -> PropertySet {
    let value = match quality {
        Quality::Good => GOOD,
        Quality::Bad => BAD,
        Quality::Stale => STALE,
    };
    PropertySet {
        keys: vec![QUALITY.to_owned()],
        values: vec![PropertyValue {
            r#type: Some(DataType::Int32.into()),
            int_value: Some(value),
        }],
    }
}

/// Since 1970; a time before that is none that we publish.
fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or_default()
}

/// One metric of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// Its name; `None` where it has only an alias. No birth of ours gives aliases.
    pub(super) name: Option<String>,
    /// What is written; `None` for anything but true and false.
    pub(super) flag: Option<bool>,
}

/// Metrics that one command may write: more than there are of any device.
const MAX_WRITTEN: usize = 1024;

/// The metrics of a command, `None` where it cannot be understood.
pub(super) fn decode(payload: &[u8]) -> Option<Vec<Written>> {
    let payload = Payload::decode(payload).ok()?;
    if payload.metrics.len() > MAX_WRITTEN {
        return None;
    }
    let written = |metric: Wire| Written {
        name: metric.name,
        flag: match metric.value {
            Some(protobuf::Value::Boolean(flag)) => Some(flag),
            _ => None,
        },
    };
    Some(payload.metrics.into_iter().map(written).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn metric(value: Value, quality: Option<Quality>) -> Metric {
        let name = "relay/a/fault".to_owned();
        Metric { name, value, quality }
    }

    #[test]
    fn a_value_that_nobody_knows_is_null_with_its_type_and_bad() {
        let at = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let payload = encode(Some(255), at, &[metric(Value::Flag(None), Some(Quality::Bad))]);
        let payload = Payload::decode(&payload[..]).unwrap();
        let found = &payload.metrics[0];
        assert_eq!(
            (payload.seq, payload.timestamp),
            (Some(255), Some(1_700_000_000_123))
        );
        assert_eq!((found.is_null, &found.value), (Some(true), &None));
        assert_eq!(found.datatype, Some(DataType::Boolean.into()));
        assert_eq!(found.properties, Some(property(Quality::Bad)));
    }

    #[test]
    fn what_is_always_known_says_nothing_of_its_quality() {
        let payload = encode(None, Timestamp::UNIX_EPOCH, &[metric(Value::Number(-1), None)]);
        let payload = Payload::decode(&payload[..]).unwrap();
        assert_eq!((payload.seq, &payload.metrics[0].properties), (None, &None));
        assert_eq!(payload.metrics[0].value, Some(protobuf::Value::Long(u64::MAX)));
    }

    #[test]
    fn a_command_is_read_as_it_was_written() {
        let payload = encode(
            None,
            Timestamp::UNIX_EPOCH,
            &[metric(Value::Flag(Some(true)), None)],
        );
        let name = Some("relay/a/fault".to_owned());
        assert_eq!(
            decode(&payload),
            Some(vec![Written {
                name: name.clone(),
                flag: Some(true)
            }])
        );
        let payload = encode(None, Timestamp::UNIX_EPOCH, &[metric(Value::Number(1), None)]);
        assert_eq!(decode(&payload), Some(vec![Written { name, flag: None }]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }
    }
}
