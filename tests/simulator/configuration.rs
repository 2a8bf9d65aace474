//! The configuration that chooses which events switch a relay, as a client reads and writes it.

use crate::client::*;
use lantime2mqtt::lantime::relay_events::RelayConfig;
use lantime2mqtt::lantime::rest::Profiles;
use lantime2mqtt::model::{self, EventName, SlotId};
use lantime2mqtt::simulator::ApiGeneration::{V10, V16, V20};
use lantime2mqtt::simulator::{Action, Counters, Fault, Fleet, FleetOptions, Relay, SimulatedDevice};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CONFIG: &str = "/api/config/notification";
const APPLY: &str = "/api/config/apply";

async fn read(client: &mut Client) -> Value {
    let answer = client.ask("GET", CONFIG, Some(BASIC)).await.unwrap();
    assert_eq!(answer.status, 200);
    answer.json()
}

/// A write that lists these events, each with all its actions.
fn write(revision: usize, events: &[(&str, &[&str])]) -> Vec<u8> {
    let events: Vec<Value> = events
        .iter()
        .map(|(name, actions)| json!({ "object-id": name, "actions": actions }))
        .collect();
    json!({ "data": { "revision": revision, "events": events } })
        .to_string()
        .into_bytes()
}

fn counts(device: &SimulatedDevice) -> (u64, u64) {
    let Counters {
        configuration_writes,
        applies,
        ..
    } = device.counters();
    (configuration_writes, applies)
}

fn somebody_stages(device: &SimulatedDevice, event: &str) {
    let staged = Action::EventActions {
        event: event.to_owned(),
        actions: vec!["email".to_owned()],
        apply: false,
    };
    device.apply(&staged).unwrap();
}

#[tokio::test]
async fn the_shipped_profiles_read_and_write_it() {
    for (api, profile) in [(V10, "api-10"), (V16, "api-16"), (V20, "api-20")] {
        let (_fleet, device, mut client) = one(M3000, api).await;
        let profiles = Profiles::named(profile).unwrap();
        let profile = profiles.for_version(None);
        let entries = &profile.relay_events;
        let word = entries.action(&SlotId::new("io4").unwrap(), model::Relay::C);
        let wanted: BTreeSet<_> = ["network-link-down", "faillock-user-banned"]
            .map(|name| EventName::canonical(name).unwrap())
            .into();

        let answer = client.ask("GET", &entries.read.path, Some(BASIC)).await.unwrap();
        let config = RelayConfig::read(&answer.body, profile).unwrap();
        let antenna = EventName::canonical("antenna-faulty").unwrap();
        assert!(config.events_of(&word).contains(&antenna) && !config.is_pending());
        let plan = config.plan(&word, &wanted);
        assert!(!plan.is_empty());
        let answer = client
            .put(&entries.write.path, &plan.body(profile))
            .await
            .unwrap();
        assert_eq!(answer.status, 200);
        let answer = client.ask("GET", &entries.read.path, Some(BASIC)).await.unwrap();
        let config = RelayConfig::read(&answer.body, profile).unwrap();
        assert!(config.is_pending() && plan.differing(&config).is_empty());
        assert!(
            device
                .world()
                .relay_events("io4", Relay::C)
                .contains("antenna-faulty")
        );

        assert_eq!(client.put(&entries.apply.path, b"").await.unwrap().status, 200);
        let answer = client.ask("GET", &entries.read.path, Some(BASIC)).await.unwrap();
        let config = RelayConfig::read(&answer.body, profile).unwrap();
        assert!(!config.is_pending() && config.confirms(&word, &wanted));
        let selected = device.world().relay_events("io4", Relay::C);
        assert_eq!(selected.len(), 2, "{selected:?}");
        assert_eq!(counts(&device), (1, 1));
        assert_eq!(device.counters().configuration_reads, 3);
    }
}

