//! The files of `deploy/` for a cluster: configurations that load as they are, and numbers that must be the same in two of them.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lantime2mqtt::config::{self, Config};
use tempfile::TempDir;

use crate::{project, tool, words};

/// How long the stop of a bridge may take: docs/architecture.md.
const STOP: Duration = Duration::from_secs(10);

fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What `check-config` makes of that text, with the variables of one of the bridges.
fn loaded(text: &str, directory: &Path) -> Config {
    let file = directory.join("lantime2mqtt.toml");
    fs::write(&file, text).expect("the directory is ours");
    let id = (
        OsString::from("LANTIME2MQTT_BRIDGE__ID"),
        OsString::from("bridge-1"),
    );
    let url = (
        OsString::from("LANTIME2MQTT_CLUSTER__URL"),
        OsString::from("http://127.0.0.1:8081/"),
    );
    let loaded = config::load(&file, [id, url]);
    loaded.unwrap_or_else(|error| panic!("{error}")).config
}

/// What follows that in a line.
fn after(text: &str, before: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim().trim_start_matches("- "));
    let found: Vec<_> = lines
        .filter_map(|line| line.strip_prefix(before))
        .map(str::to_owned)
        .collect();
    assert!(!found.is_empty(), "{before:?} is in no line");
    found
}

/// Parts of a file that begin with `---`; the one with that text.
fn document(path: &str, contained: &str) -> String {
    let text = read(path);
    let found = text
        .split("\n---\n")
        .find(|document| document.contains(contained));
    found
        .unwrap_or_else(|| panic!("{contained:?} is not in {path}"))
        .to_owned()
}

#[test]
fn the_configuration_for_kubernetes_loads() {
    let directory = TempDir::new().expect("a temporary directory");
    let secrets = directory.path().join("lantime2mqtt");
    fs::create_dir(&secrets).expect("the directory is ours");
    for name in ["mqtt", "lantime", "http-token"] {
        fs::write(secrets.join(name), "more-than-sixteen-characters").expect("the directory is ours");
    }
    let etcd = directory.path().join("etcd").display().to_string();
    let script = project("deploy/etcd/certificates").display().to_string();
    let made = tool("openssl", "bash", &[&script, &etcd, "etcd-0.etcd"], "");
    assert!(made.status.success(), "{}", words(&made));

    let text = read("deploy/kubernetes/lantime2mqtt.toml");
    let here = format!("{}/", directory.path().display());
    let config = loaded(&text.replace("/run/secrets/", &here), directory.path());
    let cluster = config.cluster.expect("it has a cluster");
    assert_eq!(cluster.endpoints.len(), 3);
    assert!(cluster.tls.identity.is_some());

    // Of what it names each is there.
    let mounts = read("deploy/kubernetes/bridge.yaml");
    let given = read("deploy/kubernetes/kustomization.yaml");
    for path in ["/run/secrets/lantime2mqtt", "/run/secrets/etcd"] {
        assert!(mounts.contains(&format!("mountPath: {path},")), "{path}");
    }
    for name in ["mqtt", "lantime", "http-token"] {
        assert!(given.contains(&format!("- {name}=")), "{name}");
        assert!(
            text.contains(&format!("/run/secrets/lantime2mqtt/{name}\"")),
            "{name}"
        );
    }
}

#[test]
fn the_configuration_for_compose_loads() {
    let directory = TempDir::new().expect("a temporary directory");
    let text = read("deploy/container/compose-cluster.yaml");
    let (_, content) = text.split_once("content: |\n").expect("it is there");
    let lines = content
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("      "));
    let content: String = lines.map(|line| format!("{}\n", line.trim_start())).collect();
    let config = loaded(&content, directory.path());
    let cluster = config.cluster.expect("it has a cluster");
    for endpoint in &cluster.endpoints {
        assert!(
            text.contains(&format!("ETCD_ADVERTISE_CLIENT_URLS: {endpoint}\n")),
            "{endpoint}"
        );
    }
    assert_eq!((cluster.endpoints.len(), config.devices.len()), (3, 2));
    assert!(text.contains("--devices, \"2\""));
}

#[test]
fn both_have_the_same_etcd() {
    let compose = after(
        &read("deploy/container/compose-cluster.yaml"),
        "image: quay.io/coreos/etcd:",
    );
    let kubernetes = read("deploy/kubernetes/kustomization.yaml");
    let (_, image) = kubernetes
        .split_once("name: quay.io/coreos/etcd\n")
        .expect("it is there");
    assert_eq!(after(image, "newTag: ")[..1], compose[..]);
}

#[test]
fn a_pod_runs_as_the_user_of_the_image() {
    let user = after(&read("deploy/container/Containerfile"), "USER ");
    let pod = document("deploy/kubernetes/bridge.yaml", "kind: StatefulSet");
    let of = |key: &str| after(&pod, key).join(" ");
    assert_eq!(user, [format!("{}:{}", of("runAsUser: "), of("runAsGroup: "))]);
    assert_eq!(of("fsGroup: "), of("runAsGroup: "));
}

#[test]
fn a_bridge_is_not_killed_while_it_stops() {
    let pod = document("deploy/kubernetes/bridge.yaml", "kind: StatefulSet");
    let compose = read("deploy/container/compose-cluster.yaml");
    let kubernetes = after(&pod, "terminationGracePeriodSeconds: ");
    let compose = after(&compose, "stop_grace_period: ");
    for seconds in kubernetes.iter().chain(&compose) {
        let seconds = seconds
            .trim_end_matches('s')
            .parse()
            .expect("a number of seconds");
        assert!(Duration::from_secs(seconds) > STOP, "{seconds} s");
    }
}
