//! `[cluster]`: the etcd over which several bridges work as one, and what the rest of the configuration must be then.

use std::time::Duration;

use figment::value::Value;

use super::mqtt::{Mqtt, MqttVersion, broker::Broker};
use super::problem::Problem;
use super::section::Section;
use super::{Bridge, Secret, access, parse, url};
use crate::model::DeviceId;
use crate::tls::{ClientTls, Trust};

const ENDPOINT_REMEDY: &str = r#"write "https://HOST:PORT" or "http://HOST:PORT""#;
const PAGE_REMEDY: &str = r#"write "https://HOST" or "http://HOST", with a port and a path if need be"#;

/// The level below the prefix at which shards have their topics.
const SHARD_LEVEL: &str = "shard";

/// `[cluster]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// URLs of etcd's nodes: scheme, host and port, without a slash at the end. At least one.
    pub endpoints: Vec<String>,
    /// The cluster's name: what keys in etcd, and client ids of shards, begin with.
    pub name: DeviceId,
    /// How many shards it has.
    pub shards: u16,
    /// How long a bridge's lease lives after each renewal; whole seconds.
    pub ttl: Duration,
    /// Trust and client certificate, for endpoints with `https`.
    pub tls: ClientTls,
    /// The user of etcd, where its access control is on.
    pub user: Option<EtcdUser>,
    /// The URL of this bridge's page, as others show it.
    pub url: Option<String>,
}

/// A user of etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdUser {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: Secret,
}

/// `None` where there is no such section, else only together with a problem. What other sections have that a cluster excludes
/// is refused there.
pub(super) fn read(root: &Section<'_>, bridge: Option<&Bridge>, mqtt: Option<&Mqtt>) -> Option<Cluster> {
    if !root.has("cluster") {
        return None;
    }
    if bridge.is_some_and(|bridge| bridge.answer_unknown) {
        let what = "in a cluster commands for the devices of the other shards would be refused";
        root.section("bridge").refuse(
            "answer_unknown",
            Problem::new(what, "leave it out, or leave out [cluster]"),
        );
    }
    let section = root.section("cluster");
    let endpoints = read_endpoints(&section);
    let user = read_user(&section, &endpoints);
    let tls = read_tls(&section, &endpoints);
    let (shards, ttl) = (section.number("shards") as u16, read_ttl(&section));
    let url = section.parsed("url", page);
    let name = section.parsed("name", name);
    if let Some(mqtt) = mqtt {
        check_mqtt(&root.section("mqtt"), mqtt, name.as_ref());
    }
    Some(Cluster {
        endpoints,
        name: name?,
        shards,
        ttl,
        tls,
        user,
        url,
    })
}

/// Refuses a device's id that is taken by topics of shards.
pub(super) fn refuse_shard_id(device: &Section<'_>) {
    let id = device.value("id").and_then(|id| id.as_str());
    if id == Some(SHARD_LEVEL) {
        let what = "taken by topics of shards, where there is a [cluster]";
        device.refuse("id", Problem::new(what, r#"write another id, such as "shard-1""#));
    }
}

/// The name of a cluster; with what follows it, it is a client id.
fn name(text: &str) -> Result<DeviceId, Problem> {
    let most = parse::MAX_CLIENT_ID - "-00-read-back".len();
    if text.len() > most {
        let what = "too long: client ids at the broker begin with it";
        return Err(Problem::new(what, format!("write at most {most} characters")));
    }
    parse::id(text)
}

fn read_endpoints(section: &Section<'_>) -> Vec<String> {
    let endpoints = section.texts("endpoints");
    let is_empty = |list: &Value| list.as_array().is_some_and(<[_]>::is_empty);
    if section.value("endpoints").is_some_and(is_empty) {
        section.refuse("endpoints", Problem::new("empty", ENDPOINT_REMEDY));
    }
    let numbered = endpoints.iter().zip(1..);
    let read = numbered.filter_map(|(text, number)| {
        // The text itself may hold a password.
        let refuse = |Problem { what, remedy, .. }| {
            section.refuse(
                "endpoints",
                Problem::new(format!("entry {number}: {what}"), remedy),
            );
        };
        endpoint(text).map_err(refuse).ok()
    });
    read.collect()
}

/// Scheme, host and port.
fn endpoint(text: &str) -> Result<String, Problem> {
    let url = url::parse_plain(text, ENDPOINT_REMEDY)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Problem::new("not a scheme for etcd", ENDPOINT_REMEDY));
    }
    url::host(&url, ENDPOINT_REMEDY)?;
    match url.path() {
        "/" => Ok(url.origin().ascii_serialization()),
        _ => Err(Problem::new("a path", "leave it out; etcd's paths are known")),
    }
}

/// The URL of a page.
fn page(text: &str) -> Result<String, Problem> {
    let url = url::parse_plain(text, PAGE_REMEDY)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Problem::new("not a scheme for a page", PAGE_REMEDY));
    }
    url::host(&url, PAGE_REMEDY)?;
    Ok(url.into())
}

