//! What is wrong with a configuration: where, which value, why, and what to write instead.
//!
//! Owns the texts' form and the rule that no secret gets into one; what is right or wrong is decided elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use figment::value::{Num, Value};

use crate::wording::{count, quoted};

/// One thing that is wrong, or (as a warning) doubtful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Key path, such as `devices[0] ("m3000-a").poll`; line and column of a syntax error; may be empty.
    pub key: String,
    /// The value as written; `None` where there is none, and always for secrets.
    pub value: Option<String>,
    /// The environment variable that gave the value.
    pub variable: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// All problems, in the order of the file's sections.
    pub problems: Vec<Problem>,
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

/// Why a value is refused and what to write instead; where it stands is added by who knows it.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) what: String,
    pub(super) remedy: String,
}

/// A [`Complaint`] from its two halves.
pub(super) fn complaint(what: impl Into<String>, remedy: impl Into<String>) -> Complaint {
    Complaint {
        what: what.into(),
        remedy: remedy.into(),
    }
}

/// Whether what stands under that key must not be shown.
pub(super) fn is_secret(key: &str) -> bool {
    ["password", "community", "communities", "token"]
        .iter()
        .any(|end| key.ends_with(end))
}

/// A value as a problem may repeat it: lists and tables are not shown, nor what may be a secret in a URL.
pub(super) fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(quoted(&without_secrets(text))),
        Value::Char(_, c) => Some(quoted(&c.to_string())),
        Value::Bool(_, flag) => Some(flag.to_string()),
        Value::Num(_, Num::F32(number)) => Some(number.to_string()),
        Value::Num(_, Num::F64(number)) => Some(number.to_string()),
        Value::Num(_, number) => number
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| number.to_u128().map(|n| n.to_string())),
        Value::Empty(..) | Value::Dict(..) | Value::Array(..) => None,
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
