//! The table of keys: which there are, with type, bounds, default, meaning and example of each, and where one belongs that
//! stands elsewhere. It is data, in `keys/*.toml`; `keys/root.toml` explains its form.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use super::parse;
use super::problem::Problem;
use crate::wording::{nearest, quoted};

/// A key for one value, and its like for several: a table takes one of the two.
const ONE_AND_SEVERAL: [[&str; 2]; 2] = [
    ["community", "communities"],
    ["community_file", "communities_file"],
];

const TEXT: &str = concat!(
    include_str!("keys/root.toml"),
    include_str!("keys/mqtt.toml"),
    include_str!("keys/snmp.toml"),
    include_str!("keys/cluster.toml"),
    include_str!("keys/devices.toml"),
);

static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let mut table: HashMap<String, Vec<Key>> = toml::from_str(TEXT).expect("it is part of the program");
    expanded(table.remove("keys").expect("it is a list of keys"))
});

static BY_PATH: LazyLock<HashMap<&str, &Key>> =
    LazyLock::new(|| KEYS.iter().map(|key| (key.path.as_str(), key)).collect());

static BY_TABLE: LazyLock<Groups> = LazyLock::new(|| grouped(Key::table));

static BY_NAME: LazyLock<Groups> = LazyLock::new(|| grouped(Key::name));

/// Keys that have something in common, in the order of the manual.
type Groups = HashMap<&'static str, Vec<&'static Key>>;

fn grouped(by: fn(&'static Key) -> &'static str) -> Groups {
    let mut groups = Groups::new();
    for key in KEYS.iter() {
        groups.entry(by(key)).or_default().push(key);
    }
    groups
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Key {
    /// Such as `devices.tls.ca`: without the numbers in lists.
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    range: Option<[toml::Value; 2]>,
    #[serde(default)]
    pub(super) choices: Vec<String>,
    wrong: Option<String>,
    remedy: Option<String>,
    pub(super) default: Option<toml::Value>,
    pub(super) required: Option<String>,
    why: Option<String>,
    like: Option<String>,
    #[serde(default)]
    without: Vec<String>,
    #[serde(default)]
    not_with: Vec<String>,
    #[serde(default)]
    vague: bool,
    /// This and the rest are for the manual alone.
    #[cfg(test)]
    #[serde(flatten)]
    manual: tests::Manual,
}

/// What is written under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    Duration,
    Choice,
    Path,
    Texts,
    Secret,
    Secrets,
    Table,
    Tables,
}

impl Key {
    /// The last part of its path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// The path of the table that it is in; nothing for the whole file.
    fn table(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(table, _)| table)
    }

    /// Bounds of a duration.
    pub(super) fn durations(&self) -> RangeInclusive<Duration> {
        self.bounds(|bound| parse::span(bound.as_str()?))
    }

    /// Bounds of a number.
    pub(super) fn numbers(&self) -> RangeInclusive<u32> {
        self.bounds(|bound| u32::try_from(bound.as_integer()?).ok())
    }

    fn bounds<T>(&self, read: impl Fn(&toml::Value) -> Option<T>) -> RangeInclusive<T> {
        let [least, most] = self
            .range
            .as_ref()
            .expect("such a key has bounds")
            .each_ref()
            .map(read);
        least.expect("the least")..=most.expect("the most")
    }

    pub(super) fn choice(&self, word: &str) -> Option<&str> {
        self.choices
            .iter()
            .map(String::as_str)
            .find(|choice| *choice == word)
    }

    /// What is said of another text.
    pub(super) fn wrong(&self) -> Problem {
        let words: Vec<_> = self.choices.iter().map(|word| format!("{word:?}")).collect();
        let remedy = || format!("write {}", words.join(" or "));
        let what = self.wrong.as_deref().unwrap_or("not one of the choices");
        Problem::new(what, self.remedy.clone().unwrap_or_else(remedy))
    }

    /// What is said where it must be there and is not.
    pub(super) fn missing(&self) -> Option<Problem> {
        let what = self.why.as_deref().unwrap_or("missing");
        Some(Problem::new(what, self.required.as_ref()?))
    }

    /// Whether a default for it is left out beside the key `other` of the device itself.
    pub(super) fn yields_to(&self, other: &Key) -> bool {
        let (this, other_name) = (without_file(self.name()), without_file(other.name()));
        let excludes = |key: &Key, name: &str| key.not_with.iter().any(|not| not == name);
        self.path != other.path && (this == other_name || excludes(self, other_name) || excludes(other, this))
    }

    /// The key for a file with the secret or the secrets.
    fn file(&self) -> Option<Key> {
        let is_secret = matches!(self.kind, Kind::Secret | Kind::Secrets);
        is_secret.then(|| Key {
            path: format!("{}_file", self.path),
            kind: Kind::Path,
            default: None,
            ..self.clone()
        })
    }
}

