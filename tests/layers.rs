//! The layers of `src/`: what a folder may use. Arrows run down, from those that know much to those that know little;
//! so there is no circle, and a folder can be understood without those above it.

// Helpers beside the test, too.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the top to the bottom: each folder (or file) uses only those of lines below its own.
const LAYERS: [&[&str]; 12] = [
    &["main", "lib"],
    &["cli"],
    &["app"],
    &["web", "snmp_agent", "homeassistant", "sparkplug", "control"],
    &["mqtt"],
    &["command"],
    &["lantime"],
    &["hub", "records", "logging", "snmp"],
    &["config", "simulator"],
    &["contract", "tls"],
    &["model"],
    &["fault_point", "net", "open_files", "wording"],
];

#[test]
fn every_folder_uses_only_those_below_it() {
    let layer = |folder: &str| {
        let layer = LAYERS.iter().position(|layer| layer.contains(&folder));
        layer.unwrap_or_else(|| panic!("{folder} is in no layer: put it into tests/layers.rs"))
    };
    let uses = uses();
    let up: Vec<_> = uses
        .iter()
        .filter(|(from, to)| layer(to) <= layer(from))
        .collect();
    assert!(up.is_empty(), "arrows that do not run down: {up:?}");
    assert!(uses.len() > 40, "the sources were read: {uses:?}");
}

/// Which folder of `src/` uses which, tests apart.
fn uses() -> BTreeSet<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut uses = BTreeSet::new();
    for file in sources(&root) {
        let below = file.strip_prefix(&root).unwrap().with_extension("");
        let from = below.iter().next().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for to in lines.flat_map(used).filter(|to| *to != from) {
            uses.insert((from.clone(), to));
        }
    }
    uses
}

/// The folders that a line names: `crate::mqtt::..`, `crate::{snmp, web}`.
fn used(line: &str) -> Vec<String> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let first_name = |text: &str| {
        text.chars()
            .take_while(|letter| is_name(*letter))
            .collect::<String>()
    };
    let after = line.split("crate::").skip(1);
    let names = after.flat_map(|rest| match rest.strip_prefix('{') {
        None => vec![first_name(rest)],
        Some(list) => list.split(", ").map(first_name).collect(),
    });
    // Names of macros and items of the root are no folders.
    let is_folder = |name: &String| LAYERS.iter().any(|layer| layer.contains(&name.as_str()));
    names.filter(is_folder).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    });
    let is_test = |path: &PathBuf| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        stem.ends_with("tests") || path.iter().any(|part| part == "tests")
    };
    let is_source =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs") && !is_test(path);
    found.filter(is_source).collect()
}
