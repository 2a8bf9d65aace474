//! `[log]`: which lines are logged, and how they look.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::section::Section;

/// The SNMP library warns of each datagram that it cannot use, and anybody can send those. The bridge counts them
/// itself. Of each request that fails it makes an error of its own, and the bridge reports that. The embedded broker
/// reports its life cycle at level info, and the HTTP client of each connection that it takes from its pool, at level
/// debug. A filter that names one of them still shows them.
const QUIET: &str = "async_snmp=error,async_snmp::client=off,mqtt5=warn,hyper_util=info";

/// Levels, as a filter begins with one.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A level, or a filter that begins with one.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

pub(super) fn read(section: &Section<'_>) -> Log {
    let level = section.read("level", |text| log_filter(text).is_ok().then(|| text.to_owned()));
    Log {
        level: level.unwrap_or_default(),
        format: section.choice("format"),
    }
}

/// What a level such as `info`, or a filter such as `info,lantime2mqtt::mqtt=debug`, lets through.
///
/// # Errors
/// With what is wrong about it and what to write instead.
pub(crate) fn log_filter(level: &str) -> Result<EnvFilter, String> {
    // The library would take a word that is no level for the name of a module.
    let first = level.split(',').next().unwrap_or_default().trim();
    let is_level = LEVELS.iter().any(|known| known.eq_ignore_ascii_case(first));
    if !is_level && !first.contains(['=', '[']) {
        return Err(format!(
            "{level:?} is no level; write one of {}",
            LEVELS.join(", ")
        ));
    }
    EnvFilter::try_new(format!("{QUIET},{level}"))
        .map_err(|error| format!("{level:?}: {error}; write for instance \"info\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for good in [
            "info",
            "WARN",
            "off",
            "info,lantime2mqtt::mqtt=debug",
            "lantime2mqtt=trace",
        ] {
            assert!(log_filter(good).is_ok(), "{good}");
        }
        for bad in ["", "verbose", "=,=", "info,x=y", "warning"] {
            let error = log_filter(bad).unwrap_err();
            assert!(error.contains("write"), "{error}");
        }
    }
}
