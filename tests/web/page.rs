//! What users of the page are promised.

use lantime2mqtt::simulator::{Action, ApiGeneration, Chassis, Clock, Fault};
use serde_json::json;

use crate::browser::Script;
use crate::scene::{Scene, setup, with_server};
use crate::support::http::get;
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::wait;

#[tokio::test]
async fn a_relay_that_falls_is_drawn() {
    let scene = Scene::start(2).await;
    let mut script = Script::start("falls.mjs", &scene.url());
    script.says("ready").await;
    let device = scene.device(1);
    device
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
    script.says("fell").await;
    // Not before all of it was looked at.
    script.says("shown").await;
    device.apply(&Action::Recover).expect("it can");
    script.go_on();
    script.says("done").await;
}

#[tokio::test]
async fn a_fault_that_is_over_is_seen_and_acknowledged() {
    let scene = Scene::start(1).await;
    let last_fault =
        async || scene.json("/api/devices/sim-1").await["slots"]["io3"]["relays"]["a"]["last_fault"].clone();
    let mut script = Script::start("history.mjs", &scene.url());
    script.says("ready").await;
    let device = scene.device(1);
    device
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
    script.says("fell").await;
    device.apply(&Action::Recover).expect("it can");
    script.says("recovered").await;
    assert_eq!(last_fault().await["acknowledged"], false);
    script.go_on();
    script.says("acknowledged").await;
    assert_eq!(last_fault().await["acknowledged"], true);
    script.go_on();
    script.says("done").await;
}

#[tokio::test]
async fn faults_of_all_devices_are_listed() {
    let scene = Scene::start(2).await;
    let mut script = Script::start("faults.mjs", &scene.url());
    script.says("none").await;
    let lose_sync = Action::LoseSync(Clock::Clk1);
    scene.device(1).apply(&lose_sync).expect("it has that clock");
    script.says("fell").await;
    scene.device(1).apply(&Action::Recover).expect("it can");
    scene.device(2).apply(&lose_sync).expect("it has that clock");
    script.says("done").await;
}

#[tokio::test]
async fn faults_of_a_site_are_acknowledged_together_but_for_one_that_lasts() {
    let sites = ["North", "North", "South"];
    let setup = setup(4).entries(move |device| {
        let entry = Entry::writable(device);
        let number: usize = device.id().trim_start_matches("sim-").parse().expect("a number");
        match sites.get(number - 1) {
            Some(site) => entry.with("site", *site),
            None => entry,
        }
    });
    let scene = Scene::of(setup).await;
    let relay = async |id: &str, slot: &str, relay: &str| {
        scene.json(&format!("/api/devices/{id}")).await["slots"][slot]["relays"][relay].clone()
    };
    let devices = &scene.fleet.devices()[..3];
    for device in devices {
        device
            .apply(&Action::LoseSync(Clock::Clk1))
            .expect("it has that clock");
        wait::until("a fault", async || {
            relay(device.id(), "io4", "a").await["position"] == "NC"
        })
        .await;
        device
            .apply(&Action::RegainSync(Clock::Clk1))
            .expect("it has that clock");
        wait::until("its end", async || {
            relay(device.id(), "io4", "a").await["position"] == "NO"
        })
        .await;
    }
    // What lasts is not over. Relay A of io4 falls again.
    devices[0]
        .apply(&Action::LoseSync(Clock::Clk2))
        .expect("it has that clock");
    wait::until("another fault", async || {
        relay("sim-1", "io4", "a").await["position"] == "NC"
    })
    .await;
    let mut script = Script::start("sites.mjs", &scene.url());
    script.says("acknowledged").await;
    for (id, slot, is_acknowledged) in [
        ("sim-1", "io3", true),
        ("sim-1", "io4", false),
        ("sim-2", "io4", true),
        ("sim-3", "io3", false),
    ] {
        let fault = relay(id, slot, "a").await["last_fault"].clone();
        assert_eq!(fault["acknowledged"], is_acknowledged, "{id} {slot}: {fault}");
    }
    script.go_on();
    script.says("done").await;
}

#[tokio::test]
async fn only_the_token_changes_something() {
    let scene = Scene::start(1).await;
    let selected = async || {
        scene.json("/api/devices/sim-1").await["slots"]["io4"]["relay_events"]["a"]["events"].clone()
    };
    wait::until("the choice is known", async || selected().await.is_array()).await;
    let before = selected().await;
    let mut script = Script::start("commands.mjs", &scene.url());
    script.says("refused").await;
    assert_eq!(selected().await, before);
    script.go_on();
    script.says("changed").await;
    assert!(
        selected()
            .await
            .as_array()
            .is_some_and(|names| names.contains(&json!("antenna-faulty")))
    );
    script.go_on();
    script.says("plotted").await;
    let payload = r#"{"add":["<img src=x onerror=alert(1)>"]}"#;
    let refused = scene.post("/api/devices/sim-1/io4/relay/a/events", payload).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    script.go_on();
    script.says("done").await;
}

