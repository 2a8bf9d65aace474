//! Log lines on stderr: which ones, how they look, and how that changes while the bridge runs.
//!
//! What the command line says wins over the configuration, and stays. Where stderr is systemd's journal, lines carry
//! the journal's priority instead of time and colours.

mod journal;

use std::io::{IsTerminal, Write, stderr};

use tracing::Subscriber;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::config::{Log, LogFormat};
use journal::{Prefixed, is_journal};

/// The SNMP library warns of each datagram that it cannot use, and anybody can send those. The bridge counts them
/// itself. Of each request that fails it makes an error of its own, and the bridge says what that means for whom. The
/// embedded broker tells of its own life at level info, and the HTTP client of each connection that it takes from its pool,
/// at level debug. A filter that names one of them still shows them.
const QUIET: &str = "async_snmp=error,async_snmp::client=off,mqtt5=warn,hyper_util=info";

/// Words for a level, as a filter begins with one.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The level of a running program.
#[derive(Debug)]
pub(crate) struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    /// Whether the command line has chosen the level.
    is_fixed: bool,
    level: String,
}

/// Starts logging as `settings` say; a level of the command line wins.
///
/// # Errors
/// When that level cannot be understood; the error says what can be.
pub(crate) fn start(level: Option<&str>, settings: &Log) -> Result<Logging, String> {
    let chosen = level.unwrap_or(&settings.level);
    let (filter, handle) = reload::Layer::new(filter(chosen)?);
    let lines = lines(settings.format);
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(Logging {
        filter: handle,
        is_fixed: level.is_some(),
        level: chosen.to_owned(),
    })
}

impl Logging {
    /// Takes on the level of a configuration that was read anew.
    pub(crate) fn reload(&mut self, settings: &Log) {
        if self.is_fixed || self.level == settings.level {
            return;
        }
        match filter(&settings.level).map(|filter| self.filter.reload(filter)) {
            Ok(Ok(())) => {
                self.level.clone_from(&settings.level);
                tracing::info!(level = self.level, "log level changed");
            }
            Ok(Err(error)) => tracing::error!("the log level cannot be changed: {error}"),
            Err(error) => tracing::error!("log.level: {error}"),
        }
    }
}

/// What a level such as `info`, or a filter such as `info,lantime2mqtt::mqtt=debug`, lets through.
///
/// # Errors
/// With what is wrong about it and what to write instead.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, String> {
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

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // A line that cannot be written, since nobody reads stderr any more, is no reason to panic.
    let layer = fmt::layer().with_writer(stderr).log_internal_errors(false);
    match (format, is_journal()) {
        (LogFormat::Text, false) => layer.with_ansi(stderr().is_terminal()).boxed(),
        (LogFormat::Json, false) => layer.json().boxed(),
        (LogFormat::Text, true) => {
            let plain = fmt::format().without_time().with_level(false);
            layer.with_ansi(false).event_format(Prefixed(plain)).boxed()
        }
        (LogFormat::Json, true) => layer.json().event_format(Prefixed(fmt::format().json())).boxed(),
    }
}

/// Writes the last words of a program that cannot go on.
pub(crate) fn complain(text: &str) {
    let text = match is_journal() {
        true => journal::prefixed(tracing::Level::ERROR, text),
        false => format!("{text}\n"),
    };
    // Where nobody reads it the exit code has to do.
    let _ = stderr().write_all(text.as_bytes());
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
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["", "verbose", "=,=", "info,x=y", "warning"] {
            let error = filter(bad).unwrap_err();
            assert!(error.contains("write"), "{error}");
        }
    }
}
