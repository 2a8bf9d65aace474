//! Requests to simulated devices, and to servers that do what no device should.

mod answers;
mod script;

use std::sync::Mutex;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::lantime::relay_events::RelayConfig;
use crate::lantime::rest::{Profile, Profiles};
use crate::model::ErrorKind;
use crate::simulator::{ApiGeneration, Chassis, DeviceKind, Fault, Fleet, FleetOptions, SimulatedDevice};

/// A client of that device, with the login of the simulated ones.
fn client(url: &str, more: &str) -> RestClient {
    let text = format!(
        "bridge.id = \"x\"\nmqtt.url = \"embedded\"\n[[devices]]\nid = \"x\"\nurl = \"{url}\"\nusername = \"bridge\"\n\
         password = \"simulated\"\n{more}\n"
    );
    let loaded = crate::config::from_table("test", text.parse().unwrap()).unwrap();
    let device = &loaded.config.devices[0];
    let http = HttpClients::default().for_device(device).unwrap();
    RestClient::new(http, device)
}

async fn device(api: ApiGeneration) -> (Fleet, Arc<SimulatedDevice>, RestClient) {
    let options = FleetOptions {
        devices: 1,
        kinds: vec![DeviceKind::new(Chassis::M3000, api)],
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(options).await.unwrap();
    let device = Arc::clone(&fleet.devices()[0]);
    let client = client(device.url(), "");
    (fleet, device, client)
}

fn profile(major: u32) -> Profile {
    Profiles::built_in().for_version(Some(major)).clone()
}

/// A body that changes nothing.
fn nothing() -> Bytes {
    Bytes::from_static(b"{\"data\":{\"revision\":1,\"events\":[]}}")
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_configuration_is_read_written_and_applied_with_either_login() {
    for (api, major) in [(ApiGeneration::V10, 10), (ApiGeneration::V20, 20)] {
        let (_fleet, device, mut client) = device(api).await;
        let profile = profile(major);
        client.use_tokens();
        let body = client.relay_events(&profile).await.unwrap();
        assert!(!RelayConfig::read(&body, &profile).unwrap().is_pending());
        client.write_relay_events(&profile, nothing()).await.unwrap();
        client.apply(&profile, LONG).await.unwrap();
        assert_eq!(client.has_token(), api.has_tokens());
        let counters = device.counters();
        assert_eq!(
            (
                counters.configuration_reads,
                counters.configuration_writes,
                counters.applies
            ),
            (1, 1, 1)
        );
        assert_eq!(counters.failed_logins, 0);
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_the_write_carried_out_once() {
    let (_fleet, device, mut client) = device(ApiGeneration::V20).await;
    let profile = profile(20);
    client.use_tokens();
    client.relay_events(&profile).await.unwrap();
    device.expire_tokens();
    client.write_relay_events(&profile, nothing()).await.unwrap();
    let counters = device.counters();
    assert_eq!((counters.configuration_writes, counters.tokens_issued), (1, 2));
    device.set_fault(Some(Fault::Unauthorized));
    let error = client.write_relay_events(&profile, nothing()).await.unwrap_err();
    assert_eq!(error.report.kind, ErrorKind::Unauthorized);
    assert!(error.is_login_refused());
}

#[tokio::test]
async fn a_user_that_may_only_read_keeps_its_login() {
    let (_fleet, device, mut client) = device(ApiGeneration::V20).await;
    let profile = profile(20);
    client.use_tokens();
    client.status(Paths::from(&profile)).await.unwrap();
    device.set_fault(Some(Fault::ReadOnly));
    let before = device.counters().requests;
    let error = client.write_relay_events(&profile, nothing()).await.unwrap_err();
    assert_eq!(
        (error.operation, error.report.kind),
        (Operation::RelayEvents, ErrorKind::Forbidden)
    );
    assert!(!error.is_login_refused());
    assert!(
        error.report.remedy.contains("access level"),
        "{}",
        error.report.remedy
    );
    let counters = device.counters();
    assert_eq!((counters.requests, counters.tokens_issued), (before + 1, 1));
    assert!(client.has_token());
    client.status(Paths::from(&profile)).await.unwrap();
}

#[tokio::test]
async fn what_a_device_refuses_has_a_kind_and_a_remedy() {
    let (_fleet, device, mut client) = device(ApiGeneration::V20).await;
    let profile = profile(20);
    let body = |events: &str, revision: u32| {
        Bytes::from(format!(
            "{{\"data\":{{\"revision\":{revision},\"events\":[{events}]}}}}"
        ))
    };
    let unknown = body("{\"object-id\":\"coffee-empty\",\"actions\":[]}", 1);
    let cases = [
        (unknown, None, ErrorKind::Rejected, "422", "does not take"),
        (
            Bytes::from_static(b"{"),
            None,
            ErrorKind::Rejected,
            "400",
            "does not take",
        ),
        (body("", 0), None, ErrorKind::Conflict, "409", "somebody else"),
        (
            nothing(),
            Some(Fault::BusyConfiguration),
            ErrorKind::Busy,
            "503",
            "in a while",
        ),
        (
            nothing(),
            Some(Fault::ServerError),
            ErrorKind::HttpStatus,
            "500",
            "own log",
        ),
        (
            nothing(),
            Some(Fault::NotFound),
            ErrorKind::NotFound,
            "404",
            "relay_events.write of API profile api-20",
        ),
        (
            nothing(),
            Some(Fault::CutAfterWrite),
            ErrorKind::Connect,
            "",
            "all the same",
        ),
    ];
    for (body, fault, kind, message, remedy) in cases {
        device.set_fault(fault.clone());
        let report = client
            .write_relay_events(&profile, body)
            .await
            .unwrap_err()
            .report;
        assert_eq!(report.kind, kind, "{report:?}");
        assert!(
            report.message.contains(message) && report.remedy.contains(remedy),
            "{report:?}"
        );
    }
    device.set_fault(None);
    let quoted = client
        .write_relay_events(&profile, body("{\"object-id\":\"x\",\"actions\":[]}", 2))
        .await;
    assert!(quoted.unwrap_err().report.message.contains("no event"));
    device.set_fault(Some(Fault::FailingApply));
    assert_eq!(
        client.apply(&profile, LONG).await.unwrap_err().report.kind,
        ErrorKind::HttpStatus
    );
    device.set_fault(Some(Fault::HangOnApply));
    let error = client
        .apply(&profile, Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(error.report.kind, ErrorKind::Timeout);
    assert!(
        error.report.remedy.contains("all the same"),
        "{}",
        error.report.remedy
    );
}

/// Answers by a table, and closes the connection where the table has nothing; notes what arrives.
struct Server {
    url: String,
    arrived: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: &'static [(&'static str, &'static str)]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&arrived);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers, Arc::clone(&noted)));
            }
        });
        Server { url, arrived }
    }

    fn arrived(&self) -> Vec<String> {
        self.arrived.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, answers: &[(&str, &str)], arrived: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        let request = head.split(" HTTP/1.1").next()?.to_owned();
        arrived.lock().unwrap().push(request.clone());
        let length = head.to_lowercase();
        let length = length
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await.ok()?;
        let (_, answer) = answers.iter().find(|(asked, _)| *asked == request)?;
        let login = head
            .split("Authorization: ")
            .nth(1)
            .or(head.split("authorization: ").nth(1));
        let answer = answer.replace("LOGIN", login?.lines().next()?);
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

#[tokio::test]
async fn a_write_on_a_kept_connection_that_closes_is_not_sent_again() {
    let server = Server::start(&[("GET /api/config/notification", OK)]).await;
    let mut client = client(&server.url, "");
    let profile = profile(10);
    for round in 1..=3 {
        client.relay_events(&profile).await.unwrap();
        // The connection is kept: the write goes out on it, and it is closed without an answer.
        let error = client.write_relay_events(&profile, nothing()).await.unwrap_err();
        assert_eq!(error.report.kind, ErrorKind::Connect);
        client.relay_events(&profile).await.unwrap();
        assert!(client.apply(&profile, LONG).await.is_err());
        let writes = server
            .arrived()
            .into_iter()
            .filter(|request| request.starts_with("PUT"));
        assert_eq!(writes.count(), 2 * round, "{:?}", server.arrived());
    }
}

#[tokio::test]
async fn a_write_after_the_kept_connection_was_closed_arrives_at_most_once() {
    // What is answered on a connection of its own is closed after it, without a word of that in the head.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap_or(0) > 0 {}
            arrived.send(head.starts_with("PUT")).unwrap();
            let _ = stream.write_all(OK.as_bytes()).await;
        }
    });
    let mut client = client(&url, "");
    let profile = profile(10);
    for _ in 0..50 {
        client.relay_events(&profile).await.unwrap();
        assert_eq!(arrivals.recv().await, Some(false));
        // It may be lost with the connection; it must not come twice.
        let result = client.apply(&profile, LONG).await;
        let mut writes = 0;
        while let Ok(is_write) = arrivals.try_recv() {
            writes += usize::from(is_write);
        }
        assert_eq!(writes, usize::from(result.is_ok()), "{result:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_login_not_repeated() {
    const REDIRECT: &str = "HTTP/1.1 307 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
    const REPEATED: &str = "HTTP/1.1 422 X\r\nContent-Length: 38\r\n\r\nwho is LOGIN?";
    const MISSING: &str = "HTTP/1.1 405 X\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(&[
        ("PUT /api/config/notification", REDIRECT),
        ("PUT /api/config/apply", MISSING),
        ("GET /api/config/notification", REPEATED),
    ])
    .await;
    let mut client = client(&server.url, "");
    let profile = profile(10);
    let report = client
        .write_relay_events(&profile, nothing())
        .await
        .unwrap_err()
        .report;
    assert_eq!(report.kind, ErrorKind::HttpStatus);
    assert!(report.message.contains("/elsewhere"), "{}", report.message);
    let report = client.apply(&profile, LONG).await.unwrap_err().report;
    assert!(report.remedy.contains("relay_events.apply"), "{}", report.remedy);
    let report = client.relay_events(&profile).await.unwrap_err().report;
    assert!(
        report.message.contains("left out") && !report.message.contains("who"),
        "{report:?}"
    );
    assert_eq!(server.arrived().len(), 3);
}

