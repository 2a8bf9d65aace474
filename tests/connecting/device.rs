//! Devices with odd certificates, and servers that cannot be connected to: what works, and what is said.

use tokio::net::TcpListener;

use crate::document;
use crate::support::PATIENCE;
use crate::support::openssl::{Certificates, Issued, NAMES, P256, P521, RSA, RSA_1024, Server};
use crate::support::program::Program;
use crate::support::scene::Setup;
use crate::support::site::Entry;

/// OpenSSL takes old versions and short keys no other way.
const LEGACY: [&str; 2] = ["-cipher", "ALL:@SECLEVEL=0"];

fn entry(id: &str, server: &Server) -> Entry {
    Entry::new(id, &server.url()).with("poll", "500ms")
}

#[tokio::test]
async fn the_form_of_a_certificate_that_is_pinned_does_not_matter() {
    let document = document().await;
    let certificates = Certificates::new();
    let rsa = certificates.issue("rsa", RSA, None);
    let ec = certificates.issue("ec", P256, None);
    let short = certificates.issue("short", RSA_1024, Some(NAMES));
    assert_eq!((rsa.version(), ec.version(), short.version()), (1, 1, 3));
    let old = [&["-tls1_2"], &LEGACY[..]].concat();
    let cases: [(&str, &Issued, &[&str]); 5] = [
        ("rsa-12", &rsa, &["-tls1_2"]),
        ("rsa-13", &rsa, &["-tls1_3"]),
        ("ec-12", &ec, &["-tls1_2"]),
        ("ec-13", &ec, &["-tls1_3"]),
        ("short-12", &short, &old),
    ];
    let servers: Vec<_> = cases
        .iter()
        .map(|(_, issued, options)| Server::start(issued, options, &document))
        .collect();
    let mut entries = Vec::new();
    for ((id, issued, _), server) in cases.iter().zip(&servers) {
        entries.push(entry(id, server).with("tls.fingerprint", issued.fingerprint()));
        entries.push(entry(&format!("{id}-any"), server).with("tls.insecure", true));
    }
    let mut scene = Setup::at(&entries).start().await;
    scene
        .until("all devices", |seen| {
            cases
                .iter()
                .all(|(id, ..)| seen.is_online(id) && seen.is_online(&format!("{id}-any")))
        })
        .await;

    let url = servers[0].url();
    let password = scene.site.file("password", "simulated");
    let pin = rsa.fingerprint();
    let arguments = ["probe", &url, "--password-file", &password, "--fingerprint", &pin];
    let end = Program::start(&arguments).end(PATIENCE).await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
}

