//! Many changes: `seq` has no gap, and what the host knows in the end is so.

use std::time::Duration;

use lantime2mqtt::app::{Bridge, Setup};
use lantime2mqtt::config;
use lantime2mqtt::records::store::{Options, Store};
use lantime2mqtt::simulator::{Action, Clock, Fleet};

use crate::host::Seen;
use crate::scene::stage;

const DEVICES: usize = 40;
const MESSAGES: usize = 20_000;

/// How long they may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Moves the devices on, step by step, and never ends. Seven steps, so that polls do not see the same one again and again.
async fn move_all(fleet: &Fleet) {
    let steps = [
        Action::LoseSync(Clock::Clk1),
        Action::FireEvent("antenna-faulty".to_owned()),
        Action::LoseSync(Clock::Clk2),
        Action::RegainSync(Clock::Clk1),
        Action::FireEvent("ntp-not-sync".to_owned()),
        Action::RegainSync(Clock::Clk2),
        Action::Recover,
    ];
    let mut tick = tokio::time::interval(Duration::from_millis(30));
    for step in steps.iter().cycle() {
        tick.tick().await;
        for device in fleet.devices() {
            // What a world refuses does not matter here.
            let _ = device.apply(step);
        }
    }
}

fn is_all_well(seen: &Seen) -> bool {
    (1..=DEVICES).all(|number| {
        let stands = |slot: &str, relay: &str| {
            seen.value(
                &format!("sim-{number}:{slot}"),
                &format!("relay/{relay}/position"),
            ) == "NO"
        };
        ["io3", "io4"]
            .iter()
            .all(|slot| ["a", "b", "c"].iter().all(|relay| stands(slot, relay)))
    })
}

/// The bridge is in this process: the program itself has one thread, on which no writer could come before another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_have_no_gap_over_many_changes_on_many_threads() {
    let stage = stage(DEVICES).await;
    let (mut host, fleet, site) = (stage.client, stage.fleet, stage.site);
    let config = config::load(&site.config(), []).unwrap().config;
    let store = Store::open(&site.state(), Options::new(config.bridge.id.clone())).unwrap();
    let setup = Setup {
        store,
        sink: None,
        has_socket: false,
    };
    let bridge = Bridge::start(config, setup).await.unwrap();
    host.until("all are born", |seen| seen.count("DBIRTH") >= 3 * DEVICES)
        .await;
    let before = host.now();

    let followed = async {
        let is_done = |seen: &Seen| seen.count("DDATA") >= MESSAGES;
        let seen = host.until_within(PATIENCE, "many messages", is_done).await;
        assert_eq!(seen.count("NBIRTH"), 1);
        assert_eq!(
            seen.count("DBIRTH"),
            before.count("DBIRTH"),
            "each change as data"
        );
        println!("messages: {:?}", seen.counts);
        // And births in the midst of changes.
        for births in 2..5 {
            host.ask_births();
            let is_born = |seen: &Seen| {
                seen.count("NBIRTH") == births && seen.count("DBIRTH") >= births * before.count("DBIRTH")
            };
            host.until("births among data", is_born).await;
        }
    };
    tokio::select! {
        () = followed => {}
        () = move_all(&fleet) => unreachable!("it never ends"),
    };

    for device in fleet.devices() {
        device.apply(&Action::Recover).unwrap();
    }
    host.until("what is known in the end", is_all_well).await;
    bridge.stop().await.unwrap();
    host.until("its death", |seen| seen.deaths.contains(&0)).await;
}
