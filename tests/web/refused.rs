//! Who may not ask, and who may not change anything.

use crate::scene::{Scene, TOKEN, setup};
use crate::support::http::{ask, get};

const REFRESH: &str = "/api/devices/sim-1/refresh";

/// Lines of a head that show a token.
fn bearer(token: &str, more: &str) -> String {
    format!("Authorization: Bearer {token}\r\n{more}")
}

/// Lines of a head that would be enough, but for what a case adds or leaves out.
fn head(token: &str, kind: &str, more: &str) -> String {
    bearer(token, &format!("Content-Type: {kind}\r\n{more}"))
}

#[tokio::test]
async fn other_sites_and_those_without_the_token_change_nothing() {
    let scene = Scene::start(1).await;
    let json = "application/json";
    let own = format!(
        "Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n",
        scene.http()
    );
    let events = "/api/devices/sim-1/io4/relay/a/events";
    for (head, status) in [
        (String::new(), 401),
        (head("wrong", json, ""), 401),
        (head("", json, ""), 401),
        (head(&TOKEN[..TOKEN.len() - 1], json, ""), 401),
        (head(TOKEN, "text/plain", ""), 415),
        (head(TOKEN, "application/x-www-form-urlencoded", &own), 415),
        (head(TOKEN, "multipart/form-data", ""), 415),
        (head(TOKEN, json, "Origin: http://evil.example\r\n"), 403),
        (head(TOKEN, json, "Origin: null\r\n"), 403),
        (head(TOKEN, json, "Sec-Fetch-Site: cross-site\r\n"), 403),
        (head(TOKEN, json, "Sec-Fetch-Site: same-site\r\n"), 403),
    ] {
        let answer = scene
            .post_with(events, &head, r#"{"replace":["antenna-faulty"]}"#)
            .await;
        assert_eq!(answer.status, status, "{head}: {answer:?}");
        assert!(
            !answer.json()["error"]["remedy"]
                .as_str()
                .unwrap_or_default()
                .is_empty()
        );
    }
    let selected =
        scene.json("/api/devices/sim-1").await["slots"]["io4"]["relay_events"]["a"]["events"].clone();
    assert!(!selected.to_string().contains("antenna-faulty"), "{selected}");
    assert!(
        scene
            .json("/api/dead-letters")
            .await
            .as_array()
            .is_some_and(Vec::is_empty),
        "no command was made of them"
    );
    let answer = scene.post_with(REFRESH, &head(TOKEN, json, &own), "").await;
    assert_eq!(answer.status, 200, "the page itself: {answer:?}");
}

#[tokio::test]
async fn a_token_can_be_tried_without_changing_anything() {
    let scene = Scene::start(1).await;
    let own = format!(
        "Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n",
        scene.http()
    );
    for (head, status) in [
        (bearer(TOKEN, ""), 204),
        (bearer(TOKEN, &own), 204),
        (String::new(), 401),
        (bearer("", ""), 401),
        (bearer("wrong", ""), 401),
        (bearer(&TOKEN[..TOKEN.len() - 1], ""), 401),
        (bearer(TOKEN, "Origin: http://evil.example\r\n"), 403),
        (bearer(TOKEN, "Sec-Fetch-Site: cross-site\r\n"), 403),
    ] {
        let answer = scene.get_with("/api/token", &head).await;
        assert_eq!(answer.status, status, "{head}: {answer:?}");
        assert!(!answer.body.contains(TOKEN) && !answer.head.contains(TOKEN));
    }
    let scene = Scene::of(setup(1).site(|site| site.without("http.token"))).await;
    let answer = scene.get_with("/api/token", &bearer(TOKEN, "")).await;
    assert_eq!((answer.status, answer.kind().as_str()), (403, "forbidden"));
}

#[tokio::test]
async fn without_a_token_in_the_configuration_nobody_changes_anything() {
    let scene = Scene::of(setup(1).site(|site| site.without("http.token"))).await;
    let answer = scene.post(REFRESH, "").await;
    assert_eq!((answer.status, answer.kind().as_str()), (403, "forbidden"));
    assert!(answer.body.contains("http.token_file"), "{answer:?}");
    assert_eq!(scene.json("/api/bridge").await["changeable"], false);
}

#[tokio::test]
async fn a_name_that_is_not_ours_gets_nothing() {
    let scene = Scene::of(
        setup(1).site(|site| site.with("http.hosts", toml::Value::Array(vec!["Bridge.example".into()]))),
    )
    .await;
    let port = scene.http().port();
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]:99",
        "bridge.example",
        "BRIDGE.example:443",
    ] {
        let request = format!("GET /api/bridge HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = ask(scene.http(), request).await.expect("it answers");
        assert_eq!(answer.status, 200, "{host}");
    }
    for (request, status) in [
        (
            format!("GET /api/bridge HTTP/1.1\r\nHost: evil.example:{port}\r\nConnection: close\r\n\r\n"),
            421,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example:{port}\r\nConnection: close\r\n\r\n"),
            421,
        ),
        (
            format!(
                "GET http://evil.example/api/bridge HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
            ),
            421,
        ),
        (
            "GET /api/bridge HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
                .to_owned(),
            400,
        ),
        (
            "GET /api/bridge HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            400,
        ),
        ("GET /api/bridge HTTP/1.0\r\n\r\n".to_owned(), 400),
    ] {
        let answer = ask(scene.http(), &request).await.expect("it answers");
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        assert!(!answer.body.contains("broker"), "{answer:?}");
    }
    // A probe of a load balancer knows no name.
    let probe = ask(scene.http(), "GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(probe.expect("it answers").status, 200);
}

#[tokio::test]
async fn every_answer_has_browsers_to_be_careful() {
    let scene = Scene::start(1).await;
    for path in [
        "/",
        "/assets/page.js",
        "/api/devices",
        "/nowhere",
        "/api/devices/nobody",
    ] {
        let answer = get(scene.http(), path).await.expect("it answers");
        for line in [
            "content-security-policy: default-src 'none'; script-src 'self'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-",
        ] {
            assert!(answer.head.contains(line), "{path}: {line} in {}", answer.head);
        }
        assert!(
            !answer.head.contains("unsafe-inline") && !answer.head.contains("access-control"),
            "{}",
            answer.head
        );
    }
    let page = get(scene.http(), "/").await.expect("it answers");
    let tag = page
        .head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .expect("a tag");
    let request =
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n");
    assert_eq!(ask(scene.http(), request).await.expect("it answers").status, 304);
}
