//! Reading over SNMP: what it gives when REST gives nothing, and when the two say different things.

use std::time::Duration;

use lantime2mqtt::simulator::{
    Action, ApiGeneration, Clock, Fault, FleetOptions, SimulatedDevice, SnmpOptions,
};
use serde_json::Value;

use crate::scene::Scene;
use crate::support::Seen;
use crate::support::scene::Setup;
use crate::support::site::Entry;

/// A device, asked by REST at `device` and by SNMP at `agent`.
fn entry(device: &SimulatedDevice, agent: &SimulatedDevice, read: &str) -> Entry {
    let address = agent.snmp_address().expect("it has an agent").to_string();
    Entry::of(device)
        .listed(device)
        .with("timeout", "1s")
        .with("snmp.address", address)
        .with("snmp.community", "public")
        .with("snmp.timeout", "300ms")
        .with("snmp.retries", 0)
        .with("snmp.read", read)
        .with("snmp.events", "rest")
}

/// Of two devices alike, the first is configured. `is_mixed`: asked over SNMP is the other one.
async fn start(read: &str, is_mixed: bool, fault: Option<Fault>) -> Scene {
    let options = |options| FleetOptions {
        snmp: Some(SnmpOptions::default()),
        ..options
    };
    let setup = Setup::redundant(&[ApiGeneration::V20; 2]).options(options);
    let setup = setup.site_of(|site, devices| {
        devices[0].set_fault(fault);
        let agent = &devices[usize::from(is_mixed)];
        site.devices(&[entry(&devices[0], agent, read)])
    });
    setup.start().await
}

fn json(seen: &Seen, topic: &str) -> Value {
    seen.json(&format!("sim-1/{topic}"))
}

/// Whether relay A of io3, which clock 1 drives, stands there and is known that way.
fn relay(position: &'static str, via: Option<&'static str>) -> impl Fn(&Seen) -> bool {
    move |seen| {
        let relay = json(seen, "io3/relay/a");
        relay["position"] == position && relay["via"].as_str() == via
    }
}

fn is_online(seen: &Seen) -> bool {
    seen.is_online("sim-1")
}

#[tokio::test]
async fn when_rest_fails_the_clocks_are_read_over_snmp_until_it_is_back() {
    let mut scene = start("fallback", false, None).await;
    scene.until("REST", relay("NO", None)).await;
    let (gets, device) = (scene.device(1).counters().snmp_gets, scene.device(1).clone());
    assert_eq!(gets, 0, "nobody asks as long as REST answers");
    device.set_fault(Some(Fault::Unavailable));
    let seen = scene.until("SNMP", relay("NO", Some("snmp"))).await;
    assert!(is_online(&seen));
    assert_eq!(json(&seen, "io3/relay/a")["provenance"], "derived");
    scene
        .until("the error of REST", |seen| {
            json(seen, "error")["error"]["http_status"] == 503
        })
        .await;
    device
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
    scene.until("the failure", relay("NC", Some("snmp"))).await;
    let is_published = |seen: &Seen| {
        json(seen, "io3/signal/clk1")["via"] == "snmp"
            && json(seen, "event/ntp-stopped")["triggered"] == "unknown"
            // Which clock the RSC has selected, nobody says.
            && json(seen, "io3/relay/c")["position"] == "unknown"
    };
    let seen = scene.until("the rest", is_published).await;
    // REST reports all three: what SNMP lacks is no lack of the firmware's.
    for relay in ["io3/relay/a", "io3/relay/b", "io3/relay/c"] {
        assert_ne!(json(&seen, relay)["unknown_reason"], "not-reported", "{relay}");
    }
    device.set_fault(None);
    scene.until("REST again", relay("NC", None)).await;
    let is_published = |seen: &Seen| {
        json(seen, "event/ntp-stopped")["triggered"] == false && json(seen, "error") == Value::Null
    };
    let seen = scene.until("all of it", is_published).await;
    let was_offline = seen
        .log
        .iter()
        .any(|(topic, payload)| topic == "lantime/sim-1/state" && payload == "offline");
    assert!(!was_offline);
}

#[tokio::test]
async fn a_device_whose_rest_api_is_switched_off_is_known_over_snmp_alone() {
    let mut scene = start("fallback", false, Some(Fault::NotFound)).await;
    let (device, serial_number) = (scene.device(1).clone(), scene.device(1).serial_number());
    let is_described = |seen: &Seen| is_online(seen) && json(seen, "info")["serial_number"] == serial_number;
    scene.until("the device", is_described).await;
    scene.until("its relay", relay("NO", Some("snmp"))).await;
    device
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
    scene.until("the failure", relay("NC", Some("snmp"))).await;
}

