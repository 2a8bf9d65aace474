//! The page in a big outage: the list of many devices, the tab, the wall screen, alerts, and dead letters in a flood.

use std::sync::Arc;

use lantime2mqtt::simulator::{Action, Clock, Fault, SimulatedDevice};

use crate::browser::Script;
use crate::scene::{Scene, setup};
use crate::support::site::Entry;

/// Forty devices.
async fn many() -> Scene {
    Scene::of(setup(40).entries(|device| Entry::writable(device).with("poll", "500ms"))).await
}

fn falls(device: &Arc<SimulatedDevice>) {
    device
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
}

fn recovers(device: &Arc<SimulatedDevice>) {
    device.apply(&Action::Recover).expect("it can");
    device.set_fault(None);
}

#[tokio::test]
async fn the_list_shows_what_is_wrong_first_and_keeps_its_place() {
    let scene = many().await;
    let mut script = Script::start("fleet.mjs", &scene.url());
    script.says("all well").await;
    falls(scene.device(20));
    scene.device(30).set_fault(Some(Fault::ServerError));
    script.says("looked at").await;
    script.go_on();
    script.says("done").await;
}

#[tokio::test]
async fn a_wall_screen_shows_all_and_says_when_it_is_old() {
    let scene = many().await;
    let mut script = Script::start("kiosk.mjs", &scene.url());
    script.says("all well").await;
    falls(scene.device(20));
    scene.device(30).set_fault(Some(Fault::ServerError));
    script.says("wrong").await;
    recovers(scene.device(20));
    recovers(scene.device(30));
    script.says("well again").await;
    scene.bridge.signal("KILL");
    script.says("lost").await;
    script.go_on();
    script.says("done").await;
}

#[tokio::test]
async fn a_wall_screen_of_few_devices_is_large_and_names_what_is_wrong() {
    let stage = setup(3).entries(|device| {
        let entry = Entry::writable(device).with("offline_after", 1);
        match device.id() {
            "sim-1" => entry.with("label", "Relay room").with("site", "North"),
            "sim-2" => entry.with("label", "Studio").with("site", "South"),
            _ => entry,
        }
    });
    let stage = stage.stage().await;
    let never_seen = &stage.fleet.devices()[1];
    never_seen.set_fault(Some(Fault::ServerError));
    let scene: Scene = stage.start();
    falls(scene.device(1));
    falls(scene.device(3));
    let mut script = Script::start("small_wall.mjs", &scene.url());
    script.says("wrong").await;
    recovers(scene.device(1));
    script.says("done").await;
}

#[tokio::test]
async fn who_wants_it_is_notified_once_of_many() {
    let scene = Scene::start(3).await;
    let mut script = Script::start("notify.mjs", &scene.url());
    script.says("off").await;
    falls(scene.device(1));
    script.says("fell").await;
    recovers(scene.device(1));
    script.says("on").await;
    falls(scene.device(1));
    falls(scene.device(2));
    let reported = script.says("reported").await;
    assert_eq!(reported, r#"["2 with a fault: sim-1, sim-2"]"#);
    script.go_on();
    script.says("again").await;
    falls(scene.device(3));
    script.says("done").await;
}

#[tokio::test]
async fn times_are_in_the_zone_that_was_selected() {
    let scene = Scene::start(1).await;
    let mut script = Script::start("zones.mjs", &scene.url());
    script.says("done").await;
}

#[tokio::test]
async fn a_flood_of_dead_letters_is_one_group_that_stays_handled_over_a_restart() {
    let mut scene = Scene::start(2).await;
    let refuse = async |device: &str, payload: &str| {
        let path = format!("/api/devices/{device}/io4/relay/a/events");
        let refused = scene.post(&path, payload).await;
        assert!(refused.status >= 400, "{refused:?}");
    };
    refuse("sim-1", "{").await;
    for number in 0..12 {
        let payload = format!(r#"{{"add":["no-such-event-{number}"]}}"#);
        refuse("sim-1", &payload).await;
        refuse("sim-2", &payload).await;
    }
    let mut script = Script::start("flood.mjs", &scene.url());
    script.says("handled").await;
    scene.bridge.stop("TERM").await;
    scene.bridge = scene.site.start();
    scene.site.ready().await;
    script.go_on();
    script.says("done").await;
}
