//! The bridge at web servers with habits of their own: what of these is a fault, and what nobody hears of.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lantime2mqtt::simulator::ApiGeneration;
use serde_json::json as value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::clients::Clients;
use crate::support::program::Program;
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::web_server::{WebServer, answer};
use crate::support::{PATIENCE, wait};

/// The status document of a simulated device.
async fn document() -> Vec<u8> {
    let fleet = Setup::single(&[ApiGeneration::V10]).fleet().await;
    fleet.devices()[0].document().to_vec()
}

/// Answers the first request of each connection, and closes the connection when the second one has come.
async fn closes_under_the_second(document: Vec<u8>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            if head(&mut stream).await {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", document.len());
                let _ = stream.write_all(&[answer.as_bytes(), &document].concat()).await;
                head(&mut stream).await;
            }
        }
    });
    (url, task)
}

/// Reads the head of a request; says whether there was one.
async fn head(stream: &mut BufReader<TcpStream>) -> bool {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn a_device_that_closes_just_as_it_is_polled_is_no_fault() {
    let (url, server) = closes_under_the_second(document().await).await;
    let mut scene = Setup::at(&[Entry::new("short", &url)]).start().await;
    let seen = scene
        .until("the second statistics", |seen| {
            seen.json("short/http/stats")["polls"].as_u64() > Some(10)
        })
        .await;
    assert_eq!(seen.json("short/http/stats")["failures"], 0);
    let is_error =
        |(topic, _): &(String, String)| topic.contains("short/error") || topic.contains("dead-letter");
    assert!(!seen.log.iter().any(is_error), "{:?}", seen.log);
    server.abort();
}

/// Answers the first requests with errors that ask for such a pause, then with the document; notes when each came.
async fn busy_at_first(errors: usize, pause: Option<&'static str>) -> (WebServer, Arc<Mutex<Vec<Instant>>>) {
    let (document, arrivals) = (document().await, Arc::new(Mutex::new(Vec::new())));
    let (asked, noted) = (AtomicUsize::new(0), Arc::clone(&arrivals));
    let server = WebServer::start(move |_| {
        noted.lock().expect("nobody panics with it").push(Instant::now());
        if asked.fetch_add(1, Ordering::Relaxed) >= errors {
            return answer(200, document.clone());
        }
        let mut answer = answer(503, "");
        if let Some(pause) = pause {
            let pause = pause.parse().expect("it is a header's value");
            answer.headers_mut().insert("retry-after", pause);
        }
        answer
    })
    .await;
    (server, arrivals)
}

#[tokio::test]
async fn a_failed_poll_is_retried_long_before_a_long_interval_is_over() {
    let (server, arrivals) = busy_at_first(2, None).await;
    let entry = Entry::new("rare", &server.url()).with("poll", "1h");
    let mut scene = Setup::at(&[entry]).start().await;
    scene
        .until("online", |seen| seen.text("rare/state") == "online")
        .await;
    let arrivals = arrivals.lock().expect("nobody panics with it");
    let pauses: Vec<_> = arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Lower bounds only: a busy machine may take longer.
    assert!(pauses[0] >= Duration::from_millis(900), "{pauses:?}");
    assert!(pauses[1] >= Duration::from_millis(1900), "{pauses:?}");
}

#[tokio::test]
async fn a_device_that_asks_for_a_pause_is_left_alone_that_long_and_offline_meanwhile() {
    let (server, arrivals) = busy_at_first(1, Some("3")).await;
    let entry = Entry::new("busy", &server.url()).with("poll", "100ms");
    let mut scene = Setup::at(&[entry]).start().await;
    scene
        .until("offline", |seen| seen.text("busy/state") == "offline")
        .await;
    // Asks for a poll now.
    Clients::of(scene.broker.address())
        .publish("lantime/busy/refresh", "{}", &[])
        .await;
    scene
        .until("online", |seen| seen.text("busy/state") == "online")
        .await;
    let arrivals = arrivals.lock().expect("nobody panics with it");
    let pause = arrivals[1] - arrivals[0];
    assert!(pause >= Duration::from_millis(2900), "{pause:?}");
}

#[tokio::test]
async fn a_cookie_keeps_one_session_and_is_never_shown() {
    let document = document().await;
    let server = WebServer::start(move |request| {
        let mut answer = answer(200, document.clone());
        if !request.headers.contains_key("cookie") {
            let cookie = "sid=sentinel-0815; Path=/; HttpOnly"
                .parse()
                .expect("it is a header's value");
            answer.headers_mut().insert("set-cookie", cookie);
        }
        answer
    })
    .await;
    let entry = Entry::new("session", &server.url()).with("poll", "100ms").with(
        "http_sessions",
        toml::Table::from_iter([("enabled".to_owned(), true.into())]),
    );
    let stage = Setup::at(&[entry]).watched().await;
    let mut scene = stage.start_with(&["--log-level", "trace"], &[]);
    wait::until("polls", async || server.requests().len() > 5).await;
    let seen = scene
        .until("sessions", |seen| !seen.json("session/http/sessions").is_null())
        .await;
    let requests = server.requests();
    let cookies = requests.iter().map(|request| request.headers.get("cookie"));
    let with: Vec<_> = cookies.skip(1).flatten().collect();
    assert_eq!(with.len(), requests.len() - 1);
    assert!(with.iter().all(|cookie| *cookie == "sid=sentinel-0815"));
    assert!(!format!("{:?}", seen.log).contains("sentinel"));
    let end = scene.bridge.stop("TERM").await;
    assert!(!end.output.stderr.contains("sentinel"));

    let password = ("LANTIME2MQTT_PROBE_PASSWORD", "simulated");
    let probe = Program::start_with(&["probe", &server.url()], &[password]);
    let end = probe.end(PATIENCE).await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
    assert!(
        end.output.stdout.contains("cookie        sid: "),
        "{:?}",
        end.output
    );
    assert!(!format!("{:?}", end.output).contains("sentinel"));
}

#[tokio::test]
async fn a_login_page_is_reported_as_one_by_bridge_and_probe() {
    let page = "<!doctype html><title>LANTIME Login</title><form>";
    let server = WebServer::start(move |_| answer(200, page)).await;
    let mut scene = Setup::at(&[Entry::new("page", &server.url())]).start().await;
    let seen = scene
        .until("an error", |seen| seen.error_kind("page") == "decode")
        .await;
    let error = seen.json("page/error")["error"].clone();
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains("web page") && message.contains("LANTIME Login"),
        "{error}"
    );
    assert!(
        error["remedy"]
            .as_str()
            .expect("a remedy")
            .contains("Enable REST API"),
        "{error}"
    );
    assert_eq!(error["body"], value!(page));

    let password = ("LANTIME2MQTT_PROBE_PASSWORD", "simulated");
    let end = Program::start_with(&["probe", &server.url()], &[password])
        .end(PATIENCE)
        .await;
    assert_eq!(end.code, Some(1), "{:?}", end.output);
    assert!(end.output.stderr.contains("LANTIME Login"), "{:?}", end.output);
}

#[tokio::test]
async fn where_no_file_descriptor_is_left_the_error_names_the_limit() {
    let (url, server) = closes_under_the_second(document().await).await;
    let mut scene = Setup::at(&[Entry::new("short", &url)]).start().await;
    scene
        .until("online", |seen| seen.text("short/state") == "online")
        .await;
    // What is open stays open, and nothing more can be opened.
    let pid = scene.bridge.pid().to_string();
    let limited = Command::new("prlimit")
        .args(["--nofile=3:3", "--pid", &pid])
        .status();
    assert!(limited.expect("prlimit is there").success());
    let seen = scene
        .until("an error", |seen| seen.error_kind("short") == "connect")
        .await;
    let error = seen.json("short/error")["error"].to_string();
    assert!(
        error.contains("os error 24") && error.contains("LimitNOFILE"),
        "{error}"
    );
    server.abort();
}
