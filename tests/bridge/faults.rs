//! What goes wrong between a device and the bridge: what is published then, and what it leaves alone.

use lantime2mqtt::simulator::{Chassis, Fault, SimulatedDevice};
use std::time::Duration;

use serde_json::json as value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::is_healthy;
use crate::support::scene::Setup;
use crate::support::site::{Entry, Site};
use crate::support::web_server::{WebServer, answer};
use crate::support::{Seen, polls, wait};
use lantime2mqtt::simulator::ApiGeneration::{V10, V20};

/// Whether a device with one relay module is unreachable, as far as everybody sees.
fn is_unreachable(seen: &Seen, device: &str) -> bool {
    let relays = ["a", "b", "c"].map(|relay| seen.json(&format!("{device}/io1/relay/{relay}")));
    let signals = ["clk1", "pps", "10mhz"].map(|signal| seen.json(&format!("{device}/io1/signal/{signal}")));
    seen.text(&format!("{device}/state")) == "offline"
        && seen.text(&format!("{device}/io1/state")) == "offline"
        && relays
            .iter()
            .all(|relay| relay["position"] == "unknown" && relay["fault"] == "unknown")
        && signals.iter().all(|signal| signal["status"] == "unknown")
}

#[tokio::test]
async fn every_fault_is_reported_with_its_kind_and_remedy_and_leaves_no_trace() {
    // (fault, kind, status, a word of the remedy)
    let cases = [
        (Fault::NotFound, "not-found", Some(404), "Enable REST API"),
        (Fault::ServerError, "http-status", Some(500), "log"),
        (Fault::Unavailable, "http-status", Some(503), "busy"),
        (Fault::Hang, "timeout", None, "reachable"),
        (
            Fault::SlowBody {
                bytes_per_second: 1000,
            },
            "timeout",
            None,
            "longer timeout",
        ),
        (Fault::CutBody { after_bytes: 5000 }, "connect", None, "firewall"),
        (Fault::HugeBody { bytes: 9 << 20 }, "too-large", None, "address"),
        (Fault::WrongJson, "decode", None, "firmware version"),
        (
            Fault::MissingKeys {
                keys: ["system-information", "slots", "events"]
                    .map(str::to_owned)
                    .to_vec(),
            },
            "decode",
            None,
            "firmware version",
        ),
        (
            Fault::Restart {
                down: Duration::from_secs(4),
            },
            "connect",
            None,
            "firewall",
        ),
    ];
    let mut scene = Setup::of(&vec![(Chassis::M500, V20); cases.len()])
        .entries(|device| Entry::of(device).with("timeout", "1s"))
        .start()
        .await;
    let all = |seen: &Seen, holds: fn(&Seen, &str) -> bool| {
        scene
            .fleet
            .devices()
            .iter()
            .all(|device| holds(seen, device.id()))
    };
    scene
        .client
        .until("normal operation", |seen| all(seen, is_healthy))
        .await;

    for (device, (fault, ..)) in scene.fleet.devices().iter().zip(&cases) {
        // After a few polls it has its token, so that only the status is asked for.
        polls(device, 3).await;
        device.set_fault(Some(fault.clone()));
    }
    for (device, (fault, kind, status, remedy)) in scene.fleet.devices().iter().zip(&cases) {
        let seen = scene
            .client
            .until(&format!("{fault:?}"), |seen| {
                is_unreachable(seen, device.id()) && seen.error_kind(device.id()) == *kind
            })
            .await;
        let error = seen.json(&format!("{}/error", device.id()));
        assert_eq!(error["operation"], "poll", "{fault:?}");
        assert_eq!(
            error["error"].get("http_status"),
            status.map(|s: u16| value!(s)).as_ref()
        );
        assert!(
            error["error"]["remedy"].as_str().unwrap().contains(remedy),
            "{fault:?}: {error}"
        );
        assert_eq!(
            error["error"]["url"],
            format!("{}/api/status", device.url()),
            "{fault:?}"
        );
        let relay = seen.json(&format!("{}/io1/relay/a", device.id()));
        assert_eq!(
            relay["last"]["position"], "NO",
            "{fault:?}: the last known value, as such"
        );
        assert!(relay["last"]["at"].is_string() && relay["provenance"] == "unknown");
        let signal = seen.json(&format!("{}/io1/signal/clk1", device.id()));
        assert_eq!(signal["last"]["status"], "ok", "{fault:?}");
        if !matches!(fault, Fault::Restart { .. }) {
            device.set_fault(None);
        }
    }
    let seen = scene
        .client
        .until("normal operation again", |seen| all(seen, is_healthy))
        .await;
    for device in scene.fleet.devices() {
        let relay = seen.json(&format!("{}/io1/relay/a", device.id()));
        assert_eq!(relay.get("last"), None, "{relay}");
    }
}

