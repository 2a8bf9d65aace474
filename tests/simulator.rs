//! The simulated devices as a client sees them: real sockets, raw HTTP, every fault, and the recorded shape.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests; the lint only sees functions marked so"
)]

use lantime2mqtt::simulator::{
    Action, ApiGeneration, Chassis, Clock, DeviceKind, Fault, Fleet, FleetOptions, Relay, Scenario,
    SimulatedDevice, SimulatorError,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// `info:simulated`, the default user.
const BASIC: &str = "Basic aW5mbzpzaW11bGF0ZWQ=";
const WRONG: &str = "Basic aW5mbzpndWVzc2Vk";

const M3000: Chassis = Chassis::M3000;
const M500: Chassis = Chassis::M500;
use ApiGeneration::{V10, V16, V20};

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// A client that shows what is on the wire.
struct Client {
    stream: BufReader<Box<dyn Socket>>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    async fn connect(device: &SimulatedDevice) -> io::Result<Self> {
        let stream: Box<dyn Socket> = Box::new(TcpStream::connect(device.address()).await?);
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    async fn send(&mut self, method: &str, path: &str, authorization: Option<&str>) -> io::Result<()> {
        let authorization =
            authorization.map_or(String::new(), |value| format!("Authorization: {value}\r\n"));
        let request = format!("{method} {path} HTTP/1.1\r\nHost: sim\r\n{authorization}\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await
    }

    async fn head(&mut self) -> io::Result<(u16, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.unwrap(), head.to_ascii_lowercase()))
    }

    async fn receive(&mut self) -> io::Result<Answer> {
        let (status, head) = self.head().await?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map(str::parse);
        let body = match length {
            Some(length) => {
                let mut body = vec![0; length.unwrap()];
                self.stream.read_exact(&mut body).await?;
                body
            }
            None => self.chunks().await?,
        };
        Ok(Answer { status, head, body })
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.stream.read_line(&mut size).await?;
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let start = body.len();
            body.resize(start + size + 2, 0);
            self.stream.read_exact(&mut body[start..]).await?;
            body.truncate(start + size);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    async fn ask(&mut self, method: &str, path: &str, authorization: Option<&str>) -> io::Result<Answer> {
        self.send(method, path, authorization).await?;
        self.receive().await
    }

    async fn status(&mut self) -> io::Result<Answer> {
        self.ask("GET", "/api/status", Some(BASIC)).await
    }
}

/// Nothing here takes long; what does is broken.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("this should not take 20 s")
}

async fn fleet(kinds: &[(Chassis, ApiGeneration)]) -> Fleet {
    let kinds: Vec<_> = kinds
        .iter()
        .map(|&(chassis, api)| DeviceKind::new(chassis, api))
        .collect();
    Fleet::start(FleetOptions {
        devices: kinds.len(),
        kinds,
        ..FleetOptions::default()
    })
    .await
    .unwrap()
}

async fn one(chassis: Chassis, api: ApiGeneration) -> (Fleet, Arc<SimulatedDevice>, Client) {
    let fleet = fleet(&[(chassis, api)]).await;
    let device = Arc::clone(&fleet.devices()[0]);
    let client = Client::connect(&device).await.unwrap();
    (fleet, device, client)
}

fn slot<'a>(document: &'a Value, id: &str) -> &'a Value {
    let slots = document["data"]["chassis0"]["slots"].as_array().unwrap();
    slots.iter().find(|slot| slot["slot-id"] == id).unwrap()
}

fn event<'a>(document: &'a Value, name: &str) -> &'a Value {
    let events = document["data"]["notification"]["events"].as_array().unwrap();
    events.iter().find(|event| event["object-id"] == name).unwrap()
}

