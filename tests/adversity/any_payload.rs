//! Whatever bytes come as a command, at whatever topic of commands: it gets exactly one reply, and nothing changes unless
//! they say so. What they say is read here once more, in another way than the bridge does it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lantime2mqtt::simulator::{ApiGeneration, Relay};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use proptest::test_runner::{Config, TestRunner};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, json as value};

use crate::common::requester::{Message, Properties};
use crate::scene::{Scene, json};

const CASES: u32 = 300;
/// More is refused, whatever it says.
const LONGEST: usize = 64 * 1024;

const EVENTS: [&str; 6] = [
    "ntp-stopped",
    "ntp-not-sync",
    "sync-monitor",
    "leapsecond-announced",
    "leap-second-announced",
    "network-link-down",
];
/// The device has no such event, or it can switch no relay.
const NO_EVENTS: [&str; 4] = ["coffee-empty", "", "refclock-3-not-sync", "normal-operation"];

/// Members of commands that choose events, that log sessions, and of others or none; `letter` is an `id`.
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
    &["letter"],
    &["id"],
    &[],
    &["replace", "add"],
    &["add", "other"],
    &["enabled", "add"],
];

/// Where a command goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Events(Relay),
    /// No relay whose events can be chosen.
    Elsewhere(&'static str),
    Refresh,
    Sessions,
    Replay,
}

