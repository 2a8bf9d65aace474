//! What holds a relay in a fault, and what is said of a selection that may never put it there.

use lantime2mqtt::simulator::Action;
use lantime2mqtt::simulator::ApiGeneration::{V10, V20};
use serde_json::{Value, json};

use crate::scene::Scene;

const A: &str = "sim-1/io4/relay/a";

impl Scene {
    async fn select(&mut self, events: &[&str]) -> Value {
        let payload = json!({ "replace": events }).to_string();
        let reply = self.send(&format!("{A}/events/set"), &payload).await;
        assert_eq!(reply["ok"], true, "{reply}");
        reply["result"]["warnings"].clone()
    }

    /// Lets it happen, and waits until relay A is as it should be; gives it.
    async fn after(&mut self, action: Action, is_so: impl Fn(&Value) -> bool) -> Value {
        self.device(1).apply(&action).unwrap();
        self.until(&format!("{action:?}"), |seen| is_so(&seen.json(A)))
            .await;
        self.look(|seen| seen.json(A))
    }
}

fn fire(event: &str) -> Action {
    Action::FireEvent(event.to_owned())
}

fn clear(event: &str) -> Action {
    Action::ClearEvent(event.to_owned())
}

/// The names of all that hold the relay.
fn holders(relay: &Value) -> Vec<&str> {
    let causes = relay["causes"].as_array().into_iter().flatten();
    causes.filter_map(|cause| cause["cause"].as_str()).collect()
}

#[tokio::test]
async fn the_cause_is_what_made_the_relay_fall_and_stays_while_others_come_and_go() {
    // The first generation does not report positions: there they are derived.
    for api in [V10, V20] {
        let mut scene = Scene::start(&[api]).await;
        let (first, second) = ("ntp-not-sync", "antenna-faulty");
        assert_eq!(scene.select(&[first, second]).await, Value::Null);
        let fallen = scene.after(fire(first), |relay| holders(relay) == [first]).await;
        assert_eq!(
            (&fallen["position"], &fallen["cause"]),
            (&json!("NC"), &json!(first))
        );
        assert_eq!(fallen["causes"][0]["since"], fallen["since"]);
        // The second comes first in the alphabet.
        let both = scene
            .after(fire(second), |relay| holders(relay) == [first, second])
            .await;
        assert_eq!(
            (&both["cause"], &both["since"]),
            (&json!(first), &fallen["since"])
        );
        assert_eq!(both["causes"][0], fallen["causes"][0]);
        assert!(
            both["causes"][1]["since"].as_str() > both["since"].as_str(),
            "{both}"
        );
        let other = scene
            .after(clear(first), |relay| holders(relay) == [second])
            .await;
        assert_eq!(
            (&other["cause"], &other["since"]),
            (&json!(first), &fallen["since"])
        );
        assert_eq!(other["causes"][0], both["causes"][1]);
        let up = scene
            .after(clear(second), |relay| relay["position"] == "NO")
            .await;
        assert_eq!((up.get("cause"), up.get("causes")), (None, None));

        scene.catch_up("sim-1").await;
        let moves = scene.look(|seen| {
            let records = seen.at("sim-1/io4/changes").map(|message| message.json());
            let of_relay = records.filter(|record| record["relay"] == "a");
            let brief = of_relay.map(|record| json!([record["new"], record["cause"]]));
            brief.collect::<Vec<_>>()
        });
        assert_eq!(moves, [json!(["NC", first]), json!(["NO", null])]);
    }
}

#[tokio::test]
async fn a_selection_that_may_switch_nothing_is_carried_out_and_the_reply_says_so() {
    let mut scene = Scene::start(&[V10]).await;
    // It is triggered as long as all is well.
    let info = "ntp-sync is of type info: whether an event of that type switches a relay is not known";
    let warnings = scene.select(&["ntp-sync"]).await;
    let warning = warnings[0].as_str().unwrap();
    let others = warning.strip_prefix(info).unwrap();
    assert!(others.starts_with("; these do, for instance: "), "{warning}");
    let is_info_only = |relay: &Value| relay["unknown_reason"] == "info-only";
    scene
        .until("nobody knows", |seen| is_info_only(&seen.json(A)))
        .await;
    let relay = scene.look(|seen| seen.json(A));
    let known = (&relay["position"], &relay["fault"], &relay["provenance"]);
    assert_eq!(known, (&json!("unknown"), &json!("unknown"), &json!("unknown")));

    assert_eq!(scene.select(&["ntp-sync", "ntp-not-sync"]).await, json!([info]));
    let fallen = scene
        .after(fire("ntp-not-sync"), |relay| relay["position"] == "NC")
        .await;
    assert_eq!(fallen.get("unknown_reason"), None);
    scene.after(clear("ntp-not-sync"), is_info_only).await;

    let nothing = json!(["no event is selected: nothing switches the relay now"]);
    assert_eq!(scene.select(&[]).await, nothing);
    scene
        .until("nothing switches it", |seen| seen.json(A)["position"] == "NO")
        .await;
    assert_eq!(scene.select(&["ntp-not-sync"]).await, Value::Null);
}
