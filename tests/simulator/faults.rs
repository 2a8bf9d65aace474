//! Every fault as a client meets it.

use crate::client::*;
use lantime2mqtt::simulator::ApiGeneration::{V10, V16, V20};
use lantime2mqtt::simulator::{Action, Clock, Fault};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn faults_that_are_a_status() {
    let (_fleet, device, mut client) = one(M500, V16).await;
    let faults = [
        (Fault::Unauthorized, 401),
        (Fault::Forbidden, 403),
        (Fault::NotFound, 404),
        (Fault::ServerError, 500),
        (Fault::Unavailable, 503),
    ];
    for (fault, status) in faults {
        device.set_fault(Some(fault.clone()));
        assert_eq!(device.fault(), Some(fault));
        for (method, path) in [("GET", "/api/status"), ("PUT", "/api/get-token")] {
            assert_eq!(
                client.ask(method, path, Some(BASIC)).await.unwrap().status,
                status
            );
        }
        assert_eq!(device.last_answer().unwrap().status, status);
    }
    device.set_fault(None);
    assert_eq!(client.status().await.unwrap().status, 200);
    assert_eq!(device.counters().failed_logins, 2, "401 counts as failed logins");
}

#[tokio::test]
async fn a_hanging_device_answers_once_the_fault_is_cleared() {
    let (_fleet, device, mut client) = one(M500, V10).await;
    device.set_fault(Some(Fault::Hang));
    client.send("GET", "/api/status", Some(BASIC)).await.unwrap();
    soon(async {
        while device.counters().requests == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut answer = Box::pin(client.receive());
    let early = tokio::time::timeout(Duration::from_millis(50), &mut answer).await;
    assert!(early.is_err() && device.last_answer().is_none());
    device.set_fault(None);
    assert_eq!(soon(answer).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_a_hanging_device_takes_its_connection_along() {
    let (fleet, device, mut client) = one(M500, V10).await;
    device.set_fault(Some(Fault::Hang));
    // More than a device serves at a time: each must have given its place back.
    for connection in 1..=100 {
        client.send("GET", "/api/status", Some(BASIC)).await.unwrap();
        soon(async {
            while device.counters().requests < connection {
                tokio::task::yield_now().await;
            }
        })
        .await;
        client = soon(Client::connect(&device)).await.unwrap();
    }
    drop(client);
    soon(fleet.stop()).await;
}

#[tokio::test]
async fn a_slow_body_trickles() {
    let (_fleet, device, mut client) = one(M500, V10).await;
    let length = device.document().len() as u32;
    device.set_fault(Some(Fault::SlowBody {
        bytes_per_second: length * 10 / 4,
    }));
    let start = Instant::now();
    let answer = soon(client.status()).await.unwrap();
    assert!(
        start.elapsed() >= Duration::from_millis(290),
        "four portions, a tenth of a second apart"
    );
    assert_eq!((answer.status, answer.body.len()), (200, length as usize));
    answer.json();
}

#[tokio::test]
async fn a_cut_body_ends_with_its_connection() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    for after_bytes in [0, 1, 10_000, u32::MAX] {
        device.set_fault(Some(Fault::CutBody { after_bytes }));
        client.send("GET", "/api/status", Some(BASIC)).await.unwrap();
        let (status, head) = soon(client.head()).await.unwrap();
        let promised: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap()
            .parse()
            .unwrap();
        let mut body = Vec::new();
        soon(client.stream.read_to_end(&mut body)).await.unwrap();
        assert_eq!(
            (status, body.len()),
            (200, (after_bytes as usize).min(promised - 1))
        );
        client = Client::connect(&device).await.unwrap();
    }
}

#[tokio::test]
async fn a_huge_body_is_as_long_as_asked_for() {
    let (_fleet, device, mut client) = one(M500, V10).await;
    for bytes in [9 << 20, 40, 0] {
        device.set_fault(Some(Fault::HugeBody { bytes }));
        let answer = soon(client.status()).await.unwrap();
        assert!(!answer.head.contains("content-length"), "a client has to count");
        assert_eq!(answer.body.len() as u64, bytes.max(15));
        answer.json();
    }
}

#[tokio::test]
async fn wrong_json_and_missing_keys() {
    let (_fleet, device, mut client) = one(M3000, V16).await;
    device.set_fault(Some(Fault::WrongJson));
    let answer = client.status().await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
    device.set_fault(Some(Fault::MissingKeys {
        keys: vec!["events".to_owned(), "module".to_owned()],
    }));
    let document = client.status().await.unwrap().json();
    assert!(document["data"]["notification"].get("events").is_none());
    assert!(slot(&document, "clk1").get("module").is_none());
    assert!(document.get("system-information").is_some());
    device.set_fault(None);
    let document = client.status().await.unwrap().json();
    assert!(document["data"]["notification"].get("events").is_some());
}

#[tokio::test]
async fn a_restart_cuts_connections_and_begins_again() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    let token = client
        .ask("PUT", "/api/get-token", Some(BASIC))
        .await
        .unwrap()
        .json();
    device.apply(&Action::LoseSync(Clock::Clk2)).unwrap();
    device.set_fault(Some(Fault::Restart {
        down: Duration::from_millis(300),
    }));
    let start = Instant::now();
    let rest = soon(client.stream.read_u8()).await;
    assert!(rest.is_err(), "the connection is cut");
    assert!(Client::connect(&device).await.is_err(), "nothing listens");
    soon(device.wait_listening(true)).await;
    assert!(start.elapsed() >= Duration::from_millis(300));
    let mut client = Client::connect(&device).await.unwrap();
    let document = client.status().await.unwrap().json();
    assert!(document["data"]["system"]["uptime"].as_f64().unwrap() < 60.0);
    assert_eq!(
        event(&document, "refclock-2-not-sync")["triggered"],
        1,
        "the world stays as it was"
    );
    assert_ne!(event(&document, "system-reboot")["last-triggered"], "never");
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    assert_eq!(
        client
            .ask("GET", "/api/status", Some(&bearer))
            .await
            .unwrap()
            .status,
        401
    );
    assert_eq!(device.fault(), None);
}

#[tokio::test]
async fn expired_tokens_are_refused_and_new_ones_given() {
    let (_fleet, device, mut client) = one(M500, V20).await;
    let mut bearer = Vec::new();
    for _ in 0..2 {
        let token = client
            .ask("PUT", "/api/get-token", Some(BASIC))
            .await
            .unwrap()
            .json();
        bearer.push(format!("Bearer {}", token["token"].as_str().unwrap()));
        if bearer.len() == 1 {
            device.set_fault(Some(Fault::ExpiredToken));
        }
    }
    assert_ne!(bearer[0], bearer[1]);
    assert_eq!(
        client
            .ask("GET", "/api/status", Some(&bearer[0]))
            .await
            .unwrap()
            .status,
        401
    );
    assert_eq!(
        client
            .ask("GET", "/api/status", Some(&bearer[1]))
            .await
            .unwrap()
            .status,
        200
    );
}
