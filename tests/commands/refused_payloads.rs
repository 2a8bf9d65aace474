//! Commands that cannot be, whatever the device does: each gets one reply and one dead letter that show a person what
//! to do, and changes nothing.

use lantime2mqtt::simulator::ApiGeneration::{V10, V20};
use serde_json::json;

use crate::scene::{Scene, assert_says};
use crate::support::scene::Setup;

const A: &str = "sim-1/io4/relay/a/events/set";
const REPLACE: &str = r#"{"replace":["antenna-faulty"]}"#;

#[tokio::test]
async fn events_that_the_device_does_not_have() {
    let mut scene = Scene::start(&[V20, V10]).await;
    let cases = [
        (
            r#"{"add":["antena-faulty"]}"#,
            &["no event \"antena-faulty\"", "antenna-faulty"][..],
        ),
        (
            r#"{"replace":["ntp-not-sync","refclock-sync"]}"#,
            &["no event \"refclock-sync\"", "refclock-1-sync, refclock-2-sync"],
        ),
        (
            r#"{"remove":["coffee-empty"]}"#,
            &["no event \"coffee-empty\"", "the device's own event topics"],
        ),
        (
            r#"{"add":["a","b","c","d","e"]}"#,
            &["\"a\", \"b\", \"c\" and 2 more"],
        ),
    ];
    for (payload, parts) in cases {
        assert_says(&scene.refused(A, payload, "rejected").await, parts);
    }
    scene.only_refused(1, cases.len()).await;
    // It is of API 20, which the other device has not.
    let payload = r#"{"add":["antenna-short-circuit"]}"#;
    let dead_letter = scene
        .refused("sim-2/io4/relay/a/events/set", payload, "rejected")
        .await;
    assert_says(&dead_letter, &["no event \"antenna-short-circuit\""]);
    scene.only_refused(2, 1).await;
}

#[tokio::test]
async fn payloads_that_are_no_command() {
    let mut scene = Scene::start(&[V20]).await;
    let sessions = "sim-1/http/sessions/set";
    let example = r#"{"replace":["ntp-not-sync"]}"#;
    let cases = [
        (A, "", "decode", &["empty", example][..]),
        (
            A,
            "replace ntp-not-sync",
            "decode",
            &["not JSON", "line 1 column 1", "single quotes", example],
        ),
        (
            A,
            r#"{"replace":["ntp-not-sync"]"#,
            "decode",
            &["not JSON", "EOF"],
        ),
        (
            A,
            r#"["ntp-not-sync"]"#,
            "decode",
            &["not a JSON object", example],
        ),
        (
            A,
            r#"{"replace":["ntp-not-sync"],"ad":[]}"#,
            "decode",
            &["unknown key \"ad\"", "did you mean \"add\"?"],
        ),
        (
            A,
            r#"{"events":[]}"#,
            "decode",
            &["unknown key \"events\"", "id, replace, add, remove"],
        ),
        (
            A,
            r#"{"replace":[],"replace":[]}"#,
            "decode",
            &["\"replace\" is there twice"],
        ),
        (
            A,
            r#"{"replace":"ntp-not-sync"}"#,
            "decode",
            &["\"replace\" is a text where a list of texts", "[\"..\",\"..\"]"],
        ),
        (
            A,
            r#"{"replace":[5]}"#,
            "decode",
            &["an entry of \"replace\" is a number"],
        ),
        (
            A,
            r#"{"id":7,"replace":[]}"#,
            "decode",
            &["\"id\" is not a text", "leave it out"],
        ),
        (A, "{}", "decode", &["is empty", example]),
        (
            A,
            r#"{"replace":[],"add":["ntp-not-sync"]}"#,
            "decode",
            &["\"replace\" together with \"add\""],
        ),
        (
            A,
            r#"{"add":["ntp-sync"],"remove":["ntp-sync"]}"#,
            "decode",
            &["ntp-sync is in \"add\" and in \"remove\""],
        ),
        (
            sessions,
            "{}",
            "decode",
            &["neither \"enabled\" nor \"max_count\""],
        ),
        (
            sessions,
            r#"{"max_count":1001}"#,
            "rejected",
            &["1001, out of range", "from 1 to 1000"],
        ),
    ];
    for (topic, payload, kind, parts) in cases {
        assert_says(&scene.refused(topic, payload, kind).await, parts);
    }
    // Two of them were for the sessions, whose replies are not counted.
    let replies = scene.look(|seen| seen.replies(sessions).len());
    assert_eq!(replies, 2);
    scene.catch_up("sim-1").await;
    scene.look(|seen| {
        assert_eq!(seen.dead_letters("sim-1").len(), cases.len());
        assert_eq!(seen.replies(A).len(), cases.len() - 2);
    });
    assert_eq!(scene.device(1).counters().configuration_writes, 0);
}

#[tokio::test]
async fn an_id_is_given_back_and_a_message_that_is_no_text_is_kept_to_the_byte() {
    let mut scene = Scene::start(&[V20]).await;
    let reply = scene.send(A, r#"{"id":"mine","unknown":1}"#).await;
    assert_eq!(reply["id"], "mine");
    let arguments = [
        "-V",
        "5",
        "-D",
        "publish",
        "correlation-data",
        "4711",
        "-D",
        "publish",
        "response-topic",
        "my/replies",
    ];
    let topic = format!("lantime/{A}");
    scene
        .clients()
        .publish(&topic, [0xff, 0x00, 0x41], &arguments)
        .await;
    scene
        .until("the second dead letter", |seen| {
            seen.dead_letters("sim-1").len() == 2
        })
        .await;
    let dead_letter = scene.look(|seen| seen.dead_letters("sim-1")[1].clone());
    let origin = json!({
        "topic": topic, "payload_base64": "/wBB", "correlation": "4711", "response_topic": "my/replies",
    });
    assert_eq!(dead_letter["origin"], origin);
    let replies = scene.client.now();
    let reply = replies
        .iter()
        .find(|message| message.topic == "my/replies")
        .unwrap();
    assert_eq!(
        (reply.correlation.as_str(), &reply.json()["error"]),
        ("4711", &dead_letter["error"])
    );
}

#[tokio::test]
async fn payloads_that_are_too_large() {
    for version in ["5", "3.1.1"] {
        let mut scene =
            Scene::of(Setup::redundant(&[V20]).site(|site| site.with("mqtt.version", version))).await;
        for (index, length) in [65 * 1024, 200 * 1024].into_iter().enumerate() {
            let padding = " ".repeat(length - REPLACE.len());
            let reply = scene.send(A, &format!("{REPLACE}{padding}")).await;
            assert_eq!(reply["error"]["kind"], "too-large");
            scene
                .until("the dead letter", |seen| seen.dead_letters("sim-1").len() > index)
                .await;
            let dead_letter = scene.look(|seen| seen.dead_letters("sim-1")[index].clone());
            assert_says(&dead_letter, &[&format!("{length} bytes"), "at most 65536"]);
            let origin = &dead_letter["origin"];
            assert_eq!(origin["payload_length"], length);
            let kept = origin["payload"].as_str().unwrap();
            assert_eq!((kept.len(), &kept[..REPLACE.len()]), (65536, REPLACE));
        }
        scene.only_refused(1, 2).await;
        // So much is still taken.
        let padding = " ".repeat(64 * 1024 - REPLACE.len());
        assert_eq!(scene.send(A, &format!("{REPLACE}{padding}")).await["ok"], true);
    }
}
