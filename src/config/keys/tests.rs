//! What is made of the table of keys is up to date: the tables of `docs/configuration.md`, and `config/lantime2mqtt.toml`.
//! With `UPDATE_EXPECTED=1` both are written again.

use std::fs;
use std::path::Path;

use super::*;
use crate::config::BUILT_IN_PROFILES;
use crate::model::http_session::MAX_SESSIONS;

const HEAD: &str = r###"## lantime2mqtt: relay modules (REL1000) of Meinberg LANTIME IMS time servers on MQTT.
##
## "## " begins an explanation. "# " begins an option with its default: remove it to change the value.
## Options without a default are shown with an example, in an explanation.
## Check with: lantime2mqtt check-config --config FILE
##
## Durations are a number and a unit: "500ms", "1s", "15m", "1h", "1d".
## Relative paths start at this file's directory.
## Every option outside [[devices]] and other lists can be set by the environment too: LANTIME2MQTT_MQTT__URL is mqtt.url.
## Reference: docs/configuration.md
"###;

const TAIL: &str = r###"
[[devices]]
id = "m3000-b"
url = "https://10.0.0.8"
username = "info"
password = "change-me"
tls.fingerprint = "sha256:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

## Jumpers on the module set what drives each relay, and no interface of the device reports them. Commands for a
## relay need its wiring here; without, the usual one is assumed for display.
##   a: "clk1" or "notification"     b: "clk2" or "pps"     c: "rsc", "10mhz" or "notification"
slots = [
  { id = "io3", relays = { a = "clk1", b = "clk2", c = "notification" } },
  { id = "io4" },
]
"###;

/// What the manual has of a key.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Manual {
    #[serde(default)]
    text: String,
    shown: Option<String>,
    example: Option<toml::Value>,
    #[serde(default)]
    live: bool,
    /// Must stay empty: what is misspelt.
    #[serde(flatten)]
    unknown: toml::Table,
}

/// Longest line of an explanation.
const WIDTH: usize = 116;

/// What is repeated of another key is not explained again.
fn is_copy(key: &Key) -> bool {
    let original = key.path.strip_suffix("_file").unwrap_or(&key.path);
    !TEXT.contains(&format!("path = \"{original}\"\n"))
}

fn is_file(key: &Key) -> bool {
    key.name().ends_with("_file")
}

fn bounds(key: &Key) -> String {
    match (&key.range, key.choices.as_slice()) {
        (Some([least, most]), _) if key.kind == Kind::Duration => format!("`{least}` to `{most}`: "),
        (Some([least, most]), _) => format!("{least} to {most}: "),
        (None, [first @ .., last]) if key.kind == Kind::Choice => {
            let first: Vec<_> = first.iter().map(|word| format!("`{word:?}`")).collect();
            format!("{} or `{last:?}`: ", first.join(", "))
        }
        _ => String::new(),
    }
}

fn meaning(key: &Key) -> String {
    match key.path.strip_suffix("_file").and_then(by_path) {
        Some(secret) if secret.kind == Kind::Secrets => "a file with these, one a line, instead".to_owned(),
        Some(_) => "a file with it, instead".to_owned(),
        None => bounds(key) + &key.manual.text,
    }
}

fn row(key: &Key) -> String {
    let default = match (&key.default, &key.manual.shown) {
        _ if key.required.is_some() => "**required**".to_owned(),
        (Some(default), _) => format!("`{default}`"),
        (None, Some(shown)) if !is_file(key) => shown.clone(),
        _ => "-".to_owned(),
    };
    let meaning = match is_copy(key) {
        true => format!("as `snmp.users.{}`", key.name()),
        false => meaning(key),
    };
    format!("| `{}` | {default} | {meaning} |\n", key.path)
}

/// The rows of that key and of those below it.
fn rows(key: &Key) -> String {
    let has_row = !key.manual.text.is_empty();
    let own = if has_row { row(key) } else { String::new() };
    let below = of_table(&key.path).filter(|_| key.path != "device_defaults");
    own + &below.map(rows).collect::<String>()
}

/// Compares, or writes.
fn is_up_to_date(path: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    for (number, (found, made)) in found.lines().zip(made.lines()).enumerate() {
        assert_eq!(
            found,
            made,
            "{}:{}: UPDATE_EXPECTED=1 writes it",
            path.display(),
            number + 1
        );
    }
    assert_eq!(found.len(), made.len(), "{}", path.display());
}

