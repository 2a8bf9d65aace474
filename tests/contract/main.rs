//! What users build on, by examples: each topic of `docs/mqtt.md` has a file in `golden/`, at the place that it has
//! among the topics. There is what is published for values of the model, to the byte, under the topic as
//! `mosquitto_sub -v` shows it.
//!
//! With `UPDATE_EXPECTED=1` the files are written again. Discovery and Sparkplug are other people's conventions:
//! `tests/golden` has them.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

mod bridge;
mod commands;
mod dead_letters;
mod device;
mod example;
#[path = "../support/expected_files.rs"]
mod expected_files;
mod files;
mod records;
mod slot;

use std::collections::{BTreeMap, BTreeSet};

use example::Example;
use expected_files::ExpectedFiles;

const GOLDEN: &str = "tests/contract/golden";

/// The text of each file.
fn files() -> BTreeMap<&'static str, String> {
    let examples = [
        bridge::examples(),
        device::examples(),
        slot::examples(),
        records::examples(),
        dead_letters::examples(),
        commands::examples(),
    ];
    let mut files = BTreeMap::<_, String>::new();
    for Example { place, kind, text } in examples.into_iter().flatten() {
        let file = files
            .entry(place)
            .or_insert_with(|| format!("{{prefix}}/{place}\n{kind}\n"));
        file.push_str(&text);
    }
    files
}

#[test]
fn what_leaves_the_bridge_is_what_the_files_show() {
    let mut golden = ExpectedFiles::of(GOLDEN);
    for (name, found) in files() {
        let expected = golden.expected(name, &found);
        if let Some(difference) = difference(&expected, &found) {
            golden.differs(name, &difference);
        }
    }
    golden.finish(&[""]);
}

/// The lines that differ.
fn difference(expected: &str, found: &str) -> Option<String> {
    let without = |text: &str, other: &str, mark| {
        let other: BTreeSet<&str> = other.lines().collect();
        let lines = text.lines().filter(|line| !other.contains(line));
        lines
            .map(|line| format!("\n  {mark}: {line}"))
            .collect::<String>()
    };
    let lines = without(expected, found, "expected") + &without(found, expected, "found   ");
    match (expected == found, lines.is_empty()) {
        (true, _) => None,
        (false, true) => Some("another order of lines".to_owned()),
        (false, false) => Some(lines),
    }
}

#[test]
fn every_documented_topic_has_a_file_and_every_file_is_of_a_documented_topic() {
    let documented = files::documented();
    let shown: BTreeSet<_> = files().into_keys().map(str::to_owned).collect();
    assert_eq!(shown, documented);
}
