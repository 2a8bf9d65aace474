//! The layers: file, then environment over it; a key that is in neither has its default, which stands where
//! the key is read. Owns where values come from, not what they mean.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::value::{Dict, Empty, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::environment::{self, Variable};
use super::problem::{Complaint, ConfigError, Problem, complaint};
use super::section::{Context, Section};
use super::{
    Bridge, Config, DeadLetters, State, StoreConfig, device, homeassistant, http, log, mqtt, parse, snmp,
    sparkplug,
};
use crate::model::DeviceId;
use crate::model::id::to_id;

/// How often a dead letter may repeat itself.
const REPEAT: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(24 * 3600);
const DEFAULT_REPEAT: Duration = Duration::from_secs(15 * 60);
const MAX_KEPT: u32 = 100_000;
const DEFAULT_KEPT: u32 = 1_000;

/// A configuration that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is doubtful about it.
    pub warnings: Vec<Problem>,
}

impl From<(Config, Vec<Problem>)> for Loaded {
    fn from((config, warnings): (Config, Vec<Problem>)) -> Loaded {
        Loaded { config, warnings }
    }
}

/// Reads the file at `path`, lays `environment` over it and checks the whole.
///
/// # Errors
/// With every problem there is, unless the file cannot be read as TOML at all.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    let (layers, problems) = read_layers(path, environment)?;
    check(path, layers, problems, read).map(Loaded::from)
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
    let (layers, problems) = read_layers(path, environment)?;
    let read = |mut root: Section<'_>| {
        Some(StoreConfig {
            bridge: read_bridge(root.section("bridge"))?,
            prefix: mqtt::read_prefix(&mut root.section("mqtt")),
            dead_letter: read_dead_letter(root.section("dead_letter")),
            state: read_state(root.section("state")),
        })
    };
    check(path, layers, problems, read).map(|(config, _)| config)
}

/// Checks a configuration that no file holds: `origin` stands in its place in errors, and relative paths
/// start at the working directory.
///
/// # Errors
/// With every problem there is.
pub fn from_table(origin: &str, values: toml::Table) -> Result<Loaded, ConfigError> {
    check(Path::new(origin), layers(values, Vec::new()), Vec::new(), read).map(Loaded::from)
}

fn read_layers(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Figment, Vec<Problem>), ConfigError> {
    let file = read_file(path).map_err(|problem| ConfigError {
        path: path.to_owned(),
        problems: vec![problem],
    })?;
    let (variables, problems) = environment::variables(environment);
    Ok((layers(file, variables), problems))
}

/// What `read` makes of it, and the warnings.
fn check<T>(
    path: &Path,
    layers: Figment,
    mut problems: Vec<Problem>,
    read: impl FnOnce(Section<'_>) -> Option<T>,
) -> Result<(T, Vec<Problem>), ConfigError> {
    let values = match layers.find_value("") {
        Ok(Value::Dict(_, values)) => values,
        _ => Dict::new(),
    };
    let base = directory_of(path);
    let context = Context::new(&base, &layers);
    let config = read(Section::root(&context, values));
    let (found, warnings) = context.finish();
    problems.extend(found);
    match config {
        Some(config) if problems.is_empty() => Ok((config, warnings)),
        _ => Err(ConfigError {
            path: path.to_owned(),
            problems,
        }),
    }
}

/// Absolute, so that a later change of the working directory moves nothing.
fn directory_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.parent().unwrap_or(Path::new("")).to_owned()
}

/// `None` only together with a problem.
fn read(mut root: Section<'_>) -> Option<Config> {
    let bridge = read_bridge(root.section("bridge"));
    let mqtt = mqtt::read(root.section("mqtt"), bridge.as_ref().map(|bridge| &bridge.id));
    let http = http::read(root.section("http"));
    let snmp = snmp::read(root.section("snmp"));
    let prefix = mqtt.as_ref().map(|mqtt| mqtt.prefix.as_str());
    let homeassistant = homeassistant::read(root.section("homeassistant"), prefix);
    let edge_node = bridge.as_ref().map(|bridge| &bridge.id);
    let sparkplug = sparkplug::read(root.section("sparkplug"), edge_node);
    let dead_letter = read_dead_letter(root.section("dead_letter"));
    let state = read_state(root.section("state"));
    let log = log::read(root.section("log"));
    let devices = device::read_all(&mut root);
    root.finish();
    Some(Config {
        bridge: bridge?,
        mqtt: mqtt?,
        http,
        snmp,
        homeassistant,
        sparkplug,
        dead_letter,
        state,
        log,
        devices,
    })
}

