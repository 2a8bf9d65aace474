//! The scenes: what happens to the devices and what users do, and what is published then.

use std::collections::BTreeMap;

use lantime2mqtt::simulator::{Action, Clock, Fault, Signal};

use crate::capture;
use crate::expected::{Found, Golden, changes};
use crate::fleet::DEVICES;
use crate::scene::{COMMUNITY, PASSWORDS, Scene, USER};

const SCENES: [&str; 4] = ["1-start", "2-faults", "3-traps", "4-commands"];
/// The notifications of the vendor's MIB.
const TRAPS: &str = "1.3.6.1.4.1.5597.30.3";
const MESSAGE: &str = "1.3.6.1.4.1.5597.30.3.0.100";
/// What stands in the record of a notification.
const SNMP: &str = r#""source":"snmp""#;
const LINK_DOWN: &str = "1.3.6.1.6.3.1.1.5.3";

/// What was found last, and how many messages belong to scenes that are over.
#[derive(Default)]
struct Before {
    found: BTreeMap<&'static str, Found>,
    messages: usize,
}

impl Before {
    /// Compares all that there is now; of what stands, the differences to the scene before.
    async fn compare(&mut self, golden: &mut Golden, name: &str, scene: &Scene) {
        capture::settled(scene).await;
        let messages = scene.client.subscriber.now();
        golden.compare(
            &format!("{name}/records"),
            &capture::records(&messages[self.messages..]),
        );
        self.messages = messages.len();
        let found = [
            ("state", capture::retained(scene, "lantime").await),
            ("discovery", capture::retained(scene, "homeassistant").await),
            ("api", capture::api(scene).await),
            ("metrics", capture::metrics(scene).await),
            ("snmpwalk", capture::walk(scene).await),
        ];
        for (kind, now) in found {
            self.compare_kind(golden, name, kind, now);
        }
    }

    /// Sparkplug's births, of so many; the edge node gives them every 5 s at most.
    async fn compare_births(&mut self, golden: &mut Golden, name: &str, scene: &mut Scene, count: usize) {
        let now = capture::births(&mut scene.client.host, count).await;
        self.compare_kind(golden, name, "sparkplug", now);
    }

    fn compare_kind(&mut self, golden: &mut Golden, name: &str, kind: &'static str, now: Found) {
        let before = self.found.entry(kind).or_default();
        golden.compare(&format!("{name}/{kind}"), &changes(before, &now));
        *before = now;
    }
}

#[tokio::test]
async fn everything_is_published_as_it_was() {
    let (mut golden, mut before) = (Golden::of(&SCENES), Before::default());
    let mut scene = Scene::start().await;
    started(&mut scene).await;
    let [start, faulty, trapped, commanded] = SCENES;
    before.compare(&mut golden, start, &scene).await;
    before.compare_births(&mut golden, start, &mut scene, 19).await;
    faults(&mut scene).await;
    before.compare(&mut golden, faulty, &scene).await;
    traps(&mut scene).await;
    before.compare(&mut golden, trapped, &scene).await;
    commands(&mut scene).await;
    before.compare(&mut golden, commanded, &scene).await;
    before
        .compare_births(&mut golden, commanded, &mut scene, 17)
        .await;
    golden.finish();
}

