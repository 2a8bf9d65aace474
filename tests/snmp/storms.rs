//! Storms of traps, and malformed messages: bounded, counted, and without effect on anybody else.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use async_snmp::{Auth, Client, Value, VarBind, oid};
use lantime2mqtt::simulator::Fault;
use serde_json::Value as Json;

use crate::scene::{CHANGED, ENGINE, MESSAGE, NOT_SYNC, Scene, USERS, dead_letters, records, v3};
use crate::support::http::get_at;
use crate::support::{PATIENCE, wait};
use crate::tools::succeeds;

const STORM: u64 = 20_000;

/// What is counted of traps, as `/healthz` shows it.
pub(crate) async fn counts(scene: &Scene) -> Json {
    let answer = get_at(&scene.site.socket(), "/healthz").await;
    answer.expect("the bridge lives").json()["traps"].take()
}

pub(crate) async fn until_counted(scene: &Scene, what: &str, condition: impl Fn(&Json) -> bool) -> Json {
    wait::for_value(what, async || {
        let counts = counts(scene).await;
        condition(&counts).then(|| counts.clone()).ok_or(counts)
    })
    .await
}

pub(crate) fn number(counts: &Json, name: &str) -> u64 {
    counts[name].as_u64().expect("a count")
}

/// KiB that are in memory.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("Linux shows it");
    let number = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok());
    number.expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_traps_brings_few_polls_and_loses_none_uncounted() {
    let scene = Scene::start().await;
    let (polls, memory) = (scene.polls(), resident(scene.bridge.pid()));
    let client = Client::builder(scene.receiver(), Auth::v2c("public"));
    let client = client.connect().await.expect("a socket");
    // Of an event of which each trap gives a record.
    let trap = oid!(1, 3, 6, 1, 4, 1, 5597, 30, 3, 0, 8);
    let message = VarBind::new(
        oid!(1, 3, 6, 1, 4, 1, 5597, 30, 3, 0, 100),
        Value::from("Configuration changed"),
    );
    let begin = Instant::now();
    for number in 0..STORM {
        let uptime = u32::try_from(number).expect("it is small");
        client
            .send_trap(&trap, uptime, vec![message.clone()])
            .await
            .expect("it goes out");
    }
    let counts = until_counted(&scene, "all of them", |counts| {
        number(counts, "taken") + number(counts, "overrun") + number(counts, "socket_drops") == STORM
    })
    .await;
    let took = begin.elapsed();
    println!("{STORM} traps in {took:?}: {counts}");
    // At once, then four a second, and one after the last.
    let most = 2 + took.as_millis() as u64 / 250 + 1;
    let polled = scene.polls() - polls;
    assert!((1..=most).contains(&polled), "{polled} polls in {took:?}");
    let grown = resident(scene.bridge.pid()).saturating_sub(memory);
    assert!(grown < 48 * 1024, "{grown} KiB more");
}

/// A datagram as one of net-snmp's tools sends it.
async fn datagram(scene: &Scene, arguments: &[&str]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let to = socket.local_addr().expect("it is bound").to_string();
    let arguments = [
        arguments,
        &[to.as_str(), "", NOT_SYNC, MESSAGE, "s", "NTP not synchronized"],
    ]
    .concat();
    succeeds(scene.site.directory(), "snmptrap", &arguments).await;
    let mut buffer = vec![0; 2000];
    socket.set_read_timeout(Some(PATIENCE)).expect("it can wait");
    let length = socket.recv(&mut buffer).expect("it was sent");
    buffer.truncate(length);
    buffer
}

