//! How the bridge logs in at a device: what it does when that is refused, and that the password is seen nowhere.

use lantime2mqtt::simulator::Fault;
use serde_json::json as value;

use crate::is_healthy;
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::web_server::{WebServer, answer, authorization};
use crate::support::{Seen, polls, wait};
use lantime2mqtt::simulator::ApiGeneration::{V10, V16, V20};

#[tokio::test]
async fn a_user_who_may_read_but_gets_no_token_is_served_with_basic() {
    let fleet = Setup::single(&[V20]).fleet().await;
    let document = fleet.devices()[0].document();
    for refusal in [401, 403, 404, 500] {
        let document = document.clone();
        let server =
            WebServer::start(
                move |request| match (request.method.as_str(), authorization(request)) {
                    ("GET", login) if login.starts_with("Basic ") => answer(200, document.clone()),
                    _ => answer(refusal, ""),
                },
            )
            .await;
        let mut scene = Setup::at(&[Entry::new("reader", &server.url())]).start().await;
        let asked = |method: &str| {
            server
                .requests()
                .iter()
                .filter(|r| r.method.as_str() == method)
                .count()
        };
        wait::until("ten polls", async || asked("GET") >= 10).await;
        assert_eq!(asked("PUT"), 1, "{refusal}: asked for a token once");
        let seen = scene
            .until("normal operation", |seen| is_healthy(seen, "reader"))
            .await;
        assert!(
            !seen
                .log
                .iter()
                .any(|(topic, payload)| topic == "lantime/reader/state" && payload == "offline")
        );
    }
}

#[tokio::test]
async fn an_error_page_that_repeats_the_login_is_not_shown() {
    let server =
        WebServer::start(|request| answer(500, format!("you sent {}", authorization(request)))).await;
    let mut scene = Setup::at(&[Entry::new("echo", &server.url())]).start().await;
    let seen = scene
        .until("the error", |seen| seen.error_kind("echo") == "http-status")
        .await;
    let body = seen.json("echo/error")["error"]["body"].clone();
    assert!(body.as_str().unwrap().contains("left out"), "{body}");
}

#[tokio::test]
async fn a_refused_login_is_not_repeated_until_the_configuration_changes() {
    let fleet = Setup::single(&[V10, V10, V16, V20, V20, V20]).fleet().await;
    let [wrong_password, banned, banned_later, bearer, token, healthy] = fleet.devices() else {
        panic!("six devices")
    };
    banned.set_fault(Some(Fault::Forbidden));
    let devices = |password: &str| {
        [
            Entry::of(wrong_password).with("password", password),
            Entry::of(banned),
            Entry::of(banned_later),
            Entry::of(bearer)
                .with("auth", "bearer")
                .with("password", password),
            Entry::of(token),
            Entry::of(healthy),
        ]
    };
    let mut scene = Setup::at(&devices("mistaken")).start().await;
    // One that has logged in with Basic or a token before is refused later.
    scene
        .until("normal operation", |seen| {
            [banned_later, token, healthy]
                .iter()
                .all(|device| is_healthy(seen, device.id()))
        })
        .await;
    polls(token, 3).await;
    assert!(token.counters().tokens_issued == 1, "{:?}", token.counters());
    banned_later.set_fault(Some(Fault::Forbidden));
    token.set_fault(Some(Fault::Unauthorized));

    let refused = [
        (wrong_password, "unauthorized", "poll", 401),
        (banned, "forbidden", "poll", 403),
        (banned_later, "forbidden", "token", 403),
        (bearer, "unauthorized", "token", 401),
        (token, "unauthorized", "token", 401),
    ];
    for (device, kind, operation, status) in refused {
        let seen = scene
            .until(device.id(), |seen| {
                // The statistics too: for minutes there is no later poll that could publish them.
                seen.text(&format!("{}/state", device.id())) == "offline"
                    && seen.error_kind(device.id()) == kind
                    && seen.json(&format!("{}/http/stats", device.id()))["failures"] == 1
            })
            .await;
        let error = seen.json(&format!("{}/error", device.id()));
        assert_eq!(
            (&error["operation"], &error["error"]["http_status"]),
            (&value!(operation), &value!(status)),
            "{}",
            device.id()
        );
        assert!(
            error["error"]["remedy"].as_str().unwrap().contains("5 minutes"),
            "{error}"
        );
    }
    let before: Vec<_> = refused
        .iter()
        .map(|(device, ..)| device.counters().requests)
        .collect();
    polls(healthy, 30).await;
    for ((device, ..), before) in refused.iter().zip(before) {
        assert_eq!(device.counters().requests, before, "{}: asked again", device.id());
    }
    for device in [wrong_password, bearer, token] {
        assert_eq!(device.counters().failed_logins, 1, "{}", device.id());
    }

    // The right password is tried at once.
    scene.reload(&devices("simulated"));
    scene
        .until("the right password", |seen| {
            [wrong_password, bearer]
                .iter()
                .all(|device| is_healthy(seen, device.id()))
        })
        .await;
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_nobody_notices() {
    let fleet = Setup::single(&[V16, V20, V10, V20]).fleet().await;
    let [v16, v20, v10, bearer] = fleet.devices() else {
        panic!("four devices")
    };
    let devices = [
        Entry::of(v16),
        Entry::of(v20),
        Entry::of(v10),
        Entry::of(bearer).with("auth", "bearer"),
    ];
    let mut scene = Setup::at(&devices).start().await;
    let all_healthy = |seen: &Seen| fleet.devices().iter().all(|device| is_healthy(seen, device.id()));
    scene.client.until("normal operation", all_healthy).await;
    for device in fleet.devices() {
        polls(device, 3).await;
    }
    // With "auto" the first poll shows the firmware; from 7.08 on tokens take over.
    for device in [v16, v20, bearer] {
        assert_eq!(device.counters().tokens_issued, 1, "{}", device.id());
        device.expire_tokens();
    }
    assert_eq!(
        v10.counters().requests,
        v10.counters().documents,
        "nobody asks it for a token"
    );
    for device in fleet.devices() {
        polls(device, 5).await;
    }
    for device in [v16, v20, bearer] {
        let counters = device.counters();
        assert_eq!(
            (
                counters.tokens_issued,
                counters.refused_tokens,
                counters.failed_logins
            ),
            (2, 1, 0),
            "{}",
            device.id()
        );
    }
    let seen = scene.client.now();
    assert!(all_healthy(&seen));
    let troubles: Vec<_> = seen
        .log
        .iter()
        .filter(|(topic, payload)| topic.ends_with("/error") || payload == "offline")
        .collect();
    assert!(troubles.is_empty(), "{troubles:?}");
}

#[tokio::test]
async fn tokens_asked_for_where_there_are_none_have_a_remedy() {
    let fleet = Setup::single(&[V10]).fleet().await;
    let device = Entry::of(&fleet.devices()[0]).with("auth", "bearer");
    let mut scene = Setup::at(&[device]).start().await;
    let seen = scene
        .client
        .until("offline", |seen| {
            seen.text("sim-1/state") == "offline" && seen.error_kind("sim-1") == "not-found"
        })
        .await;
    let error = seen.json("sim-1/error");
    assert_eq!(error["operation"], "token");
    assert!(
        error["error"]["remedy"]
            .as_str()
            .unwrap()
            .contains(r#"auth = "basic""#),
        "{error}"
    );
}