#[tokio::test]
async fn a_write_is_pending_until_it_is_applied_and_then_moves_relays() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    device
        .apply(&Action::FireEvent("network-link-down".to_owned()))
        .unwrap();
    let before = read(&mut client).await;
    assert_eq!(before["changes"]["pending-changes"], 0);
    let body = write(1, &[("network-link-down", &["email", "io4-relay-a"])]);
    assert_eq!(client.put(CONFIG, &body).await.unwrap().status, 200);
    let relay = |status: &Value| slot(status, "io4")["module"]["relays"]["relay-a"]["state"].clone();

    let staged = read(&mut client).await;
    assert_eq!(
        (&staged["changes"]["pending-changes"], &staged["data"]["revision"]),
        (&json!(1), &json!(2))
    );
    let status = client.status().await.unwrap().json();
    assert_eq!(
        (relay(&status), &status["changes"]["pending-changes"]),
        (json!("no"), &json!(1))
    );
    assert_eq!(
        event(&status, "device-configuration-changed")["last-triggered"],
        "never"
    );

    assert_eq!(client.put(APPLY, b"").await.unwrap().status, 200);
    let status = client.status().await.unwrap().json();
    assert_eq!(
        (relay(&status), &status["changes"]["pending-changes"]),
        (json!("nc"), &json!(0))
    );
    assert_ne!(
        event(&status, "device-configuration-changed")["last-triggered"],
        "never"
    );
    assert_eq!(read(&mut client).await["changes"]["pending-changes"], 0);
}

#[tokio::test]
async fn a_careful_device_refuses_and_says_why() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    let many = "x".repeat(70_000);
    let cases: [(Vec<u8>, u16, &str); 9] = [
        (
            write(1, &[("ntp-stopped", &["email"]), ("coffee-empty", &[])]),
            422,
            "coffee-empty",
        ),
        (write(1, &[("ntp-stopped", &["relais"])]), 422, "relais"),
        (
            write(1, &[("normal-operation", &["io4-relay-a"])]),
            422,
            "normal-operation",
        ),
        (write(0, &[("ntp-stopped", &["email"])]), 409, "it is 1 now"),
        (write(2, &[("ntp-stopped", &["email"])]), 409, "it is 1 now"),
        (b"{\"data\":".to_vec(), 400, "EOF"),
        (b"".to_vec(), 400, "EOF"),
        (
            b"{\"data\":{\"revision\":1,\"event\":[]}}".to_vec(),
            400,
            "unknown field",
        ),
        (many.into_bytes(), 413, "65536"),
    ];
    for (body, status, part) in cases {
        let answer = client.put(CONFIG, &body).await.unwrap();
        let reason = answer.json()["error"].to_string();
        assert_eq!(answer.status, status, "{reason}");
        assert!(reason.contains(part), "{reason} does not name {part}");
    }
    for (method, path) in [("POST", CONFIG), ("GET", APPLY), ("PUT", "/api/config")] {
        assert_eq!(client.ask(method, path, Some(BASIC)).await.unwrap().status, 404);
    }
    client
        .send_body("PUT", CONFIG, WRONG, &write(1, &[]))
        .await
        .unwrap();
    assert_eq!(client.receive().await.unwrap().status, 401);
    assert_eq!((counts(&device), device.world().pending_changes()), ((0, 0), 0));
    assert_eq!(read(&mut client).await["data"]["revision"], 1);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_bounded_too() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    let head = format!(
        "PUT {CONFIG} HTTP/1.1\r\nHost: sim\r\nAuthorization: {BASIC}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    client.stream.write_all(head.as_bytes()).await.unwrap();
    for chunk in [&chunk, &chunk, &chunk, "0\r\n\r\n"] {
        client.stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    client.stream.flush().await.unwrap();
    assert_eq!(soon(client.receive()).await.unwrap().status, 413);
    assert_eq!(counts(&device), (0, 0));
}

#[tokio::test]
async fn a_user_that_may_only_read_is_refused() {
    let options = FleetOptions {
        may_write: false,
        devices: 1,
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(options).await.unwrap();
    let device = &fleet.devices()[0];
    let mut client = Client::connect(device).await.unwrap();
    read(&mut client).await;
    assert_eq!(client.put(CONFIG, &write(1, &[])).await.unwrap().status, 403);
    assert_eq!(client.put(APPLY, b"").await.unwrap().status, 403);
    assert_eq!((counts(device), device.counters().failed_logins), ((0, 0), 0));
}

#[tokio::test]
async fn a_token_writes_as_the_password_does() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    let token = client
        .ask("PUT", "/api/get-token", Some(BASIC))
        .await
        .unwrap()
        .json();
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    client
        .send_body("PUT", CONFIG, &bearer, &write(1, &[]))
        .await
        .unwrap();
    assert_eq!(client.receive().await.unwrap().status, 200);
    assert_eq!(counts(&device), (1, 0));
}

#[tokio::test]
async fn faults_of_writing_leave_reading_alone() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    let cases = [
        (Fault::ReadOnly, 403, 403),
        (Fault::BusyConfiguration, 503, 503),
        (Fault::FailingApply, 200, 500),
    ];
    for (fault, written, applied) in cases {
        device.set_fault(Some(fault));
        let now = read(&mut client).await["data"]["revision"].as_u64().unwrap();
        let body = write(now as usize, &[("ntp-stopped", &["email"])]);
        assert_eq!(client.put(CONFIG, &body).await.unwrap().status, written);
        assert_eq!(client.put(APPLY, b"").await.unwrap().status, applied);
        assert_eq!(client.status().await.unwrap().status, 200);
    }
    assert_eq!((counts(&device), device.world().pending_changes()), ((1, 0), 1));
    device.set_fault(None);
    assert_eq!(client.put(APPLY, b"").await.unwrap().status, 200);
    assert_eq!((counts(&device), device.world().pending_changes()), ((1, 1), 0));
}

