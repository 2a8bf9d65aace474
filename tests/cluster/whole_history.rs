//! Each bridge has the history of all devices, whoever polled them, and each entry of it once.

use lantime2mqtt::simulator::{Action, Clock};
use serde_json::{Value, json};

use crate::members::{Cluster, Member, cluster};
use crate::support::clients::Clients;
use crate::support::http::get_at;
use crate::support::{PATIENCE, wait};

const RELAY: &str = "/api/history?device=sim-1&slot=io3&relay=a";

/// What the API of that bridge answers; null for nothing.
async fn api(member: &Member, path: &str) -> Value {
    let answer = get_at(&member.site.socket(), path).await;
    answer
        .filter(|answer| answer.status == 200)
        .map_or(Value::Null, |answer| answer.json())
}

/// What relay A of the first device has become, newest first.
async fn positions(member: &Member) -> Vec<Value> {
    let page = api(member, RELAY).await;
    let entries = page["entries"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["new"].clone()).collect()
}

async fn until_positions(member: &Member, expected: &[&str]) {
    wait::for_value("the relay's changes", async || {
        let found = positions(member).await;
        match found == expected {
            true => Ok(()),
            false => Err(format!("{}: {found:?}", member.id)),
        }
    })
    .await;
}

/// The value of a metric without labels.
async fn metric(member: &Member, name: &str) -> Option<u64> {
    let answer = get_at(&member.site.socket(), "/metrics").await?;
    let value = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
    answer.body.lines().find_map(value)
}

/// From then on the broker keeps records for it.
async fn until_subscribed(member: &Member) {
    wait::until("the broker delivers records", async || {
        metric(member, "lantime2mqtt_history_subscribed").await == Some(1)
    })
    .await;
}

/// The first bridge polls, the others stand by.
async fn with_first(bridges: usize) -> Cluster {
    let mut cluster = cluster(bridges, 2, |site| site).await;
    cluster.members[0].start();
    cluster.all_polled().await;
    for number in 0..bridges {
        if number > 0 {
            cluster.members[number].start();
        }
        until_subscribed(&cluster.members[number]).await;
    }
    cluster
}

fn apply(cluster: &Cluster, action: &Action) {
    cluster.fleet.devices()[0].apply(action).unwrap();
}

/// How relay A was in that time, as a bridge shows it.
async fn relay_spans(member: &Member, from: &str, to: &str) -> Value {
    let path = format!("/api/timeline?device=sim-1&from={from}&to={to}");
    api(member, &path).await["slots"]["io3"]["relays"]["a"].take()
}

#[tokio::test]
async fn all_bridges_have_what_any_of_them_has_recorded_and_each_has_it_once() {
    let mut cluster = with_first(2).await;
    let from = jiff::Timestamp::now().to_string();
    apply(&cluster, &Action::LoseSync(Clock::Clk1));
    for member in &cluster.members {
        until_positions(member, &["NC"][..]).await;
    }
    cluster.members[0].stop("TERM").await;
    cluster.taken_over_from(0).await;
    // What the first one misses while it does not run.
    apply(&cluster, &Action::RegainSync(Clock::Clk1));
    until_positions(&cluster.members[1], &["NO", "NC"]).await;
    cluster.members[0].start();
    until_positions(&cluster.members[0], &["NO", "NC"]).await;
    cluster.members[1].stop("KILL").await;
    cluster.taken_over_from(1).await;
    apply(&cluster, &Action::LoseSync(Clock::Clk1));
    until_positions(&cluster.members[0], &["NC", "NO", "NC"]).await;
    cluster.members[1].start();
    until_positions(&cluster.members[1], &["NC", "NO", "NC"]).await;

    let to = jiff::Timestamp::now().to_string();
    let all = format!("/api/history?limit=1000&from={from}&to={to}");
    let first = api(&cluster.members[0], &all).await["entries"].take();
    wait::for_value("the same history", async || {
        let second = api(&cluster.members[1], &all).await["entries"].take();
        match second == first {
            true => Ok(()),
            false => Err(format!("{first:#} and {second:#}")),
        }
    })
    .await;
    let spans = relay_spans(&cluster.members[0], &from, &to).await;
    assert_eq!(spans, relay_spans(&cluster.members[1], &from, &to).await);
    let values: Vec<_> = spans
        .as_array()
        .unwrap()
        .iter()
        .map(|span| &span["value"])
        .collect();
    // One that takes over shows no pause in which nobody watched.
    assert_eq!(values, ["NO", "NC", "NO", "NC"]);
}

