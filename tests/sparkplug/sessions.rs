//! Sessions of the edge node: their numbers over restarts, deaths, rebirths, and the primary host.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::scene::{self, Scene};
use crate::support::clients::Clients;
use crate::support::http::get_at;
use crate::support::{PATIENCE, wait};

#[tokio::test]
async fn a_killed_bridge_is_reported_dead_with_the_number_of_its_birth_and_the_next_run_counts_on() {
    let mut scene = Scene::start(1).await;
    for session in 0..2 {
        scene.bridge.signal("KILL");
        scene.bridge.ended(PATIENCE).await;
        let seen = scene
            .client
            .until("its death", |seen| {
                seen.deaths.len() > usize::try_from(session).unwrap()
            })
            .await;
        assert_eq!(
            (seen.births.last(), seen.deaths.last()),
            (Some(&session), Some(&session))
        );
        assert!(seen.alive.is_empty());
        scene.bridge = scene.site.start();
        scene.until_born().await;
    }
    assert_eq!(scene.client.now().births, [0, 1, 2]);
}

#[tokio::test]
async fn a_bridge_that_stops_says_that_it_ends() {
    let mut scene = Scene::start(1).await;
    scene.bridge.signal("TERM");
    let end = scene.bridge.ended(PATIENCE).await;
    assert_eq!(end.code, Some(0), "{}", end.output.stderr);
    scene
        .client
        .until("its death", |seen| !seen.deaths.is_empty())
        .await;
    // Whatever belongs to the first session has come when the next one begins.
    scene.bridge = scene.site.start();
    scene.until_born().await;
    let seen = scene.client.now();
    assert_eq!(seen.births, [0, 1]);
    // Its own word, and the will.
    assert_eq!(seen.deaths, [0, 0]);
}

#[tokio::test]
async fn a_broken_connection_is_a_session_of_its_own() {
    let mut scene = Scene::start(1).await;
    scene.broker.restart();
    // The host's own connection has ended with the broker.
    scene.client = crate::host::Host::start_late(scene.broker.address()).await;
    // It may have come too late for the birth, and asks for it.
    scene.client.ask_births();
    let found = scene
        .client
        .until("the edge node is born", |seen| !seen.births.is_empty())
        .await;
    assert!(found.births[0] >= 1, "{:?}", found.births);
}

#[tokio::test]
async fn a_host_asks_for_all_births_again() {
    let mut scene = Scene::start(2).await;
    let before = scene.client.now();
    scene.client.ask_births();
    scene
        .client
        .until("all births again", |seen| {
            seen.count("NBIRTH") == before.count("NBIRTH") + 1
                && seen.count("DBIRTH") >= before.count("DBIRTH") + 6
        })
        .await;
    // Of the same session: the connection is the same.
    assert_eq!(scene.client.now().births, [0, 0]);
}

#[tokio::test]
async fn births_that_are_asked_for_again_and_again_come_whole_and_seldom() {
    let mut scene = Scene::start(10).await;
    let before = scene.client.now();
    // Some while the births for the first ones go out.
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..100 {
        tick.tick().await;
        scene.client.ask_births();
    }
    let whole = before.count("DBIRTH");
    let seen = scene
        .client
        .until("births at once, and after a pause", |seen| {
            seen.count("NBIRTH") > 2 && seen.count("DBIRTH") >= whole + 2 * 30
        })
        .await;
    assert!(seen.count("NBIRTH") < 10, "{:?}", seen.counts);
}

#[tokio::test]
async fn nothing_is_published_without_the_primary_host() {
    for version in ["5", "3.1.1"] {
        let setup = scene::setup(1).site(|site| {
            site.with("sparkplug.primary_host", "scada")
                .with("mqtt.version", version)
        });
        let mut scene = scene::with_host(setup).await.start();
        let clients = Clients::of(scene.broker.address());
        let mut state = clients.subscribe(&["lantime/sim-1/io4/state"]).await;
        scene.client.publish_state(false, 1000);
        scene.client.ask_births();
        state
            .until("the slot is published otherwise", |messages| {
                messages.iter().any(|message| message.payload == "online")
            })
            .await;
        assert!(scene.client.now().counts.is_empty(), "{:#?}", scene.client.now());

        scene.client.publish_state(true, 2000);
        scene.until_born().await;
        let session = *scene.client.now().births.last().unwrap();
        // One that comes late is of an earlier life of the host: it is still taken to be there.
        scene.client.publish_state(false, 1500);
        scene.client.ask_births();
        scene
            .client
            .until("it lives on", |seen| seen.births == [session, session])
            .await;
        scene.client.publish_state(false, 2000);
        let seen = scene
            .client
            .until("it is dead", |seen| !seen.deaths.is_empty())
            .await;
        assert_eq!(seen.deaths[0], session);
        assert!(seen.alive.is_empty());

        scene.client.publish_state(true, 3000);
        scene.until_born().await;
        let seen = scene.client.now();
        assert_eq!(seen.births, [session, session, session + 1]);
    }
}

