//! `probe` against simulated devices: what it finds, what it keeps to itself, and what it does not send.

use lantime2mqtt::simulator::{ApiGeneration, Chassis, Fleet, FleetOptions};

use crate::support::PATIENCE;
use crate::support::mosquitto::Mosquitto;
use crate::support::program::{End, Program, run};
use crate::support::scene::Setup;
use crate::support::site::Site;
use crate::support::tls_front::Authority;

async fn device(chassis: Chassis, api: ApiGeneration, https: bool) -> Fleet {
    let options = |options| FleetOptions { https, ..options };
    Setup::of(&[(chassis, api)]).options(options).fleet().await
}

async fn probe(arguments: &[&str], variables: &[(&str, &str)]) -> End {
    let password = ("LANTIME2MQTT_PROBE_PASSWORD", "simulated");
    Program::start_with(
        &[&["probe", "--username", "bridge"], arguments].concat(),
        &[&[password], variables].concat(),
    )
    .end(PATIENCE)
    .await
}

/// The configuration at the end of what it prints, as a file that `check-config` and `run` may take.
fn configuration(end: &End, password_file: &str) -> String {
    let at = end.output.stdout.find("[[devices]]").expect("a configuration");
    let lines = end.output.stdout[at..].lines().map(|line| {
        if line.starts_with("password_file = ") {
            format!("password_file = {password_file:?}")
        } else {
            line.to_owned()
        }
    });
    lines.fold("\n".to_owned(), |text, line| text + &line + "\n")
}

#[tokio::test]
async fn what_it_prints_is_what_the_bridge_finds_and_a_configuration_that_works() {
    let broker = Mosquitto::start();
    for (chassis, api) in [
        (Chassis::M3000, ApiGeneration::V20),
        (Chassis::M500, ApiGeneration::V10),
        (Chassis::M500, ApiGeneration::V16),
    ] {
        for https in [false, true] {
            let fleet = device(chassis, api, https).await;
            let url = fleet.devices()[0].url();
            let pin = fleet.certificate().map(|certificate| certificate.fingerprint());
            let trust: Vec<_> = pin.iter().flat_map(|pin| ["--fingerprint", pin]).collect();
            let end = probe(&[&[url], &trust[..]].concat(), &[]).await;
            let out = &end.output.stdout;
            assert_eq!(end.code, Some(0), "{:?}", end.output);
            assert_eq!(end.output.stderr, "", "nothing to warn of on the loopback");
            let module = chassis.relay_modules()[0];
            for found in [
                chassis.model(),
                api.firmware(),
                api.api_version(),
                "Basic",
                module.slot,
                "clk1",
                "relay_module.relay_a",
                "assumed",
                "relay_events.read",
                "it can be read, ",
            ] {
                assert!(out.contains(found), "{found} is not in {out}");
            }
            assert_eq!(out.contains("API token work"), api.has_tokens(), "{out}");
            let counters = fleet.devices()[0].counters();
            assert_eq!((counters.configuration_writes, counters.applies), (0, 0), "{out}");
            if let Some(pin) = &pin {
                assert!(out.contains(&format!("tls.fingerprint = {pin:?}")), "{out}");
            }

            let site = Site::new(broker.address(), &[]);
            let password = site.file("password", "simulated\n");
            let mut text = format!(
                "[mqtt]\nurl = \"mqtt://{}\"\n[http]\nlisten = \"off\"\n",
                broker.address()
            );
            text.push_str(&configuration(&end, &password));
            site.overwrite(&text);
            let config = site.config().display().to_string();
            let checked = run(&["check-config", "--config", &config]).await;
            assert_eq!(checked.code, Some(0), "{text}\n{:?}", checked.output);
        }
    }
}

#[tokio::test]
async fn an_unknown_certificate_is_shown_and_gets_no_password() {
    let fleet = device(Chassis::M500, ApiGeneration::V20, true).await;
    let device = &fleet.devices()[0];
    let fingerprint = fleet.certificate().unwrap().fingerprint();
    let site = Site::bare();
    let other_ca = site.file("ca.pem", &Authority::new().pem());
    let wrong = format!("sha256:{}", "00".repeat(32));
    for arguments in [
        &[device.url()][..],
        &[device.url(), "--fingerprint", &wrong],
        &[device.url(), "--ca", &other_ca],
    ] {
        let end = probe(arguments, &[("SSL_CERT_FILE", &other_ca)]).await;
        assert_eq!(end.code, Some(1), "{:?}", end.output);
        assert!(end.output.stdout.contains(&fingerprint), "{:?}", end.output);
        let way_on = format!("--fingerprint {fingerprint}");
        assert!(end.output.stderr.contains(&way_on), "{:?}", end.output);
        assert!(end.output.stderr.contains("(tls)"), "{:?}", end.output);
    }
    assert_eq!(device.counters().requests, 0, "{:?}", device.counters());
}

