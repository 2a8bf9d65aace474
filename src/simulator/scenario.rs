//! Scenario files: what happens to which device when. Reads and checks them; playing them is the player's.

use super::action::Action;
use super::fault::{Fault, parse_duration};
use std::fmt;
use std::time::Duration;

/// The scenario of the demo, built in.
const LIVELY: &str = include_str!("../../config/scenarios/lively.toml");
const STEP_KEYS: &str = "at, device, action, fault, for, clear-fault";
/// Longest time in a scenario; far beyond it the clock's arithmetic would overflow.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// As much of a refused value as an error shows.
const SHOWN_CHARS: usize = 80;

/// A script for a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Begin again after this time; `None` = play once.
    pub repeat_every: Option<Duration>,
    /// The steps, in the order of the file.
    pub steps: Vec<Step>,
}

/// One step of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Time from the beginning of the scenario.
    pub at: Duration,
    /// Whom it concerns.
    pub target: Target,
    /// What happens.
    pub happening: Happening,
}

/// The devices that a step concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every device of the fleet.
    All,
    /// The device of that id.
    Device(String),
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The world moves.
    Action(Action),
    /// A fault begins, and ends after a while if a time is given.
    Fault(Fault, Option<Duration>),
    /// The fault that stands ends.
    ClearFault,
}

/// All that is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ScenarioError {
    /// Each problem, in the order of the file.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The step, from 1; `None` when it concerns the whole file.
    pub step: Option<usize>,
    /// The key.
    pub key: String,
    /// What stands there, cut to a line; empty when nothing does.
    pub value: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(step) => write!(f, "step {step}: ")?,
            None => write!(f, "scenario: ")?,
        }
        let value = if self.value.is_empty() {
            "(nothing)"
        } else {
            &self.value
        };
        write!(f, "{} = {value}: {}", self.key, self.remedy)
    }
}

impl Scenario {
    /// The scenario of the demo: for a redundant device `sim-1` and a single-clock one `sim-2`.
    pub fn lively() -> Self {
        Self::parse(LIVELY).expect("a test reads the built-in scenario")
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// With all problems of the file, each with its step, key, value and remedy.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let mut reader = Reader::default();
        let scenario = match text.parse::<toml::Table>() {
            Ok(table) => reader.scenario(&table),
            Err(error) => {
                reader.problem("TOML", "", error.to_string());
                Self {
                    repeat_every: None,
                    steps: Vec::new(),
                }
            }
        };
        if reader.problems.is_empty() {
            Ok(scenario)
        } else {
            Err(ScenarioError {
                problems: reader.problems,
            })
        }
    }

    /// Checks that the devices exist which the scenario names.
    ///
    /// # Errors
    /// With all steps that name another one.
    pub fn check_devices(&self, known: &[&str]) -> Result<(), ScenarioError> {
        let mut problems = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            if let Target::Device(id) = &step.target
                && !known.contains(&id.as_str())
            {
                let remedy = format!(
                    "there is no such device: this fleet has {}, and all",
                    known.join(", ")
                );
                let value = format!("{id:?}");
                problems.push(Problem {
                    step: Some(index + 1),
                    key: "device".to_owned(),
                    value,
                    remedy,
                });
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ScenarioError { problems })
        }
    }
}

impl Step {
    /// When the step is over.
    fn end(&self) -> Duration {
        match self.happening {
            Happening::Fault(_, Some(lasts)) => self.at.saturating_add(lasts),
            _ => self.at,
        }
    }
}