/// All devices are online, and have said which events their relays follow.
async fn started(scene: &mut Scene) {
    for number in 1..=DEVICES {
        scene.until(&format!("sim-{number}/state"), "online").await;
        scene.until(&format!("sim-{number}/http/stats"), "polls").await;
    }
    for device in ["sim-1", "sim-3", "sim-5"] {
        for relay in ["a", "c"] {
            let topic = format!("{device}/io4/relay/{relay}/events");
            scene.until(&topic, r#""confirmed":true"#).await;
        }
    }
}

/// Clocks, signals, modules and devices fail, one after the other.
async fn faults(scene: &mut Scene) {
    let clock = Clock::Clk2;
    for (number, action) in [
        (1, Action::LoseSync(Clock::Clk1)),
        (1, Action::FireEvent("network-link-down".to_owned())),
        (2, Action::FailSignal(Signal::Pps)),
        (2, Action::PowerOff("io1".to_owned())),
        (3, Action::AntennaOff(clock)),
        (3, Action::LoseSync(clock)),
        (5, Action::PowerOff(clock.as_str().to_owned())),
    ] {
        scene.apply(number, &action);
        scene.refresh(number).await;
    }
    scene.set_fault(4, Fault::ServerError);
    scene.until("sim-4/state", "offline").await;
    scene.until_record("dead-letter/sim-4", "http-status").await;
    scene.set_fault(6, Fault::NotFound);
    scene.until("sim-6/io1/relay/a", r#""via":"snmp""#).await;
    scene.until_record("dead-letter/sim-6", "not-found").await;
    scene.set_fault(7, Fault::Unavailable);
    scene.until("sim-7/io4/relay/c", r#""stale":true"#).await;
    scene.until_record("dead-letter/sim-7", "http-status").await;
}

/// Notifications of each version: two that a poll confirms, one that the MIB does not know, one of nobody who may send.
async fn traps(scene: &mut Scene) {
    let [auth, privacy] = PASSWORDS;
    let v3 = [
        "-v", "3", "-l", "authPriv", "-u", USER, "-a", "SHA-256", "-A", auth, "-x", "AES", "-X", privacy,
    ];
    let text = |text| [MESSAGE, "s", text];

    scene.apply(1, &Action::FireEvent("antenna-faulty".to_owned()));
    let event = format!("{TRAPS}.0.6");
    let what = [&["", event.as_str()][..], &text("antenna faulty")].concat();
    scene
        .notify("snmpinform", &["-v", "2c", "-c", COMMUNITY], 1, &what)
        .await;
    scene.until_record("sim-1/events", SNMP).await;
    scene.refresh(1).await;

    scene.apply(3, &Action::FireEvent("network-link-down".to_owned()));
    let what = [
        &[TRAPS, "127.0.0.1", "6", "17", ""][..],
        &text("network link down"),
    ]
    .concat();
    scene
        .notify("snmptrap", &["-v", "1", "-c", COMMUNITY], 3, &what)
        .await;
    scene.until_record("sim-3/events", SNMP).await;
    scene.refresh(3).await;

    scene.notify("snmpinform", &v3, 5, &["", LINK_DOWN]).await;
    scene.until_record("sim-5/events", SNMP).await;
    scene.refresh(5).await;

    let another = ["-v", "2c", "-c", "another"];
    scene.notify("snmptrap", &another, 1, &["", LINK_DOWN]).await;
    scene.until_record("dead-letter/bridge", "unauthorized").await;
}

/// A device recovers; what is carried out, and what is refused: for its payload, its relay, the device's settings, or since
/// the device is offline.
async fn commands(scene: &mut Scene) {
    scene.fleet.devices()[6].set_fault(None);
    scene.until_cleared("sim-7/error").await;
    scene.refresh(7).await;
    let a = |number: usize| format!("sim-{number}/io4/relay/a/events/set");
    let first = r#"{"id":"first","add":["antenna-faulty"]}"#;
    for (topic, payload) in [
        (a(1), first),
        // The first answer again.
        (a(1), first),
        (
            a(5),
            r#"{"id":"snmp","replace":["ntp-not-sync","refclock-2-not-sync"]}"#,
        ),
        ("sim-1/refresh".to_owned(), r#"{"id":"refresh"}"#),
        (a(1), r#"{"id":"malformed","add":"#),
        (a(1), r#"{"id":"unknown key","append":[]}"#),
        (a(1), r#"{"id":"unknown event","add":["antena-faulty"]}"#),
        (
            "sim-1/io4/relay/b/events/set".to_owned(),
            r#"{"id":"relay b","add":["ntp-not-sync"]}"#,
        ),
        (
            "sim-1/io3/relay/a/events/set".to_owned(),
            r#"{"id":"wired","add":["ntp-not-sync"]}"#,
        ),
        (
            "sim-1/io9/relay/a/events/set".to_owned(),
            r#"{"id":"no slot","add":["ntp-not-sync"]}"#,
        ),
        (
            "sim-1/http/sessions/set".to_owned(),
            r#"{"id":"zero","max_count":0}"#,
        ),
        (a(3), r#"{"id":"not allowed","add":["ntp-not-sync"]}"#),
        ("sim-4/refresh".to_owned(), r#"{"id":"offline","fail_fast":true}"#),
        (a(7), r#"{"id":"assumed","add":["ntp-not-sync"]}"#),
        (
            "bridge/test/dead-letters/replay".to_owned(),
            r#"{"id":"01980000-0000-7000-8000-000000000000"}"#,
        ),
    ] {
        scene.send(&topic, payload).await;
    }
    let again = scene.dead_letter_of("sim-4/refresh");
    scene.send("bridge/test/dead-letters/replay", &again).await;
    with_properties(scene).await;
    for number in [1, 5] {
        scene
            .until(&a(number).replace("/set", ""), r#""confirmed":true"#)
            .await;
        scene.refresh(number).await;
    }
    sessions(scene).await;
}

/// Keeps HTTP sessions of a device that is asked for its status alone. Their topic is published at each such command, else
/// some seconds later.
async fn sessions(scene: &mut Scene) {
    for payload in [r#"{"id":"on","enabled":true}"#, r#"{"id":"two","max_count":2}"#] {
        scene.send("sim-2/http/sessions/set", payload).await;
        scene.refresh(2).await;
    }
}

/// With a response topic; retained, which is refused.
async fn with_properties(scene: &mut Scene) {
    let topic = "lantime/sim-1/io4/relay/c/events/set";
    let payload = r#"{"id":"v5","replace":["antenna-faulty"]}"#;
    scene.client.mqtt.request(topic, "my/replies", payload, &[]).await;
    scene.until_count("my/replies", 1).await;

    let topic = "lantime/sim-2/refresh";
    scene
        .client
        .mqtt
        .publish(topic, r#"{"id":"retained"}"#, &["-r"])
        .await;
    scene.until_count(&format!("{topic}/reply"), 3).await;
    scene.client.mqtt.publish(topic, "", &["-r"]).await;
}