#[tokio::test]
async fn a_token_that_was_changed_meanwhile_is_asked_for_again() {
    let mut scene = Scene::start(1).await;
    let mut script = Script::start("changed_token.mjs", &scene.url());
    script.says("unlocked").await;
    scene.bridge.stop("TERM").await;
    scene.site = scene.site.with("http.token", "another-token-for-tests");
    scene.bridge = scene.site.start();
    scene.site.ready().await;
    script.go_on();
    script.says("done").await;
}

#[tokio::test]
async fn on_a_phone_words_stay_whole() {
    let scene = Scene::start(1).await;
    let mut script = Script::start("narrow.mjs", &scene.url());
    script.says("fits").await;
    script.says("done").await;
}

#[tokio::test]
async fn without_a_token_the_page_says_that_nothing_can_be_changed() {
    let scene = Scene::of(setup(1).site(|site| site.without("http.token"))).await;
    let mut script = Script::start("no_token.mjs", &scene.url());
    script.says("done").await;
}

#[tokio::test]
async fn a_lost_connection_is_seen_and_comes_back() {
    let mut scene = Scene::start(1).await;
    let mut script = Script::start("lost.mjs", &scene.url());
    script.says("live").await;
    scene.bridge.signal("KILL");
    script.says("lost").await;
    scene.bridge = scene.site.start();
    scene.site.ready().await;
    script.go_on();
    script.says("waits").await;
    scene.bridge.signal("STOP");
    script.go_on();
    script.says("done").await;
    scene.bridge.signal("CONT");
}

#[tokio::test]
async fn what_is_wrong_is_not_normal_though_no_relay_hears_of_it() {
    let scene = Scene::start(2).await;
    let certificate = "https-certificate-expired".to_owned();
    let device = scene.device(1);
    device
        .apply(&Action::FireEvent(certificate))
        .expect("it knows it");
    let mut script = Script::start("wrong.mjs", &scene.url());
    script.says("done").await;
}

#[tokio::test]
async fn the_keyboard_stays_where_it_is() {
    let scene = Scene::of(setup(3).site(|site| site.with("dead_letter.keep", 2))).await;
    let refuse = async |payload: &str| {
        let path = "/api/devices/sim-1/io4/relay/a/events";
        let refused = scene.post(path, payload).await;
        assert!(refused.status >= 400, "{refused:?}");
    };
    let mut script = Script::start("focus.mjs", &scene.url());
    script.says("at the events").await;
    let device = &scene.fleet.devices()[2];
    device
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
    script.says("at the row").await;
    refuse("{").await;
    refuse("[").await;
    device.apply(&Action::Recover).expect("it can");
    script.says("at the dead letter").await;
    refuse("]").await;
    script.says("done").await;
}

#[tokio::test]
async fn it_says_what_the_bridge_says() {
    let scene = Scene::start(1).await;
    let mut script = Script::start("reported.mjs", &scene.url());
    script.says("done").await;
}

#[tokio::test]
async fn it_is_readable_for_everybody() {
    let scene = Scene::start(3).await;
    let devices = scene.fleet.devices();
    devices[0]
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
    devices[1].set_fault(Some(lantime2mqtt::simulator::Fault::ServerError));
    let certificate = "https-certificate-expired".to_owned();
    devices[2]
        .apply(&Action::FireEvent(certificate))
        .expect("it knows it");
    for _ in 0..2 {
        let refused = scene.post("/api/devices/sim-1/io4/relay/a/events", "{").await;
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    wait::until("a fault and an unreachable device", async || {
        let devices = scene.json("/api/devices").await;
        devices[0]["relays"]["io3"]["a"] == "NC" && devices[1]["state"] == "offline"
    })
    .await;
    let mut script = Script::start("readable.mjs", &scene.url());
    script.says("readable").await;
    script.says("done").await;
}

#[tokio::test]
async fn stale_missing_and_not_reported_are_distinguished() {
    let reporting = (Chassis::M3000, ApiGeneration::V20);
    let deriving = (Chassis::M500, ApiGeneration::V10);
    let setup = Setup::of(&[reporting, reporting, deriving, reporting]).site(with_server);
    // No device is given up.
    let setup = setup.entries(|device| {
        let entry = Entry::of(device).listed(device);
        entry.with("poll", "500ms").with("offline_after", 1000)
    });
    let scene = Scene::of(setup).await;
    let [failing, pulled, ..] = scene.fleet.devices() else {
        panic!("four devices were asked for");
    };
    failing.set_fault(Some(Fault::Unavailable));
    let module = Action::PowerOff("io3".to_owned());
    pulled.apply(&module).expect("it has that module");
    let mut script = Script::start("kinds.mjs", &scene.url());
    script.says("distinguished").await;
    let metrics = get(scene.http(), "/metrics").await.expect("it answers");
    for line in [
        r#"lantime2mqtt_relay_stale{device="sim-1",slot="io3",relay="a"} 1"#,
        r#"lantime2mqtt_relay_unknown{device="sim-2",slot="io3",relay="a",reason="missing"} 1"#,
        r#"lantime2mqtt_relay_unknown{device="sim-3",slot="io1",relay="b",reason="not-reported"} 1"#,
    ] {
        assert!(metrics.body.contains(line), "{line}");
    }
    script.go_on();
    script.says("done").await;
}