#[tokio::test]
async fn a_login_that_rest_refuses_does_not_stop_snmp() {
    let mut scene = start("fallback", false, Some(Fault::Forbidden)).await;
    scene.until("SNMP", relay("NO", Some("snmp"))).await;
    let requests = scene.device(1).counters().requests;
    scene
        .device(1)
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
    scene.until("the failure", relay("NC", Some("snmp"))).await;
    assert_eq!(
        scene.device(1).counters().requests,
        requests,
        "REST is left alone"
    );
}

#[tokio::test]
async fn with_both_unreachable_nothing_is_known() {
    let mut scene = start("fallback", false, None).await;
    scene.until("REST", relay("NO", None)).await;
    let down = Duration::from_secs(3600);
    scene.device(1).set_fault(Some(Fault::Restart { down }));
    let is_offline = |seen: &Seen| seen.is("lantime/sim-1/state", "offline");
    scene.until("it is offline", is_offline).await;
    scene.until("nothing is known", relay("unknown", None)).await;
    let dead_letter = |seen: &Seen| {
        let mut dead_letters = seen.records("dead-letter/sim-1").into_iter();
        dead_letters.any(|dead_letter| dead_letter["operation"] == "snmp-get")
    };
    scene.until("a dead letter about SNMP", dead_letter).await;
}

#[tokio::test]
async fn what_was_last_known_over_snmp_is_not_dated_back_to_rest() {
    let mut scene = start("fallback", false, None).await;
    scene.until("REST", relay("NO", None)).await;
    scene.device(1).set_fault(Some(Fault::Unavailable));
    scene.until("SNMP", relay("NO", Some("snmp"))).await;
    let lose = Action::LoseSync(Clock::Clk1);
    scene.device(1).apply(&lose).expect("it has that clock");
    let seen = scene.until("the loss", relay("NC", Some("snmp"))).await;
    let since = json(&seen, "io3/relay/a")["since"].as_str().map(str::to_owned);
    let down = Duration::from_secs(3600);
    scene.device(1).set_fault(Some(Fault::Restart { down }));
    let seen = scene.until("nothing is known", relay("unknown", None)).await;
    let last = json(&seen, "io3/relay/a")["last"].clone();
    assert_eq!(last["position"], "NC");
    // Of one form, so that texts compare as times do.
    let at = last["at"].as_str().map(str::to_owned);
    assert!(at.is_some() && at >= since, "{at:?}, NC since {since:?}");
}

#[tokio::test]
async fn rest_and_snmp_that_contradict_each_other_are_published_as_such() {
    let mut scene = start("always", true, None).await;
    scene.until("both alike", relay("NO", None)).await;
    scene
        .device(2)
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
    let contradiction = |seen: &Seen| {
        let signal = json(seen, "io3/signal/clk1");
        signal["status"] == "unknown"
            && signal["detail"]["rest"] == "ok"
            && signal["detail"]["snmp"] == "fail"
    };
    scene.until("the contradiction", contradiction).await;
    // The device reports the relay itself: that is certain.
    scene
        .device(1)
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
    let agreed = |seen: &Seen| {
        let signal = json(seen, "io3/signal/clk1");
        signal["status"] == "fail" && signal["detail"]["rest"] == Value::Null
    };
    scene.until("the agreement", agreed).await;
    scene.until("the relay", relay("NC", None)).await;
}

#[tokio::test]
async fn an_event_that_comes_while_only_snmp_answers_is_recorded_when_rest_is_back() {
    let mut scene = start("fallback", false, None).await;
    scene.until("REST", relay("NO", None)).await;
    scene.device(1).set_fault(Some(Fault::Unavailable));
    scene.until("SNMP", relay("NO", Some("snmp"))).await;
    let event = || "network-link-down".to_owned();
    scene
        .device(1)
        .apply(&Action::FireEvent(event()))
        .expect("it knows the event");
    scene.device(1).set_fault(None);
    let record = |seen: &Seen| {
        let mut records = seen.records("sim-1/events").into_iter();
        records.any(|record| record["event"] == "network-link-down" && record["triggered"] == true)
    };
    scene.until("the record", record).await;
}
