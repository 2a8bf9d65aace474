//! What goes wrong between a device and the bridge: what is published then, and what it leaves alone.

use std::time::{Duration, Instant};

use lantime2mqtt::simulator::{ApiGeneration, Chassis, Fault};
use serde_json::json as value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::mosquitto::Mosquitto;
use crate::common::site::{Entry, Site};
use crate::common::web_server::{WebServer, answer, authorization};
use crate::common::{Seen, Watcher};
use crate::{eventually, fleet, is_healthy, json, polls, word};
use ApiGeneration::{V10, V16, V20};

/// Whether a device with one relay module is away, as far as everybody sees.
fn is_away(seen: &Seen, device: &str) -> bool {
    let relays = ["a", "b", "c"].map(|relay| json(seen, &format!("{device}/io1/relay/{relay}")));
    let signals = ["clk1", "pps", "10mhz"].map(|signal| json(seen, &format!("{device}/io1/signal/{signal}")));
    word(seen, &format!("{device}/state")) == "offline"
        && word(seen, &format!("{device}/io1/state")) == "offline"
        && relays
            .iter()
            .all(|relay| relay["position"] == "unknown" && relay["fault"] == "unknown")
        && signals.iter().all(|signal| signal["status"] == "unknown")
}

fn error_kind(seen: &Seen, device: &str) -> String {
    let error = json(seen, &format!("{device}/error"));
    error["error"]["kind"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_fault_is_told_with_its_kind_and_remedy_and_leaves_no_trace() {
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
    let fleet = fleet(&vec![(Chassis::M500, V20); cases.len()]).await;
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let devices: Vec<_> = fleet
        .devices()
        .iter()
        .map(|device| Entry::of(device).with("timeout", "1s"))
        .collect();
    let site = Site::new(broker.address(), &devices);
    let _bridge = site.start();
    let all = |seen: &Seen, holds: fn(&Seen, &str) -> bool| {
        fleet.devices().iter().all(|device| holds(seen, device.id()))
    };
    watcher
        .until("normal operation", |seen| all(seen, is_healthy))
        .await;

    for (device, (fault, ..)) in fleet.devices().iter().zip(&cases) {
        // After a few polls it has its token, so that only the status is asked for.
        polls(device, 3).await;
        device.set_fault(Some(fault.clone()));
    }
    for (device, (fault, kind, status, remedy)) in fleet.devices().iter().zip(&cases) {
        let seen = watcher
            .until(&format!("{fault:?}"), |seen| {
                is_away(seen, device.id()) && error_kind(seen, device.id()) == *kind
            })
            .await;
        let error = json(&seen, &format!("{}/error", device.id()));
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
        let relay = json(&seen, &format!("{}/io1/relay/a", device.id()));
        assert_eq!(
            relay["last"]["position"], "NO",
            "{fault:?}: the last known value, as such"
        );
        assert!(relay["last"]["at"].is_string() && relay["provenance"] == "unknown");
        let signal = json(&seen, &format!("{}/io1/signal/clk1", device.id()));
        assert_eq!(signal["last"]["status"], "ok", "{fault:?}");
        if !matches!(fault, Fault::Restart { .. }) {
            device.set_fault(None);
        }
    }
    let seen = watcher
        .until("normal operation again", |seen| all(seen, is_healthy))
        .await;
    for device in fleet.devices() {
        let relay = json(&seen, &format!("{}/io1/relay/a", device.id()));
        assert_eq!(relay.get("last"), None, "{relay}");
    }
}

#[tokio::test]
async fn a_part_that_the_document_lacks_is_unknown_and_the_rest_is_not() {
    let fleet = fleet(&[(Chassis::M500, V20), (Chassis::M500, V20)]).await;
    let [without_events, without_slots] = fleet.devices() else {
        panic!("two devices were asked for");
    };
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let devices: Vec<_> = fleet.devices().iter().map(|device| Entry::of(device)).collect();
    let site = Site::new(broker.address(), &devices);
    let _bridge = site.start();
    watcher
        .until("normal operation", |seen| {
            fleet.devices().iter().all(|device| is_healthy(seen, device.id()))
        })
        .await;
    let missing = |key: &str| {
        Some(Fault::MissingKeys {
            keys: vec![key.to_owned()],
        })
    };
    without_events.set_fault(missing("events"));
    without_slots.set_fault(missing("slots"));
    let position = |seen: &Seen, id: &str| json(seen, &format!("{id}/io1/relay/a"))["position"].clone();
    let triggered =
        |seen: &Seen, id: &str| json(seen, &format!("{id}/event/ntp-not-sync"))["triggered"].clone();
    let seen = watcher
        .until("the missing parts are unknown", |seen| {
            triggered(seen, without_events.id()) == "unknown"
                && position(seen, without_slots.id()) == "unknown"
        })
        .await;
    assert_eq!(position(&seen, without_events.id()), "NO");
    assert_eq!(triggered(&seen, without_slots.id()), value!(false));
    for device in fleet.devices() {
        assert_eq!(word(&seen, &format!("{}/state", device.id())), "online");
        device.set_fault(None);
    }
    watcher
        .until("everything is known again", |seen| {
            triggered(seen, without_events.id()) == value!(false)
                && position(seen, without_slots.id()) == "NO"
        })
        .await;
}

#[tokio::test]
async fn a_user_who_may_read_but_gets_no_token_is_served_with_basic() {
    let fleet = fleet(&[(Chassis::M500, V20)]).await;
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
        let broker = Mosquitto::start();
        let mut watcher = Watcher::connect(broker.address()).await;
        let site = Site::new(broker.address(), &[Entry::new("reader", &server.url())]);
        let _bridge = site.start();
        let asked = |method: &str| {
            server
                .requests()
                .iter()
                .filter(|r| r.method.as_str() == method)
                .count()
        };
        eventually("ten polls", || asked("GET") >= 10).await;
        assert_eq!(asked("PUT"), 1, "{refusal}: asked for a token once");
        let seen = watcher
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
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let site = Site::new(broker.address(), &[Entry::new("echo", &server.url())]);
    let _bridge = site.start();
    let seen = watcher
        .until("the error", |seen| error_kind(seen, "echo") == "http-status")
        .await;
    let body = json(&seen, "echo/error")["error"]["body"].clone();
    assert!(body.as_str().unwrap().contains("left out"), "{body}");
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let target = WebServer::start(|_| answer(200, "{}")).await;
    let location = format!("{}/elsewhere", target.url());
    let server = WebServer::start(move |_| {
        let mut answer = answer(302, "");
        let location = location.parse().expect("a URL is a header's value");
        answer.headers_mut().insert("location", location);
        answer
    })
    .await;
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let site = Site::new(broker.address(), &[Entry::new("moved", &server.url())]);
    let _bridge = site.start();
    let seen = watcher
        .until("offline", |seen| word(seen, "moved/state") == "offline")
        .await;
    let error = json(&seen, "moved/error")["error"].clone();
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
    let fleet = fleet(&[(Chassis::M500, V10)]).await;
    let device = &fleet.devices()[0];
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let site = Site::new(broker.address(), &[Entry::of(device).with("offline_after", 1000)]);
    let _bridge = site.start();
    watcher
        .until("normal operation", |seen| is_healthy(seen, "sim-1"))
        .await;
    device.set_fault(Some(Fault::Unavailable));
    let seen = watcher
        .until("an error", |seen| error_kind(seen, "sim-1") == "http-status")
        .await;
    assert_eq!(word(&seen, "sim-1/state"), "online");
    assert_eq!(json(&seen, "sim-1/io1/relay/a")["position"], "NO");
    device.set_fault(None);
    let seen = watcher.until("no error", |seen| is_healthy(seen, "sim-1")).await;
    let was_offline = seen
        .log
        .iter()
        .any(|(topic, payload)| topic == "lantime/sim-1/state" && payload == "offline");
    assert!(!was_offline);
}

#[tokio::test]
async fn a_hanging_device_delays_no_other() {
    let fleet = fleet(&[(Chassis::M500, V10); 3]).await;
    let [hanging, others @ ..] = fleet.devices() else {
        panic!("three devices")
    };
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let devices: Vec<_> = fleet
        .devices()
        .iter()
        .map(|device| Entry::of(device).with("timeout", "4s").with("offline_after", 1))
        .collect();
    let site = Site::new(broker.address(), &devices);
    let _bridge = site.start();
    watcher
        .until("normal operation", |seen| {
            ["sim-1", "sim-2", "sim-3"]
                .iter()
                .all(|device| is_healthy(seen, device))
        })
        .await;

    hanging.set_fault(Some(Fault::Hang));
    others.iter().for_each(|device| device.record_arrivals(1000));
    let start = Instant::now();
    watcher
        .until("the time-out", |seen| error_kind(seen, "sim-1") == "timeout")
        .await;
    let waited = start.elapsed();
    assert!(waited >= Duration::from_secs(3), "{waited:?}: it did hang");
    for device in others {
        let arrivals = device.take_arrivals();
        let longest = arrivals.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        // Waiting for the hanging one would take its 4 s; a busy machine takes far less.
        assert!(
            longest < Duration::from_millis(1500),
            "{}: {longest:?}",
            device.id()
        );
        assert!(arrivals.len() >= 20, "{}: {} polls", device.id(), arrivals.len());
    }
}

#[tokio::test]
async fn a_refused_login_is_not_repeated_until_the_configuration_changes() {
    let fleet = fleet(&[
        (Chassis::M500, V10),
        (Chassis::M500, V10),
        (Chassis::M500, V16),
        (Chassis::M500, V20),
        (Chassis::M500, V20),
        (Chassis::M500, V20),
    ])
    .await;
    let [wrong_password, banned, banned_later, bearer, token, healthy] = fleet.devices() else {
        panic!("six devices")
    };
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
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
    let site = Site::new(broker.address(), &devices("mistaken"));
    let bridge = site.start();
    // One that has logged in with Basic or a token before is refused later.
    watcher
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
        let seen = watcher
            .until(device.id(), |seen| {
                // The statistics too: for minutes there is no later poll that could tell them.
                word(seen, &format!("{}/state", device.id())) == "offline"
                    && error_kind(seen, device.id()) == kind
                    && json(seen, &format!("{}/http/stats", device.id()))["failures"] == 1
            })
            .await;
        let error = json(&seen, &format!("{}/error", device.id()));
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
    let _site = site.devices(&devices("simulated"));
    bridge.signal("HUP");
    watcher
        .until("the right password", |seen| {
            [wrong_password, bearer]
                .iter()
                .all(|device| is_healthy(seen, device.id()))
        })
        .await;
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_nobody_notices() {
    let fleet = fleet(&[
        (Chassis::M500, V16),
        (Chassis::M500, V20),
        (Chassis::M500, V10),
        (Chassis::M500, V20),
    ])
    .await;
    let [v16, v20, v10, bearer] = fleet.devices() else {
        panic!("four devices")
    };
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let devices = [
        Entry::of(v16),
        Entry::of(v20),
        Entry::of(v10),
        Entry::of(bearer).with("auth", "bearer"),
    ];
    let site = Site::new(broker.address(), &devices);
    let _bridge = site.start();
    let all_healthy = |seen: &Seen| fleet.devices().iter().all(|device| is_healthy(seen, device.id()));
    watcher.until("normal operation", all_healthy).await;
    for device in fleet.devices() {
        polls(device, 3).await;
    }
    // With "auto" the first poll tells the firmware; from 7.08 on tokens take over.
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
    let seen = watcher.now();
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
    let fleet = fleet(&[(Chassis::M500, V10)]).await;
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let device = Entry::of(&fleet.devices()[0]).with("auth", "bearer");
    let site = Site::new(broker.address(), &[device]);
    let _bridge = site.start();
    let seen = watcher
        .until("offline", |seen| {
            word(seen, "sim-1/state") == "offline" && error_kind(seen, "sim-1") == "not-found"
        })
        .await;
    let error = json(&seen, "sim-1/error");
    assert_eq!(error["operation"], "token");
    assert!(
        error["error"]["remedy"]
            .as_str()
            .unwrap()
            .contains(r#"auth = "basic""#),
        "{error}"
    );
}

#[tokio::test]
async fn relays_of_a_device_that_never_answered_are_unknown_at_once() {
    let fleet = fleet(&[(Chassis::M500, V20)]).await;
    let device = &fleet.devices()[0];
    device.set_fault(Some(Fault::Unavailable));
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let entry = Entry::of(device).listed(device).with("offline_after", 1000);
    let site = Site::new(broker.address(), &[entry]);
    let _bridge = site.start();
    let seen = watcher
        .until("relays", |seen| {
            ["a", "b", "c"].iter().all(|relay| {
                let relay = json(seen, &format!("sim-1/io1/relay/{relay}"));
                relay["position"] == "unknown" && relay["provenance"] == "unknown"
            })
        })
        .await;
    assert_eq!(word(&seen, "sim-1/io1/state"), "offline");
    assert_eq!(json(&seen, "sim-1/io1/relay/b")["driven_by"], "pps");
}

#[tokio::test]
async fn what_an_earlier_run_retained_of_a_device_that_is_gone_becomes_unknown() {
    let fleet = fleet(&[(Chassis::M500, V20), (Chassis::M500, V10)]).await;
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let [found, listed] = fleet.devices() else {
        panic!("two devices")
    };
    let site = Site::new(
        broker.address(),
        &[Entry::of(found), Entry::of(listed).listed(listed)],
    );
    let bridge = site.start();
    watcher
        .until("normal operation", |seen| {
            is_healthy(seen, "sim-1") && is_healthy(seen, "sim-2")
        })
        .await;
    // A crash: nothing is said on the way out.
    bridge.stop("KILL").await;
    fleet.stop().await;
    let seen = watcher
        .until("the will", |seen| word(seen, "bridge/test/state") == "offline")
        .await;
    assert_eq!(
        json(&seen, "sim-1/io1/relay/a")["position"],
        "NO",
        "still retained"
    );

    let _bridge = site.start();
    watcher
        .until("unknown relays", |seen| {
            is_away(seen, "sim-1") && is_away(seen, "sim-2")
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
    let fleet = fleet(&[(Chassis::M500, V10)]).await;
    let (url, server) = short_connections(fleet.devices()[0].document().to_vec()).await;
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let site = Site::new(broker.address(), &[Entry::new("short", &url)]);
    let _bridge = site.start();
    let seen = watcher
        .until("the second statistics", |seen| {
            json(seen, "short/http/stats")["polls"].as_u64() > Some(10)
        })
        .await;
    assert_eq!(json(&seen, "short/http/stats")["failures"], 0);
    server.abort();
}

#[tokio::test]
async fn a_fault_leaves_no_trace_in_any_layout() {
    let fleet = fleet(&[(Chassis::M3000, V20)]).await;
    let device = &fleet.devices()[0];
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    // Records are no state: nothing of them is retained.
    let is_record = |topic: &&String| {
        topic.contains("/dead-letter/") || topic.ends_with("/changes") || topic.ends_with("sim-1/events")
    };
    let topics = |seen: &Seen| {
        let retained = seen.topics.keys().filter(|topic| !is_record(topic));
        retained.cloned().collect::<Vec<_>>()
    };
    for layout in ["scalar", "both"] {
        let site = Site::new(broker.address(), &[Entry::of(device)])
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
