//! The files that `include` names: which they are, and their devices.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use figment::value::{Dict, Value};

use super::{DEVICES, Settings};
use crate::config::keys::{bare_or_quoted, join};
use crate::config::problem::{Findings, Problem};

impl Settings {
    /// Adds the devices of the files that `include` names; that it is a list of texts is checked where the key is read.
    pub(in crate::config) fn include(&mut self, findings: &mut Findings) {
        let patterns = self.values.get("include").and_then(Value::as_array);
        let patterns = patterns.unwrap_or_default().to_vec();
        let mut files = BTreeSet::new();
        for pattern in patterns.iter().filter_map(Value::as_str) {
            if !is_pattern(pattern) {
                let what = format!("a * that stands for nothing in {pattern:?}");
                let remedy = "write one *, in the last part of the path";
                findings.problems.push(self.of_include(what, remedy));
                continue;
            }
            match matching(&self.base.join(pattern)) {
                Ok(found) if found.is_empty() => {
                    let what = format!("no file is named like {pattern:?}");
                    findings
                        .warnings
                        .push(self.of_include(what, "write one, or leave it out"));
                }
                Ok(found) => files.extend(found),
                Err(error) => findings
                    .problems
                    .push(self.unreadable(Path::new(pattern), &error)),
            }
        }
        for file in files {
            let bytes = fs::read(&file).map_err(|error| self.unreadable(&file, &error));
            match bytes.and_then(|bytes| self.read(&file, bytes)) {
                Ok(values) => self.add(values, &mut findings.problems),
                Err(problem) => findings.problems.push(problem),
            }
        }
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> Problem {
        let what = format!("cannot read {}: {error}", path.display());
        self.of_include(what, "let the user of this process read it, or leave it out")
    }

    fn of_include(&self, what: String, remedy: &str) -> Problem {
        let (mut problem, _) = self.located("include", Problem::new(what, remedy));
        problem.key = "include".to_owned();
        problem
    }

    fn add(&mut self, values: Dict, problems: &mut Vec<Problem>) {
        for (key, value) in values {
            let (what, remedy) = match (key.as_str(), value) {
                (DEVICES, Value::Array(_, devices)) => {
                    self.add_devices(devices);
                    continue;
                }
                (DEVICES, _) => (
                    "not a list of tables",
                    "write [[devices]], in double brackets, above the keys of each",
                ),
                _ => (
                    "an included file holds [[devices]], and nothing else",
                    "write it into the file that includes this one",
                ),
            };
            let (key, problem) = (bare_or_quoted(&key), Problem::new(what, remedy));
            let (problem, _) = self.located(&join("include", &key), problem);
            problems.push(Problem { key, ..problem });
        }
    }

    fn add_devices(&mut self, devices: Vec<Value>) {
        let own = self.values.entry(DEVICES.to_owned());
        // What else stands there is refused where it is read.
        if let Value::Array(_, own) = own.or_insert_with(|| Value::from(Vec::<Value>::new())) {
            own.extend(devices);
        }
    }
}

/// Whether there is at most one `*`, in the last part of it.
fn is_pattern(pattern: &str) -> bool {
    let last = pattern.rsplit('/').next().unwrap_or_default();
    pattern.matches('*').count() <= 1 && pattern.contains('*') == last.contains('*')
}

/// The files that a pattern names: a `*` in the last part of it stands for any characters.
fn matching(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    let Some((start, end)) = name.split_once('*') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let rest = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        // Not what editors leave beside a file.
        rest.is_some() && !name.starts_with('.')
    };
    let directory = fs::read_dir(pattern.parent().unwrap_or(Path::new("")))?;
    let paths: io::Result<Vec<_>> = directory.map(|entry| Ok(entry?.path())).collect();
    Ok(paths?.into_iter().filter(is_meant).collect())
}