#[tokio::test]
async fn a_device_without_the_assumed_configuration_is_probed_all_the_same() {
    let fleet = device(Chassis::M3000, ApiGeneration::V20, false).await;
    let site = Site::bare();
    let text = include_str!("../../config/profiles/api-20.toml");
    let elsewhere = site.file("elsewhere.toml", &text.replace("/api/config/", "/api/conf/"));
    let otherwise = site.file(
        "otherwise.toml",
        &text.replace("\"/data/events\"", "\"/data/all\""),
    );
    for (profile, printed) in [
        (&elsewhere, "nothing: the device answered 404 (not-found)"),
        (&otherwise, "there is nothing at /data/all"),
    ] {
        let end = probe(&[fleet.devices()[0].url(), "--profile", profile], &[]).await;
        assert_eq!(end.code, Some(0), "{:?}", end.output);
        let lines = end.output.stdout.lines();
        let entry: Vec<_> = lines.filter(|line| line.contains("relay_events.read")).collect();
        assert!(
            entry.len() == 1 && entry[0].contains("assumed") && entry[0].contains(printed),
            "{entry:?}"
        );
    }
}

#[tokio::test]
async fn serial_numbers_are_shown_on_request_only() {
    let fleet = device(Chassis::M500, ApiGeneration::V20, false).await;
    let document: serde_json::Value = serde_json::from_slice(&fleet.devices()[0].document()).unwrap();
    let slots = document["data"]["chassis0"]["slots"].as_array().unwrap();
    let relay = slots.iter().find(|slot| slot["slot-id"] == "io1").unwrap();
    let serials = [
        document["system-information"]["serial-number"].as_str().unwrap(),
        relay["module"]["info"]["serial-number"].as_str().unwrap().trim(),
    ];
    let url = fleet.devices()[0].url();
    let masked = probe(&[url], &[]).await.output.stdout;
    let shown = probe(&[url, "--show-serials"], &[]).await.output.stdout;
    for serial in serials {
        assert!(!masked.contains(serial), "{masked}");
        assert!(shown.contains(serial), "{shown}");
    }
}

#[tokio::test]
async fn what_cannot_be_probed_has_a_reason_and_an_exit_code() {
    let fleet = device(Chassis::M500, ApiGeneration::V20, false).await;
    let device = &fleet.devices()[0];
    let url = device.url();
    let pin = format!("sha256:{}", "00".repeat(32));
    // (arguments, password, exit code, what it says)
    let cases = [
        (&[url][..], Some("mistaken"), 1, "unauthorized"),
        (
            &["http://127.0.0.1:1"],
            Some("x"),
            1,
            ": connection refused (connect)",
        ),
        (
            &["https://127.0.0.1:1"],
            Some("x"),
            1,
            ": connection refused (connect)",
        ),
        (
            &["http://no-such-host.invalid"],
            Some("x"),
            1,
            "cannot find the host: ",
        ),
        (
            &["https://no-such-host.invalid"],
            Some("x"),
            1,
            "cannot find no-such-host.invalid: ",
        ),
        (
            &[&url.replace("http:", "https:")],
            Some("x"),
            1,
            "what answers there is not TLS",
        ),
        (&["ftp://127.0.0.1"], Some("x"), 64, "not a scheme"),
        (&[url], None, 64, "LANTIME2MQTT_PROBE_PASSWORD"),
        (
            &[url, "--fingerprint", "sha256:00"],
            Some("x"),
            64,
            "--fingerprint",
        ),
        (
            &[url, url, "--fingerprint", &pin],
            Some("x"),
            64,
            "--fingerprint is that of one device",
        ),
    ];
    for (arguments, password, code, text) in cases {
        let variable = password.map(|password| ("LANTIME2MQTT_PROBE_PASSWORD", password));
        let arguments = [&["probe"], arguments].concat();
        let end = Program::start_with(&arguments, variable.as_slice())
            .end(PATIENCE)
            .await;
        assert_eq!(end.code, Some(code), "{arguments:?}: {:?}", end.output);
        assert!(
            end.output.stderr.contains(text),
            "{arguments:?}: {:?}",
            end.output
        );
        for foreign in ["client error", "os error", "tls.", "configuration", "the bridge"] {
            assert!(!end.output.stderr.contains(foreign), "{:?}", end.output);
        }
    }
    assert_eq!(
        device.counters().failed_logins,
        1,
        "a refused password is not repeated"
    );
}