/// A process that is killed in between gets the record again, and has its entry once.
#[tokio::test]
async fn a_record_is_acknowledged_once_its_entry_is_on_disk() {
    for point in ["history-received", "history-stored"] {
        let mut cluster = with_first(2).await;
        cluster.members[1].stop("TERM").await;
        let site = &cluster.members[1].site;
        let mut second = site.start_with(&[], &[("LANTIME2MQTT_ABORT_AT", point)]);
        until_subscribed(&cluster.members[1]).await;
        apply(&cluster, &Action::LoseSync(Clock::Clk1));
        second.ended(PATIENCE).await;
        until_positions(&cluster.members[0], &["NC"]).await;
        cluster.members[1].start();
        until_positions(&cluster.members[1], &["NC"]).await;
        // What comes now is behind all that came again.
        apply(&cluster, &Action::RegainSync(Clock::Clk1));
        until_positions(&cluster.members[1], &["NO", "NC"]).await;
    }
}

#[tokio::test]
async fn what_is_no_record_of_a_configured_device_changes_nothing_and_holds_nothing_up() {
    let cluster = with_first(1).await;
    let before = api(&cluster.members[0], "/api/history?limit=1000").await["entries"].take();
    let clients = Clients::of(cluster.broker.address());
    let at = jiff::Timestamp::now().to_string();
    let id = |number: u32| format!("0198c2a5-0000-7000-8000-{number:012}");
    let change = |device: &str, number: u32| {
        json!({
            "id": id(number), "at": at, "device": device,
            "slot": "io3", "relay": "a", "old": "NO", "new": "NC",
        })
        .to_string()
    };
    for (topic, payload) in [
        ("lantime/sim-1/changes", "{".to_owned()),
        ("lantime/sim-1/io3/changes", change("sim-2", 1)),
        ("lantime/sim-1/events", "nothing".to_owned()),
        ("lantime/elsewhere/io3/changes", change("elsewhere", 2)),
        ("lantime/sim-1/refresh/changes", change("sim-1", 3)),
    ] {
        clients.publish(topic, payload, &[]).await;
    }
    wait::until("the unreadable ones were noticed", async || {
        metric(&cluster.members[0], "lantime2mqtt_history_unreadable_total").await == Some(3)
    })
    .await;
    clients
        .publish("lantime/sim-1/io3/changes", change("sim-1", 4), &[])
        .await;
    until_positions(&cluster.members[0], &["NC"]).await;
    let mut after = api(&cluster.members[0], "/api/history?limit=1000").await["entries"].take();
    let after = after.as_array_mut().unwrap();
    let is_new = |entry: &Value| entry["id"] == id(4);
    assert_eq!(after.extract_if(.., |entry| is_new(entry)).count(), 1);
    assert_eq!(Value::from(after.clone()), before);
}

#[tokio::test]
async fn a_bridge_without_a_history_does_not_ask_for_records() {
    let mut cluster = cluster(1, 1, |site| site.with("history.keep", "0s"))
        .await
        .started()
        .await;
    let member = &mut cluster.members[0];
    member.site.takes_commands().await;
    assert_eq!(metric(member, "lantime2mqtt_history_subscribed").await, None);
    assert_eq!(api(member, RELAY).await["entries"], json!([]));
    let refused = api(member, "/api/history?device=nobody").await;
    assert_eq!(refused, Value::Null, "no bridge has that device");
}

#[tokio::test]
async fn a_while_in_which_no_bridge_ran_is_in_the_history_of_each() {
    let mut cluster = with_first(2).await;
    for member in &mut cluster.members {
        member.stop("TERM").await;
    }
    let last = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(10);
    let clients = Clients::of(cluster.broker.address());
    let stats = json!({"last_success": last.to_string()}).to_string();
    clients.publish("lantime/sim-1/http/stats", stats, &["-r"]).await;
    for member in &mut cluster.members {
        member.start();
    }
    let pauses = async |member: &Member| {
        let page = api(member, "/api/history?device=sim-1").await;
        let entries = page["entries"].as_array().cloned().unwrap_or_default();
        let pauses = entries
            .iter()
            .filter(|entry| !entry["not_observed_since"].is_null());
        pauses
            .map(|entry| json!([entry["old"], entry["new"], entry["not_observed_since"]]))
            .collect::<Vec<_>>()
    };
    let since = format!("{last:.3}");
    for member in &cluster.members {
        wait::until("the pause is known", async || !pauses(member).await.is_empty()).await;
        let expected = json!(["online", "online", since]);
        assert_eq!(pauses(member).await, [expected], "{}", member.id);
        let timeline = api(member, "/api/timeline?device=sim-1").await;
        let spans = timeline["device"].as_array().unwrap();
        let is_pause = |span: &&Value| span["value"] == "not-observed";
        assert_eq!(spans.iter().filter(is_pause).count(), 1, "{timeline:#}");
        let of_other = api(member, "/api/history?device=sim-2").await;
        let mut of_other = of_other["entries"].as_array().unwrap().iter();
        assert!(of_other.all(|entry| entry["not_observed_since"].is_null()));
    }
}