/// What stands on a device that cannot be connected to.
struct Case {
    id: &'static str,
    url: String,
    trust: Option<(&'static str, String)>,
    cause: &'static str,
    remedy: &'static str,
    /// What must not be in the remedy.
    not: &'static str,
}

#[tokio::test]
async fn each_failure_of_tls_has_its_own_cause_and_remedy() {
    let document = document().await;
    let certificates = Certificates::new();
    let other = Certificates::new();
    let of_version_1 = certificates.issue("old-form", RSA, None);
    let good = certificates.issue("good", RSA, Some(NAMES));
    let p521 = certificates.issue("p521", P521, Some(NAMES));
    let short = certificates.issue("short", RSA_1024, Some(NAMES));
    let elsewhere = certificates.issue("elsewhere", P256, Some("subjectAltName = DNS:elsewhere.example"));
    let of_client = format!("{NAMES}extendedKeyUsage = clientAuth");
    let of_client = certificates.issue("of-client", P256, Some(&of_client));
    let expired = certificates.issue_for_days("expired", P256, Some(NAMES), -1);
    let as_ca = certificates.self_sign("as-ca", P256, "device", &[]);
    let no_ca = ["-addext", "basicConstraints = critical, CA:FALSE"];
    let self_signed = certificates.self_sign("self-signed", P256, "device", &no_ca);
    let legacy = |version: &'static str| [&[version][..], &LEGACY].concat();
    let serve = |issued: &Issued, options: &[&str]| Server::start(issued, options, &document);
    let servers = [
        serve(&of_version_1, &[]),
        serve(&p521, &[]),
        serve(&short, &legacy("-tls1_3")),
        serve(&good, &legacy("-tls1_1")),
        serve(&good, &["-tls1_2", "-cipher", "AES128-SHA"]),
        serve(&as_ca, &[]),
        serve(&good, &[]),
        serve(&good, &["-tls1_3", "-Verify", "1"]),
        serve(&self_signed, &[]),
        serve(&elsewhere, &[]),
        serve(&of_client, &[]),
        serve(&expired, &[]),
    ];
    let plain =
        crate::support::web_server::WebServer::start(|_| crate::support::web_server::answer(200, "{}")).await;
    let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closing_url = format!("https://{}", closing.local_addr().unwrap());
    tokio::spawn(async move { while closing.accept().await.is_ok() {} });
    let pin = |issued: &Issued| Some(("tls.fingerprint", issued.fingerprint()));
    let ca = |path: String| Some(("tls.ca", path));
    let case = |id, server: usize, trust, [cause, remedy, not]: [&'static str; 3]| Case {
        id,
        url: servers[server].url(),
        trust,
        cause,
        remedy,
        not,
    };
    let mut cases = vec![
        case(
            "version-1",
            0,
            ca(certificates.ca()),
            [
                "X.509 version 1",
                "tls.fingerprint instead of tls.ca to sha256:",
                "set tls.ca",
            ],
        ),
        case(
            "version-1-system",
            0,
            None,
            ["X.509 version 1", "one of version 3", "instead of"],
        ),
        case(
            "p521",
            1,
            pin(&p521),
            ["no kind of key, in common", "P-256", "tls."],
        ),
        case(
            "p521-ca",
            1,
            ca(certificates.ca()),
            ["no kind of key, in common", "P-256", "tls."],
        ),
        case("short-13", 2, pin(&short), ["RSA of 1024 bits", "2048", "tls."]),
        case(
            "old-tls",
            3,
            pin(&good),
            ["older than 1.2", "TLS 1.2 or 1.3", "tls."],
        ),
        case("old-cipher", 4, pin(&good), ["in common", "ECDHE", "tls."]),
        case(
            "as-ca",
            5,
            ca(as_ca.certificate.display().to_string()),
            ["CA:TRUE", "tls.fingerprint instead of tls.ca", "set tls.ca"],
        ),
        case(
            "self-signed",
            8,
            None,
            ["self-signed", "tls.fingerprint", "instead of"],
        ),
        case(
            "other-ca",
            6,
            ca(other.ca()),
            ["trusted", "tls.fingerprint instead of tls.ca", "set tls.ca"],
        ),
        case(
            "wrong-pin",
            6,
            pin(&short),
            ["fingerprint is sha256:", "change tls.fingerprint", "tls.ca"],
        ),
        case(
            "asks-for-ours",
            7,
            pin(&good),
            ["asks for a certificate", "client certificates off", "tls."],
        ),
        case(
            "elsewhere",
            9,
            ca(certificates.ca()),
            [
                "elsewhere.example",
                "name that the certificate has in the device's url",
                "set tls.ca",
            ],
        ),
        case(
            "of-client",
            10,
            ca(certificates.ca()),
            ["not meant for servers", "serverAuth", "set tls.ca"],
        ),
        case(
            "expired",
            11,
            ca(certificates.ca()),
            ["has expired", "check this machine's clock", "set tls.ca"],
        ),
    ];
    let without_tls = [
        ("no-tls", plain.url().replace("http:", "https:"), "not TLS"),
        ("closes", closing_url, "ended during the TLS handshake"),
    ];
    cases.extend(without_tls.map(|(id, url, cause)| Case {
        id,
        url,
        trust: pin(&good),
        cause,
        remedy: "http or https",
        not: "tls.",
    }));
    let entries: Vec<_> = cases
        .iter()
        .map(|case| {
            let entry = Entry::new(case.id, &case.url).with("poll", "500ms");
            match &case.trust {
                Some((key, value)) => entry.with(key, value.clone()),
                None => entry,
            }
        })
        .collect();
    // The machine's own CAs are those of this file.
    let stage = Setup::at(&entries).watched().await;
    let mut scene = stage.start_with(&[], &[("SSL_CERT_FILE", &other.ca())]);
    for case in &cases {
        let Case {
            id,
            cause,
            remedy,
            not,
            ..
        } = case;
        let seen = scene
            .until(&format!("{id}: {cause}; {remedy}"), |seen| {
                let error = seen.error(id);
                let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
                error["kind"] == "tls" && text("message").contains(cause) && text("remedy").contains(remedy)
            })
            .await;
        let error = seen.error(id);
        assert!(!error["remedy"].as_str().unwrap().contains(not), "{id}: {error}");
    }
}
