//! What the files and the environment say together: TOML, the devices of the files that are included, the environment over
//! it, and `[device_defaults]` below each device. Owns where values come from, not what they mean.

mod include;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Empty, Tag, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::Variable;
use super::keys::{self, Kind, bare_or_quoted, join};
use super::problem::{Place, Problem};
use crate::wording::quoted;

const DEVICES: &str = "devices";
const DEFAULTS: &str = "device_defaults";

/// All values, and where each comes from.
#[derive(Clone, Default)]
pub struct Settings {
    /// Where relative paths start.
    pub(super) base: PathBuf,
    pub(super) values: Dict,
    files: Vec<(PathBuf, String)>,
    /// By the paths of keys, such as `devices[0].tls.ca`.
    origins: HashMap<String, Origin>,
}

/// What has given a key.
#[derive(Clone)]
enum Origin {
    /// One of the files, from that byte on.
    File(usize, usize),
    /// The variable of that name.
    Variable(String),
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settings")
    }
}

impl Settings {
    /// Those values, of no file yet; relative paths start where the file at `path` is.
    pub(super) fn new(path: &Path, values: Dict) -> Settings {
        // Absolute, so that a later change of the working directory moves nothing.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let base = absolute.parent().unwrap_or(Path::new("")).to_owned();
        Settings {
            base,
            values,
            ..Settings::default()
        }
    }

    /// What is wrong with a value that was right as far as could be seen here; `path` is such as `devices[0].profile`, and
    /// `label` the same for people.
    pub fn problem(&self, path: &str, label: &str, value: &Path, what: String, remedy: &str) -> Problem {
        let (mut problem, is_inherited) = self.located(path, Problem::new(what, remedy));
        problem.key = key(path, label, is_inherited);
        problem.value = Some(quoted(&value.display().to_string()));
        problem
    }

    /// Adds what a file says. Parsed here and not by figment: its message repeats the offending line, and that may hold a
    /// password.
    pub(super) fn read(&mut self, path: &Path, bytes: Vec<u8>) -> Result<Dict, Problem> {
        let file = self.files.len();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.files.push((path.to_owned(), text.clone()));
        if let Err(error) = str::from_utf8(&bytes) {
            let problem = Problem::new("not UTF-8 text", "save the file as UTF-8");
            return Err(self.at(file, error.valid_up_to(), problem));
        }
        let document = DeTable::parse(&text).map_err(|error| {
            let what = error.message().lines().collect::<Vec<_>>().join(", ");
            let problem = Problem::new(what, "correct the TOML there; no other check was made");
            self.at(file, error.span().map_or(0, |span| span.start), problem)
        })?;
        Ok(self.table(file, "", document.get_ref()))
    }

    fn table(&mut self, file: usize, path: &str, table: &DeTable<'_>) -> Dict {
        let mut values = Dict::new();
        for (key, value) in table {
            // Only devices may be in several files: the first of these has begun the list.
            let is_devices = key.get_ref() == DEVICES && value.get_ref().is_array();
            let is_stray = file > 0 && path.is_empty() && !is_devices;
            let table = if is_stray { "include" } else { path };
            let path = join(table, &bare_or_quoted(key.get_ref()));
            let origin = Origin::File(file, key.span().start);
            if path != DEVICES || !self.origins.contains_key(DEVICES) {
                self.origins.insert(path.clone(), origin);
            }
            let value = self.value(file, &path, value.get_ref());
            values.insert(key.get_ref().to_string(), value);
        }
        values
    }

