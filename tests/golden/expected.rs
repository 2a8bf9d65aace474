//! What was found, against the golden files.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::normalise::scalars;

/// What there is: a name for each value, as a topic or an object of SNMP is one.
pub(crate) type Found = BTreeMap<String, String>;

/// In a later scene, the value of what has gone.
const GONE: &str = "(gone)";

/// Compares with the files of a folder, or writes them. Differences are collected, so that one run shows all of them.
pub(crate) struct Golden {
    folder: PathBuf,
    /// The folders in it that are compared.
    scenes: &'static [&'static str],
    is_update: bool,
    compared: BTreeSet<PathBuf>,
    wrong: String,
}

impl Golden {
    /// For the files of these folders.
    pub(crate) fn of(scenes: &'static [&'static str]) -> Golden {
        Golden {
            scenes,
            folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/expected"),
            is_update: env::var_os("UPDATE_EXPECTED").is_some(),
            compared: BTreeSet::new(),
            wrong: String::new(),
        }
    }

    /// Compares with a file such as `1-start/state`.
    pub(crate) fn compare(&mut self, name: &str, found: &Found) {
        let file = self.folder.join(name).with_extension("txt");
        if self.is_update {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, written(found)).unwrap();
        }
        let expected = read(&fs::read_to_string(&file).unwrap_or_default());
        for (key, value) in changes(&expected, found) {
            let _ = writeln!(self.wrong, "\n{name}: {key}");
            let old = expected.get(&key).map_or("(nothing)", String::as_str);
            self.wrong += &difference(old, &value);
        }
        self.compared.insert(file);
    }

    /// Panics with all differences; also where a file is there that nothing was compared with.
    pub(crate) fn finish(mut self) {
        let scenes = self.scenes.iter().map(|scene| self.folder.join(scene));
        for file in scenes.flat_map(|scene| files(&scene)) {
            if self.compared.contains(&file) {
                continue;
            }
            if self.is_update {
                fs::remove_file(&file).unwrap();
            } else {
                let _ = writeln!(self.wrong, "\n{}: no scene makes it", file.display());
            }
        }
        assert!(
            self.wrong.is_empty(),
            "{}\nwhere that is wanted: UPDATE_EXPECTED=1 cargo test --test golden, and look at git diff",
            self.wrong
        );
    }
}

/// What is new, another one or gone.
pub(crate) fn changes(before: &Found, after: &Found) -> Found {
    let new = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(*value));
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let gone = gone.map(|key| (key.clone(), GONE.to_owned()));
    new.map(|(key, value)| (key.clone(), value.clone()))
        .chain(gone)
        .collect()
}

fn written(found: &Found) -> String {
    found
        .iter()
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect()
}

fn read(text: &str) -> Found {
    let pairs = text.lines().filter_map(|line| line.split_once(" = "));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten();
    files.map(|entry| entry.unwrap().path()).collect()
}

/// Two values as lines; of JSON only the fields that differ.
fn difference(old: &str, new: &str) -> String {
    let fields = |text: &str| -> Option<Found> {
        let value: Value = serde_json::from_str(text).ok()?;
        value.is_object().then(|| scalars(&value).into_iter().collect())
    };
    let (Some(before), Some(after)) = (fields(old), fields(new)) else {
        return format!("  expected: {old}\n  found:    {new}\n");
    };
    let differing = changes(&before, &after).into_iter().map(|(key, value)| {
        let old = before.get(&key).map_or("(nothing)", String::as_str);
        format!("  {key}\n    expected: {old}\n    found:    {value}\n")
    });
    let text: String = differing.collect();
    match text.is_empty() {
        true => format!("  another order of keys\n  expected: {old}\n  found:    {new}\n"),
        false => text,
    }
}
