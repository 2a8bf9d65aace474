//! The way to a device: whose certificate is trusted, and through which proxy it goes.

use std::net::Ipv6Addr;

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions};

use crate::is_healthy;
use crate::support::forward_proxy::ForwardProxy;
use crate::support::scene::Setup;
use crate::support::site::{Entry, Site};
use crate::support::tls_front::Authority;

async fn devices(count: usize, https: bool) -> Fleet {
    let options = |options| FleetOptions { https, ..options };
    let setup = Setup::single(&vec![ApiGeneration::V10; count]);
    setup.options(options).fleet().await
}

#[tokio::test]
async fn only_a_trusted_certificate_gets_the_password() {
    let fleet = devices(5, true).await;
    let certificate = fleet.certificate().unwrap();
    let [pinned, own_ca, wrong_pin, no_trust, insecure] = fleet.devices() else {
        panic!("five devices")
    };
    let plain = devices(1, false).await;
    let target = plain.devices()[0].address();
    let authority = Authority::new();
    let good = authority.front("127.0.0.1", target).await;
    let misnamed = authority.front("elsewhere.example", target).await;
    let stage = Setup::at(&[]).watched().await;
    let (mut watcher, _broker, site) = (stage.client, stage.broker, stage.site);
    let ca = site.file("ca.pem", &authority.pem());
    let device_as_ca = site.file("device.pem", certificate.pem());
    let site = site.devices(&[
        Entry::of(pinned).with("tls.fingerprint", certificate.fingerprint()),
        Entry::of(own_ca).with("tls.ca", device_as_ca),
        Entry::of(wrong_pin).with("tls.fingerprint", format!("sha256:{}", "00".repeat(32))),
        Entry::of(no_trust),
        Entry::of(insecure).with("tls.insecure", true),
        Entry::new("good", &good.url()).with("tls.ca", ca.clone()),
        Entry::new("misnamed", &misnamed.url()).with("tls.ca", ca.clone()),
    ]);
    // The machine's own CAs are those of this file.
    let _bridge = site.start_with(&[], &[("SSL_CERT_FILE", &ca)]);
    let trusted = ["sim-1", "sim-2", "sim-5", "good"];
    let refused = ["sim-3", "sim-4", "misnamed"];
    let seen = watcher
        .until("all devices", |seen| {
            trusted.iter().all(|device| is_healthy(seen, device))
                && refused
                    .iter()
                    .all(|device| seen.text(&format!("{device}/state")) == "offline")
        })
        .await;
    for device in refused {
        let error = seen.json(&format!("{device}/error"))["error"].clone();
        assert_eq!(error["kind"], "tls", "{device}: {error}");
        assert!(
            error["remedy"].as_str().unwrap().contains("tls.fingerprint"),
            "{error}"
        );
    }
    let message = seen.json("sim-3/error")["error"]["message"].clone();
    let found = certificate.fingerprint();
    assert!(
        message.as_str().unwrap().contains(&found),
        "what to write instead: {message}"
    );
    for device in [wrong_pin, no_trust] {
        assert_eq!(device.counters().requests, 0, "{}", device.id());
    }
}

#[tokio::test]
async fn a_proxy_is_used_where_it_is_configured_and_nowhere_else() {
    let plain = devices(3, false).await;
    let tls = devices(3, true).await;
    let (of_environment, configured) = (ForwardProxy::start().await, ForwardProxy::start().await);
    let url = configured.url_with("me", "pass%40word");
    let pin = tls.certificate().unwrap().fingerprint();
    let ways = ["bypass", "system", &url];
    let names = ["bypass", "system", "url"];
    let mut entries = Vec::new();
    for (way, (device, name)) in ways.iter().zip(plain.devices().iter().zip(names)) {
        entries.push(Entry::new(&format!("http-{name}"), device.url()).with("proxy", *way));
    }
    for (way, (device, name)) in ways.iter().zip(tls.devices().iter().zip(names)) {
        let entry = Entry::new(&format!("https-{name}"), device.url());
        entries.push(entry.with("proxy", *way).with("tls.fingerprint", pin.clone()));
    }
    let environment = of_environment.url();
    let variables = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, environment.as_str()));
    let stage = Setup::at(&entries).watched().await;
    let mut scene = stage.start_with(&[], &variables);
    scene
        .until("all devices", |seen| {
            names.iter().all(|name| {
                is_healthy(seen, &format!("http-{name}")) && is_healthy(seen, &format!("https-{name}"))
            })
        })
        .await;
    for (fleet, method) in [(&plain, "get http://"), (&tls, "connect ")] {
        let heads = |proxy: &ForwardProxy| {
            let of = |device: usize| proxy.heads_for(&fleet.devices()[device].address().to_string());
            [of(0), of(1), of(2)]
        };
        let [bypass, system, url] = heads(&of_environment);
        assert!(bypass.is_empty() && url.is_empty(), "{bypass:?} {url:?}");
        assert!(
            system[0].starts_with(method) && !system[0].contains("proxy-authorization"),
            "{system:?}"
        );
        let [bypass, system, url] = heads(&configured);
        assert!(bypass.is_empty() && system.is_empty(), "{bypass:?} {system:?}");
        // `me:pass@word`, in the lower case in which the proxy notes it.
        let login = "proxy-authorization: basic bWU6cGFzc0B3b3Jk".to_ascii_lowercase();
        assert!(url[0].starts_with(method) && url[0].contains(&login), "{url:?}");
    }
}

#[tokio::test]
async fn devices_have_names_or_addresses_of_either_kind() {
    let options = |https| FleetOptions {
        devices: 1,
        https,
        listen: Ipv6Addr::LOCALHOST.into(),
        kinds: vec![DeviceKind::new(Chassis::M500, ApiGeneration::V20)],
        ..FleetOptions::default()
    };
    let Ok(plain) = Fleet::start(options(false)).await else {
        assert!(std::env::var_os("CI").is_none(), "this machine has no IPv6");
        println!("not tested: this machine has no IPv6");
        return;
    };
    let tls = Fleet::start(options(true)).await.unwrap();
    let site = Site::bare();
    let ca = site.file("ca.pem", tls.certificate().unwrap().pem());
    let named = devices(1, true).await;
    let named_ca = site.file("named.pem", named.certificate().unwrap().pem());
    let by_name = named.devices()[0].url().replace("127.0.0.1", "localhost");
    let entries = [
        Entry::new("plain", plain.devices()[0].url()),
        Entry::new("tls", tls.devices()[0].url()).with("tls.ca", ca),
        Entry::new("named", &by_name).with("tls.ca", named_ca),
    ];
    let mut scene = Setup::at(&entries).start().await;
    scene
        .until("all devices", |seen| {
            ["plain", "tls", "named"]
                .iter()
                .all(|device| is_healthy(seen, device))
        })
        .await;
}