#[tokio::test]
async fn a_part_that_the_document_lacks_is_unknown_and_the_rest_is_not() {
    let mut scene = Setup::single(&[V20, V20]).start().await;
    let [without_events, without_slots] = scene.fleet.devices() else {
        panic!("two devices were asked for");
    };
    scene
        .client
        .until("normal operation", |seen| {
            scene
                .fleet
                .devices()
                .iter()
                .all(|device| is_healthy(seen, device.id()))
        })
        .await;
    let missing = |key: &str| {
        Some(Fault::MissingKeys {
            keys: vec![key.to_owned()],
        })
    };
    without_events.set_fault(missing("events"));
    without_slots.set_fault(missing("slots"));
    let position = |seen: &Seen, id: &str| seen.json(&format!("{id}/io1/relay/a"))["position"].clone();
    let triggered =
        |seen: &Seen, id: &str| seen.json(&format!("{id}/event/ntp-not-sync"))["triggered"].clone();
    let seen = scene
        .client
        .until("the missing parts are unknown", |seen| {
            triggered(seen, without_events.id()) == "unknown"
                && position(seen, without_slots.id()) == "unknown"
        })
        .await;
    assert_eq!(position(&seen, without_events.id()), "NO");
    assert_eq!(triggered(&seen, without_slots.id()), value!(false));
    for device in scene.fleet.devices() {
        assert_eq!(seen.text(&format!("{}/state", device.id())), "online");
        device.set_fault(None);
    }
    scene
        .client
        .until("everything is known again", |seen| {
            triggered(seen, without_events.id()) == value!(false)
                && position(seen, without_slots.id()) == "NO"
        })
        .await;
}

#[tokio::test]
async fn a_redirect_is_reported_and_not_followed() {
    let target = WebServer::start(|_| answer(200, "{}")).await;
    let location = format!("{}/elsewhere", target.url());
    let server = WebServer::start(move |_| {
        let mut answer = answer(302, "");
        let location = location.parse().expect("a URL is a header's value");
        answer.headers_mut().insert("location", location);
        answer
    })
    .await;
    let mut scene = Setup::at(&[Entry::new("moved", &server.url())]).start().await;
    let seen = scene
        .until("offline", |seen| seen.text("moved/state") == "offline")
        .await;
    let error = seen.json("moved/error")["error"].clone();
    assert_eq!(
        (&error["kind"], &error["http_status"]),
        (&value!("http-status"), &value!(302))
    );
    assert!(
        error["message"].as_str().unwrap().contains(&target.url()),
        "{error}"
    );
    assert!(error["remedy"].as_str().unwrap().contains("redirect"), "{error}");
    assert!(target.requests().is_empty(), "the password went elsewhere");
}

#[tokio::test]
async fn one_missed_poll_is_an_error_and_no_outage() {
    let mut scene = Setup::single(&[V10])
        .entries(|device| Entry::of(device).with("offline_after", 1000))
        .start()
        .await;
    let device = &scene.fleet.devices()[0];
    scene
        .client
        .until("normal operation", |seen| is_healthy(seen, "sim-1"))
        .await;
    device.set_fault(Some(Fault::Unavailable));
    let seen = scene
        .client
        .until("an error", |seen| seen.error_kind("sim-1") == "http-status")
        .await;
    assert_eq!(seen.text("sim-1/state"), "online");
    assert_eq!(seen.json("sim-1/io1/relay/a")["position"], "NO");
    device.set_fault(None);
    let seen = scene
        .client
        .until("no error", |seen| is_healthy(seen, "sim-1"))
        .await;
    let was_offline = seen
        .log
        .iter()
        .any(|(topic, payload)| topic == "lantime/sim-1/state" && payload == "offline");
    assert!(!was_offline);
}

#[tokio::test]
async fn a_hanging_device_delays_no_other() {
    let mut scene = Setup::of(&[(Chassis::M500, V10); 3])
        .entries(|device| Entry::of(device).with("timeout", "5m").with("offline_after", 1))
        .start()
        .await;
    let [hanging, others @ ..] = scene.fleet.devices() else {
        panic!("three devices")
    };
    scene
        .client
        .until("normal operation", |seen| {
            ["sim-1", "sim-2", "sim-3"]
                .iter()
                .all(|device| is_healthy(seen, device))
        })
        .await;

    hanging.set_fault(Some(Fault::Hang));
    let asked = hanging.counters().requests;
    wait::until("a request that hangs", async || {
        hanging.counters().requests > asked
    })
    .await;
    for device in others {
        polls(device, 10).await;
    }
    let seen = scene.client.now();
    assert_eq!(seen.error_kind("sim-1"), "", "it hangs still");
}