fn read_ttl(section: &Section<'_>) -> Duration {
    let ttl = section.duration("ttl");
    if ttl.subsec_nanos() != 0 {
        let remedy = format!(r#"write "{}s" or "{}s""#, ttl.as_secs(), ttl.as_secs() + 1);
        section.refuse(
            "ttl",
            Problem::new("not in whole seconds, as etcd counts", remedy),
        );
    }
    ttl
}

fn read_user(section: &Section<'_>, endpoints: &[String]) -> Option<EtcdUser> {
    let name = section.filled("username");
    let password = access::secret(section, "password");
    let has_password = ["password", "password_file"].iter().any(|key| section.has(key));
    match (section.has("username"), has_password) {
        (true, false) => {
            let remedy = "write password_file, or password";
            section.refuse("username", Problem::new("a user without a password", remedy));
        }
        (false, true) => {
            let remedy = "write the user name that the password belongs to";
            section.refuse("username", Problem::new("missing", remedy));
        }
        _ => {}
    }
    if has_password
        && endpoints
            .iter()
            .any(|endpoint| is_plain(endpoint) && !is_loopback(endpoint))
    {
        let what = "the password crosses the network in clear text";
        section.warn("endpoints", Problem::new(what, "use https:// where etcd has it"));
    }
    Some(EtcdUser {
        name: name?,
        password: password?,
    })
}

fn read_tls(section: &Section<'_>, endpoints: &[String]) -> ClientTls {
    let trust = section.path("ca").map_or(Trust::System, Trust::Ca);
    let identity = access::identity(section);
    if endpoints.iter().any(|endpoint| !is_plain(endpoint)) {
        access::check_trust(section, Some(&trust));
        access::check_identity(section, identity.as_ref());
    }
    let given: Vec<_> = ["ca", "certificate", "key"]
        .into_iter()
        .filter(|key| section.has(key))
        .collect();
    let has_plain = endpoints.iter().any(|endpoint| is_plain(endpoint));
    if let Some(first) = given.first().filter(|_| has_plain) {
        let what = "a TLS setting, and not all endpoints have TLS";
        let remedy = format!("write https:// in all of them, or leave out {}", given.join(", "));
        section.refuse(first, Problem::new(what, remedy));
    }
    ClientTls { trust, identity }
}

fn is_plain(endpoint: &str) -> bool {
    endpoint.starts_with("http://")
}

fn is_loopback(endpoint: &str) -> bool {
    let url = reqwest::Url::parse(endpoint).ok();
    url.is_some_and(|url| url.host_str().is_some_and(url::is_loopback))
}

/// Refuses what a cluster cannot work with.
fn check_mqtt(section: &Section<'_>, mqtt: &Mqtt, cluster: Option<&DeviceId>) {
    if mqtt.version != MqttVersion::V5 {
        let what = "a cluster needs MQTT 5: the will of a shard has to wait for its next owner";
        section.refuse(
            "version",
            Problem::new(what, r#"write "5", or leave out [cluster]"#),
        );
    }
    if matches!(mqtt.broker, Broker::Embedded { .. }) {
        let what = "the broker in this process ends with it, and the bridges of a cluster need one that they all reach";
        section.refuse(
            "url",
            Problem::new(what, "name another broker, or leave out [cluster]"),
        );
    }
    if let Some(cluster) = cluster
        && is_of_shard(&mqtt.client_id, cluster.as_str())
    {
        let what = "begins like the client ids of this cluster's shards";
        let what = match section.has("client_id") {
            true => what.to_owned(),
            false => format!("missing, and the default {} {what}", mqtt.client_id),
        };
        let remedy = format!("write one that does not begin with {cluster}- and a digit");
        section.refuse("client_id", Problem::new(what, remedy));
    }
}

/// Whether a client id begins as those of the cluster's shards do, such as `plant-a-00`.
fn is_of_shard(client_id: &str, cluster: &str) -> bool {
    let rest = client_id
        .strip_prefix(cluster)
        .and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_scheme_host_and_port() {
        for (text, read) in [
            ("http://10.0.0.1:2379/", "http://10.0.0.1:2379"),
            ("https://[::1]:2379", "https://[::1]:2379"),
            ("https://etcd-1", "https://etcd-1"),
        ] {
            assert_eq!(endpoint(text).ok().as_deref(), Some(read));
        }
        for wrong in [
            "etcd-1:2379",
            "unix://etcd",
            "https://",
            "http://h:2379/v3",
            "http://h:0",
            "http://h?a",
        ] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_is_a_url_that_a_browser_may_follow() {
        assert_eq!(page("http://h:8080").ok().as_deref(), Some("http://h:8080/"));
        assert_eq!(
            page("https://h/lantime").ok().as_deref(),
            Some("https://h/lantime")
        );
        for wrong in [
            "h",
            "javascript:alert(1)",
            "file:///etc",
            "http://u:p@h",
            "http://h?a",
        ] {
            assert!(page(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_client_id_may_not_be_that_of_a_shard() {
        for id in ["plant-a-00", "plant-a-7", "plant-a-00-commands"] {
            assert!(is_of_shard(id, "plant-a"), "{id}");
        }
        for id in ["plant-a", "plant-a-b", "lantime2mqtt-site-1", "plant-b-00"] {
            assert!(!is_of_shard(id, "plant-a"), "{id}");
        }
    }
}
