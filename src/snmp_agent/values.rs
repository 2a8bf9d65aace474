//! Values as the MIB writes them: enumerations, times, text. Pure.

use std::time::Duration;

use async_snmp::Value;
use jiff::Timestamp;
use jiff::tz::Offset;
use tokio::time::Instant;

use crate::model::{Availability, ErrorKind, Position, Provenance, Relay, Signal, Status};

/// Longest text that a manager has to take (DisplayString).
const MAX_TEXT: usize = 255;

/// L2mAvailability
pub(super) fn availability(state: Option<Availability>) -> Value {
    Value::Integer(match state {
        Some(Availability::Online) => 1,
        Some(Availability::Offline) => 2,
        None => 3,
    })
}

/// L2mRelayLetter
pub(super) fn relay(relay: Relay) -> u32 {
    match relay {
        Relay::A => 1,
        Relay::B => 2,
        Relay::C => 3,
    }
}

/// L2mSignalKind
pub(super) fn signal(signal: Signal) -> u32 {
    match signal {
        Signal::Clk1 => 1,
        Signal::Clk2 => 2,
        Signal::Rsc => 3,
        Signal::Pps => 4,
        Signal::TenMhz => 5,
        Signal::Notification => 6,
    }
}

/// L2mSignalKind, of what drives a relay.
pub(super) fn driver(driver: Option<Signal>) -> Value {
    let number = driver.map_or(7, signal);
    Value::Integer(i32::try_from(number).expect("a word's number is small"))
}

/// L2mPosition
pub(super) fn position(position: Position) -> Value {
    Value::Integer(match position {
        Position::No => 1,
        Position::Nc => 2,
        Position::Unknown => 3,
    })
}

/// l2mRelayFault
pub(super) fn fault(fault: Option<bool>) -> Value {
    Value::Integer(match fault {
        Some(true) => 1,
        Some(false) => 2,
        None => 3,
    })
}

/// L2mStatus
pub(super) fn status(status: Status) -> Value {
    Value::Integer(match status {
        Status::Ok => 1,
        Status::Fail => 2,
        Status::Absent => 3,
        Status::Unknown => 4,
    })
}

/// L2mProvenance
pub(super) fn provenance(provenance: Provenance) -> Value {
    Value::Integer(match provenance {
        Provenance::Reported => 1,
        Provenance::Derived => 2,
        Provenance::Unknown | Provenance::Unseen => 3,
    })
}

/// L2mErrorKind
pub(super) fn error(kind: Option<ErrorKind>) -> Value {
    let Some(kind) = kind else {
        return Value::Integer(1);
    };
    Value::Integer(match kind {
        ErrorKind::Timeout => 2,
        ErrorKind::Connect => 3,
        ErrorKind::Tls => 4,
        ErrorKind::Unauthorized => 5,
        ErrorKind::Forbidden => 6,
        ErrorKind::NotFound => 7,
        ErrorKind::HttpStatus => 8,
        ErrorKind::TooLarge => 9,
        ErrorKind::Decode => 10,
        ErrorKind::Profile => 11,
        ErrorKind::Snmp => 12,
        ErrorKind::Rejected => 13,
        ErrorKind::Busy => 14,
        ErrorKind::Conflict => 15,
        ErrorKind::Expired => 16,
        ErrorKind::Storage => 17,
        ErrorKind::Internal => 18,
    })
}

/// DisplayString: ASCII alone, and not too long.
pub(super) fn text(text: &str) -> Value {
    let readable = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let ascii: String = text.chars().take(MAX_TEXT).map(readable).collect();
    Value::OctetString(ascii.into())
}

/// DateAndTime, in UTC; cut, not rounded.
pub(super) fn time(at: Timestamp) -> Value {
    let at = Offset::UTC.to_datetime(at);
    let [high, low] = u16::try_from(at.year()).unwrap_or(0).to_be_bytes();
    let small = |number: i32| u8::try_from(number).unwrap_or(0);
    let parts = [at.month(), at.day(), at.hour(), at.minute(), at.second()];
    let [month, day, hour, minute, second] = parts.map(|part| small(part.into()));
    let tenth = small(at.subsec_nanosecond() / 100_000_000);
    let octets = vec![high, low, month, day, hour, minute, second, tenth, b'+', 0, 0];
    Value::OctetString(octets.into())
}

/// A counter, which starts again at 0 after 2^32 - 1.
#[expect(clippy::cast_possible_truncation, reason = "a Counter32 wraps")]
pub(super) fn counter(count: u64) -> Value {
    Value::Counter32(count as u32)
}

