//! Signals: how the bridge ends, what it leaves at the broker, and what a reload touches.

use lantime2mqtt::simulator::{Chassis, Fault, SimulatedDevice};
use std::time::Duration;

use crate::is_healthy;
use crate::support::scene::{Setup, Stage};
use crate::support::site::{Entry, Site};
use crate::support::{PATIENCE, Seen, Watcher, polls, wait};
use lantime2mqtt::simulator::ApiGeneration::{V10, V20};

/// What a stop may take.
const STOP: Duration = PATIENCE;

fn is_cleared(seen: &Seen, device: &str) -> bool {
    let prefix = format!("lantime/{device}/");
    !seen.topics.keys().any(|topic| topic.starts_with(&prefix))
}

#[tokio::test]
async fn a_killed_bridge_is_offline_by_its_will_and_a_stopped_one_says_so() {
    let mut stage = Setup::single(&[V20]).watched().await;
    for signal in ["KILL", "TERM", "INT"] {
        let bridge = stage.site.start();
        stage
            .client
            .until(signal, |seen| {
                is_healthy(seen, "sim-1") && seen.text("bridge/test/state") == "online"
            })
            .await;
        bridge.signal(signal);
        let end = bridge.end(STOP).await;
        assert_eq!(end.code, (signal != "KILL").then_some(0), "{signal}");
        stage
            .client
            .until(signal, |seen| seen.text("bridge/test/state") == "offline")
            .await;
        let seen = stage.client.now();
        assert_eq!(
            seen.text("sim-1/state"),
            "online",
            "{signal}: what the device is, stays"
        );
    }
}

#[tokio::test]
async fn nothing_keeps_the_bridge_from_stopping() {
    let patient = |device: &SimulatedDevice| Entry::of(device).with("timeout", "60s");
    let stage = Setup::single(&[V20]).entries(patient).stage().await;
    let (fleet, mut broker, site) = (stage.fleet, stage.broker, stage.site);
    let device = &fleet.devices()[0];
    let start = async || {
        let mut watcher = Watcher::connect(broker.address()).await;
        let bridge = site.start();
        // The device's state may be an earlier run's.
        watcher
            .until("normal operation", |seen| {
                is_healthy(seen, "sim-1") && seen.text("bridge/test/state") == "online"
            })
            .await;
        bridge
    };

    let bridge = start().await;
    device.set_fault(Some(Fault::Hang));
    let asked = device.counters().requests;
    wait::until("a request that hangs", async || {
        device.counters().requests > asked
    })
    .await;
    bridge.signal("TERM");
    assert_eq!(bridge.end(STOP).await.code, Some(0), "a device hangs");
    device.set_fault(None);

    let bridge = start().await;
    broker.freeze();
    bridge.signal("TERM");
    assert_eq!(bridge.end(STOP).await.code, Some(0), "the broker hangs");

    broker.restart();
    let mut watcher = Watcher::connect(broker.address()).await;
    let bridge = site.start();
    watcher
        .until("normal operation", |seen| is_healthy(seen, "sim-1"))
        .await;
    broker.kill9();
    bridge.signal("TERM");
    assert_eq!(bridge.end(STOP).await.code, Some(0), "the broker has ended");

    // And from the start.
    let bridge = site.start();
    polls(device, 3).await;
    bridge.signal("TERM");
    assert_eq!(bridge.end(STOP).await.code, Some(0), "the broker was never there");
}

#[tokio::test]
async fn a_second_signal_ends_the_bridge_at_once() {
    let mut scene = Setup::single(&[V20]).start().await;
    scene
        .until("normal operation", |seen| is_healthy(seen, "sim-1"))
        .await;
    // With one signal it would wait for this broker, and end well.
    scene.broker.freeze();
    scene.bridge.signal("TERM");
    // Within half a second it is the same one, which a wrapper has passed on.
    wait::until("it ends by another one", async || {
        scene.bridge.signal("INT");
        scene.bridge.has_ended()
    })
    .await;
    let end = scene.bridge.end(STOP).await;
    assert_eq!(end.code, Some(1), "{}", end.output.stderr);
}