fn read_bridge(mut section: Section<'_>) -> Option<Bridge> {
    let mut id = section.parsed("id", parse::id);
    if !section.has("id") {
        let host = gethostname::gethostname();
        id = to_id(&host.to_string_lossy()).and_then(DeviceId::new);
        if id.is_none() {
            let remedy = r#"write an id, such as id = "site-1""#;
            section.refuse(
                "id",
                complaint("missing, and this machine has no host name to take", remedy),
            );
        }
    }
    let answer_unknown = section.flag("answer_unknown").unwrap_or(false);
    section.finish();
    Some(Bridge {
        id: id?,
        answer_unknown,
    })
}

fn read_dead_letter(mut section: Section<'_>) -> DeadLetters {
    let repeat = section.duration("repeat", REPEAT);
    let keep = section.number("keep", 1..=MAX_KEPT);
    section.finish();
    DeadLetters {
        repeat: repeat.unwrap_or(DEFAULT_REPEAT),
        keep: keep.unwrap_or(DEFAULT_KEPT) as usize,
    }
}

fn read_state(mut section: Section<'_>) -> State {
    let directory = section.path("directory");
    section.finish();
    State {
        directory: directory.unwrap_or_else(|| PathBuf::from("/var/lib/lantime2mqtt")),
    }
}

fn layers(file: toml::Table, variables: Vec<Variable>) -> Figment {
    let mut layers = Figment::from(Layer {
        variable: None,
        values: dict_of(file),
    });
    for Variable { name, path, value } in variables {
        let value = path.into_iter().rev().fold(Value::from(value), |value, key| {
            Value::from(Dict::from([(key, value)]))
        });
        if let Value::Dict(_, values) = value {
            layers = layers.merge(Layer {
                variable: Some(name),
                values,
            });
        }
    }
    layers
}

/// The file, or one variable: figment then tells of each value where it came from.
struct Layer {
    variable: Option<String>,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        match &self.variable {
            Some(name) => Metadata::named("environment").source(Source::Custom(name.clone())),
            None => Metadata::named("file"),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// Parsed here and not by figment: its message repeats the offending line, and that may hold a password.
fn read_file(path: &Path) -> Result<toml::Table, Problem> {
    let bytes = std::fs::read(path).map_err(|error| {
        let remedy = "name the file with --config, and let the user of this process read it";
        at(
            String::new(),
            complaint(format!("cannot be read: {error}"), remedy),
        )
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let remedy = "save the file as UTF-8";
        at(
            position(&bytes, error.valid_up_to()),
            complaint("not UTF-8 text", remedy),
        )
    })?;
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let what = error.message().lines().collect::<Vec<_>>().join(", ");
        at(
            position(&bytes, offset),
            complaint(what, "mend the TOML there; no other check was made"),
        )
    })
}

fn at(key: String, Complaint { what, remedy }: Complaint) -> Problem {
    Problem {
        key,
        value: None,
        variable: None,
        what,
        remedy,
    }
}

/// Line and column, both from 1, as editors count them.
fn position(bytes: &[u8], offset: usize) -> String {
    let before = &bytes[..offset.min(bytes.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    format!("line {line}, column {column}")
}

fn dict_of(table: toml::Table) -> Dict {
    let entries = table.into_iter();
    entries.map(|(key, value)| (key, value_of(value))).collect()
}

fn value_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::from(flag),
        // No key takes a date, and figment has no type for it.
        toml::Value::Datetime(_) => Value::Empty(Tag::Default, Empty::Unit),
        toml::Value::Array(list) => Value::from(list.into_iter().map(value_of).collect::<Vec<_>>()),
        toml::Value::Table(table) => Value::from(dict_of(table)),
    }
}