/// A number of things; beyond 2^32 - 1 it stays there.
pub(super) fn gauge(count: usize) -> Value {
    Value::Gauge32(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Milliseconds, rounded.
pub(super) fn millis(millis: f64) -> Value {
    let duration = Duration::try_from_secs_f64(millis / 1000.0 + 0.0005).unwrap_or(Duration::MAX);
    Value::Gauge32(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX))
}

/// Time since then, as TimeTicks count it: they start again at 0 after 497 days.
#[expect(clippy::cast_possible_truncation, reason = "TimeTicks wrap")]
pub(super) fn centiseconds(since: Instant) -> u32 {
    (since.elapsed().as_millis() / 10) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: &str = include_str!("../../deploy/mibs/LANTIME2MQTT-MIB.txt");

    /// The number of a word of the contract, as the MIB's enumeration of that name has it.
    fn number(enumeration: &str, word: &str) -> Value {
        let (_, definition) = MIB
            .split_once(&format!("{enumeration} ::= TEXTUAL-CONVENTION"))
            .unwrap();
        let (_, words) = definition.split_once("SYNTAX INTEGER {").unwrap();
        let (words, _) = words.split_once('}').unwrap();
        // The language of MIBs knows neither hyphens nor a digit or a capital at the beginning.
        let plain = match word {
            "10mhz" => "tenmhz".to_owned(),
            word => word.replace('-', "").to_lowercase(),
        };
        let number = words.split(',').find_map(|entry| {
            let (name, number) = entry.trim().trim_end_matches(')').split_once('(')?;
            (name.to_lowercase() == plain).then(|| number.parse().unwrap())
        });
        Value::Integer(number.unwrap_or_else(|| panic!("{word} is not in {enumeration}")))
    }

    #[test]
    fn the_values_of_the_contract_have_the_numbers_of_the_mib() {
        for state in [Availability::Online, Availability::Offline] {
            assert_eq!(
                availability(Some(state)),
                number("L2mAvailability", state.as_str())
            );
        }
        assert_eq!(availability(None), number("L2mAvailability", "unknown"));
        for one in Relay::ALL {
            let number = number("L2mRelayLetter", one.as_str());
            assert_eq!(Some(relay(one)), number.as_u32());
        }
        for one in Signal::ALL {
            assert_eq!(driver(Some(one)), number("L2mSignalKind", one.as_str()));
            assert_eq!(Some(signal(one)), driver(Some(one)).as_u32());
        }
        assert_eq!(driver(None), number("L2mSignalKind", "unknown"));
        for one in [Position::No, Position::Nc, Position::Unknown] {
            assert_eq!(position(one), number("L2mPosition", one.as_str()));
        }
        for one in [Status::Ok, Status::Fail, Status::Absent, Status::Unknown] {
            assert_eq!(status(one), number("L2mStatus", one.as_str()));
        }
        for one in [
            Provenance::Reported,
            Provenance::Derived,
            Provenance::Unknown,
            Provenance::Unseen,
        ] {
            let word = serde_json::to_value(one).unwrap();
            assert_eq!(provenance(one), number("L2mProvenance", word.as_str().unwrap()));
        }
        assert_eq!(error(None), number("L2mErrorKind", "none"));
        for one in [
            ErrorKind::Timeout,
            ErrorKind::Connect,
            ErrorKind::Tls,
            ErrorKind::Unauthorized,
            ErrorKind::Forbidden,
            ErrorKind::NotFound,
            ErrorKind::HttpStatus,
            ErrorKind::TooLarge,
            ErrorKind::Decode,
            ErrorKind::Profile,
            ErrorKind::Snmp,
            ErrorKind::Rejected,
            ErrorKind::Busy,
            ErrorKind::Conflict,
            ErrorKind::Expired,
            ErrorKind::Storage,
            ErrorKind::Internal,
        ] {
            assert_eq!(error(Some(one)), number("L2mErrorKind", one.as_str()));
        }
    }

    #[test]
    fn a_time_has_eleven_octets_and_is_in_utc() {
        let at: Timestamp = "2026-02-10T10:45:48.987+01:00".parse().unwrap();
        let octets = [0x07, 0xea, 2, 10, 9, 45, 48, 9, b'+', 0, 0];
        assert_eq!(time(at), Value::OctetString(octets.to_vec().into()));
        let _ = (time(Timestamp::MIN), time(Timestamp::MAX));
    }

    #[test]
    fn text_is_ascii_of_a_bounded_length() {
        assert_eq!(text("fw_7.06 \u{fc}\n"), Value::OctetString("fw_7.06 ??".into()));
        let Value::OctetString(long) = text(&"\u{fc}".repeat(1000)) else {
            panic!("text is an octet string");
        };
        assert_eq!(long.len(), MAX_TEXT);
    }

    #[test]
    fn numbers_wrap_or_stay_as_their_types_say() {
        assert_eq!(counter(u64::from(u32::MAX) + 2), Value::Counter32(1));
        assert_eq!(gauge(usize::MAX), Value::Gauge32(u32::MAX));
        assert_eq!(millis(2.5), Value::Gauge32(3));
        assert_eq!(millis(0.4), Value::Gauge32(0));
        assert_eq!(millis(f64::NAN), Value::Gauge32(u32::MAX));
        assert_eq!(millis(1e30), Value::Gauge32(u32::MAX));
    }
}
