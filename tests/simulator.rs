//! The simulated devices as a client sees them: real sockets, raw HTTP. Faults, the configuration and the
//! recorded form have files of their own.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests; the lint only sees functions marked so"
)]

#[path = "simulator/client.rs"]
mod client;
#[path = "simulator/configuration.rs"]
mod configuration;
#[path = "simulator/faults.rs"]
mod faults;
#[cfg(feature = "recordings")]
#[path = "simulator/form.rs"]
mod form;
#[cfg(feature = "recordings")]
#[allow(dead_code, unreachable_pub)]
#[path = "support/recordings.rs"]
mod recordings;

use client::*;
use lantime2mqtt::simulator::ApiGeneration::{V10, V16, V20};
use lantime2mqtt::simulator::{Action, Clock, Fault, Fleet, FleetOptions, Relay, Scenario, SimulatorError};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

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
async fn the_bridge_is_shown_where_everything_is() {
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
    assert!(std::error::Error::source(&error).is_none(), "reported once");
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