#[test]
fn the_tables_of_the_manual_are_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let manual = fs::read_to_string(path).unwrap();
    let of_devices = |key: &&Key| ["devices", "device_defaults", "include"].contains(&key.name());
    let sections = of_table("")
        .filter(|key| !of_devices(key))
        .map(rows)
        .collect::<String>();
    let devices = of_table("").filter(of_devices).map(rows).collect::<String>();
    let start = "| key | default | meaning |\n|---|---|---|\n";
    let parts: Vec<&str> = manual.split(start).collect();
    let [before, general, special] = parts[..] else {
        panic!("two tables of keys, not {}", parts.len() - 1)
    };
    let rest = |part: &str| part[part.find("\n\n").unwrap() + 1..].to_owned();
    let made = [
        before,
        start,
        &sections,
        &rest(general),
        start,
        &devices,
        &rest(special),
    ];
    is_up_to_date("docs/configuration.md", &made.concat());
}

/// Without Markdown.
fn plain(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("](") {
        let (before, name) = before.rsplit_once('[').unwrap();
        let (target, after) = after.split_once(')').unwrap();
        let page = match target.split('#').next().unwrap() {
            "" => "docs/configuration.md".to_owned(),
            page => format!("docs/{page}"),
        };
        let link = if name.ends_with(".md") {
            page
        } else {
            format!("{name} ({page})")
        };
        plain += &format!("{before}{link}");
        rest = after;
    }
    (plain + rest).replace(['`', '*'], "")
}

fn sentence(text: &str) -> String {
    let plain = plain(text);
    match text.chars().next() {
        Some(first) if first.is_alphabetic() => {
            format!("{}{}.", first.to_uppercase(), &plain[first.len_utf8()..])
        }
        _ => plain + ".",
    }
}

/// In lines that begin with `## `.
fn explained(text: &str) -> String {
    let mut lines = vec![String::from("##")];
    for word in sentence(text).split(' ') {
        if lines.last().unwrap().len() + word.len() + 1 > WIDTH {
            lines.push(String::from("##"));
        }
        let line = lines.last_mut().unwrap();
        line.push(' ');
        line.push_str(word);
    }
    lines.join("\n") + "\n"
}

fn example(key: &Key) -> String {
    let name = key
        .path
        .trim_end_matches("_file")
        .replace("devices", "m3000-a")
        .replace(['.', '_'], "-");
    match (&key.manual.example, key.kind) {
        _ if is_file(key) => format!("\"/run/credentials/lantime2mqtt.service/{name}\""),
        (Some(example), _) => example.to_string(),
        (None, Kind::Secrets) => "[\"..\"]".to_owned(),
        _ => "\"..\"".to_owned(),
    }
}

/// A key of a list, or of a table that is only there if it is wanted.
fn optional(key: &Key, table: &str) -> String {
    let name = key.path.strip_prefix(&format!("{table}.")).unwrap();
    if key.kind == Kind::Table {
        return of_table(&key.path).map(|key| optional(key, table)).collect();
    }
    let value = key
        .default
        .as_ref()
        .map_or_else(|| example(key), ToString::to_string);
    let note = match key.kind {
        // The line of the key for a file, which is better, says so.
        Kind::Secret => return String::new(),
        _ if is_file(key) => {
            let secret = by_path(key.path.trim_end_matches("_file")).unwrap();
            let about = match secret.manual.text.as_str() {
                text if !is_copy(key) && !text.is_empty() => format!("{text}; "),
                _ => String::new(),
            };
            format!("  # {about}or {} = \"..\"", secret.name())
        }
        _ if is_copy(key) => String::new(),
        _ => format!("  # {}", plain(&meaning(key))),
    };
    format!("##   {name} = {value}{note}\n")
}

fn option(key: &Key, table: &str) -> String {
    let name = key.path.strip_prefix(table).unwrap().trim_start_matches('.');
    let line = match &key.default {
        Some(default) => format!("# {name} = {default}\n"),
        None if key.manual.live && !is_file(key) => format!("{name} = {}\n", example(key)),
        None => format!("##   {name} = {}\n", example(key)),
    };
    match is_file(key) {
        true => line,
        false => format!("\n{}{line}", explained(&meaning(key))),
    }
}

