//! From a file's path to a configuration: all of it, or what leads to the store.

use std::ffi::OsString;
use std::path::Path;

use figment::value::{Dict, Value};

use super::problem::{self, ConfigError, Findings, Problem};
use super::section::{Context, Section};
use super::settings::Settings;
use super::{
    Bridge, Config, DeadLetters, History, State, StoreConfig, cluster, device, environment, homeassistant,
    http, log, mqtt, parse, snmp, sparkplug, url,
};
use crate::model::DeviceId;
use crate::model::id::to_id;

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is doubtful about it.
    pub warnings: Vec<Problem>,
    /// What it was made of.
    pub settings: Settings,
}

/// Reads the file at `path` and those that it includes, lays `environment` over them and checks the whole.
///
/// # Errors
/// With every problem there is, unless the file cannot be read as TOML at all.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    let mut settings = read_file(path)?;
    let (variables, mut findings) = environment::variables(environment);
    settings.include(&mut findings);
    settings.overlay(variables);
    finish(path, settings, findings)
}

/// Checks a configuration that no file holds: `origin` stands in its place in errors, and relative paths
/// start at the working directory.
///
/// # Errors
/// With every problem there is.
pub fn from_table(origin: &str, values: toml::Table) -> Result<Loaded, ConfigError> {
    let path = Path::new(origin);
    let values = Value::serialize(values).ok().and_then(Value::into_dict);
    let settings = Settings::new(path, values.unwrap_or_default());
    finish(path, settings, Findings::default())
}

/// Reads of a configuration what leads to the bridge's store, and nothing else: passwords that only the bridge
/// can read do not matter then.
///
/// # Errors
/// With every problem of the keys that are read.
pub fn load_store(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<StoreConfig, ConfigError> {
    let mut settings = read_file(path)?;
    let (variables, findings) = environment::variables(environment);
    settings.overlay(variables);
    let read = |root: &Section<'_>| {
        let sections = ["bridge", "dead_letter", "history", "state"].map(|key| root.section(key));
        sections.iter().for_each(Section::refuse_unknown);
        let [bridge, dead_letter, history, state] = &sections;
        Some(StoreConfig {
            history: read_history(history),
            is_in_cluster: root.has("cluster"),
            dead_letter: read_dead_letter(dead_letter),
            state: read_state(state),
            prefix: mqtt::read_prefix(&root.section("mqtt")),
            bridge: read_bridge(bridge)?,
        })
    };
    checked(path, &settings, findings, read).map(|(config, _)| config)
}

/// A device of a configuration that is not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDevice {
    /// Its id; empty where it has none.
    pub id: String,
    /// Scheme, host and port, as [`Device::url`](super::Device::url) has them; what is no such URL is as it was written.
    pub url: String,
}

/// The devices of the file at `path` and of those that it includes; nothing else of them is read.
///
/// # Errors
/// When one of the files cannot be read as TOML, or may not be included.
pub fn list_devices(path: &Path) -> Result<Vec<ListedDevice>, ConfigError> {
    let mut settings = read_file(path)?;
    let mut findings = Findings::default();
    settings.include(&mut findings);
    if !findings.problems.is_empty() {
        return Err(ConfigError::new(path, findings.problems));
    }
    let text = |device: &Value, key: &str| {
        let text = device.as_dict().and_then(|device| device.get(key)?.as_str());
        text.unwrap_or_default().to_owned()
    };
    let listed = |device: &Value| {
        let (id, url) = (text(device, "id"), text(device, "url"));
        let origin = url::device(&url).map(|url| url.origin().ascii_serialization());
        let url = origin.unwrap_or(url);
        ListedDevice { id, url }
    };
    Ok(settings.devices().iter().map(listed).collect())
}

fn read_file(path: &Path) -> Result<Settings, ConfigError> {
    let mut settings = Settings::new(path, Dict::new());
    let unreadable = |error| {
        let remedy = "name the file with --config, and let the user of this process read it";
        Problem::new(format!("cannot be read: {error}"), remedy)
    };
    let bytes = std::fs::read(path).map_err(unreadable);
    match bytes.and_then(|bytes| settings.read(path, bytes)) {
        Ok(values) => settings.values = values,
        Err(problem) => return Err(ConfigError::new(path, vec![problem])),
    }
    Ok(settings)
}

fn finish(path: &Path, mut settings: Settings, findings: Findings) -> Result<Loaded, ConfigError> {
    settings.inherit();
    let (config, warnings) = checked(path, &settings, findings, read)?;
    Ok(Loaded {
        config,
        warnings,
        settings,
    })
}

/// What `read` makes of it, and the warnings.
fn checked<T>(
    path: &Path,
    settings: &Settings,
    findings: Findings,
    read: impl FnOnce(&Section<'_>) -> Option<T>,
) -> Result<(T, Vec<Problem>), ConfigError> {
    let context = Context::new(settings, findings);
    let config = read(&Section::root(&context));
    let Findings {
        problems,
        mut warnings,
    } = context.finish();
    problem::sort(path, &mut warnings);
    match config {
        Some(config) if problems.is_empty() => Ok((config, warnings)),
        _ => Err(ConfigError::new(path, problems)),
    }
}

/// `None` only together with a problem.
fn read(root: &Section<'_>) -> Option<Config> {
    root.refuse_unknown();
    root.texts("include");
    root.section("device_defaults").refuse_no_tables();
    let bridge = read_bridge(&root.section("bridge"));
    let id = bridge.as_ref().map(|bridge| &bridge.id);
    let mqtt = mqtt::read(&root.section("mqtt"), id);
    let prefix = mqtt.as_ref().map(|mqtt| mqtt.prefix.as_str());
    let cluster = cluster::read(root, bridge.as_ref(), mqtt.as_ref());
    // All bridges of a cluster are the same edge nodes.
    let edge_node = cluster.as_ref().map(|cluster| &cluster.name).or(id);
    Some(Config {
        http: http::read(&root.section("http")),
        snmp: snmp::read(&root.section("snmp")),
        homeassistant: homeassistant::read(&root.section("homeassistant"), prefix),
        sparkplug: sparkplug::read(&root.section("sparkplug"), edge_node),
        cluster,
        dead_letter: read_dead_letter(&root.section("dead_letter")),
        history: read_history(&root.section("history")),
        state: read_state(&root.section("state")),
        log: log::read(&root.section("log")),
        devices: device::read_all(root),
        mqtt: mqtt?,
        bridge: bridge?,
    })
}

fn read_bridge(section: &Section<'_>) -> Option<Bridge> {
    let mut id = section.parsed("id", parse::id);
    if !section.has("id") {
        let host = gethostname::gethostname();
        id = to_id(&host.to_string_lossy()).and_then(DeviceId::new);
        if id.is_none() {
            let what = "missing, and this machine has no host name to take";
            section.refuse("id", Problem::new(what, r#"write an id, such as id = "site-1""#));
        }
    }
    let answer_unknown = section.flag("answer_unknown");
    Some(Bridge {
        id: id?,
        answer_unknown,
    })
}

fn read_dead_letter(section: &Section<'_>) -> DeadLetters {
    DeadLetters {
        repeat: section.duration("repeat"),
        keep: section.number("keep") as usize,
    }
}

fn read_history(section: &Section<'_>) -> History {
    History {
        keep: section.duration("keep"),
        max_entries: section.number("max_entries") as usize,
    }
}

fn read_state(section: &Section<'_>) -> State {
    State {
        directory: section.path("directory").unwrap_or_default(),
    }
}