#[tokio::test]
async fn relays_of_a_device_that_never_answered_are_unknown_at_once() {
    let setup = Setup::single(&[V20]).site_of(|site, devices| {
        devices[0].set_fault(Some(Fault::Unavailable));
        let entry = Entry::of(&devices[0]).listed(&devices[0]);
        site.devices(&[entry.with("offline_after", 1000)])
    });
    let mut scene = setup.start().await;
    let seen = scene
        .until("relays", |seen| {
            ["a", "b", "c"].iter().all(|relay| {
                let relay = seen.json(&format!("sim-1/io1/relay/{relay}"));
                relay["position"] == "unknown" && relay["provenance"] == "unknown"
            })
        })
        .await;
    assert_eq!(seen.text("sim-1/io1/state"), "offline");
    assert_eq!(seen.json("sim-1/io1/relay/b")["driven_by"], "pps");
}

#[tokio::test]
async fn what_an_earlier_run_retained_of_a_device_that_is_removed_becomes_unknown() {
    let entry = |device: &SimulatedDevice| match device.id() {
        "sim-1" => Entry::of(device),
        _ => Entry::of(device).listed(device),
    };
    let mut scene = Setup::single(&[V20, V10]).entries(entry).start().await;
    scene
        .until("normal operation", |seen| {
            is_healthy(seen, "sim-1") && is_healthy(seen, "sim-2")
        })
        .await;
    // A crash: nothing is said on the way out.
    scene.bridge.stop("KILL").await;
    scene.fleet.stop().await;
    let seen = scene
        .client
        .until("the will", |seen| seen.text("bridge/test/state") == "offline")
        .await;
    assert_eq!(seen.json("sim-1/io1/relay/a")["position"], "NO", "still retained");

    let _bridge = scene.site.start();
    scene
        .client
        .until("unknown relays", |seen| {
            is_unreachable(seen, "sim-1") && is_unreachable(seen, "sim-2")
        })
        .await;
}

/// Answers one request on each connection and closes it without a word, as some web servers do.
async fn short_connections(document: Vec<u8>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", document.len());
            let _ = stream.write_all(&[answer.as_bytes(), &document].concat()).await;
        }
    });
    (url, task)
}

#[tokio::test]
async fn a_device_that_closes_its_connections_is_no_fault() {
    let fleet = Setup::single(&[V10]).fleet().await;
    let (url, server) = short_connections(fleet.devices()[0].document().to_vec()).await;
    let mut scene = Setup::at(&[Entry::new("short", &url)]).start().await;
    let seen = scene
        .until("the second statistics", |seen| {
            seen.json("short/http/stats")["polls"].as_u64() > Some(10)
        })
        .await;
    assert_eq!(seen.json("short/http/stats")["failures"], 0);
    server.abort();
}

#[tokio::test]
async fn a_fault_leaves_no_trace_in_any_layout() {
    let stage = Setup::of(&[(Chassis::M3000, V20)]).watched().await;
    let (device, mut watcher) = (&stage.fleet.devices()[0], stage.client);
    // Records are no state: nothing of them is retained.
    let is_record = |topic: &&String| {
        topic.contains("/dead-letter/") || topic.ends_with("/changes") || topic.ends_with("sim-1/events")
    };
    let topics = |seen: &Seen| {
        let retained = seen.topics.keys().filter(|topic| !is_record(topic));
        retained.cloned().collect::<Vec<_>>()
    };
    for layout in ["scalar", "both"] {
        let site = Site::new(stage.broker.address(), &[Entry::of(device)])
            .with("mqtt.layout", layout)
            .with("mqtt.prefix", layout);
        let bridge = site.start();
        let get = |seen: &Seen, topic: &str| {
            let topic = format!("{layout}/sim-1/{topic}");
            seen.topics.get(&topic).cloned().unwrap_or_default()
        };
        // The last topics that come, in either order in which they may.
        let last = match layout {
            "scalar" => ["state", "http/sessions/sessions"],
            _ => ["state", "http/sessions"],
        };
        let before = watcher
            .until("normal operation", |seen| {
                get(seen, "io4/relay/c/position") == "NO"
                    && last.iter().all(|topic| !get(seen, topic).is_empty())
            })
            .await;
        device.set_fault(Some(Fault::Unavailable));
        let expected = [
            ("state", "offline"),
            ("error/error/kind", "http-status"),
            ("io4/state", "offline"),
            ("io4/relay/c/position", "unknown"),
            ("io4/relay/c/fault", "unknown"),
            ("io4/relay/c/last/position", "NO"),
            ("io4/signal/clk1/status", "unknown"),
            ("io4/signal/clk1/last/status", "ok"),
        ];
        watcher
            .until("a fault", |seen| {
                expected
                    .iter()
                    .all(|(topic, payload)| get(seen, topic) == *payload)
            })
            .await;
        device.set_fault(None);
        watcher
            .until("normal operation again", |seen| topics(seen) == topics(&before))
            .await;
        bridge.stop("TERM").await;
    }
}
