//! `[[devices]]`: the keys of a device, their defaults, and which of them go together. Its slots and its SNMP have files
//! of their own.

pub(super) mod profile;
pub(super) mod proxy;

use std::collections::HashMap;
use std::time::Duration;

use reqwest::Url;

use super::problem::complaint;
use super::section::Section;
use super::snmp::device::DeviceSnmp;
use super::{Secret, access, parse, slots, snmp, url};
use crate::model::DeviceId;
use crate::model::derive::Slots;
use crate::model::http_session::MAX_SESSIONS;
use crate::tls::ClientTls;
use profile::ProfileChoice;
use proxy::Proxy;

const AUTH: [(&str, Auth); 3] = [
    ("auto", Auth::Auto),
    ("basic", Auth::Basic),
    ("bearer", Auth::Bearer),
];

const SHORTEST: Duration = Duration::from_millis(100);
const MAX_POLL: Duration = Duration::from_secs(3600);
const MAX_TIMEOUT: Duration = Duration::from_secs(300);
const DEFAULT_POLL: Duration = Duration::from_secs(1);
/// More than a poll: a slow answer is late, not lost.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const DEFAULT_OFFLINE_AFTER: u32 = 3;
const MIN_COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_COMMAND_TIMEOUT: Duration = Duration::from_secs(600);
const DEFAULT_COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_SESSIONS: u32 = 100;

/// One of `[[devices]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// One topic level.
    pub id: DeviceId,
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
    /// SNMP: whose traps are this device's, and the second way to it.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Basic, and Bearer where the firmware has it (7.08 and later).
    Auto,
    /// HTTP Basic.
    Basic,
    /// A token.
    Bearer,
}

/// All devices that are right; the others have left problems.
pub(super) fn read_all(root: &mut Section<'_>) -> Vec<Device> {
    let tables = root.tables("devices");
    if !root.has("devices") || (tables.is_empty() && is_empty_list(root)) {
        let what = "no devices, so there is nothing to watch";
        root.warn(
            "devices",
            complaint(
                what,
                "write a [[devices]] with id, url, username and password_file",
            ),
        );
    }
    let mut earlier = Earlier::default();
    let read = tables.into_iter().enumerate();
    let devices: Vec<Device> = read
        .filter_map(|(index, table)| read_one(table, index, &mut earlier))
        .collect();
    refuse_shared_engines(root, &devices);
    devices
}

/// By its engine id a trap is one device's.
fn refuse_shared_engines(root: &Section<'_>, devices: &[Device]) {
    let mut engines: HashMap<&[u8], &DeviceId> = HashMap::new();
    for device in devices {
        let Some(engine_id) = &device.snmp.engine_id else {
            continue;
        };
        if let Some(first) = engines.insert(engine_id, &device.id) {
            let what = format!(
                "devices {} and {} have the same snmp.engine_id",
                first.as_str(),
                device.id.as_str()
            );
            root.refuse(
                "devices",
                complaint(what, "write each device's own, or leave it out"),
            );
        }
    }
}

fn is_empty_list(root: &mut Section<'_>) -> bool {
    let list = root.value("devices").and_then(|value| value.as_array());
    list.is_some_and(<[_]>::is_empty)
}

/// Which of the devices read so far was the first with that id, with that URL.
#[derive(Default)]
struct Earlier {
    ids: HashMap<DeviceId, usize>,
    urls: HashMap<Url, usize>,
}

/// Where the device is; with a warning where another one is there already.
fn read_url(section: &mut Section<'_>, index: usize, urls: &mut HashMap<Url, usize>) -> Option<Url> {
    let url = section.parsed("url", url::device);
    section.need(
        "url",
        r#"write where the device is, such as url = "https://10.0.0.7""#,
    );
    let url = url?;
    let first = *urls.entry(url.clone()).or_insert(index);
    if first != index {
        let what = format!("the URL of devices[{first}] too: one device is polled and published as several");
        section.warn(
            "url",
            complaint(what, "write each device's own, or leave one out"),
        );
    }
    Some(url)
}

fn read_one(mut section: Section<'_>, index: usize, earlier: &mut Earlier) -> Option<Device> {
    let id = read_id(&mut section, index, &mut earlier.ids);
    let url = read_url(&mut section, index, &mut earlier.urls);
    let (username, password) = read_login(&mut section, url.as_ref());
    let proxy = section.parsed("proxy", proxy::read);
    let auth = section.parsed("auth", parse::word(&AUTH));
    let times = read_times(&mut section);
    let offline_after = section.number("offline_after", 1..=1000);
    let profile = profile::read(&mut section);
    let tls = read_tls(&mut section, url.as_ref());
    let slots = slots::read(&mut section);
    let http_sessions = read_http_sessions(section.section("http_sessions"));
    let allow_unverified_writes = read_unverified(&mut section);
    let command_timeout = section.duration("command_timeout", MIN_COMMAND_TIMEOUT..=MAX_COMMAND_TIMEOUT);
    let fail_fast = section.flag("fail_fast");
    let snmp = snmp::device::read(section.section("snmp"), url.as_ref());
    section.finish();
    Some(Device {
        id: id?,
        url: url?.origin().ascii_serialization(),
        username: username?,
        password: password?,
        proxy: proxy.unwrap_or(Proxy::Bypass),
        auth: auth.unwrap_or(Auth::Auto),
        poll: times.poll,
        jitter: times.jitter,
        timeout: times.timeout,
        connect_timeout: times.connect_timeout,
        offline_after: offline_after.unwrap_or(DEFAULT_OFFLINE_AFTER),
        profile,
        tls,
        slots,
        http_sessions,
        allow_unverified_writes,
        command_timeout: command_timeout.unwrap_or(DEFAULT_COMMAND_TIMEOUT),
        fail_fast: fail_fast.unwrap_or(false),
        snmp,
    })
}

