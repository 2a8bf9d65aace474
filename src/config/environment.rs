//! Environment variables as configuration keys: `LANTIME2MQTT_MQTT__URL` is `mqtt.url`.
//!
//! Owns the names. A variable's value stays text here; the key that asks for it decides on the type.

use std::ffi::OsString;

use super::problem::{Findings, Problem};

/// What every variable of ours begins with.
const PREFIX: &str = "LANTIME2MQTT_";

/// More levels than any key has: a limit, since a name is as long as whoever starts the process likes.
const MAX_LEVELS: usize = 8;

/// A variable that sets a key.
pub(super) struct Variable {
    /// Its name, as in the environment.
    pub(super) name: String,
    /// Where its value goes.
    pub(super) path: Vec<String>,
    pub(super) value: String,
}

/// The variables that set a key, and what is wrong with others that look like it. Names without `__`
/// are not keys.
pub(super) fn variables(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> (Vec<Variable>, Findings) {
    let mut variables: Vec<Variable> = Vec::new();
    let mut problems = Vec::new();
    for (name, value) in environment {
        let name = name.to_string_lossy().into_owned();
        let Some(path) = key_path(&name) else { continue };
        match variable(name, path, value) {
            Ok(variable) => variables.push(variable),
            Err(problem) => problems.push(problem),
        }
    }
    // Long paths first: a text where a table belongs then covers the table and is noticed.
    variables.sort_by(|a, b| (b.path.len(), &a.path, &a.name).cmp(&(a.path.len(), &b.path, &b.name)));
    problems.extend(variables.windows(2).filter_map(|pair| twice(&pair[0], &pair[1])));
    problems.sort_by(|a, b| a.key.cmp(&b.key));
    let findings = Findings {
        problems,
        ..Findings::default()
    };
    (variables, findings)
}

fn key_path(name: &str) -> Option<Vec<String>> {
    let (prefix, rest) = name.split_at_checked(PREFIX.len())?;
    let ours = prefix.eq_ignore_ascii_case(PREFIX) && rest.contains("__");
    ours.then(|| rest.to_ascii_lowercase().split("__").map(str::to_owned).collect())
}

fn variable(name: String, path: Vec<String>, value: OsString) -> Result<Variable, Problem> {
    let problem = if path[0] == "devices" {
        let what = "a list cannot be set by the environment";
        Problem::new(
            what,
            "write devices in the file, and their passwords as password_file",
        )
    } else if path.len() > MAX_LEVELS {
        Problem::new("unknown key", "no key has that many levels")
    } else {
        match value.into_string() {
            Ok(value) => return Ok(Variable { name, path, value }),
            Err(_) => Problem::new("not UTF-8 text", "write it in UTF-8"),
        }
    };
    Err(Problem { key: name, ..problem })
}

fn twice(a: &Variable, b: &Variable) -> Option<Problem> {
    let what = format!("sets the same key as {}", a.name);
    let (key, problem) = (b.name.clone(), Problem::new(what, "leave one of them out"));
    (a.path == b.path).then_some(Problem { key, ..problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> (Vec<Variable>, Vec<Problem>) {
        let (variables, findings) = variables([(name.into(), "x".into())]);
        (variables, findings.problems)
    }

    #[test]
    fn two_underscores_separate_levels() {
        let (variables, _) = read("LANTIME2MQTT_MQTT__TLS__FINGERPRINT");
        assert_eq!(variables[0].path, ["mqtt", "tls", "fingerprint"]);
        let (variables, _) = read("lantime2mqtt_mqtt__client_id");
        assert_eq!(variables[0].path, ["mqtt", "client_id"]);
    }

    #[test]
    fn other_names_are_left_alone() {
        for name in ["PATH", "LANTIME2MQTT_LOG", "LANTIME2MQTT", "ÄÖÜÄÖÜÄ__X", ""] {
            let (variables, problems) = read(name);
            assert!(variables.is_empty() && problems.is_empty(), "{name}");
        }
    }

    #[test]
    fn devices_and_endless_names_are_refused() {
        for name in [
            "LANTIME2MQTT_DEVICES__0__URL",
            &format!("{PREFIX}A{}", "__A".repeat(99_999)),
        ] {
            let (variables, problems) = read(name);
            assert!(variables.is_empty() && problems.len() == 1, "{name}");
        }
    }
}