/// Lets connections through to a broker; of those of an edge node only once so many have been dropped at their CONNECT.
async fn reluctant(broker: SocketAddr, mut refusals: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut first = vec![0; 4096];
            let read = client.read(&mut first).await.unwrap_or(0);
            let is_edge_node = first[..read].windows(10).any(|bytes| bytes == b"-sparkplug");
            if is_edge_node && refusals > 0 {
                refusals -= 1;
                continue;
            }
            tokio::spawn(async move {
                let mut server = TcpStream::connect(broker).await?;
                server.write_all(&first[..read]).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    address
}

/// Lets connections through to a broker of MQTT 5, and announces that it has no wildcards: it ends a connection that
/// subscribes with one.
async fn without_wildcards(broker: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(announce_no_wildcards(client, broker));
        }
    });
    address
}

async fn announce_no_wildcards(mut client: TcpStream, broker: SocketAddr) -> std::io::Result<()> {
    let mut server = TcpStream::connect(broker).await?;
    let mut packet = vec![0; 4096];
    let read = client.read(&mut packet).await?;
    server.write_all(&packet[..read]).await?;
    let read = server.read(&mut packet).await?;
    // CONNACK: type, length, flags, reason, length of the properties, properties. One more: wildcards, none.
    let [kind, length, flags, reason, properties, rest @ ..] = &packet[..read] else {
        panic!("a CONNACK of MQTT 5");
    };
    let head = [*kind, length + 2, *flags, *reason, properties + 2, 0x28, 0];
    client.write_all(&[&head[..], rest].concat()).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    loop {
        let read = from_client.read(&mut packet).await?;
        let has_wildcard = packet[..read].windows(2).any(|bytes| bytes == b"/+");
        if read == 0 || has_wildcard {
            back.abort();
            return Ok(());
        }
        to_server.write_all(&packet[..read]).await?;
    }
}

#[tokio::test]
async fn a_broker_without_wildcards_has_the_births_and_commands_for_the_node() {
    let mut stage = scene::stage(1).await;
    let front = without_wildcards(stage.broker.address()).await;
    stage.site = stage.site.with("mqtt.url", format!("mqtt://{front}"));
    let mut scene = stage.start();
    scene
        .client
        .until("the device is born", |seen| seen.alive.contains_key("sim-1"))
        .await;
    scene.client.ask_births();
    let seen = scene
        .client
        .until("it is born again", |seen| seen.count("NBIRTH") == 2)
        .await;
    assert_eq!(seen.births, [0, 0], "one session");
}

/// Lets connections through to a broker of MQTT 5; the subscription to NCMD it answers with a reason code that the client
/// library cannot read.
async fn refusing_ncmd(broker: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(refuse_ncmd(client, broker));
        }
    });
    address
}

async fn refuse_ncmd(client: TcpStream, broker: SocketAddr) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(broker).await?.into_split();
    let asked = Arc::new(AtomicBool::new(false));
    let is_asked = asked.clone();
    tokio::spawn(async move {
        let mut bytes = vec![0; 4096];
        loop {
            let read = from_server.read(&mut bytes).await?;
            // SUBACK of the first subscription: type, length, packet id, no properties, reason.
            let suback = bytes[..read]
                .windows(5)
                .position(|bytes| bytes == [0x90, 4, 0, 1, 0]);
            if let Some(at) = suback.filter(|_| is_asked.load(Ordering::Relaxed)) {
                bytes[at + 5] = 0x90;
            }
            to_client.write_all(&bytes[..read]).await?;
            if read == 0 {
                return std::io::Result::Ok(());
            }
        }
    });
    let mut bytes = vec![0; 4096];
    loop {
        let read = from_client.read(&mut bytes).await?;
        let has_ncmd = bytes[..read].windows(6).any(|bytes| bytes == b"/NCMD/");
        asked.fetch_or(has_ncmd, Ordering::Relaxed);
        to_server.write_all(&bytes[..read]).await?;
        if read == 0 {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn a_subscription_that_is_refused_beyond_understanding_does_not_keep_births_back() {
    let mut stage = scene::stage(1).await;
    let front = refusing_ncmd(stage.broker.address()).await;
    stage.site = stage.site.with("mqtt.url", format!("mqtt://{front}"));
    let mut scene = stage.start();
    let seen = scene
        .client
        .until("the device is born", |seen| seen.alive.contains_key("sim-1"))
        .await;
    assert_eq!(seen.births, [1], "the first session has found it out");
}

#[tokio::test]
async fn attempts_that_fail_use_up_no_number() {
    let mut stage = scene::stage(1).await;
    let front = reluctant(stage.broker.address(), 3).await;
    stage.site = stage.site.with("mqtt.url", format!("mqtt://{front}"));
    let mut scene = stage.start();
    let seen = scene
        .client
        .until("the edge node is born", |seen| !seen.births.is_empty())
        .await;
    assert_eq!(seen.births, [0]);
    scene.bridge.signal("KILL");
    let seen = scene
        .client
        .until("it is dead", |seen| !seen.deaths.is_empty())
        .await;
    assert_eq!(seen.deaths, [0]);
}

#[tokio::test]
async fn a_host_of_sparkplug_2_2_is_noticed() {
    let setup = scene::setup(1).site(|site| site.with("sparkplug.primary_host", "scada"));
    let stage = setup.stage().await;
    let clients = Clients::of(stage.broker.address());
    clients.publish("STATE/scada", "ONLINE", &["-r"]).await;
    let scene = stage.start();
    wait::until("it is counted", async || {
        let metrics = get_at(&scene.site.socket(), "/metrics").await;
        metrics.is_some_and(|metrics| metrics.body.contains("lantime2mqtt_sparkplug_old_hosts 1\n"))
    })
    .await;
}
