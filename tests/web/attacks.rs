//! Requests that are crooked, huge, slow or many: refused or bounded, while the bridge goes on polling.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::scene::{Scene, TOKEN, setup};
use crate::support::http::{ask, get};
use crate::support::site::Entry;
use crate::support::{PATIENCE, polls, wait};

/// Live clients that the server takes where it has 1,024 descriptors.
const CLIENTS: usize = 256;

#[tokio::test]
async fn no_path_leads_out() {
    let scene = Scene::start(1).await;
    for path in [
        "/../../../../etc/passwd",
        "/assets/../../../etc/passwd",
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%5c..%5cetc%5cpasswd",
        "/assets//etc/passwd",
        "//etc/passwd",
        "/assets/page.js%00.html",
        "/assets/",
        "/assets",
        "/api/devices/..%2f..%2fetc%2fpasswd",
        "/api/devices/sim-1%00",
        "/api/devices/sim-1%2finfo",
        "/api/devices/SIM-1",
        "/api/devices/%ff",
        "/api/devices/%",
        "/api/dead-letters/../bridge",
        "/api/dead-letters/%2e%2e",
        "/API/bridge",
        "/api/",
        "*",
    ] {
        let answer = get(scene.http(), path).await.expect("it answers");
        assert!((400..=404).contains(&answer.status), "{path}: {answer:?}");
        assert!(!answer.body.contains("root:"), "{path}: {answer:?}");
    }
    for path in [
        "/api/devices/sim-1/io4%2frelay%2fa/relay/a/events",
        "/api/devices/sim-1/+/relay/a/events",
        "/api/devices/sim-1/%23/relay/a/events",
        "/api/devices/sim-1/io4/relay/%2b/events",
        "/api/devices/+/refresh",
        "/api/devices/bridge/refresh",
    ] {
        let answer = scene.post(path, r#"{"add":["ntp-stopped"]}"#).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    let long = format!("/{}", "a".repeat(20_000));
    assert_eq!(get(scene.http(), &long).await.expect("it answers").status, 404);
    let query = get(scene.http(), "/api/dead-letters?limit=99999999")
        .await
        .expect("it answers");
    assert_eq!(query.status, 400);
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST"] {
        let request =
            format!("{method} /api/devices HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(
            ask(scene.http(), request).await.expect("it answers").status,
            405,
            "{method}"
        );
    }
}

#[tokio::test]
async fn huge_requests_are_refused_before_they_are_read() {
    let scene = Scene::start(1).await;
    let path = "/api/devices/sim-1/io4/relay/a/events";
    let body = format!("{{\"add\":[\"{}\"]}}", "x".repeat(8 * 1024 * 1024));
    assert_eq!(scene.post(path, &body).await.status, 413);
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{}",
        chunk.repeat(40)
    );
    assert_eq!(
        ask(scene.http(), chunked).await.map(|answer| answer.status),
        Some(413)
    );
    let without_token = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\nConnection: close\r\n\r\n{{"
    );
    assert_eq!(
        ask(scene.http(), without_token).await.map(|answer| answer.status),
        Some(401)
    );
    let heads = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    let answer = ask(scene.http(), heads).await;
    assert!(answer.is_none_or(|answer| answer.status == 431));
    let many = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        "A: b\r\n".repeat(5_000)
    );
    let answer = ask(scene.http(), many).await;
    assert!(answer.is_none_or(|answer| answer.status == 431));
    for malformed in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(scene.http()).await.expect("it listens");
        stream.write_all(malformed.as_bytes()).await.expect("it reads");
        stream.shutdown().await.expect("it is connected");
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .expect("it ends");
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{malformed:?}");
    }
    assert_eq!(scene.json("/healthz").await["status"], "ok");
}

/// Heads that never end, on more connections than the server has: they are ended, and others are answered.
#[tokio::test]
async fn slow_requests_are_ended_and_the_polls_keep_their_interval() {
    let scene = Scene::limited(1).await;
    let usual = Polls::watch(&scene, 50).await;
    let mut slow = JoinSet::new();
    for _ in 0..600 {
        let address = scene.http();
        slow.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            let head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX:";
            stream.write_all(head).await.expect("it reads");
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        });
    }
    let attacked = Polls::watch(&scene, 50).await;
    println!("usually {usual:?}, with 600 slow heads {attacked:?}");
    attacked.hold_against(&usual);
    let answer = get(scene.http(), "/healthz").await.expect("it answers");
    assert_eq!(answer.status, 200);
    let ended = timeout(PATIENCE, slow.join_all()).await;
    assert_eq!(ended.expect("each of them is ended").len(), 600);

    let head = format!(
        "POST /api/devices/sim-1/refresh HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{{"
    );
    let answer = ask(scene.http(), head).await.expect("it answers");
    assert_eq!(answer.status, 408, "half a command: {answer:?}");
}

