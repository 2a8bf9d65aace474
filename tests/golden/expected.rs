//! What was found, against the golden files.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::normalise::scalars;
use crate::support::expected_files::ExpectedFiles;

/// What there is: a name for each value, as a topic or an object of SNMP is one.
pub(crate) type Found = BTreeMap<String, String>;

/// In a later scene, the value of what has gone.
const GONE: &str = "(gone)";

/// Compares with the files of a folder, or writes them.
pub(crate) struct Golden {
    files: ExpectedFiles,
    /// The folders in it that are compared.
    scenes: &'static [&'static str],
}

impl Golden {
    /// For the files of these folders.
    pub(crate) fn of(scenes: &'static [&'static str]) -> Golden {
        Golden {
            scenes,
            files: ExpectedFiles::of("tests/golden/expected"),
        }
    }

    /// Compares with a file such as `1-start/state`.
    pub(crate) fn compare(&mut self, name: &str, found: &Found) {
        let expected = read(&self.files.expected(name, &written(found)));
        for (key, value) in changes(&expected, found) {
            let old = expected.get(&key).map_or("(nothing)", String::as_str);
            let difference = difference(old, &value);
            self.files.differs(name, &format!("{key}\n{difference}"));
        }
    }

    /// Panics with all differences; also where a file is there that nothing was compared with.
    pub(crate) fn finish(self) {
        self.files.finish(self.scenes);
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
