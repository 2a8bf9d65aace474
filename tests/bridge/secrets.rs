//! No secret gets out: not into a log at any level, not to the broker, not into an error, not into `Debug`.

use lantime2mqtt::simulator::{ApiGeneration, Fleet, FleetOptions};
use std::time::Duration;

use crate::support::forward_proxy::ForwardProxy;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::support::program::{Program, run};
use crate::support::scene::Setup;
use crate::support::site::{Entry, Site};
use crate::support::web_server::{WebServer, answer, authorization};
use crate::support::{PATIENCE, Watcher, wait};

const DEVICE: &str = "sentinel-of-the-device";
const MQTT: &str = "sentinel-of-the-broker";
const PROXY: &str = "sentinel-of-the-proxy";
const TOKEN: &str = "5e271e10f7b3ac0de5e271e10f7b3ac0";
const UNUSED: &str = "sentinel-that-is-refused";

/// Each secret as it is, and as HTTP Basic sends it: Base64 of `bridge:SECRET` and of `me:SECRET`.
const FORBIDDEN: [&str; 9] = [
    DEVICE,
    MQTT,
    PROXY,
    TOKEN,
    UNUSED,
    // The variable part only; what comes before depends on the user's name.
    "YnJpZGdlOnNlbnRpbmVsLW9mLXRoZS1kZXZpY2U",
    "bWU6c2VudGluZWwtb2YtdGhlLXByb3h5",
    "YnJpZGdlOnNlbnRpbmVsLXRoYXQtaXMtcmVmdXNlZA",
    // A part of one is a secret too.
    "sentinel",
];

fn assert_clean(text: &str, whose: &str) {
    for line in text.lines() {
        for secret in FORBIDDEN {
            assert!(!line.contains(secret), "{whose}: {secret} in {line}");
        }
        // As bytes in a `Debug` of a buffer: [115, 101, 110, ..
        assert!(
            !line.contains("115, 101, 110, 116, 105, 110, 101, 108"),
            "{whose}: {line}"
        );
    }
}

