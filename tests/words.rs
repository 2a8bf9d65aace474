//! The words of this project: names, comments, messages and manuals call a thing what the field calls it. Each entry of
//! `WORDS` once stood for something that has a usual name.
//!
//! Text is read as words, whatever joins them: `DeadLetter`, `dead_letter` and "dead letter" are the same, and a phrase may
//! go on in the next line.

// Helpers beside the test, too.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// What is read.
const CHECKED: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "benches",
    "config",
    "deploy",
    "docs",
    "fuzz",
    "src",
    "tests",
];

/// What is no text of this project.
const LEFT_OUT: &[&str] = &[
    "docs/images/",
    "fuzz/corpus/",
    "fuzz/target/",
    "fuzz/Cargo.lock",
    "deploy/debian/copyright",
    "tests/config/",
    "tests/contract/golden/",
    "tests/golden/expected/",
    "tests/golden/store/",
    "tests/npm/",
    "tests/words.rs",
];

/// A word or phrase, and what to write instead.
const WORDS: &[(&str, &str)] = &[
    ("acquit", "clear of suspicion"),
    ("anew", "again"),
    ("away", "unreachable, offline"),
    ("choice of events", "selection"),
    ("chosen", "selected"),
    ("complaint", "problem, error report"),
    ("complaints", "problems, error reports"),
    ("doubt", "stale, suspect"),
    ("doubted", "stale, suspect"),
    ("filth", "malformed"),
    ("flights", "in flight"),
    ("for its words", "permanent, refused"),
    ("garbage", "malformed"),
    ("gone", "closed, removed, no longer there"),
    ("goodbye", "DISCONNECT, close_notify"),
    ("greet", "connect"),
    ("letter", "dead letter"),
    ("letters", "dead letters"),
    ("may not be so", "stale"),
    ("no more there", "no longer there"),
    ("observer", "sink"),
    ("observers", "sinks"),
    ("on its way", "in flight"),
    ("once more", "again"),
    ("past", "prior, elapsed"),
    ("picture", "view"),
    ("reborn", "birth message"),
    ("second way", "SNMP fallback"),
    ("shape", "form, layout, sink"),
    ("standing letter", "incident"),
    ("stranger", "unknown sender"),
    ("strangers", "unknown senders"),
    ("supply", "provide"),
    ("tell", "publish, report, show, distinguish"),
    ("teller", "publisher"),
    ("telling", "publishing, reporting"),
    ("tells", "publishes, reports, shows"),
    ("told", "published, reported, shown"),
    ("untold", "not yet reported"),
];

/// Names of files that say nothing by themselves.
const FILE_NAMES: &[&str] = &[
    "flights", "large", "letters", "outcome", "past", "places", "shape", "side", "supply", "told", "words",
    "work",
];

/// Where such a word is part of a term.
const TERMS: &[&str] = &[
    "case letters",
    "dead letter",
    "dead letters",
    "letters and digits",
    "letters digits",
    "power supply",
    "relay letter",
];

/// The file, the word, and why it stands there.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("config/snmp.toml", "away", REST_AWAY),
    ("deploy/node-red/flows.json", "chosen", FLOW),
    ("deploy/node-red/flows.json", "letters", FLOW),
    (
        "deploy/node-red/flows.json",
        "shape",
        "a key of Node-RED's status",
    ),
    (
        "deploy/prometheus/alertmanager.yml",
        "away",
        "the name of an alert",
    ),
    ("deploy/prometheus/alerts.yml", "away", "the name of an alert"),
    ("docs/alerting.md", "away", "the name of an alert"),
    ("docs/mqtt.md", "strangers", COUNTER),
    ("docs/operations.md", "stranger", COUNTER),
    ("docs/snmp.md", "away", REST_AWAY),
    ("docs/snmp.md", "strangers", COUNTER),
    ("docs/troubleshooting.md", "strangers", COUNTER),
    ("src/lantime/snmp/manager/failure.rs", "shape", ASYNC_SNMP),
    ("src/lantime/snmp/manager/session.rs", "shape", ASYNC_SNMP),
    ("src/lantime/snmp/traps/counts.rs", "strangers", COUNTER),
    ("src/lantime/snmp/traps/intake.rs", "strangers", COUNTER),
    ("src/web/assets/history.js", "observer", "a name of browsers"),
    ("src/web/assets/openapi.json", "strangers", COUNTER),
    ("src/web/assets/timeline.js", "observer", "a name of browsers"),
    ("src/web/metrics.rs", "stranger", COUNTER),
    ("src/web/metrics.rs", "strangers", COUNTER),
    ("tests/golden/expected.rs", "gone", STORED),
    ("tests/golden/store.rs", "gone", STORED),
    ("tests/golden/store_made.rs", "gone", STORED),
    ("tests/node_red/dead_letters.mjs", "letters", FLOW),
    ("tests/node_red/main.rs", "chosen", FLOW),
    ("tests/node_red/main.rs", "letters", FLOW),
    ("tests/operations/alerts.test.yml", "away", "the name of an alert"),
    ("tests/operations/alerts.test.yml", "stranger", COUNTER),
    ("tests/web/focus.mjs", "observer", "a name of browsers"),
    ("tests/web/fleet.mjs", "observer", "a name of browsers"),
];
const ASYNC_SNMP: &str = "a name of the SNMP library";
const COUNTER: &str = "a key of the API, and a label of a metric";
const FLOW: &str = "keys of the flow's context, which users' own nodes read";
const STORED: &str =
    "what golden files say: the mark of a removed value, a device of the store of an earlier version";
