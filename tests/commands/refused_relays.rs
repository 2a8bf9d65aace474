//! Relays that no event can switch, as far as anybody knows: each command gets one reply and one dead letter that say
//! a person what to do, and changes nothing.

use lantime2mqtt::simulator::ApiGeneration::{V10, V20};
use lantime2mqtt::simulator::SimulatedDevice;

use crate::scene::{Scene, assert_says};
use crate::support::scene::Setup;
use crate::support::site::Entry;

const A: &str = "sim-1/io4/relay/a/events/set";
const REPLACE: &str = r#"{"replace":["antenna-faulty"]}"#;

#[tokio::test]
async fn a_relay_that_no_event_can_switch() {
    let mut scene = Scene::start(&[V20]).await;
    let io3 = "slots = [{ id = 'io3', relays = { a = 'notification', b = 'clk2', c = 'rsc' } }, \
               { id = 'io4', relays = { a = 'notification', b = 'clk2', c = 'notification' } }]";
    let cases = [
        (
            "io4/relay/b",
            "rejected",
            &["relay b", "a jumper", "relay a or c"][..],
        ),
        ("io4/relay/d", "rejected", &["no relay \"d\"", "a or c"]),
        ("io4/relay/A", "rejected", &["no relay \"A\"", "in lower case"]),
        (
            "io3/relay/a",
            "rejected",
            &[
                "relay A of slot io3 to clk1",
                "no software can move the jumper",
                io3,
            ],
        ),
        (
            "io3/relay/c",
            "rejected",
            &[
                "relay C of slot io3 to rsc",
                "move the jumper on the module to notification",
            ],
        ),
        ("io9/relay/a", "not-found", &["no slot io9", "io3, io4"]),
        ("IO 4/relay/a", "rejected", &["\"IO 4\" in the topic"]),
    ];
    for (place, kind, parts) in cases {
        let dead_letter = scene
            .refused(&format!("sim-1/{place}/events/set"), REPLACE, kind)
            .await;
        assert_says(&dead_letter, parts);
        let slot = place.split('/').next().filter(|slot| slot.starts_with("io"));
        assert_eq!(dead_letter["slot"].as_str(), slot);
    }
    scene.only_refused(1, cases.len()).await;
}

#[tokio::test]
async fn wiring_and_profiles_that_nobody_has_seen() {
    let entry = |device: &SimulatedDevice| match device.id() {
        "sim-1" => Entry::of(device).with("allow_unverified_writes", true),
        _ => Entry::of(device).listed(device),
    };
    let mut scene = Scene::of(Setup::redundant(&[V20, V10]).entries(entry)).await;
    let list = "slots = [{ id = 'io3', relays = { a = 'clk1', b = 'clk2', c = 'rsc' } }, \
                { id = 'io4', relays = { a = 'notification', b = 'clk2', c = 'rsc' } }]";
    let dead_letter = scene.refused(A, REPLACE, "rejected").await;
    assert_says(
        &dead_letter,
        &[
            "io4",
            "only assumed (relay A: clk1)",
            "look at the module",
            list,
            "of io3 is assumed too",
        ],
    );
    let config: toml::Table = list.parse().unwrap();
    assert_eq!(config["slots"].as_array().unwrap().len(), 2);
    scene.only_refused(1, 1).await;

    let dead_letter = scene
        .refused("sim-2/io4/relay/a/events/set", REPLACE, "profile")
        .await;
    assert_says(
        &dead_letter,
        &[
            "nobody has seen",
            "profile api-10",
            "web interface",
            "allow_unverified_writes = true",
        ],
    );
    scene.only_refused(2, 1).await;
    // What is read is shown all the same.
    let selected = scene.look(|seen| seen.json("sim-2/io4/relay/a/events"));
    assert_eq!(selected["confirmed"], true);
}