impl To {
    fn topic(self) -> String {
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

fn to() -> impl Strategy<Value = To> {
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
    let name = prop_oneof![40 => select(&EVENTS[..]), 1 => select(&NO_EVENTS[..])];
    let names = prop_oneof![15 => vec(name, 0..3).prop_map(Value::from), 1 => any_value()];
    let id = prop_oneof![4 => select(&["a", "b"][..]).prop_map(Value::from), 1 => any_value(), 1 => Just("x".repeat(129).into())];
    let flag = prop_oneof![6 => any::<bool>().prop_map(Value::from), 1 => any_value()];
    let count =
        prop_oneof![6 => (1..=1000).prop_map(Value::from), 1 => Just(Value::from(1001)), 1 => any_value()];
    let letter = Just(Value::from("0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59"));
    let values = (
        id,
        names.clone(),
        names.clone(),
        names,
        flag,
        count,
        any_value(),
        letter,
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
            |(keys, (id, replace, add, remove, enabled, count, other, letter))| {
                let member = |key: &&str| {
                    let value = match *key {
                        "id" => &id,
                        "replace" => &replace,
                        "add" => &add,
                        "remove" => &remove,
                        "enabled" => &enabled,
                        "max_count" => &count,
                        "letter" => return ("id".to_owned(), letter.clone()),
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
struct Payload(Vec<u8>);

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

fn payload(to: To) -> impl Strategy<Value = Payload> {
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

/// A JSON object as it is written.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The members of a payload that has none but these, each once, and an `id` that can be one.
fn members(payload: &[u8], known: &[&str]) -> Option<BTreeMap<String, Value>> {
    let Members(list) = serde_json::from_slice(payload).ok()?;
    let members: BTreeMap<_, _> = list.iter().cloned().collect();
    let is_known = |key: &String| key == "id" || known.contains(&key.as_str());
    let has_id = members.get("id").is_none_or(|id| {
        id.as_str()
            .is_some_and(|id| (1..=128).contains(&id.chars().count()))
    });
    (members.len() == list.len() && members.keys().all(is_known) && has_id).then_some(members)
}

/// The names of a list, as the device writes them; none where it is no list of such events.
fn names(list: &Value) -> Option<BTreeSet<String>> {
    let name = |name: &Value| {
        let name = name.as_str().filter(|name| EVENTS.contains(name))?;
        Some(
            if name == "leap-second-announced" {
                "leapsecond-announced"
            } else {
                name
            }
            .to_owned(),
        )
    };
    list.as_array()?.iter().map(name).collect()
}

/// What has been chosen and set so far, and what was answered.
#[derive(Default)]
struct Model {
    chosen: BTreeMap<Relay, BTreeSet<String>>,
    sessions: (bool, u64),
    /// The first answers to what was carried out.
    answers: HashMap<(String, Vec<u8>), Bytes>,
    commands: usize,
    letters: usize,
}

impl Model {
    /// Changes what the payload says; `None` where it must change nothing.
    fn carry_out(&mut self, to: To, payload: &[u8]) -> Option<()> {
        if payload.len() > LONGEST {
            return None;
        }
        match to {
            To::Refresh => Some(()),
            To::Elsewhere(_) | To::Replay => None,
            To::Sessions => {
                let members = members(payload, &["enabled", "max_count"])?;
                let enabled = members.get("enabled").map(|flag| flag.as_bool().ok_or(()));
                let count = members.get("max_count").map(|count| {
                    count
                        .as_u64()
                        .filter(|count| (1..=1000).contains(count))
                        .ok_or(())
                });
                let (enabled, count) = (enabled.transpose().ok()?, count.transpose().ok()?);
                if enabled.is_none() && count.is_none() {
                    return None;
                }
                self.sessions = (
                    enabled.unwrap_or(self.sessions.0),
                    count.unwrap_or(self.sessions.1),
                );
                Some(())
            }
            To::Events(relay) => {
                let mut members = members(payload, &["replace", "add", "remove"])?;
                members.remove("id");
                let has_replace = members.contains_key("replace");
                if members.is_empty() || (has_replace && members.len() > 1) {
                    return None;
                }
                let mut list = |key: &str| members.remove(key).map(|list| names(&list).ok_or(())).transpose();
                let (replace, add, remove) = (list("replace").ok()?, list("add").ok()?, list("remove").ok()?);
                let (add, remove) = (add.unwrap_or_default(), remove.unwrap_or_default());
                if !add.is_disjoint(&remove) {
                    return None;
                }
                let chosen = self.chosen.entry(relay).or_default();
                *chosen = replace.unwrap_or_else(|| {
                    chosen
                        .union(&add)
                        .filter(|name| !remove.contains(*name))
                        .cloned()
                        .collect()
                });
                Some(())
            }
        }
    }
}

/// Messages that are an answer, and those that are a dead letter.
fn sorted(messages: &[Message]) -> (Vec<&Message>, Vec<&Message>) {
    messages
        .iter()
        .partition(|message| !message.topic.starts_with("lantime/dead-letter/"))
}

impl Scene {
    async fn try_payload(&mut self, model: &mut Model, to: To, payload: &[u8], elsewhere: bool) {
        let topic = to.topic();
        let answers = if elsewhere {
            "answers/any".to_owned()
        } else {
            format!("{topic}/reply")
        };
        let properties = Properties {
            respond: elsewhere.then(|| (answers.clone(), model.commands.to_string().into())),
            ..Properties::default()
        };
        let before = self.device().world();
        self.requester
            .send_with(&topic, payload.to_vec(), properties)
            .await;
        let count = model.commands;
        let replied = self
            .requester
            .until("the reply", |messages| sorted(messages).0.len() > count)
            .await;
        let reply = sorted(&replied).0[count];
        assert_eq!(reply.topic, answers);
        assert_eq!(
            reply.correlation.as_deref(),
            elsewhere.then(|| count.to_string()).as_deref().map(str::as_bytes)
        );
        model.commands += 1;

        let has_id = members(payload, &["replace", "add", "remove", "enabled", "max_count"])
            .is_some_and(|members| members.contains_key("id"));
        let known = model.answers.get(&(topic.clone(), payload.to_vec())).cloned();
        if let Some(first) = known.filter(|_| has_id) {
            assert_eq!(reply.payload, first, "the same command again");
        } else {
            let is_done = model.carry_out(to, payload).is_some();
            assert_eq!(json(reply)["ok"], is_done, "{:?}", reply.payload);
            if is_done && to == To::Sessions {
                let (enabled, max_count) = model.sessions;
                assert_eq!(
                    json(reply)["result"],
                    value!({ "enabled": enabled, "max_count": max_count })
                );
            }
            if is_done {
                let answer = reply.payload.clone();
                model.answers.insert((topic, payload.to_vec()), answer);
            } else {
                self.is_told(model, payload).await;
            }
        }
        let world = self.device().world();
        for (relay, events) in &model.chosen {
            assert!(
                world.relay_events("io4", *relay).iter().eq(events),
                "{relay:?}: {:?}",
                world.relay_events("io4", *relay)
            );
        }
        assert_eq!(world.pending_changes(), 0);
        if json(reply)["ok"] == false {
            assert_eq!(world.generation(), before.generation(), "nothing has changed");
        }
    }

    /// The dead letter of a refusal, with the message.
    async fn is_told(&mut self, model: &mut Model, payload: &[u8]) {
        let count = model.letters;
        let told = self
            .requester
            .until("the dead letter", |messages| sorted(messages).1.len() > count)
            .await;
        let origin = json(sorted(&told).1[count])["origin"].clone();
        model.letters += 1;
        let kept = match origin.get("payload") {
            Some(text) => text.as_str().expect("a text").as_bytes().to_vec(),
            None => STANDARD
                .decode(origin["payload_base64"].as_str().expect("base64"))
                .expect("base64"),
        };
        assert_eq!(kept, payload[..payload.len().min(LONGEST)], "{origin}");
    }
}

#[test]
fn any_bytes_get_exactly_one_reply_and_change_nothing_unless_they_say_so() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let scene = runtime.block_on(Scene::new(1, ApiGeneration::V20));
    let _bridge = runtime.block_on(async { scene.site.start() });
    let mut model = Model::default();
    let world = scene.device().world();
    for relay in [Relay::A, Relay::C] {
        let events = world
            .relay_events("io4", relay)
            .iter()
            .map(|event| (*event).to_owned())
            .collect();
        model.chosen.insert(relay, events);
    }
    model.sessions = (false, 100);
    let state = std::cell::RefCell::new((scene, model));
    let command = to().prop_flat_map(|to| (Just(to), payload(to)));
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        // What one does depends on those before it.
        max_shrink_iters: 0,
        ..Config::default()
    });
    let tried = runner.run(
        &(command, any::<bool>(), prop::bool::weighted(0.1)),
        |((to, Payload(payload)), elsewhere, again)| {
            let (scene, model) = &mut *state.borrow_mut();
            for _ in 0..=usize::from(again) {
                runtime.block_on(scene.try_payload(model, to, &payload, elsewhere));
            }
            Ok(())
        },
    );
    tried.unwrap_or_else(|error| panic!("{error}"));
    let (scene, model) = &mut *state.borrow_mut();
    runtime.block_on(scene.settle("sim-1"));
    let received = scene.requester.received();
    let (replies, letters) = sorted(&received);
    // And that to the last refresh.
    assert_eq!(
        (replies.len(), letters.len()),
        (model.commands + 1, model.letters)
    );
    println!("{} commands, {} refused", model.commands, model.letters);
}