const REST_AWAY: &str = "the name of a file that users have";

#[test]
fn the_tree_has_the_words_of_the_field() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    CHECKED
        .iter()
        .for_each(|name| collect(&root.join(name), &mut files));
    let mut findings = Vec::new();
    for path in &files {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        if LEFT_OUT.iter().any(|left_out| name.starts_with(left_out)) {
            continue;
        }
        let is_excepted = |word: &str| {
            EXCEPTIONS
                .iter()
                .any(|(file, excepted, _)| *file == name && *excepted == word)
        };
        let found = find(&String::from_utf8_lossy(&fs::read(path).unwrap())).into_iter();
        let found = found.filter(|(_, word, _)| !is_excepted(word));
        findings.extend(found.map(|(line, word, instead)| format!("{name}:{line}: {word}; write {instead}")));
        if FILE_NAMES
            .iter()
            .any(|stem| path.file_stem().is_some_and(|of_file| of_file == *stem))
        {
            findings.push(format!(
                "{name}: a name that says nothing; write what is in the file"
            ));
        }
    }
    assert!(files.len() > 400, "the tree was read: {}", files.len());
    assert!(
        findings.is_empty(),
        "{} words of the past:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

#[test]
fn a_word_is_found_in_a_name_and_over_the_end_of_a_line() {
    let found = |text| {
        find(text)
            .iter()
            .map(|(line, word, _)| (*line, *word))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found("fn is_told() {}\nstruct WasTold;"),
        [(1, "told"), (2, "told")]
    );
    assert_eq!(found("/// It is tried once\n/// more."), [(1, "once more")]);
    assert_eq!(
        found("a dead letter, `dead-letter/m1`, DeadLetters; lower case letters"),
        []
    );
    assert_eq!(found("a letter, letters"), [(1, "letter"), (1, "letters")]);
}

/// Line, word and what to write instead.
fn find(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let words = words(text);
    let stands = |phrase: &str, at: usize| {
        let mut rest = words[at..].iter();
        phrase
            .split(' ')
            .all(|word| rest.next().is_some_and(|(_, next)| next == word))
    };
    let is_in_term = |at: usize| {
        let reaches = |term: &str, from: usize| stands(term, from) && from + term.split(' ').count() > at;
        (at.saturating_sub(2)..=at).any(|from| TERMS.iter().any(|term| reaches(term, from)))
    };
    let mut found = Vec::new();
    for (at, (line, first)) in words.iter().enumerate() {
        let begins = |(word, _): &&(&'static str, &'static str)| word.starts_with(first.as_str());
        let here = WORDS
            .iter()
            .filter(begins)
            .filter(|(word, _)| stands(word, at) && !is_in_term(at));
        found.extend(here.map(|(word, instead)| (*line, *word, *instead)));
    }
    found
}

/// The words of a text in lower case, those of a name each for itself, with their lines.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words: Vec<(usize, String)> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let mut last = ' ';
        for character in text.chars() {
            if character.is_alphanumeric() {
                if !last.is_alphanumeric() || last.is_lowercase() && character.is_uppercase() {
                    words.push((line, String::new()));
                }
                words.last_mut().unwrap().1.extend(character.to_lowercase());
            }
            last = character;
        }
    }
    words
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        fs::read_dir(path)
            .unwrap()
            .for_each(|entry| collect(&entry.unwrap().path(), files));
    } else if path.extension().is_none_or(|extension| extension != "png") {
        files.push(path.to_owned());
    }
}
