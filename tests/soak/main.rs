//! The bridge with two hundred devices in whatever can go wrong: random faults, random moves of the devices, random
//! commands, a broker that is killed, frozen, cut off and slow. In the end nothing is lost, nothing lies, and
//! memory is where it was.
//!
//! ```text
//! cargo test --features peers,stress --test soak                                        one minute, as all tests do
//! SOAK_SECONDS=600 cargo test --features peers,stress --test soak -- --nocapture        ten; memory is judged then
//! SOAK_SEED=4711 cargo test --features peers,stress --test soak                         what that seed brings
//! ```
//!
//! A seed decides what happens, not how fast the processes are meanwhile. A login that is refused (401, 403) is not among
//! it: the bridge leaves such a device alone for five minutes.

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod memory;
mod trouble;
mod truth;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lantime2mqtt::model::DeviceId;
use lantime2mqtt::records::store::{Options as StoreOptions, Store};
use lantime2mqtt::simulator::{Fleet, FleetOptions};

use commands::Commander;
use memory::Memory;
use support::mosquitto::{Mosquitto, Options};
use support::proxy::Proxy;
use support::requester::Requester;
use support::site::{Entry, Site};
use support::{Watcher, tap, wait};

const DEVICES: usize = 200;

/// What this run is.
struct Plan {
    seed: u64,
    length: Duration,
}

impl Plan {
    fn read() -> Plan {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(
                text.parse()
                    .unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")),
            )
        };
        let plan = Plan {
            seed: number("SOAK_SEED").unwrap_or_else(|| fastrand::u64(..)),
            length: Duration::from_secs(number("SOAK_SECONDS").unwrap_or(60)),
        };
        println!("{:?} of trouble; again with SOAK_SEED={}", plan.length, plan.seed);
        plan
    }

    /// Randomness of its own for each part, so that none depends on how fast another is.
    fn random(&self, part: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_add(part))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_nothing_lies_and_memory_is_flat() {
    let plan = Plan::read();
    let options = FleetOptions {
        devices: DEVICES,
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(options).await.expect("free ports on the loopback");
    let mut broker = Mosquitto::start_with(Options {
        persistence: true,
        lines: vec![
            "max_inflight_messages 1000".to_owned(),
            "set_tcp_nodelay true".to_owned(),
        ],
        ..Options::default()
    });
    let (proxy, tap) = Proxy::tapped(broker.address()).await;
    // On a busy machine an answer to a ping waits long behind those to the messages.
    let site = Site::new(proxy.address(), &entries(&fleet)).with("mqtt.keep_alive", "20s");
    let bridge = site.start();
    let polled_less_than = |times: u64, before: &[u64]| {
        let polls = fleet.devices().iter().map(|device| device.counters().documents);
        polls
            .zip(before)
            .filter(|(polls, before)| *polls < *before + times)
            .count()
    };
    let never = [0; DEVICES];
    assert!(
        wait::none_left(|| polled_less_than(2, &never)).await,
        "all devices are polled"
    );

    let until = Instant::now() + plan.length;
    let mut requester = Requester::connect(broker.address(), &["answers/#"]).await;
    let mut commander = Commander::new(fleet.devices(), plan.random(1));
    let mut memory = Memory::of(bridge.pid());
    tokio::join!(
        trouble::of_devices(fleet.devices(), plan.random(2), until),
        trouble::of_broker(&mut broker, &proxy, plan.random(3), until),
        commander.run(&mut requester, until),
        memory.watch(until),
    );

    let before: Vec<_> = fleet
        .devices()
        .iter()
        .map(|device| device.counters().documents)
        .collect();
    assert!(
        wait::none_left(|| polled_less_than(2, &before)).await,
        "every device is polled still"
    );
    if !commander.finish(&mut requester, &tap).await {
        let log = bridge.output().stderr;
        let from = log.len().saturating_sub(20_000);
        let from = (from..log.len())
            .find(|at| log.is_char_boundary(*at))
            .unwrap_or(0);
        println!("the bridge's log: {}", &log[from..]);
        panic!("commands are not answered");
    }
    let mut watcher = Watcher::connect(broker.address()).await;
    truth::is_published(&mut watcher, fleet.devices()).await;

    let end = bridge.stop("TERM").await;
    assert_eq!(end.code, Some(0), "{}", end.output.stderr);
    let store = Store::open(
        &site.state(),
        StoreOptions::new(DeviceId::new("test").expect("an id")),
    );
    let store = store.expect("nobody uses it");
    assert_eq!(
        store.outbox(0, 10, usize::MAX).await.expect("the disk works"),
        [],
        "records that were not sent"
    );
    assert_eq!(
        store.inbox().await.expect("the disk works"),
        [],
        "commands that are not answered"
    );
    let messages = tap.messages();
    let changes = tap::changes(&messages);
    let devices: BTreeSet<_> = changes
        .iter()
        .map(|record| record.json()["device"].to_string())
        .collect();
    println!(
        "{} records of changes, of {} devices, in {} messages",
        changes.len(),
        devices.len(),
        messages.len()
    );
    assert!(devices.len() > DEVICES / 2, "something has changed at most");
    commander.check(&messages);
    memory.check();
}

/// Devices whose commands fail soon, where they do.
fn entries(fleet: &Fleet) -> Vec<Entry> {
    let entry = |device| {
        Entry::writable(device)
            // A build for debugging on a busy machine has to keep up with it.
            .with("poll", "2s")
            .with("timeout", "10s")
            .with("command_timeout", "5s")
    };
    fleet.devices().iter().map(|device| entry(device)).collect()
}
