//! `[[devices]]`: the keys of a device, their defaults, and which of them go together. Its slots and its SNMP have files
//! of their own.

pub(super) mod profile;
pub(super) mod proxy;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use figment::value::Value;
use reqwest::Url;
use serde::Deserialize;

use super::problem::Problem;
use super::section::Section;
use super::snmp::device::DeviceSnmp;
use super::{Secret, access, cluster, parse, slots, snmp, url};
use crate::model::derive::Slots;
use crate::model::{DeviceId, Place};
use crate::tls::ClientTls;
use profile::ProfileChoice;
use proxy::Proxy;

/// One of `[[devices]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// One topic level.
    pub id: DeviceId,
    /// What people call it, and where it is.
    pub place: Arc<Place>,
    /// `http` or `https`, host and port (where it is not the default); no path, no slash at the end, no user.
    pub url: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// The way through or around a proxy.
    pub proxy: Proxy,
    /// How to log in.
    pub auth: Auth,
    /// Time from one poll to the next.
    pub poll: Duration,
    /// Random delay added to each poll, at most.
    pub jitter: Duration,
    /// Time for a whole request.
    pub timeout: Duration,
    /// Time for a connection to come about.
    pub connect_timeout: Duration,
    /// Failures in a row after which the device is offline.
    pub offline_after: u32,
    /// Which API profile.
    pub profile: ProfileChoice,
    /// Whom to trust.
    pub tls: ClientTls,
    /// Which slots are watched.
    pub slots: Slots,
    /// The log of HTTP sessions, as it is at the start.
    pub http_sessions: HttpSessionsConfig,
    /// Whether profile entries that nobody has seen on a device may be written by.
    pub allow_unverified_writes: bool,
    /// How long a command may wait for the device and be carried out.
    pub command_timeout: Duration,
    /// Whether a command that does not say otherwise is refused at once while the device is offline.
    pub fail_fast: bool,
    /// SNMP: whose traps are this device's, and how to read and write it over SNMP.
    pub snmp: DeviceSnmp,
}

/// `http_sessions` of a device
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpSessionsConfig {
    /// Whether sessions are kept.
    pub enabled: bool,
    /// How many of them, at most.
    pub max_count: usize,
}

/// How to log in at a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Basic, and Bearer where the firmware has it (7.08 and later).
    Auto,
    /// HTTP Basic.
    Basic,
    /// A token.
    Bearer,
}

/// More than the usual poll on purpose: a slow answer is late, not lost.
const USUAL_TIMEOUT: Duration = Duration::from_secs(5);

/// All devices that are right; the others have left problems.
pub(super) fn read_all(root: &Section<'_>) -> Vec<Arc<Device>> {
    let is_empty = |value: &Value| value.as_array().is_some_and(<[_]>::is_empty);
    if root.value("devices").is_none_or(is_empty) {
        let what = "no devices, so there is nothing to watch";
        let remedy = "write a [[devices]] with id, url, username and password_file";
        root.warn("devices", Problem::new(what, remedy));
    }
    let mut earlier = Earlier::default();
    let tables = root.tables("devices");
    if root.has("cluster") {
        tables.iter().for_each(cluster::refuse_shard_id);
    }
    let read = tables.iter().enumerate();
    let devices: Vec<Arc<Device>> = read
        .filter_map(|(index, table)| read_one(table, index, &mut earlier).map(Arc::new))
        .collect();
    refuse_shared_engines(root, &devices);
    devices
}

/// By its engine id a trap is one device's.
fn refuse_shared_engines(root: &Section<'_>, devices: &[Arc<Device>]) {
    let mut engines: HashMap<&[u8], &DeviceId> = HashMap::new();
    for device in devices {
        let Some(engine_id) = &device.snmp.engine_id else {
            continue;
        };
        if let Some(first) = engines.insert(engine_id, &device.id) {
            let what = format!("devices {first} and {} have the same snmp.engine_id", device.id);
            let remedy = "write each device's own, or leave it out";
            root.refuse("devices", Problem::new(what, remedy));
        }
    }
}

/// Which of the devices read so far was the first with that id, with that URL.
#[derive(Default)]
struct Earlier {
    ids: HashMap<DeviceId, usize>,
    urls: HashMap<Url, usize>,
}