#[tokio::test]
async fn every_default_kind_answers_as_itself() {
    let options = FleetOptions {
        devices: 6,
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(options).await.unwrap();
    for device in fleet.devices() {
        let mut client = Client::connect(device).await.unwrap();
        let answer = soon(client.status()).await.unwrap();
        let (document, kind) = (answer.json(), device.kind());
        let what = &document["system-information"];
        assert_eq!(answer.status, 200);
        assert!(
            (20_000..32_000).contains(&answer.body.len()),
            "{kind:?}: {} bytes",
            answer.body.len()
        );
        assert!(answer.head.contains("content-type: application/json"));
        assert_eq!(
            what["API Version"],
            format!("LANTIME REST API V{}", kind.api.api_version())
        );
        assert_eq!(what["version"], kind.api.firmware());
        assert_eq!(what["model"], kind.chassis.model());
        assert_eq!(what["hostname"], device.hostname());
        assert_eq!(what["serial-number"], device.serial_number());
        for module in kind.chassis.relay_modules() {
            let module = &slot(&document, module.slot)["module"];
            assert_eq!(module["info"]["model"], "rel1000");
            assert_eq!(module.get("relays").is_some(), kind.reports_relays);
            let has_inputs = kind.reports_relays && !kind.chassis.is_redundant();
            assert_eq!(module.get("inputs").is_some(), has_inputs);
        }
    }
    assert_eq!(fleet.devices()[4].id(), "sim-5");
}

#[tokio::test]
async fn a_connection_is_kept_and_time_goes_on() {
    let (_fleet, device, mut client) = one(M3000, V10).await;
    device.record_arrivals(10);
    let first = client.status().await.unwrap().json();
    let second = soon(async {
        loop {
            let next = client.status().await.unwrap().json();
            if next["system-information"]["time-stamp"] != first["system-information"]["time-stamp"] {
                return next;
            }
        }
    });
    let second = second.await;
    let uptime = |document: &Value| document["data"]["system"]["uptime"].as_f64().unwrap();
    assert!(uptime(&first) > 86_400.0 && uptime(&second) > uptime(&first));
    let counters = device.counters();
    assert_eq!(counters.connections, 1);
    assert!(counters.requests >= 2 && counters.documents == counters.requests);
    let arrivals = device.take_arrivals();
    assert!((2..=10).contains(&arrivals.len()) && arrivals.is_sorted());
    let last = device.last_answer().unwrap();
    assert!(last.status == 200 && last.at >= arrivals[0]);
}

#[tokio::test]
async fn only_the_right_password_reads() {
    let (_fleet, device, mut client) = one(M500, V10).await;
    for (authorization, failed) in [
        (None, 0),
        (Some(WRONG), 1),
        (Some("Basic !"), 2),
        (Some("Bearer 00"), 2),
    ] {
        let answer = client.ask("GET", "/api/status", authorization).await.unwrap();
        assert_eq!(answer.status, 401);
        assert!(
            answer.head.contains("www-authenticate: basic realm="),
            "{}",
            answer.head
        );
        assert_eq!(device.counters().failed_logins, failed);
    }
    assert_eq!(device.counters().refused_tokens, 1);
    for (method, path) in [("GET", "/"), ("POST", "/api/status"), ("PUT", "/api/get-token")] {
        let answer = client.ask(method, path, Some(BASIC)).await.unwrap();
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (404, Some("Not Found")),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn tokens_are_given_from_firmware_7_08_on_and_expire() {
    for api in [V16, V20] {
        let (_fleet, device, mut client) = one(M3000, api).await;
        assert_eq!(
            client
                .ask("PUT", "/api/get-token", Some(WRONG))
                .await
                .unwrap()
                .status,
            401
        );
        let token = client
            .ask("PUT", "/api/get-token", Some(BASIC))
            .await
            .unwrap()
            .json();
        let token = token["token"].as_str().unwrap();
        assert!(token.len() >= 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let bearer = format!("Bearer {token}");
        assert_eq!(
            client
                .ask("GET", "/api/status", Some(&bearer))
                .await
                .unwrap()
                .status,
            200
        );
        assert_eq!(
            client
                .ask("PUT", "/api/get-token", Some(&bearer))
                .await
                .unwrap()
                .status,
            401
        );
        device.expire_tokens();
        assert_eq!(
            client
                .ask("GET", "/api/status", Some(&bearer))
                .await
                .unwrap()
                .status,
            401
        );
        let counters = device.counters();
        assert_eq!(
            (
                counters.tokens_issued,
                counters.failed_logins,
                counters.refused_tokens
            ),
            (1, 1, 1)
        );
    }
}

#[tokio::test]
async fn a_move_of_the_world_is_in_the_next_answer() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    client.status().await.unwrap();
    let before = Instant::now();
    let generation = device.apply(&Action::LoseSync(Clock::Clk1)).unwrap();
    assert_eq!(device.answered_at(generation), None);
    let document = client.status().await.unwrap().json();
    let answered = device.answered_at(generation).unwrap();
    assert!(answered >= before && answered <= Instant::now());
    client.status().await.unwrap();
    assert_eq!(
        device.answered_at(generation),
        Some(answered),
        "only the first counts"
    );

    let clock = |id| slot(&document, id)["module"]["sync-status"].clone();
    assert_eq!(clock("clk1")["clock-status"]["clock"], "not-synchronized");
    assert_eq!(
        (&clock("clk1")["clock-idx"], &clock("clk2")["clock-idx"]),
        (&"not-selected".into(), &"selected".into())
    );
    assert_eq!(slot(&document, "rsc1")["module"]["rsc"]["active"], "clk2");
    let relays = &slot(&document, "io3")["module"]["relays"];
    assert_eq!(
        (&relays["relay-a"]["state"], &relays["relay-c"]["state"]),
        (&"nc".into(), &"no".into())
    );
    assert_eq!(event(&document, "refclock-1-not-sync")["triggered"], 1);
    assert_eq!(event(&document, "refclock-1-sync")["triggered"], 0);
    assert_eq!(event(&document, "ntp-stopped")["last-triggered"], "never");
    assert_eq!(document["data"]["system"]["sync-status"]["clock-idx"], 1);
    assert_eq!(
        document["data"]["system"]["sync-status"]["clock-status"]["clock"],
        "synchronized"
    );
    assert!(
        slot(&document, "io1").get("module").is_none(),
        "an empty slot has no module"
    );

    device.apply(&Action::PowerOff("io4".to_owned())).unwrap();
    device.apply(&Action::AntennaOff(Clock::Clk2)).unwrap();
    let document = client.status().await.unwrap().json();
    assert!(
        slot(&document, "io4").get("module").is_none(),
        "without power it has vanished"
    );
    assert_eq!(
        slot(&document, "clk2")["module"]["grc"]["antenna"]["connected"],
        false
    );
    assert!(device.world().relay("io4", Relay::B).is_some());
}

#[tokio::test]
async fn faults_that_are_a_status() {
    let (_fleet, device, mut client) = one(M500, V16).await;
    let faults = [
        (Fault::Unauthorized, 401),
        (Fault::Forbidden, 403),
        (Fault::NotFound, 404),
        (Fault::ServerError, 500),
        (Fault::Unavailable, 503),
    ];
    for (fault, status) in faults {
        device.set_fault(Some(fault.clone()));
        assert_eq!(device.fault(), Some(fault));
        for (method, path) in [("GET", "/api/status"), ("PUT", "/api/get-token")] {
            assert_eq!(
                client.ask(method, path, Some(BASIC)).await.unwrap().status,
                status
            );
        }
        assert_eq!(device.last_answer().unwrap().status, status);
    }
    device.set_fault(None);
    assert_eq!(client.status().await.unwrap().status, 200);
    assert_eq!(device.counters().failed_logins, 2, "401 counts as failed logins");
}

#[tokio::test]
async fn a_hanging_device_answers_once_the_fault_is_gone() {
    let (_fleet, device, mut client) = one(M500, V10).await;
    device.set_fault(Some(Fault::Hang));
    client.send("GET", "/api/status", Some(BASIC)).await.unwrap();
    soon(async {
        while device.counters().requests == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut answer = Box::pin(client.receive());
    let early = tokio::time::timeout(Duration::from_millis(50), &mut answer).await;
    assert!(early.is_err() && device.last_answer().is_none());
    device.set_fault(None);
    assert_eq!(soon(answer).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_a_hanging_device_takes_its_connection_along() {
    let (fleet, device, mut client) = one(M500, V10).await;
    device.set_fault(Some(Fault::Hang));
    // More than a device serves at a time: each must have given its place back.
    for connection in 1..=100 {
        client.send("GET", "/api/status", Some(BASIC)).await.unwrap();
        soon(async {
            while device.counters().requests < connection {
                tokio::task::yield_now().await;
            }
        })
        .await;
        client = soon(Client::connect(&device)).await.unwrap();
    }
    drop(client);
    soon(fleet.stop()).await;
}

#[tokio::test]
async fn a_slow_body_trickles() {
    let (_fleet, device, mut client) = one(M500, V10).await;
    let length = device.document().len() as u32;
    device.set_fault(Some(Fault::SlowBody {
        bytes_per_second: length * 10 / 4,
    }));
    let start = Instant::now();
    let answer = soon(client.status()).await.unwrap();
    assert!(
        start.elapsed() >= Duration::from_millis(290),
        "four portions, a tenth of a second apart"
    );
    assert_eq!((answer.status, answer.body.len()), (200, length as usize));
    answer.json();
}

#[tokio::test]
async fn a_cut_body_ends_with_its_connection() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    for after_bytes in [0, 1, 10_000, u32::MAX] {
        device.set_fault(Some(Fault::CutBody { after_bytes }));
        client.send("GET", "/api/status", Some(BASIC)).await.unwrap();
        let (status, head) = soon(client.head()).await.unwrap();
        let promised: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap()
            .parse()
            .unwrap();
        let mut body = Vec::new();
        soon(client.stream.read_to_end(&mut body)).await.unwrap();
        assert_eq!(
            (status, body.len()),
            (200, (after_bytes as usize).min(promised - 1))
        );
        client = Client::connect(&device).await.unwrap();
    }
}

#[tokio::test]
async fn a_huge_body_is_as_long_as_asked_for() {
    let (_fleet, device, mut client) = one(M500, V10).await;
    for bytes in [9 << 20, 40, 0] {
        device.set_fault(Some(Fault::HugeBody { bytes }));
        let answer = soon(client.status()).await.unwrap();
        assert!(!answer.head.contains("content-length"), "a client has to count");
        assert_eq!(answer.body.len() as u64, bytes.max(15));
        answer.json();
    }
}

#[tokio::test]
async fn wrong_json_and_missing_keys() {
    let (_fleet, device, mut client) = one(M3000, V16).await;
    device.set_fault(Some(Fault::WrongJson));
    let answer = client.status().await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
    device.set_fault(Some(Fault::MissingKeys {
        keys: vec!["events".to_owned(), "module".to_owned()],
    }));
    let document = client.status().await.unwrap().json();
    assert!(document["data"]["notification"].get("events").is_none());
    assert!(slot(&document, "clk1").get("module").is_none());
    assert!(document.get("system-information").is_some());
    device.set_fault(None);
    let document = client.status().await.unwrap().json();
    assert!(document["data"]["notification"].get("events").is_some());
}

#[tokio::test]
async fn a_restart_cuts_connections_and_begins_anew() {
    let (_fleet, device, mut client) = one(M3000, V20).await;
    let token = client
        .ask("PUT", "/api/get-token", Some(BASIC))
        .await
        .unwrap()
        .json();
    device.apply(&Action::LoseSync(Clock::Clk2)).unwrap();
    device.set_fault(Some(Fault::Restart {
        down: Duration::from_millis(300),
    }));
    let start = Instant::now();
    let rest = soon(client.stream.read_u8()).await;
    assert!(rest.is_err(), "the connection is cut");
    assert!(Client::connect(&device).await.is_err(), "nothing listens");
    soon(device.wait_listening(true)).await;
    assert!(start.elapsed() >= Duration::from_millis(300));
    let mut client = Client::connect(&device).await.unwrap();
    let document = client.status().await.unwrap().json();
    assert!(document["data"]["system"]["uptime"].as_f64().unwrap() < 60.0);
    assert_eq!(
        event(&document, "refclock-2-not-sync")["triggered"],
        1,
        "the world stays as it was"
    );
    assert_ne!(event(&document, "system-reboot")["last-triggered"], "never");
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    assert_eq!(
        client
            .ask("GET", "/api/status", Some(&bearer))
            .await
            .unwrap()
            .status,
        401
    );
    assert_eq!(device.fault(), None);
}

#[tokio::test]
async fn expired_tokens_are_refused_and_new_ones_given() {
    let (_fleet, device, mut client) = one(M500, V20).await;
    let mut bearer = Vec::new();
    for _ in 0..2 {
        let token = client
            .ask("PUT", "/api/get-token", Some(BASIC))
            .await
            .unwrap()
            .json();
        bearer.push(format!("Bearer {}", token["token"].as_str().unwrap()));
        if bearer.len() == 1 {
            device.set_fault(Some(Fault::ExpiredToken));
        }
    }
    assert_ne!(bearer[0], bearer[1]);
    assert_eq!(
        client
            .ask("GET", "/api/status", Some(&bearer[0]))
            .await
            .unwrap()
            .status,
        401
    );
    assert_eq!(
        client
            .ask("GET", "/api/status", Some(&bearer[1]))
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn https_with_a_certificate_to_pin_or_to_trust() {
    let fleet = Fleet::start(FleetOptions {
        https: true,
        ..FleetOptions::default()
    })
    .await
    .unwrap();
    let (device, certificate) = (&fleet.devices()[0], fleet.certificate().unwrap());
    assert!(device.url().starts_with("https://127.0.0.1:"));
    assert!(certificate.pem().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(certificate.fingerprint().len(), "sha256:".len() + 64);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().to_vec().into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(device.address()).await.unwrap();
    let name = rustls::pki_types::ServerName::from(device.address().ip());
    let stream = soon(connector.connect(name, stream)).await.unwrap();
    assert_eq!(
        stream.get_ref().1.peer_certificates().unwrap()[0].as_ref(),
        certificate.der()
    );
    let stream: Box<dyn Socket> = Box::new(stream);
    let mut client = Client {
        stream: BufReader::new(stream),
    };
    let document = client.status().await.unwrap().json();
    assert_eq!(
        event(&document, "self-signed-https-certificate-in-use")["triggered"],
        1
    );
    // A client without TLS does no harm.
    let mut plain = Client::connect(device).await.unwrap();
    assert!(soon(plain.status()).await.is_err());
    assert_eq!(client.status().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_scenario_is_played_to_its_end_and_can_be_stopped() {
    let fleet = fleet(&[(M3000, V10), (M500, V16)]).await;
    let scenario = "[[step]]\nat = \"40ms\"\ndevice = \"all\"\nfault = \"hang\"\nfor = \"1s\"\n\
        [[step]]\nat = \"0s\"\ndevice = \"all\"\naction = { lose-sync = \"clk2\" }\n\
        [[step]]\nat = \"20ms\"\ndevice = \"sim-2\"\nfault = \"unavailable\"\nfor = \"5ms\"\n\
        [[step]]\nat = \"60ms\"\ndevice = \"sim-1\"\nfault = \"forbidden\"\n";
    let scenario = Scenario::parse(scenario).unwrap();
    let start = Instant::now();
    soon(fleet.play(&scenario, CancellationToken::new())).await;
    assert!(start.elapsed() >= Duration::from_millis(1040));
    let [redundant, single] = fleet.devices() else {
        panic!("two devices")
    };
    assert!(!redundant.world().is_synchronous(Clock::Clk2) && redundant.world().is_synchronous(Clock::Clk1));
    assert_eq!(
        redundant.fault(),
        Some(Fault::Forbidden),
        "the end of a fault ends no other"
    );
    assert_eq!(single.fault(), None);
    assert_eq!(
        single.world().generation(),
        0,
        "what is impossible is passed over"
    );

    let stop = CancellationToken::new();
    let lively = Scenario::lively();
    let playing = fleet.play(&lively, stop.clone());
    stop.cancel();
    soon(playing).await;
}

#[tokio::test]
async fn the_bridge_is_told_where_everything_is() {
    let options = FleetOptions {
        https: true,
        devices: 2,
        password: "a\"b".to_owned(),
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(options).await.unwrap();
    let config: toml::Table = fleet.bridge_config(Duration::from_secs(1)).parse().unwrap();
    let devices = config["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    assert_eq!(devices[0]["id"].as_str(), Some("sim-1"));
    assert_eq!(devices[0]["url"].as_str(), Some(fleet.devices()[0].url()));
    assert_eq!(devices[0]["password"].as_str(), Some("a\"b"));
    assert_eq!(devices[0]["poll"].as_str(), Some("1000ms"));
    let fingerprint = fleet.certificate().unwrap().fingerprint();
    assert_eq!(
        devices[1]["tls"]["fingerprint"].as_str(),
        Some(fingerprint.as_str())
    );
    assert_eq!(
        devices[0]["slots"][1]["relays"]["a"].as_str(),
        Some("notification")
    );
    assert_eq!(devices[1]["slots"][0]["relays"]["c"].as_str(), Some("10mhz"));
}

#[tokio::test]
async fn a_fleet_that_stops_or_is_dropped_gives_its_ports_back() {
    let (fleet, device, mut client) = one(M500, V10).await;
    client.status().await.unwrap();
    soon(fleet.stop()).await;
    assert!(Client::connect(&device).await.is_err());
    assert!(soon(client.status()).await.is_err(), "connections are cut");
    let (fleet, device, _client) = one(M500, V10).await;
    device.set_fault(Some(Fault::Restart {
        down: Duration::from_secs(3600),
    }));
    soon(fleet.stop()).await;
    let (fleet, device, mut client) = one(M500, V10).await;
    drop(fleet);
    assert!(soon(client.stream.read_u8()).await.is_err());
    assert_eq!(device.id(), "sim-1");
}

#[tokio::test]
async fn a_fleet_that_cannot_be_started_says_why() {
    let (_fleet, device, _client) = one(M500, V10).await;
    let port = device.address().port();
    let taken = FleetOptions {
        first_port: port,
        devices: 1,
        ..FleetOptions::default()
    };
    let error = Fleet::start(taken).await.err().unwrap();
    assert!(
        matches!(error, SimulatorError::Bind { number: 1, .. }) && error.to_string().contains("first port")
    );
    let many = FleetOptions {
        first_port: 65_530,
        devices: 7,
        ..FleetOptions::default()
    };
    assert!(matches!(
        Fleet::start(many).await.err(),
        Some(SimulatorError::Ports { .. })
    ));
    let none = FleetOptions {
        kinds: Vec::new(),
        ..FleetOptions::default()
    };
    assert!(matches!(
        Fleet::start(none).await.err(),
        Some(SimulatorError::NoKinds)
    ));
}

/// Key paths of a document with the types found there; entries of lists share a path.
fn shape(value: &Value, path: &str, into: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    into.entry(path.to_owned()).or_default().insert(kind);
    match value {
        Value::Array(values) => values
            .iter()
            .for_each(|value| shape(value, &format!("{path}[]"), into)),
        Value::Object(entries) => {
            entries
                .iter()
                .for_each(|(key, value)| shape(value, &format!("{path}/{key}"), into));
        }
        _ => (),
    }
}

fn shape_of(document: &Value) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut found = BTreeMap::new();
    shape(document, "", &mut found);
    found
}

/// Runs where recordings of real devices lie beside the checkout; they are not part of the project.
#[tokio::test]
async fn the_single_clock_document_has_the_recorded_shape() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/device/recordings");
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let (_fleet, device, _client) = one(M500, V10).await;
    let ours: Value = serde_json::from_slice(&device.document()).unwrap();
    for entry in entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
    {
        let recorded: Value = serde_json::from_slice(&std::fs::read(&entry).unwrap()).unwrap();
        if !recorded["data"]["rest-api"]["api-version"]
            .as_str()
            .unwrap()
            .starts_with("10.")
        {
            continue;
        }
        let recorded = shape_of(&recorded);
        for (path, kinds) in shape_of(&ours) {
            let known = recorded.get(&path);
            assert!(
                known.is_some_and(|known| kinds.is_subset(known)),
                "{path}: {kinds:?}, recorded {known:?}"
            );
        }
        let missing: Vec<_> = recorded
            .keys()
            .filter(|path| !shape_of(&ours).contains_key(*path))
            .collect();
        assert!(missing.is_empty(), "recorded, but not simulated: {missing:?}");
    }
}