#[tokio::test]
async fn every_request_is_handed_over_once() {
    let (_fleet, device, mut client) = device(ApiGeneration::V20).await;
    let profile = profile(20);
    client.status(Paths::from(&profile)).await.unwrap();
    assert_eq!(client.take_sessions().len(), 1);

    client.use_tokens();
    let answer = client.status(Paths::from(&profile)).await.unwrap();
    client.relay_events(&profile).await.unwrap();
    client.write_relay_events(&profile, nothing()).await.unwrap();
    device.set_fault(Some(Fault::FailingApply));
    client.apply(&profile, LONG).await.unwrap_err();
    device.set_fault(Some(Fault::CutAfterApply));
    client.apply(&profile, LONG).await.unwrap_err();

    let log = client.take_sessions();
    let reported: Vec<_> = log
        .iter()
        .map(|session| (session.method, &*session.path, session.status, session.error))
        .collect();
    let expected = [
        ("PUT", "/api/get-token", Some(200), None),
        ("GET", "/api/status", Some(200), None),
        ("GET", "/api/config/notification", Some(200), None),
        ("PUT", "/api/config/notification", Some(200), None),
        ("PUT", "/api/config/apply", Some(500), Some("http-status")),
        ("PUT", "/api/config/apply", None, Some("connect")),
    ];
    assert_eq!(reported, expected);
    assert_eq!(log[1].bytes, answer.body.len() as u64);
    assert!((log[1].rtt_ms - answer.round_trip.as_secs_f64() * 1e3).abs() < 1e-6);
    for session in &log {
        assert!(
            (session.request_ms + session.response_ms - session.rtt_ms).abs() < 1e-6,
            "{session:?}"
        );
        assert!(session.request_ms > 0.0, "{session:?}");
    }
    assert_eq!((log[5].bytes, log[5].response_ms), (0, 0.0));
}

#[tokio::test]
async fn the_log_shows_how_far_an_answer_came() {
    let (_fleet, device, mut client) = device(ApiGeneration::V10).await;
    let profile = profile(10);
    device.set_fault(Some(Fault::CutBody { after_bytes: 1000 }));
    client.status(Paths::from(&profile)).await.unwrap_err();
    device.set_fault(Some(Fault::HugeBody { bytes: 9 << 20 }));
    client.status(Paths::from(&profile)).await.unwrap_err();
    let log = client.take_sessions();
    assert_eq!(
        (log[0].status, log[0].bytes, log[0].error),
        (Some(200), 1000, Some("connect"))
    );
    assert_eq!((log[1].status, log[1].error), (Some(200), Some("too-large")));
    assert!(log[1].bytes > MAX_BODY as u64);
    assert!(
        Arc::ptr_eq(&log[0].path, &log[1].path),
        "the path of polls is prepared once"
    );
}