/// Collects problems while it reads.
#[derive(Default)]
struct Reader {
    step: Option<usize>,
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, key: &str, value: impl ToString, remedy: impl Into<String>) {
        let value = value
            .to_string()
            .chars()
            .take(SHOWN_CHARS)
            .collect::<String>()
            .replace('\n', " ");
        self.problems.push(Problem {
            step: self.step,
            key: key.to_owned(),
            value,
            remedy: remedy.into(),
        });
    }

    fn scenario(&mut self, table: &toml::Table) -> Scenario {
        for (key, value) in table {
            if !["repeat_every", "step"].contains(&key.as_str()) {
                self.problem(
                    key,
                    value,
                    "unknown key: a scenario has repeat_every and [[step]]",
                );
            }
        }
        let repeat_every = self.duration(table, "repeat_every");
        let mut steps = Vec::new();
        match table.get("step") {
            Some(toml::Value::Array(entries)) => {
                for (index, entry) in entries.iter().enumerate() {
                    self.step = Some(index + 1);
                    steps.extend(self.step(entry));
                }
            }
            other => {
                let value = other.map(ToString::to_string).unwrap_or_default();
                self.problem("step", value, "write at least one [[step]]");
            }
        }
        self.step = None;
        let end = steps.iter().map(Step::end).max().unwrap_or_default();
        if let Some(period) = repeat_every.filter(|period| *period < end || period.is_zero()) {
            let remedy = format!("the last step ends at {end:?}: make it longer than that");
            self.problem("repeat_every", format!("{period:?}"), remedy);
        }
        Scenario { repeat_every, steps }
    }

    fn step(&mut self, entry: &toml::Value) -> Option<Step> {
        let Some(table) = entry.as_table() else {
            self.problem("step", entry, "write it as [[step]]");
            return None;
        };
        for (key, value) in table {
            if !STEP_KEYS.split(", ").any(|known| known == key) {
                self.problem(key, value, format!("unknown key: a step has {STEP_KEYS}"));
            }
        }
        if !table.contains_key("at") {
            self.problem("at", "", "say when, such as at = \"5s\"");
        }
        let at = self.duration(table, "at");
        let target = self.target(table.get("device"));
        let happening = self.happening(table);
        Some(Step {
            at: at?,
            target: target?,
            happening: happening?,
        })
    }

    fn duration(&mut self, table: &toml::Table, key: &str) -> Option<Duration> {
        let value = table.get(key)?;
        let parsed = value
            .as_str()
            .map_or_else(|| Err("it is not text".to_owned()), parse_duration);
        let bounded = parsed.and_then(|duration| {
            if duration > LONGEST {
                Err("it is above a week".to_owned())
            } else {
                Ok(duration)
            }
        });
        bounded
            .map_err(|e| {
                self.problem(
                    key,
                    value,
                    format!("not a duration, {e}: write \"5s\" or \"250ms\""),
                )
            })
            .ok()
    }

    fn target(&mut self, value: Option<&toml::Value>) -> Option<Target> {
        match value {
            Some(toml::Value::String(id)) if id == "all" => Some(Target::All),
            Some(toml::Value::String(id)) => Some(Target::Device(id.clone())),
            other => {
                let value = other.map(ToString::to_string).unwrap_or_default();
                self.problem("device", value, "say who, such as device = \"sim-1\" or \"all\"");
                None
            }
        }
    }

    fn happening(&mut self, table: &toml::Table) -> Option<Happening> {
        let kinds = ["action", "fault", "clear-fault"];
        let given: Vec<_> = kinds
            .into_iter()
            .filter_map(|key| Some((key, table.get(key)?)))
            .collect();
        let lasts = self.duration(table, "for");
        let [(key, value)] = given[..] else {
            let value = given
                .iter()
                .map(|(key, _)| *key)
                .collect::<Vec<_>>()
                .join(" and ");
            self.problem(
                "action",
                value,
                "a step has exactly one of action, fault and clear-fault = true",
            );
            return None;
        };
        if let Some(lasts) = table.get("for").filter(|_| key != "fault") {
            self.problem(
                "for",
                lasts,
                "only a fault lasts: take it out, or write a step that ends it",
            );
        }
        match key {
            "action" => self.read(key, value).map(Happening::Action),
            "fault" => self.read(key, value).and_then(|fault| self.fault(fault, lasts)),
            _ if value.as_bool() == Some(true) => Some(Happening::ClearFault),
            _ => {
                self.problem(key, value, "write clear-fault = true");
                None
            }
        }
    }

    fn fault(&mut self, fault: Fault, lasts: Option<Duration>) -> Option<Happening> {
        if let Some(lasts) = lasts.filter(|_| fault.passes_by_itself()) {
            self.problem(
                "for",
                format!("{lasts:?}"),
                "this fault passes by itself: take it out",
            );
            return None;
        }
        Some(Happening::Fault(fault, lasts))
    }

    /// The reason that serde gives lists what may stand there.
    fn read<T: serde::de::DeserializeOwned>(&mut self, key: &str, value: &toml::Value) -> Option<T> {
        let read = value.clone().try_into::<T>();
        read.map_err(|error| self.problem(key, value, error.message().trim()))
            .ok()
    }
}