/// A device that hands out the token that everybody looks for, behind the password that nobody may see.
async fn token_server(document: Vec<u8>) -> WebServer {
    let basic = "Basic YnJpZGdlOnNlbnRpbmVsLW9mLXRoZS1kZXZpY2U=";
    WebServer::start(move |request| {
        let bearer = format!("Bearer {TOKEN}");
        match (request.uri.path(), authorization(request)) {
            ("/api/get-token", shown) if shown == basic => answer(200, format!(r#"{{"token": "{TOKEN}"}}"#)),
            ("/api/status", shown) if shown == basic || shown == bearer => answer(200, document.clone()),
            // A device that shows what it was sent.
            _ => answer(401, "{}"),
        }
    })
    .await
}

/// Every device's user has the secret password.
async fn fleet(count: usize, https: bool) -> Fleet {
    let options = |options| FleetOptions {
        https,
        password: DEVICE.to_owned(),
        ..options
    };
    let setup = Setup::single(&vec![ApiGeneration::V20; count]);
    setup.options(options).fleet().await
}

#[tokio::test]
async fn a_running_bridge_keeps_its_secrets() {
    let plain = fleet(2, false).await;
    let tls = fleet(1, true).await;
    let document = plain.devices()[1].document().to_vec();
    let with_token = token_server(document).await;
    let proxy = ForwardProxy::start().await;
    let proxy_url = proxy.url_with("me", PROXY);
    let broker = Mosquitto::start_with(Options {
        login: Some(("bridge", MQTT)),
        ..Options::default()
    });
    let mut watcher = Watcher::connect_as(broker.address(), Some(("bridge", MQTT))).await;
    let site = Site::new(broker.address(), &[]);
    let (device_file, mqtt_file) = (site.file("device", DEVICE), site.file("mqtt", MQTT));
    let pin = tls.certificate().unwrap().fingerprint();
    let entry = |id: &str, url: &str| Entry::new(id, url).with("password", DEVICE);
    let entries = [
        entry("inline", plain.devices()[0].url()).with("proxy", proxy_url.clone()),
        entry("file", plain.devices()[1].url())
            .without("password")
            .with("password_file", device_file),
        entry("tls", tls.devices()[0].url())
            .with("proxy", proxy_url.clone())
            .with("tls.fingerprint", pin),
        entry("token", &with_token.url()),
        // What fails is reported at length.
        entry("refused", plain.devices()[0].url()).with("password", UNUSED),
        entry("untrusted", tls.devices()[0].url()).with("proxy", proxy_url.clone()),
        entry("nowhere", "http://127.0.0.1:1").with("proxy", proxy_url.clone()),
        entry("no-proxy", plain.devices()[0].url()).with("proxy", format!("http://me:{PROXY}@127.0.0.1:1")),
    ];
    let site = site
        .with("mqtt.username", "bridge")
        .with("mqtt.password_file", mqtt_file)
        .devices(&entries);
    for (format, version) in [("text", "5"), ("json", "3.1.1")] {
        let site = Site::new(broker.address(), &entries)
            .with("mqtt.username", "bridge")
            .with("mqtt.password", MQTT)
            .with("mqtt.version", version);
        let bridge = site.start_with(&["--log-level", "trace", "--log-format", format], &[]);
        watcher
            .until("all devices", |seen| {
                let is_in = |devices: &[&str], state| {
                    devices
                        .iter()
                        .all(|device| seen.text(&format!("{device}/state")) == state)
                };
                seen.text("bridge/test/state") == "online"
                    && is_in(&["inline", "file", "tls", "token"], "online")
                    && is_in(&["refused", "untrusted", "nowhere", "no-proxy"], "offline")
            })
            .await;
        let used = with_token.requests().len();
        wait::until("polls with a token", async || {
            with_token.requests()[used..]
                .iter()
                .any(|request| authorization(request).starts_with("Bearer"))
        })
        .await;
        bridge.signal("HUP");
        let end = bridge.stop("TERM").await;
        assert_eq!(end.code, Some(0));
        assert!(end.output.stderr.len() > 10_000, "at trace it says a lot");
        assert_clean(&end.output.stderr, format);
        assert_eq!(end.output.stdout, "");
    }
    // The secrets did travel: the proxy and the devices asked for them.
    let heads = proxy.heads_for(&plain.devices()[0].address().to_string());
    assert!(heads.iter().any(|head| head.contains("proxy-authorization")));

    for version in ["5", "3.1.1"] {
        let refused = Site::new(broker.address(), &[])
            .with("mqtt.username", "bridge")
            .with("mqtt.password", UNUSED)
            .with("mqtt.version", version);
        let bridge = refused.start_with(&["--log-level", "trace"], &[]);
        assert_clean(&refused.broker_error().await, "refused login");
        let end = bridge.stop("TERM").await;
        assert_clean(&end.output.stderr, "refused login");
    }

    for (topic, payload) in watcher.now().log {
        assert_clean(&topic, "topic");
        assert_clean(&payload, &topic);
    }
    let loaded = lantime2mqtt::config::load(&site.config(), []).unwrap();
    assert_clean(&format!("{loaded:#?}"), "Debug");
    assert_clean(&format!("{loaded:?}"), "Debug");
}

#[tokio::test]
async fn no_error_of_the_configuration_shows_a_secret() {
    let site = Site::bare();
    let not_text = site.file("not-text", "");
    std::fs::write(&not_text, [DEVICE.as_bytes(), &[0xff]].concat()).unwrap();
    let device = |lines: &str| {
        format!(
            "[mqtt]\nurl = \"mqtt://broker\"\n[[devices]]\nid = \"a\"\nurl = \"https://a\"\nusername = \"info\"\n{lines}\n"
        )
    };
    let texts = [
        // Broken where the secret stands.
        format!("[mqtt]\nurl = \"mqtt://broker\"\npassword = \"{MQTT}\n"),
        format!("[mqtt]\nurl = \"mqtt://broker\"\npassword = {MQTT}\n"),
        format!("[mqtt]\npassword = \"{MQTT}\"\npassword = \"{MQTT}\"\n"),
        // Of another type, or at a misspelt key.
        format!("[mqtt]\nurl = \"mqtt://broker\"\nusername = \"u\"\npassword = [\"{MQTT}\"]\n"),
        format!("[mqtt]\nurl = \"mqtt://broker\"\nusername = \"u\"\npassword = {{ a = \"{MQTT}\" }}\n"),
        format!("[mqtt]\nurl = \"mqtt://broker\"\nusername = \"u\"\npasword = \"{MQTT}\"\n"),
        format!("[mqtt]\nurl = \"mqtt://broker\"\npasswd = \"{MQTT}\"\nsecret = \"{MQTT}\"\n"),
        device(&format!("passwort = \"{DEVICE}\"")),
        device(&format!("password = \"{DEVICE}\"\npassword_file = \"/nowhere\"")),
        device(&format!("password_file = {not_text:?}")),
        // In a URL.
        format!("[mqtt]\nurl = \"mqtt://u:{MQTT}@broker\"\n"),
        format!("[mqtt]\nurl = \"u:{MQTT}@broker\"\n"),
        device(&format!("password = \"x\"\nproxy = \"ftp://me:{PROXY}@proxy\"")),
        device(&format!(
            "password = \"x\"\nproxy = \"http://me:{PROXY}@proxy:port\""
        )),
        device(&format!(
            "password = \"x\"\nproxy = [\"http://me:{PROXY}@proxy\"]"
        )),
        device(&format!("password = \"x\"\nproxy = \"http://me:{PROXY}@\"")),
        format!("[[devices]]\nid = \"a\"\nurl = \"https://info:{DEVICE}@a\"\n"),
        format!("[[devices]]\nid = \"a\"\nurl = \"https://info:{DEVICE}@a:x/\"\n"),
        format!("devices = \"https://info:{DEVICE}@a\"\n"),
    ];
    let config = site.config().display().to_string();
    for text in texts {
        site.overwrite(&text);
        for command in ["check-config", "run"] {
            let end = run(&[command, "--config", &config, "--log-level", "trace"]).await;
            assert_eq!(end.code, Some(78), "{text}");
            assert_clean(&end.output.stderr, &text);
            assert_clean(&end.output.stdout, &text);
        }
    }
    site.overwrite("[mqtt]\nurl = \"mqtt://broker\"\n");
    for (name, value) in [
        ("LANTIME2MQTT_MQTT__PASSWORD", MQTT),
        ("LANTIME2MQTT_MQTT__PASWORD", MQTT),
        ("LANTIME2MQTT_MQTT__PASSWORD__X", MQTT),
        ("LANTIME2MQTT_MQTT__URL", "mqtt://u:sentinel-of-the-broker@broker"),
    ] {
        let end = Program::start_with(&["check-config", "--config", &config], &[(name, value)])
            .end(PATIENCE)
            .await;
        assert_eq!(end.code, Some(78), "{name}: {:?}", end.output);
        assert_clean(&end.output.stderr, name);
    }
}

#[tokio::test]
async fn probe_keeps_its_secrets() {
    let plain = fleet(1, false).await;
    let tls = fleet(1, true).await;
    let with_token = token_server(plain.devices()[0].document().to_vec()).await;
    let proxy = ForwardProxy::start().await;
    let proxy_url = proxy.url_with("me", PROXY);
    let (plain, tls) = (plain.devices()[0].url(), tls.devices()[0].url());
    let cases = [
        (&[plain][..], DEVICE, 0),
        (&[plain, "--proxy", &proxy_url], DEVICE, 0),
        (&[tls, "--insecure", "--proxy", &proxy_url], DEVICE, 0),
        (&[&with_token.url()], DEVICE, 0),
        (&[&with_token.url(), "--auth", "bearer"], DEVICE, 0),
        (&[plain], UNUSED, 1),
        (&[tls], UNUSED, 1),
        (&["http://127.0.0.1:1", "--proxy", &proxy_url], UNUSED, 1),
        (&["https://info:sentinel@host"], UNUSED, 64),
        (&[plain, "--proxy", "ftp://me:sentinel@host"], UNUSED, 64),
    ];
    for (arguments, password, code) in cases {
        let arguments = [
            &["probe", "--username", "bridge", "--log-level", "trace"],
            arguments,
        ]
        .concat();
        let variable = ("LANTIME2MQTT_PROBE_PASSWORD", password);
        let end = Program::start_with(&arguments, &[variable])
            .end(Duration::from_secs(20))
            .await;
        assert_eq!(end.code, Some(code), "{arguments:?}: {}", end.output.stderr);
        assert_clean(&end.output.stdout, "probe");
        assert_clean(&end.output.stderr, "probe");
    }
}