fn without_file(name: &str) -> &str {
    name.strip_suffix("_file").unwrap_or(name)
}

/// With the keys that follow from others.
fn expanded(table: Vec<Key>) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for key in table {
        let like = key.like.as_deref().unwrap_or("none");
        let is_wanted = |path: &str| !key.without.iter().any(|name| section(path) == name);
        let moved = |other: &Key| {
            let below = other.path.strip_prefix(like)?.strip_prefix('.')?;
            let path = join(&key.path, below);
            is_wanted(below).then(|| Key {
                path,
                ..other.clone()
            })
        };
        let moved: Vec<Key> = keys.iter().filter_map(moved).collect();
        let file = key.file();
        keys.push(key);
        keys.extend(file.into_iter().chain(moved));
    }
    keys
}

/// The path of a key in that table.
pub(super) fn join(table: &str, key: &str) -> String {
    match (table, key) {
        ("", key) => key.to_owned(),
        (table, "") => table.to_owned(),
        (table, key) => format!("{table}.{key}"),
    }
}

/// A key as a file writes it.
pub(super) fn bare_or_quoted(key: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !key.is_empty() && key.len() <= 80 && key.bytes().all(bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

/// The key of that name in that table.
pub(super) fn find(table: &str, name: &str) -> Option<&'static Key> {
    let key = BY_PATH.get(join(table, name).as_str()).copied();
    key.filter(|key| key.name() == name)
}

/// A key of the top level, or a table by its path.
fn by_path(path: &str) -> Option<&'static Key> {
    BY_PATH.get(path).copied()
}

/// The keys of that table, in the order of the manual.
pub(super) fn of_table(table: &str) -> impl Iterator<Item = &'static Key> {
    BY_TABLE.get(table).into_iter().flatten().copied()
}

/// What to do about a key that that table does not take.
pub(super) fn remedy(name: &str, table: &str) -> String {
    let known: Vec<&str> = of_table(table).map(Key::name).collect();
    if let Some(remedy) = one_or_several(name, table, &known) {
        return remedy;
    }
    let (all, near) = places(name, table);
    match (if near.is_empty() { all } else { near }, nearest(name, &known)) {
        (places, _) if !places.is_empty() => format!("it belongs in {}", places.join(" or ")),
        (_, Some(near)) => format!("did you mean {near}?"),
        (_, None) => format!("known here: {}", known.join(", ")),
    }
}

/// Where a table within the same section takes the like of the key.
fn one_or_several(name: &str, table: &str, known: &[&str]) -> Option<String> {
    let is_one = |word: &str| ONE_AND_SEVERAL.iter().find(|pair| pair.contains(&word));
    let like = is_one(name)?.iter().find(|word| **word != name)?;
    let place = match places(like, table).1 {
        _ if known.contains(like) => "here".to_owned(),
        near if near.is_empty() => return None,
        near => format!("in {}", near.join(" or ")),
    };
    let places = places(name, table).0.join(" or ");
    Some(format!("write {like} {place}, or {name} in {places}"))
}

/// The tables that take a key of that name, and those of them within the same section.
fn places(name: &str, table: &str) -> (Vec<String>, Vec<String>) {
    let keys = BY_NAME.get(name).into_iter().flatten().filter(|key| !key.vague);
    let tables = keys
        .map(|key| key.table())
        .filter(|table| section(table) != "device_defaults");
    let near = tables.clone().filter(|other| section(other) == section(table));
    (tables.map(label).collect(), near.map(label).collect())
}

fn section(path: &str) -> &str {
    path.split('.').next().unwrap_or_default()
}

/// A table as a file opens it.
fn label(table: &str) -> String {
    let Some(key) = by_path(table) else {
        return "the top level".to_owned();
    };
    let is_in_list = by_path(key.table()).is_some_and(|table| table.kind == Kind::Tables);
    match key.kind {
        Kind::Tables if is_in_list => format!("{} of [[{}]]", key.name(), key.table()),
        Kind::Tables => format!("[[{table}]]"),
        _ => format!("[{table}]"),
    }
}
