//! What is wrong with a configuration: where, which value, why, and what to write instead.
//!
//! Owns the texts' form and the rule that no secret gets into one; what is right or wrong is decided elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::value::Value;

use crate::wording::{count, quoted};

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// One thing that is wrong, or (as a warning) doubtful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands; of what is missing, the table that it is missing in. `None` for what is in no file.
    pub place: Option<Box<Place>>,
    /// Key path, such as `devices[0] ("m3000-a").poll`; may be empty.
    pub key: String,
    /// The value as written; `None` where there is none, and always for secrets.
    pub value: Option<String>,
    /// The environment variable that gave the value.
    pub variable: Option<Box<str>>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// What was found.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Problem {
    /// What is wrong and what to write instead; whoever knows where it stands adds that.
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem {
            place: None,
            key: String::new(),
            value: None,
            variable: None,
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// Whether it says the same of the same line, or variable.
    pub fn is_alike(&self, other: &Problem) -> bool {
        (&self.place, &self.variable, &self.what, &self.remedy)
            == (&other.place, &other.variable, &other.what, &other.remedy)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(variable) = &self.variable {
            write!(f, " (from {variable})")?;
        }
        if !self.key.is_empty() {
            f.write_str(": ")?;
        }
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

/// Equal problems of so many keys have a line each; of more, one line for all.
const MAX_ALONE: usize = 3;

/// A line for each problem, and one for many that differ in key and value alone.
pub fn grouped(problems: &[Problem]) -> Vec<String> {
    let mut groups: Vec<Vec<&Problem>> = Vec::new();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    for problem in problems {
        let place = *places.entry((&problem.what, &problem.remedy)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(problem);
    }
    groups.iter().flat_map(|group| lines(group)).collect()
}

/// The lines of problems with equal texts.
fn lines(group: &[&Problem]) -> Vec<String> {
    match group {
        [first, ..] if group.len() > MAX_ALONE => {
            let keys = group.iter().take(MAX_ALONE).map(|problem| problem.key.as_str());
            let keys: Vec<_> = keys.collect();
            let more = group.len() - MAX_ALONE;
            let Problem { what, remedy, .. } = first;
            vec![format!("{} and {more} more: {what}; {remedy}", keys.join(", "))]
        }
        _ => group.iter().map(ToString::to_string).collect(),
    }
}

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The configuration's file.
    pub path: PathBuf,
    /// All problems: those of the environment, then the others in the order of the files and their lines.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// Puts them in order.
    pub fn new(path: &Path, mut problems: Vec<Problem>) -> ConfigError {
        sort(path, &mut problems);
        ConfigError {
            path: path.to_owned(),
            problems,
        }
    }
}

/// In the order of the files' lines: what is in no file, then this file, then others.
pub(super) fn sort(file: &Path, problems: &mut [Problem]) {
    problems.sort_by_cached_key(|problem| {
        let place = problem.place.clone();
        place.map(|place| (place.file != file, place))
    });
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = count(self.problems.len(), "problem");
        write!(f, "{}: {problems}", self.path.display())?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

/// A value as a problem may repeat it: lists and tables are not shown, nor what may be a secret in a URL.
pub(super) fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(quoted(&without_secrets(text))),
        Value::Bool(_, flag) => Some(flag.to_string()),
        Value::Num(_, number) => number
            .to_i128()
            .map(|number| number.to_string())
            .or_else(|| number.to_f64().map(|number| number.to_string())),
        _ => None,
    }
}

/// Replaces user info and query. Anything before the last `@` counts as user info: a password with a
/// slash in it makes a URL that a parser takes apart elsewhere.
pub(super) fn without_secrets(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(at) => text.split_at(at + 3),
        None => ("", text),
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, host)) => ("[secret]@", host),
        None => ("", rest),
    };
    match rest.split_once('?') {
        Some((rest, _)) if !scheme.is_empty() => format!("{scheme}{user}{rest}?[secret]"),
        _ => format!("{scheme}{user}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(key: String, what: &str) -> Problem {
        Problem {
            place: None,
            value: Some("1".to_owned()),
            variable: None,
            what: what.to_owned(),
            remedy: "mend it".to_owned(),
            key,
        }
    }

    #[test]
    fn many_equal_problems_are_one_line_with_their_number_and_the_first_keys() {
        let of = |what: &str, number: usize| -> Vec<_> {
            (0..number).map(|n| problem(format!("d{n}"), what)).collect()
        };
        let mut problems = of("odd", 3);
        assert_eq!(
            grouped(&problems),
            [
                "d0 = 1: odd; mend it",
                "d1 = 1: odd; mend it",
                "d2 = 1: odd; mend it"
            ]
        );
        problems.extend(of("other", 1));
        problems.extend(of("odd", 200).split_off(3));
        assert_eq!(
            grouped(&problems),
            ["d0, d1, d2 and 197 more: odd; mend it", "d0 = 1: other; mend it"]
        );
        assert_eq!(grouped(&[]), [""; 0]);
    }

    #[test]
    fn credentials_in_urls_are_not_shown() {
        for url in [
            "mqtt://me:hunter2@host",
            "mqtt://me:hun/ter2@host",
            "me:hunter2@host",
            "https://host/?token=hunter2",
            "https://host?a=hunter2@x",
        ] {
            let safe = without_secrets(url);
            assert!(!safe.contains("ter2") && !safe.contains("hun"), "{safe}");
        }
        assert_eq!(without_secrets("mqtt://host:1883"), "mqtt://host:1883");
    }
}