fn read_id(section: &mut Section<'_>, index: usize, ids: &mut HashMap<DeviceId, usize>) -> Option<DeviceId> {
    let id = section.parsed("id", parse::device_id);
    section.need("id", r#"write a name of your own, such as id = "m3000-a""#);
    let id = id?;
    if let Some(first) = ids.get(&id) {
        let what = format!("the id of devices[{first}] too");
        section.refuse(
            "id",
            complaint(what, "write another; topics are told apart by it"),
        );
        return None;
    }
    ids.insert(id.clone(), index);
    Some(id)
}

fn read_login(section: &mut Section<'_>, url: Option<&Url>) -> (Option<String>, Option<Secret>) {
    let username = section.parsed("username", |text| match text {
        "" => Err(complaint(
            "empty",
            "write a user of the device with the access level info",
        )),
        // HTTP Basic ends the user name at the first colon.
        _ if text.contains(':') || text.chars().any(char::is_control) => Err(complaint(
            "not a user name",
            "write it without colons and control characters",
        )),
        _ => Ok(text.to_owned()),
    });
    section.need(
        "username",
        "write a user of the device with the access level info",
    );
    let password = access::password(section);
    if !section.has("password") && !section.has("password_file") {
        let remedy = "write password_file, the path of a file with the user's password";
        section.need("password_file", remedy);
    }
    let host = url.filter(|url| url.scheme() == "http").and_then(Url::host_str);
    if host.is_some_and(|host| !url::is_loopback(host)) {
        let what = "the password crosses the network in clear text";
        section.warn("url", complaint(what, "use https:// with tls.fingerprint"));
    }
    (username, password)
}

struct Times {
    poll: Duration,
    jitter: Duration,
    timeout: Duration,
    connect_timeout: Duration,
}

fn read_times(section: &mut Section<'_>) -> Times {
    let mut time = |key, range, default| section.duration(key, range).unwrap_or(default);
    let times = Times {
        poll: time("poll", SHORTEST..=MAX_POLL, DEFAULT_POLL),
        jitter: time("jitter", Duration::ZERO..=MAX_POLL, Duration::ZERO),
        timeout: time("timeout", SHORTEST..=MAX_TIMEOUT, DEFAULT_TIMEOUT),
        connect_timeout: time("connect_timeout", SHORTEST..=MAX_TIMEOUT, DEFAULT_CONNECT_TIMEOUT),
    };
    let poll = parse::spelled(times.poll);
    if times.jitter > Duration::ZERO && times.jitter >= times.poll {
        let what = "not below poll";
        section.refuse("jitter", complaint(what, format!(r#"write less than "{poll}""#)));
    }
    // The default is above the default poll on purpose, so it is no reason to warn.
    if times.timeout > times.poll.max(DEFAULT_TIMEOUT) {
        let what = format!("above poll ({poll}): polls are left out while an answer is late");
        section.warn(
            "timeout",
            complaint(what, "write a longer poll or a shorter timeout"),
        );
    }
    times
}

fn read_http_sessions(mut section: Section<'_>) -> HttpSessionsConfig {
    let enabled = section.flag("enabled");
    let max_count = section.number("max_count", 1..=MAX_SESSIONS as u32);
    section.finish();
    HttpSessionsConfig {
        enabled: enabled.unwrap_or(false),
        max_count: max_count.unwrap_or(DEFAULT_SESSIONS) as usize,
    }
}

fn read_unverified(section: &mut Section<'_>) -> bool {
    let allowed = section.flag("allow_unverified_writes").unwrap_or(false);
    if allowed {
        let what = "commands are written to this device in ways that nobody has seen work on one";
        let remedy = "see that they do no harm there, then write seen = true into a profile of your own, and leave this out";
        section.warn("allow_unverified_writes", complaint(what, remedy));
    }
    allowed
}

fn read_tls(section: &mut Section<'_>, url: Option<&Url>) -> ClientTls {
    let mut keys = section.section("tls");
    let ca = keys.path("ca");
    let trust = access::trust(&mut keys, ca);
    match url.map(Url::scheme) {
        Some("https") => access::check_trust(&keys, trust.as_ref()),
        Some(_) => access::refuse_tls(&keys, &access::tls_keys(trust.as_ref()), "https://"),
        None => {}
    }
    keys.finish();
    ClientTls {
        trust: trust.unwrap_or_default(),
        identity: None,
    }
}