#[tokio::test]
async fn several_devices_are_appended_to_a_configuration() {
    let options = FleetOptions {
        devices: 2,
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(options).await.expect("free ports on the loopback");
    let urls = [0, 1].map(|index| fleet.devices()[index].url());
    let site = Site::bare();
    let head = "# by hand\n[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n[http]\nlisten = \"off\"\n";
    let file = site.file("bridge.toml", head);
    let password = site.file("password", "simulated\n");
    let append = ["--password-file", &password, "--append", &file];
    let end = probe(
        &[&append[..], &[urls[0], "http://127.0.0.1:1", urls[1]]].concat(),
        &[],
    )
    .await;
    assert_eq!(end.code, Some(1), "one does not answer: {:?}", end.output);
    let shown = end.output.stderr;
    assert!(
        shown.contains("http://127.0.0.1:1: connection refused"),
        "{shown}"
    );
    assert!(shown.contains("1 of 3 devices could not be probed"), "{shown}");
    let once = std::fs::read_to_string(&file).unwrap();
    assert!(once.starts_with(head), "{once}");
    let table: toml::Table = toml::from_str(&once).unwrap();
    let listed = table["devices"].as_array().unwrap();
    let listed = listed.iter().map(|device| device["url"].as_str().unwrap());
    assert_eq!(listed.collect::<Vec<_>>(), urls);

    let again = probe(&[&append[..], &[urls[1]]].concat(), &[]).await;
    assert_eq!(again.code, Some(0), "{:?}", again.output);
    assert!(
        again.output.stdout.contains("nothing is appended"),
        "{:?}",
        again.output
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), once);
    let checked = run(&["check-config", "-c", &file]).await;
    assert_eq!(checked.code, Some(0), "{once}\n{:?}", checked.output);
}

#[tokio::test]
async fn the_devices_of_a_file_are_one_configuration() {
    let options = FleetOptions {
        devices: 12,
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(options).await.expect("free ports on the loopback");
    let site = Site::bare();
    let lines = fleet.devices().iter().enumerate();
    let lines = lines.map(|(index, device)| format!("{} Rack {index}\n", device.url()));
    let list = site.file("devices.txt", &format!("# hall 1\n{}", String::from_iter(lines)));
    let password = site.file("password", "simulated\n");
    let end = probe(&["--from", &list, "--password-file", &password], &[]).await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
    let text = configuration(&end, &password);
    let table: toml::Table = toml::from_str(&text).unwrap();
    let found = table["devices"].as_array().unwrap().iter();
    let found = found.map(|device| (device["url"].as_str().unwrap(), device["label"].as_str().unwrap()));
    let labels: Vec<_> = (0..12).map(|index| format!("Rack {index}")).collect();
    let urls = fleet.devices().iter().map(|device| device.url());
    let expected: Vec<_> = urls.zip(labels.iter().map(String::as_str)).collect();
    assert_eq!(found.collect::<Vec<_>>(), expected, "in the order of the file");
    site.overwrite(&format!("[mqtt]\nurl = \"embedded\"\n{text}"));
    let checked = run(&["check-config", "-c", &site.config().display().to_string()]).await;
    assert_eq!(checked.code, Some(0), "{text}\n{:?}", checked.output);

    let list = site.file("devices.txt", "http://127.0.0.1:1\n");
    let end = probe(&["--from", &list, fleet.devices()[0].url()], &[]).await;
    assert_eq!(end.code, Some(1), "one does not answer: {:?}", end.output);
    let summary = "1 of 2 devices could not be probed: http://127.0.0.1:1";
    assert!(end.output.stderr.contains(summary), "{:?}", end.output);
    assert!(end.output.stdout.contains("[[devices]]"), "the other one does");

    for (list, what) in [("# nobody\n", "has no device"), ("", "has no device")] {
        let list = site.file("devices.txt", list);
        let end = probe(&["--from", &list], &[]).await;
        assert_eq!(end.code, Some(1), "{:?}", end.output);
        assert!(end.output.stderr.contains(what), "{:?}", end.output);
    }
}