/// The keys of a table that stands in the file, then the lists and tables that need a line of their own.
fn options(table: &str, within: &str) -> String {
    let (mut text, mut later) = (String::new(), String::new());
    for key in of_table(within) {
        let below = || of_table(&key.path);
        match key.kind {
            Kind::Tables if key.default.is_some() => text += &option(key, table),
            Kind::Tables => {
                let about = if key.manual.text.is_empty() {
                    String::new()
                } else {
                    explained(&key.manual.text)
                };
                later += &format!("\n{about}##   [[{}]]\n", key.path);
                later += &below()
                    .map(|key| optional(key, &key.path[..key.path.rfind('.').unwrap()]))
                    .collect::<String>();
            }
            Kind::Table if below().any(|key| key.kind == Kind::Tables) => {
                later += &format!("\n[{}]{}", key.path, options(&key.path, &key.path));
            }
            Kind::Table if below().any(|key| key.required.is_some()) => {
                text += &format!("\n{}", explained(&key.manual.text));
                text += &below().map(|key| optional(key, table)).collect::<String>();
            }
            Kind::Table => {
                if !key.manual.text.is_empty() {
                    text += &format!("\n{}", explained(&key.manual.text));
                }
                text += &options(table, &key.path);
            }
            _ => text += &option(key, table),
        }
    }
    text + &later
}

#[test]
fn the_file_to_start_from_is_up_to_date() {
    let mut made = HEAD.to_owned() + &option(by_path("include").unwrap(), "");
    let is_plain = |key: &&Key| key.kind == Kind::Table && key.path != "device_defaults";
    for key in of_table("").filter(is_plain) {
        let options = options(&key.path, &key.path);
        made += &match key.manual.text.as_str() {
            "" => format!("\n[{}]{options}", key.path),
            // What it is there for, it does by being there.
            text => {
                let options = options.replace("\n# ", "\n##   ");
                format!("\n{}##   [{}]{options}", explained(text), key.path)
            }
        };
    }
    for (path, line) in [
        ("device_defaults", "[device_defaults]"),
        ("devices", "[[devices]]"),
    ] {
        made += &format!("\n{}{line}\n", explained(&by_path(path).unwrap().manual.text));
    }
    made += options("devices", "devices").trim_start_matches('\n');
    is_up_to_date("config/lantime2mqtt.toml", &(made + TAIL));
}

#[test]
fn defaults_are_within_the_bounds() {
    for key in KEYS.iter() {
        let default = key.default.as_ref();
        let is_fine = match key.kind {
            Kind::Duration => default
                .and_then(toml::Value::as_str)
                .and_then(parse::span)
                .is_some_and(|default| key.durations().contains(&default)),
            Kind::Number => default
                .and_then(toml::Value::as_integer)
                .is_some_and(|default| key.numbers().contains(&(default as u32))),
            Kind::Choice => default
                .and_then(toml::Value::as_str)
                .is_some_and(|word| key.choice(word).is_some()),
            Kind::Flag => default == Some(&toml::Value::Boolean(false)),
            _ => true,
        };
        assert!(is_fine && key.manual.unknown.is_empty(), "{key:?}");
        let beside: Vec<&str> = of_table(key.table()).map(Key::name).collect();
        assert!(
            key.not_with.iter().all(|other| beside.contains(&other.as_str())),
            "{key:?}"
        );
    }
    assert_eq!(
        *by_path("devices.http_sessions.max_count")
            .unwrap()
            .numbers()
            .end(),
        MAX_SESSIONS as u32
    );
}

#[test]
fn every_key_is_explained() {
    let is_table = |key: &Key| matches!(key.kind, Kind::Table | Kind::Tables);
    for key in KEYS.iter().filter(|key| !is_table(key) && !is_file(key)) {
        assert!(!key.manual.text.is_empty(), "{}", key.path);
    }
}

#[test]
fn the_profiles_to_choose_from_are_those_that_are_there() {
    let choices = &by_path("devices.profile").unwrap().choices;
    assert_eq!(choices[0], "auto");
    assert_eq!(choices[1..], BUILT_IN_PROFILES);
}

#[test]
fn no_key_is_there_twice() {
    assert_eq!(KEYS.len(), BY_PATH.len());
}