#[tokio::test]
async fn malformed_messages_have_no_effect() {
    let mut scene = Scene::start().await;
    let user = v3(USERS[1]);
    let seeds = [
        datagram(&scene, &["-v", "2c", "-c", "guessed"]).await,
        datagram(&scene, &[&user, &["-e", ENGINE][..]].concat()).await,
    ];
    let mut random = fastrand::Rng::with_seed(4711);
    let address: SocketAddr = scene.receiver().parse().expect("an address");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    for round in 0..100_000 {
        let mut bytes = match round % 3 {
            0 => (0..random.usize(..200)).map(|_| random.u8(..)).collect(),
            kind => seeds[kind - 1].clone(),
        };
        for _ in 0..random.usize(1..8) {
            if !bytes.is_empty() {
                let index = random.usize(..bytes.len());
                bytes[index] = random.u8(..);
            }
        }
        bytes.truncate(random.usize(..=bytes.len()));
        // Now and then chance leaves a message as it was: then it is a genuine trap.
        if seeds.contains(&bytes) {
            continue;
        }
        // A full buffer is the receiver's business.
        let _ = socket.send_to(&bytes, address);
    }
    let to = scene.receiver();
    // Whoever is configured is heard still: also the user whose messages were mangled. An inform, since the socket may be
    // full for a while, and then it is repeated.
    let inform = [&user, &["-r", "30", "-t", "1", to.as_str(), "", NOT_SYNC][..]].concat();
    let record = scene.sends("snmpinform", &inform).await;
    assert_eq!(record["event"], "ntp-not-sync");
    let seen = scene.client.now();
    assert_eq!(records(&seen).len(), 1, "nothing else came of it");
    assert!(
        dead_letters(&seen).len() <= 5,
        "one dead letter for each reason: {:?}",
        dead_letters(&seen)
    );
}

#[tokio::test]
async fn a_spoofed_message_does_not_lock_a_device_out() {
    let mut scene = Scene::start().await;
    let to = scene.receiver();
    let genuine = |boots: &'static str| [&v3(USERS[1])[..], &["-e", ENGINE, "-Z", boots]].concat();
    let what = [to.as_str(), "", CHANGED];
    scene
        .sends("snmptrap", &[&genuine("5,1000"), &what[..]].concat())
        .await;
    let mut forged = genuine("2147483646,1000");
    forged[9] = "not the right password";
    succeeds(scene.site.directory(), "snmptrap", &[&forged, &what[..]].concat()).await;
    until_counted(&scene, "the forged one", |counts| {
        number(counts, "wrong_credentials") == 1
    })
    .await;
    scene
        .sends("snmptrap", &[&genuine("5,1001"), &what[..]].concat())
        .await;
}

#[tokio::test]
async fn an_agent_whose_boots_go_back_is_heard_again_once_rest_shows_its_restart() {
    let mut scene = Scene::start().await;
    let to = scene.receiver();
    // By its uptime a trap of before the restart would be known: this one says 20 s.
    let what = [to.as_str(), "2000", CHANGED];
    let trap = |boots: &'static str| [&v3(USERS[1])[..], &["-e", ENGINE, "-Z", boots], &what[..]].concat();
    scene.sends("snmptrap", &trap("5,1000")).await;
    // Refused: what comes after it is the next record. A poll that shows no restart changes nothing.
    for time in ["4,10", "4,11"] {
        succeeds(scene.site.directory(), "snmptrap", &trap(time)).await;
        let record = scene
            .sends(
                "snmptrap",
                &["-v", "2c", "-c", "public", to.as_str(), "", CHANGED],
            )
            .await;
        assert_eq!(record["version"], "2c");
    }

    let down = Duration::from_millis(100);
    scene.device(1).set_fault(Some(Fault::Restart { down }));
    // Each trap in the clear brings a poll, and one of those shows the restart; then the receiver is replaced.
    let v3_came = |scene: &Scene| {
        records(&scene.client.now())
            .iter()
            .filter(|record| record["version"] == "3")
            .count()
    };
    let before = v3_came(&scene);
    wait::until("it is heard again", async || {
        let clear = ["-v", "2c", "-c", "public", to.as_str(), "", CHANGED];
        succeeds(scene.site.directory(), "snmptrap", &clear).await;
        succeeds(scene.site.directory(), "snmptrap", &trap("4,20")).await;
        v3_came(&scene) > before
    })
    .await;
}
