//! Whatever bytes come as a command, at whatever topic of commands: it gets exactly one reply, and nothing changes unless
//! they say so. What they say is read here a second time, in another way than the bridge does it.

mod meaning;
mod tried;

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lantime2mqtt::simulator::ApiGeneration;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json as value;

use crate::scene::{Scene, json};
use crate::support::requester::{Message, Properties};
use meaning::{Model, has_id};
use tried::{Payload, To, payload, to};

const CASES: u32 = 300;
/// More is refused, whatever it says.
const LONGEST: usize = 64 * 1024;

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
        let dead_letters = sorted(&self.client.received()).1.len();
        self.client.send_with(&topic, payload.to_vec(), properties).await;
        let count = model.commands;
        let replied = self
            .client
            .until("the reply", |messages| sorted(messages).0.len() > count)
            .await;
        let reply = sorted(&replied).0[count];
        assert_eq!(reply.topic, answers);
        assert_eq!(
            reply.correlation.as_deref(),
            elsewhere.then(|| count.to_string()).as_deref().map(str::as_bytes)
        );
        model.commands += 1;

        let known = model.answers.get(&(topic.clone(), payload.to_vec())).cloned();
        if let Some(first) = known.filter(|_| has_id(payload)) {
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
            let sent = (topic, payload.to_vec());
            if is_done {
                model.answers.insert(sent, reply.payload.clone());
            } else if model.refused.insert(sent) {
                self.is_reported(dead_letters, payload).await;
            }
        }
        let world = self.device().world();
        for (relay, events) in &model.selected {
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

    /// After so many others the dead letter of a refusal has come, with the message. The same again may be reported again
    /// or not: what is wrong with its words is remembered.
    async fn is_reported(&mut self, before: usize, payload: &[u8]) {
        let kept = &payload[..payload.len().min(LONGEST)];
        let is_it = |dead_letter: &&Message| origin(dead_letter) == kept;
        let reported = self.client.until("the dead letter", |messages| {
            sorted(messages).1[before..].iter().any(is_it)
        });
        reported.await;
    }
}

/// The payload that a dead letter is about.
fn origin(dead_letter: &Message) -> Vec<u8> {
    let origin = &json(dead_letter)["origin"];
    match origin.get("payload") {
        Some(text) => text.as_str().expect("a text").as_bytes().to_vec(),
        None => {
            let text = origin["payload_base64"].as_str().expect("base64");
            STANDARD.decode(text).expect("base64")
        }
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
    let model = Model::of(&scene.device().world());
    let state = RefCell::new((scene, model));
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
    let received = scene.client.received();
    let (replies, dead_letters) = sorted(&received);
    // And that to the last refresh.
    assert_eq!(replies.len(), model.commands + 1);
    assert!(dead_letters.len() >= model.refused.len());
    println!(
        "{} commands, {} of them refused",
        model.commands,
        dead_letters.len()
    );
}
