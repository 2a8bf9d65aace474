//! The broker as `deploy/mosquitto` sets it up: who may do what.

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::project;
use crate::scene::setup;
use crate::support::Watcher;
use crate::support::clients::Clients;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::support::site::{Entry, Site};

/// Each is its own password.
const USERS: [&str; 3] = ["lantime2mqtt", "operator", "viewer"];

/// A broker with the shipped files, but for where it listens and keeps things.
fn broker(directory: &TempDir) -> Mosquitto {
    let place = |path: &str| directory.path().join(path).display().to_string();
    fs::copy(project("deploy/mosquitto/acl"), place("acl")).expect("it is part of the project");
    fs::write(place("passwd"), "").expect("the directory is ours");
    for user in USERS {
        let made = Command::new("mosquitto_passwd")
            .args(["-b", &place("passwd"), user, user])
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("mosquitto_passwd belongs to mosquitto").success());
    }
    let shipped =
        fs::read_to_string(project("deploy/mosquitto/mosquitto.conf")).expect("it is part of the project");
    let here = |line: &str| {
        line.replace("/mosquitto/config/", &place(""))
            .replace("/mosquitto/data/", &place(""))
    };
    let lines = shipped.lines().filter(|line| !line.starts_with("listener"));
    Mosquitto::start_with(Options {
        lines: lines.map(here).collect(),
        ..Options::default()
    })
}

#[tokio::test]
async fn the_bridge_publishes_operators_command_and_all_others_only_read() {
    let directory = TempDir::new().expect("a temporary directory");
    let broker = broker(&directory);
    let fleet = setup(1).fleet().await;
    let site = Site::new(broker.address(), &[Entry::of(&fleet.devices()[0])])
        .with("mqtt.username", "lantime2mqtt")
        .with("mqtt.password", "lantime2mqtt");
    let bridge = site.start();
    let mut viewer = Watcher::connect_as(broker.address(), Some(("viewer", "viewer"))).await;
    viewer
        .until("the state of a relay", |seen| {
            seen.is("lantime/sim-1/state", "online")
                && seen.topics.keys().any(|topic| topic.contains("/relay/a"))
        })
        .await;

    let clients = Clients::of(broker.address());
    let (state, refresh) = ("lantime/sim-1/state", "lantime/sim-1/refresh");
    for user in ["viewer", "operator"] {
        clients
            .publish(state, "forged", &["-r", "-u", user, "-P", user])
            .await;
        clients
            .publish("lantime/sim-1/events", "forged", &["-u", user, "-P", user])
            .await;
    }
    clients
        .publish(refresh, "viewer's", &["-u", "viewer", "-P", "viewer"])
        .await;

    let operator = ["-u", "operator", "-P", "operator"];
    let reply = clients
        .request(refresh, "lantime-reply/operator/1", "{}", &operator)
        .await;
    assert_eq!(reply.json()["ok"], true, "{reply:?}");
    clients
        .publish(refresh, r#"{"id":"the operator's"}"#, &operator)
        .await;
    let seen = viewer
        .until("the reply to the operator", |seen| {
            seen.last("lantime/sim-1/refresh/reply").is_some()
        })
        .await;
    // It came after everything that was forged.
    let replies = seen
        .log
        .iter()
        .filter(|(topic, _)| topic == "lantime/sim-1/refresh/reply");
    assert_eq!(replies.count(), 1, "the viewer's command was not taken");
    assert!(seen.is(state, "online") && !seen.log.iter().any(|(_, payload)| payload == "forged"));
    let is_private = |(topic, _): &(String, String)| topic.starts_with("lantime-reply/");
    assert!(
        !seen.log.iter().any(is_private),
        "replies on a response topic are the operator's alone"
    );
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn nobody_gets_in_without_a_password() {
    let directory = TempDir::new().expect("a temporary directory");
    let broker = broker(&directory);
    let site = Site::new(broker.address(), &[]);
    let _bridge = site.start();
    let error = site.broker_error().await;
    assert!(error.contains("mqtt.username"), "{error}");
}