#[tokio::test]
async fn a_reload_touches_only_the_devices_that_differ() {
    let fleet = Setup::of(&[
        (Chassis::M500, V20),
        (Chassis::M3000, V10),
        (Chassis::M500, V20),
        (Chassis::M500, V10),
    ])
    .fleet()
    .await;
    let [stays, changes, goes, comes] = fleet.devices() else {
        panic!("four devices")
    };
    let goes_entry = Entry::of(goes).with("timeout", "60s");
    let before = [Entry::of(stays), Entry::of(changes), goes_entry];
    let mut scene = Setup::at(&before).start().await;
    scene
        .client
        .until("normal operation", |seen| {
            is_healthy(seen, "sim-1")
                && is_healthy(seen, "sim-3")
                && ["io3", "io4"]
                    .iter()
                    .all(|slot| seen.text(&format!("sim-2/{slot}/state")) == "online")
        })
        .await;

    // One is in the middle of a poll that would take a minute.
    goes.set_fault(Some(Fault::Hang));
    let asked = goes.counters().requests;
    wait::until("a request that hangs", async || goes.counters().requests > asked).await;
    let wired = Entry::of(changes).slot("io3", ["notification", "clk2", "notification"]);
    scene.site = scene.site.with("mqtt.prefix", "elsewhere");
    scene.reload(&[Entry::of(stays), wired, Entry::of(comes)]);
    scene
        .client
        .until("the reload", |seen| {
            let info = seen.json("sim-2/io3/info");
            is_cleared(seen, "sim-3")
                && is_cleared(seen, "sim-2/io4")
                && is_healthy(seen, "sim-4")
                && info["wiring_source"] == "configured"
                && seen.json("sim-2/io3/relay/a")["driven_by"] == "notification"
                && seen.json("bridge/test/info")["devices"] == 3
        })
        .await;
    let left = goes.counters().requests;
    polls(stays, 20).await;
    assert_eq!(goes.counters().requests, left, "a removed device is left alone");

    // A file that cannot be used changes nothing. Only the log reports that.
    scene.site.overwrite("[[devices]]\nid = \"sim-1\"\n");
    scene.bridge.signal("HUP");
    scene
        .bridge
        .until("the refusal", |output| output.stderr.contains("reload refused"))
        .await;
    for device in [stays, changes, comes] {
        polls(device, 5).await;
    }

    let seen = scene.client.now();
    let first_stats = seen.log.iter().filter(|(topic, payload)| {
        topic == "lantime/sim-1/http/stats" && payload.starts_with(r#"{"polls":1,"#)
    });
    assert_eq!(first_stats.count(), 1, "its task was started once");
    assert!(
        !seen.topics.keys().any(|topic| topic.starts_with("elsewhere/")),
        "takes a restart"
    );
    assert_eq!(scene.bridge.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn a_reload_does_not_wait_for_a_poll_that_hangs() {
    let fleet = Setup::single(&[V20]).fleet().await;
    let device = &fleet.devices()[0];
    let entry = Entry::of(device).with("timeout", "60s");
    let mut scene = Setup::at(std::slice::from_ref(&entry)).start().await;
    scene
        .client
        .until("normal operation", |seen| is_healthy(seen, "sim-1"))
        .await;
    device.set_fault(Some(Fault::Hang));
    let asked = device.counters().requests;
    wait::until("a request that hangs", async || {
        device.counters().requests > asked
    })
    .await;
    // Nothing has been answered by the time the next task asks.
    let held = device.counters().requests;
    let _site = scene.site.devices(&[entry.with("offline_after", 5)]);
    scene.bridge.signal("HUP");
    wait::until("the request of the next task", async || {
        device.counters().requests == held + 1
    })
    .await;
    device.set_fault(None);
    polls(device, 3).await;
    assert_eq!(scene.client.now().text("sim-1/state"), "online");
}

#[tokio::test]
async fn what_left_the_configuration_while_the_bridge_was_down_is_cleared() {
    let Stage {
        client: mut watcher,
        site,
        fleet,
        broker,
    } = Setup::single(&[V20, V10, V10]).watched().await;
    let [stays, goes, foreign] = fleet.devices() else {
        panic!("three devices")
    };
    let other = Site::new(broker.address(), &[Entry::of(foreign)]).with("bridge.id", "other");
    let _other = other.start();
    let site = site.devices(&[Entry::of(stays), Entry::of(goes)]);
    let bridge = site.start();
    let all = ["sim-1", "sim-2", "sim-3"];
    watcher
        .until("normal operation", |seen| {
            all.iter().all(|device| is_healthy(seen, device))
        })
        .await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0));

    let site = site.devices(&[Entry::of(stays)]);
    let bridge = site.start();
    let seen = watcher
        .until("the removed device", |seen| is_cleared(seen, "sim-2"))
        .await;
    assert!(
        is_healthy(&seen, "sim-3"),
        "another bridge's devices are none of its business"
    );
    watcher
        .until("the other one", |seen| is_healthy(seen, "sim-1"))
        .await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0));

    let site = site.with("mqtt.prefix", "site/times");
    let _bridge = site.start();
    watcher
        .until("another prefix", |seen| {
            seen.topics.contains_key("site/times/sim-1/state") && is_cleared(seen, "sim-1")
        })
        .await;
    let seen = watcher.now();
    assert!(is_healthy(&seen, "sim-3") && seen.text("bridge/other/state") == "online");
}

#[tokio::test]
async fn a_state_directory_belongs_to_one_bridge() {
    let mut scene = Setup::at(&[]).start().await;
    scene
        .until("the first", |seen| seen.text("bridge/test/state") == "online")
        .await;
    let second = scene.site.start().end(STOP).await;
    assert_eq!(second.code, Some(1));
    assert!(second.output.stderr.contains("state"), "{}", second.output.stderr);
    assert_eq!(scene.bridge.stop("TERM").await.code, Some(0), "the first goes on");
}

#[tokio::test]
async fn a_profile_that_was_mended_is_read_by_a_reload() {
    let fleet = Setup::single(&[V20, V20]).fleet().await;
    let [mended, other] = fleet.devices() else {
        panic!("two devices were asked for");
    };
    let own = include_str!("../../config/profiles/api-20.toml");
    let entries = [Entry::of(mended).with("profile", "own.toml"), Entry::of(other)];
    let setup = Setup::at(&entries).site(|site| {
        site.file("own.toml", &own.replace("/relays/relay-a/state", "/nowhere"));
        site
    });
    let mut scene = setup.start().await;
    let provenance = |seen: &Seen, id: &str| seen.json(&format!("{id}/io1/relay/a"))["provenance"].clone();
    scene
        .client
        .until("normal operation", |seen| {
            provenance(seen, mended.id()) == "derived" && provenance(seen, other.id()) == "reported"
        })
        .await;
    scene.site.file("own.toml", own);
    scene.bridge.signal("HUP");
    scene
        .client
        .until("the mended profile", |seen| {
            provenance(seen, mended.id()) == "reported"
        })
        .await;
}
