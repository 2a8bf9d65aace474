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

use crate::config::{Log, LogFormat, log_filter};
use journal::{Prefixed, is_journal};

/// The level of a running program.
#[derive(Debug)]
pub(crate) struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    /// Whether the command line has set the level.
    is_fixed: bool,
    level: String,
}

/// Starts logging as `settings` say; a level of the command line wins.
///
/// # Errors
/// When that level cannot be understood; the error says what can be.
pub(crate) fn start(level: Option<&str>, settings: &Log) -> Result<Logging, String> {
    let effective = level.unwrap_or(&settings.level);
    let (filter, handle) = reload::Layer::new(log_filter(effective)?);
    let lines = lines(settings.format);
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(Logging {
        filter: handle,
        is_fixed: level.is_some(),
        level: effective.to_owned(),
    })
}

impl Logging {
    /// Takes on the level of a configuration that was read again.
    pub(crate) fn reload(&mut self, settings: &Log) {
        if self.is_fixed || self.level == settings.level {
            return;
        }
        match log_filter(&settings.level).map(|filter| self.filter.reload(filter)) {
            Ok(Ok(())) => {
                self.level.clone_from(&settings.level);
                tracing::info!(level = self.level, "log level changed");
            }
            Ok(Err(error)) => tracing::error!("the log level cannot be changed: {error}"),
            Err(error) => tracing::error!("log.level: {error}"),
        }
    }
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