#[tokio::test]
async fn a_thousand_idle_live_clients_are_bounded() {
    let mut scene = Scene::limited(20).await;
    let usual = Polls::watch(&scene, 50).await;
    let before = resident_kib(scene.bridge.pid());
    let mut clients = JoinSet::new();
    for _ in 0..1000 {
        let address = scene.http();
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            let request = "GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
            stream.write_all(request.as_bytes()).await.expect("it reads");
            let mut head = vec![0; 1024];
            let length = timeout(PATIENCE, stream.read(&mut head))
                .await
                .expect("an answer")
                .unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            (head, stream)
        });
    }
    let mut live = Vec::new();
    let mut refused = 0;
    while let Some(client) = clients.join_next().await {
        let (head, stream) = client.expect("it does not panic");
        if head.starts_with("HTTP/1.1 200") {
            // Kept, and read no further.
            live.push(stream);
        } else {
            assert!(
                head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 30"),
                "{head}"
            );
            refused += 1;
        }
    }
    assert_eq!((live.len(), refused), (CLIENTS, 1000 - CLIENTS));
    assert_eq!(
        scene.json("/healthz").await["status"],
        "ok",
        "others are still answered"
    );
    let attacked = Polls::watch(&scene, 100).await;
    let after = resident_kib(scene.bridge.pid());
    println!("usually {usual:?}, with {CLIENTS} live clients {attacked:?}");
    println!("memory: {before} KiB, then {after} KiB");
    attacked.hold_against(&usual);
    assert!(after < before + 64 * 1024, "{before} KiB, then {after} KiB");

    drop(live);
    let http = scene.http();
    wait::until("a place is free again", async || {
        let mut stream = TcpStream::connect(http).await.expect("it listens");
        let request = "GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.is_ok() && &head == b"HTTP/1.1 200"
    })
    .await;
    scene.bridge.signal("TERM");
    assert_eq!(
        scene.bridge.ended(PATIENCE).await.code,
        Some(0),
        "live clients do not hold up a stop"
    );
}

/// Who asks for all devices again and again costs the polls nothing.
#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_for_everything_do_not_hold_up_the_polls() {
    let scene = Scene::of(setup(500).entries(|device| Entry::writable(device).with("poll", "5s"))).await;
    let mut busy = JoinSet::new();
    for _ in 0..50 {
        let address = scene.http();
        busy.spawn(async move {
            loop {
                let answer = get(address, "/api/devices").await.expect("it answers");
                let is_whole = answer.body.contains("sim-500");
                assert!(is_whole || answer.status == 503, "{answer:?}");
            }
        });
    }
    for _ in 0..100 {
        assert_eq!(scene.json("/healthz").await["status"], "ok");
    }
    let polled = scene.device(1).counters().documents;
    wait::until("polls go on", async || {
        scene.device(1).counters().documents > polled
    })
    .await;
    assert!(busy.try_join_next().is_none(), "all of them go on");
}

/// How the bridge polls.
#[derive(Debug)]
struct Polls {
    /// The time between polls of the first device that 95 of 100 keep below, and also the time since the last one.
    gap: Duration,
    /// CPU time of the bridge in a second.
    cpu: Duration,
}

impl Polls {
    /// Of so many.
    async fn watch(scene: &Scene, count: u64) -> Polls {
        scene.device(1).record_arrivals(10_000);
        let (begin, before) = (Instant::now(), cpu_time(scene.bridge.pid()));
        polls(scene.device(1), count).await;
        let cpu = cpu_time(scene.bridge.pid()) - before;
        let during = begin.elapsed();
        let arrivals = scene.device(1).take_arrivals();
        let since_last = arrivals.last().expect("polls").elapsed();
        let mut gaps: Vec<_> = arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort();
        Polls {
            gap: gaps[gaps.len() * 95 / 100].max(since_last),
            cpu: cpu.div_f64(during.as_secs_f64()),
        }
    }

    /// The thread that polls has as little to do as usual, and nothing holds it up. What else the machine does may make it
    /// late by some hundred milliseconds.
    fn hold_against(&self, usual: &Polls) {
        let is_busy = self.cpu > usual.cpu + Duration::from_millis(250);
        let is_late = self.gap > usual.gap + Duration::from_secs(1);
        assert!(!is_busy && !is_late, "{usual:?}, then {self:?}");
    }
}

/// User and system time of a process.
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The name in brackets may hold blanks; a tick of this interface is 10 ms.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let ticks = [11, 12].map(|field: usize| fields[field].parse::<u64>().expect("a number"));
    Duration::from_millis(10 * ticks.iter().sum::<u64>())
}

fn resident_kib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("its memory is shown")
}
