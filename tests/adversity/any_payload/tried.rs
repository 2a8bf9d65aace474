//! What is tried: where commands go to, and what they may carry.

use std::fmt;

use lantime2mqtt::simulator::Relay;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use serde_json::Value;

use super::LONGEST;

/// Events that the device has, in any spelling.
pub(super) const EVENTS: [&str; 6] = [
    "ntp-stopped",
    "ntp-not-sync",
    "sync-monitor",
    "leapsecond-announced",
    "leap-second-announced",
    "network-link-down",
];
/// The device has this one, but it can switch no relay.
pub(super) const NO_RELAY: &str = "normal-operation";
/// The others it has not.
const ODD_EVENTS: [&str; 4] = ["coffee-empty", "", "refclock-3-not-sync", NO_RELAY];

/// Members of commands that choose events, that log sessions, and of others or none; `dead_letter` is an `id`.
const OF_EVENTS: &[&[&str]] = &[
    &["replace"],
    &["add"],
    &["remove"],
    &["add", "remove"],
    &["id", "replace"],
    &["id", "add"],
    &["id", "add", "remove"],
];
const OF_SESSIONS: &[&[&str]] = &[&["enabled"], &["max_count"], &["id", "enabled", "max_count"]];
const OF_NONE: &[&[&str]] = &[
    &["dead_letter"],
    &["id"],
    &[],
    &["replace", "add"],
    &["add", "other"],
    &["enabled", "add"],
];

/// Where a command goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Events(Relay),
    /// No relay whose events can be selected.
    Elsewhere(&'static str),
    Refresh,
    Sessions,
    Replay,
}

impl To {
    /// Where its commands arrive.
    pub(super) fn topic(self) -> String {
        match self {
            To::Events(relay) => format!(
                "lantime/sim-1/io4/relay/{}/events/set",
                if relay == Relay::A { "a" } else { "c" }
            ),
            To::Elsewhere(place) => format!("lantime/sim-1/{place}/events/set"),
            To::Refresh => "lantime/sim-1/refresh".to_owned(),
            To::Sessions => "lantime/sim-1/http/sessions/set".to_owned(),
            To::Replay => "lantime/bridge/test/dead-letters/replay".to_owned(),
        }
    }
}

pub(super) fn to() -> impl Strategy<Value = To> {
    const NO_PLACES: &[&str] = &[
        "io4/relay/b",
        "io3/relay/a",
        "io3/relay/c",
        "io9/relay/a",
        "io4/relay/A",
        "io4/relay/ä",
        "/relay/",
    ];
    prop_oneof![
        7 => select(&[Relay::A, Relay::C][..]).prop_map(To::Events),
        1 => select(NO_PLACES).prop_map(To::Elsewhere),
        1 => Just(To::Refresh),
        2 => Just(To::Sessions),
        1 => Just(To::Replay),
    ]
}

/// Anything that is written in JSON.
fn any_value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((".{0,3}|id|add", inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
    .boxed()
}

/// A command, more or less: its members are known ones, mostly of the right kind, in combinations that are mostly right.
fn nearly(to: To) -> BoxedStrategy<Value> {
    let name = prop_oneof![40 => select(&EVENTS[..]), 1 => select(&ODD_EVENTS[..])];
    let names = prop_oneof![15 => vec(name, 0..3).prop_map(Value::from), 1 => any_value()];
    let id = prop_oneof![4 => select(&["a", "b"][..]).prop_map(Value::from), 1 => any_value(), 1 => Just("x".repeat(129).into())];
    let flag = prop_oneof![6 => any::<bool>().prop_map(Value::from), 1 => any_value()];
    let count =
        prop_oneof![6 => (1..=1000).prop_map(Value::from), 1 => Just(Value::from(1001)), 1 => any_value()];
    let dead_letter = Just(Value::from("0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59"));
    let values = (
        id,
        names.clone(),
        names.clone(),
        names,
        flag,
        count,
        any_value(),
        dead_letter,
    );
    let right = match to {
        To::Sessions => OF_SESSIONS,
        To::Replay => OF_NONE,
        _ => OF_EVENTS,
    };
    let others = [OF_EVENTS, OF_SESSIONS, OF_NONE].map(select);
    let keys = prop_oneof![9 => select(right), 1 => Union::new(others)];
    (keys, values)
        .prop_map(
            |(keys, (id, replace, add, remove, enabled, count, other, dead_letter))| {
                let member = |key: &&str| {
                    let value = match *key {
                        "id" => &id,
                        "replace" => &replace,
                        "add" => &add,
                        "remove" => &remove,
                        "enabled" => &enabled,
                        "max_count" => &count,
                        "dead_letter" => return ("id".to_owned(), dead_letter.clone()),
                        _ => &other,
                    };
                    ((*key).to_owned(), value.clone())
                };
                keys.iter().map(member).collect()
            },
        )
        .boxed()
}

/// Shown as text, and cut.
#[derive(Clone)]
pub(super) struct Payload(pub(super) Vec<u8>);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes: {}",
            self.0.len(),
            self.0[..self.0.len().min(500)].escape_ascii()
        )
    }
}

pub(super) fn payload(to: To) -> impl Strategy<Value = Payload> {
    const ODD: &[&[u8]] = &[
        b"",
        b" \n ",
        b"{",
        b"{\"add\":[\"ntp-stopped\"],\"add\":[\"ntp-stopped\"]}",
        b"{\"add\":[\"ntp-stopped\"],}",
        b"{\"add\":[\"ntp-stopped\"]} {}",
        b"{'add':['ntp-stopped']}",
        b"{\"add\":[\"ntp-stopped\xff\"]}",
        b"{\"add\":[\"\\ud800\"]}",
        b"\xef\xbb\xbf{\"add\":[\"ntp-stopped\"]}",
        b"{\"enabled\":true,\"enabled\":true}",
    ];
    prop_oneof![
        8 => nearly(to).prop_map(|json| json.to_string().into_bytes()),
        1 => nearly(to).prop_map(|json| format!(" {json:#}\n").into_bytes()),
        1 => any_value().prop_map(|json| json.to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..200),
        1 => select(ODD).prop_map(<[u8]>::to_vec),
        1 => (nearly(to), any::<prop::sample::Index>()).prop_map(|(json, end)| {
            let mut text = json.to_string().into_bytes();
            text.truncate(end.index(text.len()));
            text
        }),
        1 => (nearly(to), (LONGEST - 100)..(LONGEST + 100)).prop_map(|(json, length)| {
            let mut text = json.to_string().into_bytes();
            text.resize(length, b' ');
            text
        }),
    ]
    .prop_map(Payload)
}