fn read_one(section: &Section<'_>, index: usize, earlier: &mut Earlier) -> Option<Device> {
    let id = read_id(section, index, &mut earlier.ids);
    let url = read_url(section, index, &mut earlier.urls);
    let username = section.parsed("username", user_name);
    let password = access::secret(section, "password");
    let (poll, jitter, timeout) = read_times(section);
    let sessions = section.section("http_sessions");
    Some(Device {
        place: Arc::new(Place {
            label: section.read("label", parse::name).map(Into::into),
            site: section.read("site", parse::name).map(Into::into),
        }),
        proxy: section.parsed("proxy", proxy::read)?,
        auth: section.choice("auth"),
        poll,
        jitter,
        timeout,
        connect_timeout: section.duration("connect_timeout"),
        offline_after: section.number("offline_after"),
        profile: profile::read(section),
        tls: read_tls(section, url.as_ref()),
        slots: slots::read(section),
        http_sessions: HttpSessionsConfig {
            enabled: sessions.flag("enabled"),
            max_count: sessions.number("max_count") as usize,
        },
        allow_unverified_writes: read_unverified(section),
        command_timeout: section.duration("command_timeout"),
        fail_fast: section.flag("fail_fast"),
        snmp: snmp::device::read(&section.section("snmp"), url.as_ref()),
        id: id?,
        url: url?.origin().ascii_serialization(),
        username: username?,
        password: password?,
    })
}

fn read_id(section: &Section<'_>, index: usize, ids: &mut HashMap<DeviceId, usize>) -> Option<DeviceId> {
    let id = section.parsed("id", parse::device_id)?;
    let first = *ids.entry(id.clone()).or_insert(index);
    if first != index {
        let what = format!("the id of devices[{first}] too");
        let remedy = "write another; each device has its own topics";
        section.refuse("id", Problem::new(what, remedy));
        return None;
    }
    Some(id)
}

/// Where the device is; with a warning where another one is there already, or where anybody can read the password.
fn read_url(section: &Section<'_>, index: usize, urls: &mut HashMap<Url, usize>) -> Option<Url> {
    let url = section.parsed("url", url::device)?;
    let first = *urls.entry(url.clone()).or_insert(index);
    if first != index {
        let what = format!("the URL of devices[{first}] too: one device is polled and published as several");
        let remedy = "write each device's own, or leave one out";
        section.warn("url", Problem::new(what, remedy));
    }
    if url.scheme() == "http" && !url.host_str().is_some_and(url::is_loopback) {
        let what = "the password crosses the network in clear text";
        section.warn("url", Problem::new(what, "use https:// with tls.fingerprint"));
    }
    Some(url)
}

fn user_name(text: &str) -> Result<String, Problem> {
    // HTTP Basic ends the user name at the first colon.
    let is_foreign = |c: char| c == ':' || c.is_control();
    match text {
        "" => Err(Problem::new(
            "empty",
            "write a user of the device with the access level info",
        )),
        _ if text.contains(is_foreign) => {
            let remedy = "write it without colons and control characters";
            Err(Problem::new("not a user name", remedy))
        }
        _ => Ok(text.to_owned()),
    }
}

/// `poll`, `jitter` and `timeout`.
fn read_times(section: &Section<'_>) -> (Duration, Duration, Duration) {
    let [poll, jitter, timeout] = ["poll", "jitter", "timeout"].map(|key| section.duration(key));
    let spelled = parse::spelled(poll);
    if jitter > Duration::ZERO && jitter >= poll {
        let remedy = format!(r#"write less than "{spelled}""#);
        section.refuse("jitter", Problem::new("not below poll", remedy));
    }
    if timeout > poll.max(USUAL_TIMEOUT) {
        let what = format!("above poll ({spelled}): polls are left out while an answer is late");
        let remedy = "write a longer poll or a shorter timeout";
        section.warn("timeout", Problem::new(what, remedy));
    }
    (poll, jitter, timeout)
}

fn read_unverified(section: &Section<'_>) -> bool {
    let is_allowed = section.flag("allow_unverified_writes");
    if is_allowed {
        let what = "commands are written to this device in ways that nobody has seen work on one";
        let remedy = "make sure that they do no harm there, then write seen = true into a profile of your own, and leave this out";
        section.warn("allow_unverified_writes", Problem::new(what, remedy));
    }
    is_allowed
}

fn read_tls(section: &Section<'_>, url: Option<&Url>) -> ClientTls {
    let keys = section.section("tls");
    let trust = access::trust(&keys, keys.path("ca"));
    match url.map(Url::scheme) {
        Some("https") => access::check_trust(&keys, trust.as_ref()),
        Some(_) => access::refuse_tls(&keys, &access::tls_keys(trust.as_ref()), "https://"),
        None => {}
    }
    ClientTls {
        trust: trust.unwrap_or_default(),
        identity: None,
    }
}
