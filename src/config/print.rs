//! A configuration as it is in force, in TOML that could be loaded again: every key with its value, and where that comes
//! from; defaults as comments. Secrets are not in it.

use std::fmt::Write;

use figment::value::{Dict, Value};

use super::Loaded;
use super::keys::{self, Key, Kind, join};
use super::problem::{Problem, without_secrets};
use super::settings::Settings;

static EMPTY: Dict = Dict::new();

/// A table that has lines of its own: its key, where it stands, and what is in it.
type Table<'a> = (&'static Key, String, &'a Dict);

struct Printer<'a> {
    settings: &'a Settings,
    /// Defaults that are no constants.
    defaults: Vec<(&'static str, &'a str)>,
    text: String,
    /// What is still to be printed.
    tables: Vec<Table<'a>>,
}

impl Loaded {
    /// All that is in force, as TOML.
    pub fn print(&self) -> String {
        let (config, settings) = (&self.config, &self.settings);
        let mut defaults = vec![
            ("bridge.id", config.bridge.id.as_str()),
            ("mqtt.client_id", &config.mqtt.client_id),
        ];
        let sparkplug = config.sparkplug.iter();
        defaults.extend(sparkplug.map(|sparkplug| ("sparkplug.edge_node", sparkplug.edge_node.as_str())));
        let (text, tables) = (String::new(), Vec::new());
        let mut printer = Printer {
            settings,
            defaults,
            text,
            tables,
        };
        printer.keys("", "", "", &settings.values);
        printer.tables.reverse();
        while let Some((key, path, values)) = printer.tables.pop() {
            let rest = std::mem::take(&mut printer.tables);
            let _ = match key.kind {
                Kind::Tables => writeln!(printer.text, "\n[[{}]]", key.path),
                _ => writeln!(printer.text, "\n[{}]", key.path),
            };
            printer.keys(&key.path, &path, "", values);
            printer.tables.reverse();
            printer.tables.splice(0..0, rest);
        }
        printer.text.trim_start().to_owned()
    }
}

impl<'a> Printer<'a> {
    /// The keys of a table, and with dots those of the tables within it; lists, and sections, are for later.
    fn keys(&mut self, table: &str, path: &str, prefix: &str, values: &'a Dict) {
        for key in keys::of_table(table) {
            let (path, name) = (join(path, key.name()), join(prefix, key.name()));
            let value = values.get(key.name());
            let below = value.and_then(Value::as_dict).unwrap_or(&EMPTY);
            match (key.kind, value) {
                // They are in the devices.
                _ if ["include", "device_defaults"].contains(&path.as_str()) => {}
                (Kind::Table, None) if keys::of_table(&key.path).any(|key| key.required.is_some()) => {}
                (Kind::Table, _) if table.is_empty() => self.tables.push((key, path, below)),
                (Kind::Table, _) => self.keys(&key.path, &path, &name, below),
                (Kind::Tables, Some(Value::Array(_, list))) => {
                    let entries = list.iter().enumerate().map(|(index, value)| {
                        let values = value.as_dict().unwrap_or(&EMPTY);
                        (key, format!("{path}[{index}]"), values)
                    });
                    self.tables.extend(entries);
                }
                (_, value) => self.line(key, &path, &name, value),
            }
        }
    }

    fn line(&mut self, key: &Key, path: &str, name: &str, value: Option<&Value>) {
        if let Some(value) = value {
            let (origin, _) = self.settings.located(path, Problem::new("", ""));
            let place = origin
                .place
                .map(|place| format!("{}:{}", place.file.display(), place.line));
            let origin = origin.variable.map(String::from).or(place).unwrap_or_default();
            let _ = writeln!(self.text, "{name} = {}  # {origin}", self.shown(key, value));
            return;
        }
        let other = self.defaults.iter().find(|(path, _)| *path == key.path);
        let other = other.map(|(_, default)| quoted(default));
        if let Some(default) = key.default.as_ref().map(toml::Value::to_string).or(other) {
            let _ = writeln!(self.text, "# {name} = {default}");
        }
    }

    fn shown(&self, key: &Key, value: &Value) -> String {
        match (key.kind, value) {
            (Kind::Secret, _) => quoted("[secret]"),
            (Kind::Secrets, _) => r#"["[secret]"]"#.to_owned(),
            (Kind::Path, Value::String(_, text)) if !key.choices.contains(text) => {
                quoted(&self.settings.base.join(text).display().to_string())
            }
            // From the environment.
            (Kind::Number | Kind::Flag, Value::String(_, text)) => text.trim().to_owned(),
            // The only URL that may hold a password.
            (_, Value::String(_, text)) if key.name() == "proxy" => quoted(&without_secrets(text)),
            (_, Value::String(_, text)) => quoted(text),
            (_, value) => toml::Value::try_from(value).map_or(String::new(), |value| value.to_string()),
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
