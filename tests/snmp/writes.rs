//! Events of relays selected over SNMP: at net-snmp's own agent here, at simulated devices in a file of its own.

mod scene;
mod simulated;

use serde_json::{Value, json};

use crate::scene::Scene;
use crate::snmpd::Snmpd;
use crate::support::site::Entry;
use scene::{A, C, dead_letters, setup, with_community, with_user};

/// Numbers of the objects of some events, and what stands for the command to apply.
const NTP_NOT_SYNC: u32 = 2;
const REFCLOCK_1_NOT_SYNC: u32 = 8;
const ANTENNA_FAULTY: u32 = 12;
const APPLY: u32 = 0;

fn replace(events: &[&str]) -> String {
    json!({ "replace": events }).to_string()
}

/// What an error says, and what to do.
fn text(error: &Value) -> String {
    format!("{}; {}", error["message"], error["remedy"])
}

#[tokio::test]
async fn at_net_snmps_agent_the_relays_word_comes_and_goes_and_all_others_stay() {
    let words = "a-word-that-nobody-knows,".repeat(10);
    let long: Vec<(u32, &str)> = [3, 4, 5, 6, 7, 9, 10, 11, 13, 14, 15, 16, 21, 22, 23, 24]
        .map(|number| (number, words.as_str()))
        .into();
    for is_v3 in [false, true] {
        let some = [
            (NTP_NOT_SYNC, "email,snmp"),
            (REFCLOCK_1_NOT_SYNC, " Siren , relais,led"),
            (ANTENNA_FAULTY, "n/a"),
        ];
        let agent = Snmpd::start(&[&some, &long[..]].concat()).await;
        let mut scene = Scene::writing(setup(None).entries(|device| {
            let entry = Entry::of(device).listed(device).with("snmp.events", "snmp");
            let entry = entry.with("snmp.address", agent.address.to_string());
            match is_v3 {
                true => with_user(entry, "writer", "a secret to sign", "a secret to hide"),
                false => with_community(entry),
            }
        }))
        .await;
        scene.retained(&["refclock-1-not-sync"], true).await;

        let reply = scene.send(A, &replace(&["ntp-not-sync", "antenna-faulty"])).await;
        let result = json!({
            "slot": "io4", "relay": "a", "events": ["antenna-faulty", "ntp-not-sync"], "changed": true,
            "applies_to": [{ "slot": "io4", "relay": "a" }, { "slot": "io4", "relay": "c" }], "via": "snmp",
        });
        assert_eq!(reply["result"], result, "{reply}");
        let set = [
            (NTP_NOT_SYNC, "email,snmp,relais"),
            (REFCLOCK_1_NOT_SYNC, " Siren ,led"),
            (ANTENNA_FAULTY, "relais"),
            (APPLY, "1"),
        ];
        assert_eq!(agent.sets(), set.map(|(number, to)| (number, to.to_owned())));
        for (number, words) in &long {
            assert_eq!(agent.actions(*number), [*words; 2]);
        }
        scene.retained(&["antenna-faulty", "ntp-not-sync"], true).await;

        let reply = scene.send(C, &replace(&["ntp-not-sync", "antenna-faulty"])).await;
        assert_eq!(
            (&reply["ok"], &reply["result"]["changed"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(agent.sets().len(), 4, "nothing is to be done");
        // The agent answers nobody while it applies; the command is not repeated for that.
        agent.answer_late(4);
        let reply = scene
            .send(C, r#"{"remove":["antenna-faulty","ntp-not-sync"]}"#)
            .await;
        assert_eq!(reply["result"]["events"], json!([]), "{reply}");
        assert_eq!(agent.actions(NTP_NOT_SYNC), ["email,snmp"; 2]);
        assert_eq!(agent.actions(ANTENNA_FAULTY), [""; 2]);
        let applied = agent.sets().iter().filter(|(number, _)| *number == APPLY).count();
        assert_eq!((applied, agent.sets().len()), (2, 7));
        scene.retained(&[], true).await;
        assert!(dead_letters(&scene.client.now()).is_empty());
    }
}

/// A bridge with an agent whose first two strings are without the relays' word.
async fn plain() -> (Snmpd, Scene) {
    let strings = [
        (1, "email"),
        (NTP_NOT_SYNC, "email"),
        (REFCLOCK_1_NOT_SYNC, "snmp"),
        (ANTENNA_FAULTY, "led"),
    ];
    let agent = Snmpd::start(&strings).await;
    let setup = setup(None).entries(|device| {
        // Without events = ..: SNMP is taken where it is configured.
        let entry = with_community(Entry::of(device).listed(device));
        entry.with("snmp.address", agent.address.to_string())
    });
    let mut scene = Scene::writing(setup).await;
    scene.retained(&[], true).await;
    (agent, scene)
}

#[tokio::test]
async fn where_one_string_is_refused_the_others_are_put_back_and_nothing_is_applied() {
    let (agent, mut scene) = plain().await;
    agent.refuse(ANTENNA_FAULTY);
    let error = scene
        .refused(A, &replace(&["ntp-not-sync", "antenna-faulty"]), "rejected")
        .await;
    for part in ["antenna-faulty", "wrongValue", "nothing was applied", "put back"] {
        assert!(text(&error).contains(part), "{part}: {error}");
    }
    let set = [(NTP_NOT_SYNC, "email,relais"), (NTP_NOT_SYNC, "email")];
    assert_eq!(agent.sets(), set.map(|(number, to)| (number, to.to_owned())));
    scene.retained(&[], true).await;
    let error = scene.refused(A, &replace(&["antenna-faulty"]), "rejected").await;
    assert!(text(&error).contains("nothing was changed"), "{error}");
    // What was refused leaves nothing behind.
    let reply = scene.send(A, &replace(&["ntp-not-sync"])).await;
    assert_eq!(reply["result"]["events"], json!(["ntp-not-sync"]), "{reply}");
    assert_eq!(agent.actions(NTP_NOT_SYNC), ["email,relais"; 2]);
}

#[tokio::test]
async fn what_somebody_else_changes_in_the_same_moment_is_not_overwritten() {
    let (agent, mut scene) = plain().await;
    agent.meddle(REFCLOCK_1_NOT_SYNC, "snmp,own");
    let error = scene
        .refused(C, &replace(&["ntp-not-sync", "refclock-1-not-sync"]), "conflict")
        .await;
    assert!(text(&error).contains("refclock-1-not-sync"), "{error}");
    assert_eq!(agent.actions(REFCLOCK_1_NOT_SYNC), ["snmp,own", ""]);
    assert_eq!(agent.actions(NTP_NOT_SYNC), ["email", ""], "it was put back");
    let reply = scene.send(C, &replace(&["refclock-1-not-sync"])).await;
    assert_eq!(reply["ok"], true, "{reply}");
    assert_eq!(agent.actions(REFCLOCK_1_NOT_SYNC), ["snmp,own,relais"; 2]);
}

#[tokio::test]
async fn what_cannot_be_selected_is_refused_by_name_before_anything_is_set() {
    let (agent, mut scene) = plain().await;
    for (event, parts) in [
        ("normal-operation", &["normal-operation", "switches no relay"][..]),
        ("faillock-user-banned", &["faillock-user-banned", "no object"]),
        ("ntp-stopped", &["ntp-stopped", "no such object"]),
        ("antena-faulty", &["antena-faulty", "antenna-faulty"]),
    ] {
        let error = scene
            .refused(A, &replace(&["ntp-not-sync", event]), "rejected")
            .await;
        for part in parts {
            assert!(text(&error).contains(part), "{part}: {error}");
        }
    }
    assert_eq!(agent.sets(), []);
    let b = "sim-1/io4/relay/b";
    scene.refused(b, &replace(&["ntp-not-sync"]), "rejected").await;
    assert_eq!(agent.sets(), []);
}