#[tokio::test]
async fn a_write_or_an_apply_that_hangs_is_carried_out_once_the_fault_is_cleared() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    for (fault, path, body, done) in [
        (Fault::HangOnWrite, CONFIG, write(1, &[]), (1, 0)),
        (Fault::HangOnApply, APPLY, Vec::new(), (1, 1)),
    ] {
        device.set_fault(Some(fault));
        let before = (counts(&device), device.counters().requests);
        client.send_body("PUT", path, BASIC, &body).await.unwrap();
        let mut other = Client::connect(&device).await.unwrap();
        soon(async {
            while device.counters().requests == before.1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(other.status().await.unwrap().status, 200, "polls go on");
        read(&mut other).await;
        assert_eq!(counts(&device), before.0);
        device.set_fault(None);
        assert_eq!(soon(client.receive()).await.unwrap().status, 200);
        assert_eq!(counts(&device), done);
    }
}

#[tokio::test]
async fn what_was_carried_out_may_lose_its_answer() {
    let (_fleet, device, _client) = one(M3000, V20).await;
    for (fault, path, body, done, pending) in [
        (
            Fault::CutAfterWrite,
            CONFIG,
            write(1, &[("ntp-stopped", &["io4-relay-a"])]),
            (1, 0),
            1,
        ),
        (Fault::CutAfterApply, APPLY, Vec::new(), (1, 1), 0),
    ] {
        device.set_fault(Some(fault));
        let mut client = Client::connect(&device).await.unwrap();
        client.send_body("PUT", path, BASIC, &body).await.unwrap();
        let mut rest = Vec::new();
        _ = soon(client.stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "{rest:?}");
        assert_eq!(
            (counts(&device), device.world().pending_changes()),
            (done, pending)
        );
    }
    // What is refused is answered.
    let mut client = Client::connect(&device).await.unwrap();
    device.set_fault(Some(Fault::CutAfterWrite));
    assert_eq!(client.put(CONFIG, &write(1, &[])).await.unwrap().status, 409);
}

#[tokio::test]
async fn what_somebody_else_does_makes_a_revision_stale() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    let revision = read(&mut client).await["data"]["revision"].as_u64().unwrap() as usize;
    somebody_stages(&device, "ntp-stopped");
    let status = client.status().await.unwrap().json();
    assert_eq!(status["changes"]["pending-changes"], 1);
    let body = write(revision, &[("antenna-faulty", &[])]);
    assert_eq!(client.put(CONFIG, &body).await.unwrap().status, 409);
    let now = read(&mut client).await;
    assert_eq!(now["changes"]["pending-changes"], 1);
    let events = now["data"]["events"].as_array().unwrap();
    let stopped = events
        .iter()
        .find(|event| event["object-id"] == "ntp-stopped")
        .unwrap();
    assert_eq!(stopped["actions"], json!(["email"]));
}

#[tokio::test]
async fn a_slow_change_ends_without_its_client_and_is_noted() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    let by = Duration::from_millis(200);
    device.set_fault(Some(Fault::SlowChange { by }));
    let before = device.counters().requests;
    let body = write(1, &[("ntp-stopped", &["email"])]);
    client.send_body("PUT", CONFIG, BASIC, &body).await.unwrap();
    let has_come = || device.counters().requests > before;
    soon(async {
        while !has_come() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(client);
    let is_done = || device.change_requests().len() == 1;
    soon(async {
        while !is_done() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let request = &device.change_requests()[0];
    assert!(
        !request.is_apply && request.ended >= request.began + by,
        "{request:?}"
    );
    assert_eq!((counts(&device), device.world().pending_changes()), ((1, 0), 1));
}
