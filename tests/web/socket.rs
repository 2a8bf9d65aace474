//! The API at the Unix socket of the state directory: for the owner of the bridge, who needs neither a port nor a token.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::scene::{Scene, setup};
use crate::support::http::{ask_socket, get, get_at};
use crate::support::site::Site;
use crate::support::{PATIENCE, wait};

/// Connections at a time.
const PLACES: usize = 64;

#[tokio::test]
async fn the_owner_may_what_nobody_else_may() {
    let scene = Scene::of(setup(1).site(|site| site.without("http.token"))).await;
    let at_socket = async |path: &str| get_at(&scene.site.socket(), path).await.expect("it answers");
    let at_port = async |path: &str| get(scene.http(), path).await.expect("it answers");
    for (path, port, owner) in [
        ("/api/token", 403, 204),
        ("/api/dead-letters?limit=1001", 400, 200),
        ("/api/dead-letters?limit=100001", 400, 400),
    ] {
        assert_eq!(at_port(path).await.status, port, "{path}");
        assert_eq!(at_socket(path).await.status, owner, "{path}");
    }
    assert_eq!(at_port("/api/bridge").await.json()["changeable"], false);
    assert_eq!(at_socket("/api/bridge").await.json()["changeable"], true);

    let refresh = "/api/devices/sim-1/refresh";
    assert_eq!(scene.post(refresh, "{}").await.status, 403);
    let post = |kind: &str| {
        let head = format!("Host: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n");
        format!("POST {refresh} HTTP/1.1\r\n{head}Content-Length: 2\r\n\r\n{{}}")
    };
    let socket = scene.site.socket();
    for (kind, status) in [("application/json", 200), ("text/plain", 415)] {
        let answer = ask_socket(&socket, post(kind)).await.expect("it answers");
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn without_a_port_it_is_there_and_goes_with_the_bridge() {
    let site = Site::bare();
    let bridge = site.start();
    site.ready().await;
    // It has no end but that of the bridge.
    let mut live = UnixStream::connect(site.socket()).await.expect("it listens");
    let request = b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    live.write_all(request).await.expect("it is taken");
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains("event: bridge") {
        let read = timeout(PATIENCE, live.read_buf(&mut received)).await;
        assert!(
            read.expect("an event").expect("it is connected") > 0,
            "it goes on"
        );
    }
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
    let rest = timeout(PATIENCE, live.read_to_end(&mut received)).await;
    let _ = rest.expect("the connection ends with the bridge");
    assert!(!site.socket().exists());
}

#[tokio::test]
async fn a_second_bridge_leaves_it_alone_and_the_one_after_a_killed_one_has_its_own() {
    let site = Site::bare();
    let mut first = site.start();
    site.ready().await;
    let second = site.start().end(PATIENCE).await;
    assert_eq!(second.code, Some(1));
    assert!(
        second.output.stderr.contains("already in use"),
        "{:?}",
        second.output
    );
    assert!(get_at(&site.socket(), "/healthz").await.is_some());

    first.signal("KILL");
    first.ended(PATIENCE).await;
    assert!(site.socket().exists(), "it was killed");
    let third = site.start();
    site.ready().await;
    assert_eq!(third.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn odd_requests_are_refused_and_idle_clients_keep_nobody_out_for_good() {
    let site = Site::bare();
    let bridge = site.start();
    site.ready().await;
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(64 * 1024));
    for (request, status) in [
        ("{\"operation\":\"list\"}\n\r\n\r\n", 400),
        ("\u{0}\u{1}\r\n\r\n", 400),
        (&endless, 431),
        ("GET /api/bridge HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (
            "GET /api/bridge HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
            421,
        ),
    ] {
        let answer = ask_socket(&site.socket(), request).await.expect("it answers");
        assert_eq!(answer.status, status, "{answer:?}");
    }

    let mut idle = Vec::new();
    wait::until("all places are taken", async || {
        // It fails while too many wait to be accepted.
        if let Ok(mut stream) = UnixStream::connect(site.socket()).await {
            stream.write_all(b"GET /").await.expect("it is taken");
            idle.push(stream);
        }
        idle.len() == PLACES
    })
    .await;
    site.ready().await;
    let has_ended = |stream: &UnixStream| match stream.try_read(&mut [0; 1024]) {
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        Ok(_) => true,
    };
    assert!(idle.iter().any(has_ended), "one had to end before");
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
}