    fn list(&mut self, file: usize, path: &str, list: &[Spanned<DeValue<'_>>]) -> Value {
        let first = if path == DEVICES { self.devices().len() } else { 0 };
        let values = list.iter().zip(first..).map(|(value, index)| {
            let path = format!("{path}[{index}]");
            let origin = Origin::File(file, value.span().start);
            self.origins.insert(path.clone(), origin);
            self.value(file, &path, value.get_ref())
        });
        Value::from(values.collect::<Vec<_>>())
    }

    fn value(&mut self, file: usize, path: &str, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::from(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::from(f64::INFINITY), Value::from),
            DeValue::Float(number) => Value::from(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => Value::from(*flag),
            // No key takes a date, and figment has no type for it.
            DeValue::Datetime(_) => Value::Empty(Tag::Default, Empty::Unit),
            DeValue::Array(list) => self.list(file, path, list),
            DeValue::Table(table) => Value::from(self.table(file, path, table)),
        }
    }

    /// The devices so far.
    pub(super) fn devices(&self) -> &[Value] {
        let devices = self.values.get(DEVICES).and_then(Value::as_array);
        devices.unwrap_or_default()
    }

    /// Lays the environment over it.
    pub(super) fn overlay(&mut self, variables: Vec<Variable>) {
        let mut layers = Figment::from(Serialized::globals(&self.values));
        for Variable { name, path, value } in variables {
            let (mut key, mut values) = (String::new(), Value::from(value));
            for part in &path {
                key = join(&key, &bare_or_quoted(part));
                // A table may be in a file as well.
                let origin = self.origins.entry(key.clone());
                origin.or_insert_with(|| Origin::Variable(name.clone()));
            }
            self.origins.insert(key, Origin::Variable(name));
            for part in path.into_iter().rev() {
                values = Value::from(Dict::from([(part, values)]));
            }
            layers = layers.merge(Serialized::globals(values));
        }
        if let Ok(Value::Dict(_, values)) = layers.find_value("") {
            self.values = values;
        }
    }

    /// Gives each device what it does not have itself.
    pub(super) fn inherit(&mut self) {
        let Some(Value::Dict(_, defaults)) = self.values.get(DEFAULTS).cloned() else {
            return;
        };
        let Some(Value::Array(_, devices)) = self.values.get_mut(DEVICES) else {
            return;
        };
        let mut plain = defaults.clone();
        plain.remove("tls");
        for device in devices {
            if let Value::Dict(_, own) = device {
                let defaults = if is_plain(own) { &plain } else { &defaults };
                inherit(DEFAULTS, own, defaults);
            }
        }
    }

    /// What has given the key at that path, and whether it is not the device's own.
    fn origin(&self, path: &str) -> Option<(&Origin, bool)> {
        let own = self.origins.get(path).map(|origin| (origin, false));
        own.or_else(|| Some((self.origins.get(&default_of(path)?)?, true)))
    }

    /// Whether a variable has given the value at that path.
    pub(super) fn is_variable(&self, path: &str) -> bool {
        matches!(self.origin(path), Some((Origin::Variable(_), _)))
    }

    /// With the place, or the variable, of the key at that path, and whether it is not the device's own; of what is missing,
    /// those of its table.
    pub(super) fn located(&self, path: &str, problem: Problem) -> (Problem, bool) {
        match (self.origin(path), path.rfind(['.', '['])) {
            (Some((Origin::File(file, offset), is_inherited)), _) => {
                (self.at(*file, *offset, problem), is_inherited)
            }
            (Some((Origin::Variable(name), is_inherited)), _) => {
                let variable = Some(name.as_str().into());
                (Problem { variable, ..problem }, is_inherited)
            }
            (None, Some(end)) => {
                let (problem, is_inherited) = self.located(&path[..end], problem);
                (
                    Problem {
                        variable: None,
                        ..problem
                    },
                    is_inherited,
                )
            }
            (None, None) => (problem, false),
        }
    }

    fn at(&self, file: usize, offset: usize, problem: Problem) -> Problem {
        let (path, text) = &self.files[file];
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let file = path.clone();
        let place = Some(Box::new(Place { file, line, column }));
        Problem { place, ..problem }
    }
}

/// The key of that path and label as a problem has it, which for a default of devices names one of them.
pub(super) fn key(path: &str, label: &str, is_inherited: bool) -> String {
    match path.split_once("].") {
        Some((_, below)) if is_inherited => {
            let device = label.strip_suffix(below).unwrap_or(label).trim_end_matches('.');
            format!("{DEFAULTS}.{below} (of {device})")
        }
        _ => label.to_owned(),
    }
}

/// Where the default of a device's key stands.
fn default_of(path: &str) -> Option<String> {
    let (_, key) = path.strip_prefix("devices[")?.split_once("].")?;
    Some(join(DEFAULTS, key))
}

/// Whether that device is asked without TLS.
fn is_plain(device: &Dict) -> bool {
    let url = device.get("url").and_then(Value::as_str).unwrap_or_default();
    let scheme = url.trim_start().split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"))
}

/// Table by table, and key by key; no key beside one of the device's own that it would contradict.
fn inherit(table: &str, own: &mut Dict, defaults: &Dict) {
    let given = own.iter().filter(|(_, value)| value.to_bool() != Some(false));
    let given: Vec<_> = given.filter_map(|(name, _)| keys::find(table, name)).collect();
    for (name, value) in defaults {
        let key = keys::find(table, name);
        let Some(key) = key.filter(|key| !given.iter().any(|other| key.yields_to(other))) else {
            continue;
        };
        match (own.get_mut(name), value) {
            (Some(Value::Dict(_, own)), Value::Dict(_, defaults)) => inherit(&key.path, own, defaults),
            (None, Value::Dict(_, defaults)) if key.kind == Kind::Table => {
                let mut own_table = Dict::new();
                inherit(&key.path, &mut own_table, defaults);
                own.insert(name.clone(), Value::from(own_table));
            }
            (None, _) if key.kind != Kind::Table => drop(own.insert(name.clone(), value.clone())),
            _ => {}
        }
    }
}
