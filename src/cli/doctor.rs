//! `doctor`: checks an installation, running or not, and says what to do.

mod bridge;
mod broker;
mod bundle;
mod configuration;
mod devices;
mod finding;
mod host;
mod state;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde::Serialize;

use self::bridge::Bridge;
use self::bundle::Bundle;
use self::finding::{Finding, Level};
use super::{ConfigFile, Failure, VERSION, block_on, output};
use crate::config::{self, ConfigError, Loaded, StoreConfig};
use crate::logging;
use crate::wording::count;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// For people, or for machines.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Write what a bug report needs into this new directory or archive (.tar.gz): without secrets, but with names and
    /// addresses of hosts.
    #[arg(long, value_name = "DIRECTORY|FILE.tar.gz")]
    bundle: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Report<'a> {
    version: &'a str,
    /// Whether nothing fails.
    ok: bool,
    checks: &'a [Finding],
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let bundle = options.bundle.as_deref().map(Bundle::new).transpose()?;
    let file = &options.file.config;
    let checked = super::check_config(file);
    let store = config::load_store(file, std::env::vars_os());
    block_on(examine(options, file, checked, store, bundle))
}

async fn examine(
    options: &Options,
    file: &Path,
    checked: Result<Loaded, ConfigError>,
    store: Result<StoreConfig, ConfigError>,
    bundle: Option<Bundle>,
) -> anyhow::Result<()> {
    let is_text = options.format == Format::Text;
    let mut report = Collected {
        is_shown: is_text,
        findings: Vec::new(),
    };
    report.add(configuration::of(file, &checked))?;
    let mut bridge = Bridge::Unknown;
    if let Ok(store) = &store {
        let (found, finding) = bridge::find(store).await;
        bridge = found;
        report.add([finding])?;
        report.add(state::directory(&store.state.directory, bridge.runs()))?;
        match &bridge {
            Bridge::Runs(client) => report.add(bridge::ask(client).await)?,
            Bridge::Stopped => report.add([state::store(&store.state.directory)])?,
            Bridge::Unknown => {}
        }
    }
    if let Ok(loaded) = &checked {
        let config = &loaded.config;
        report.add(configuration::secrets(file, loaded))?;
        let stopped = matches!(bridge, Bridge::Stopped).then_some(&config.bridge.id);
        report.add(broker::of(&config.mqtt, stopped).await)?;
        report.add(devices::of(&config.devices).await)?;
        report.add(host::ports(config, &bridge))?;
        report.add([host::open_files(config.devices.len())])?;
    }
    report.add(host::clock())?;
    report.add(host::unit())?;
    let json = report.json();
    if !is_text {
        output::print(&format!("{json}\n"))?;
    }
    if let Some(bundle) = bundle {
        let text = report.text();
        let written = bundle.write(checked.as_ref().ok(), &bridge, &text, &json).await?;
        logging::complain(&sent(&written));
    }
    match report.number(Level::Fail) {
        0 => Ok(()),
        failed => Err(anyhow!("{} failed", count(failed, "check"))),
    }
}

/// What to do with a bundle.
fn sent(written: &Path) -> String {
    let shown = written.display();
    match written.is_dir() {
        true => format!(
            "{shown} has no secrets, but names and addresses of hosts: look through it, and pack it with tar -czf {shown}.tar.gz {shown}"
        ),
        false => format!(
            "{shown} has no secrets, but names and addresses of hosts: look through it before you send it"
        ),
    }
}

/// What was found so far.
struct Collected {
    /// Whether each is printed when it is known.
    is_shown: bool,
    findings: Vec<Finding>,
}

impl Collected {
    fn add(&mut self, findings: impl IntoIterator<Item = Finding>) -> anyhow::Result<()> {
        for finding in findings {
            if self.is_shown && !finding.is_hidden() {
                output::print(&finding.line())?;
            }
            self.findings.push(finding);
        }
        Ok(())
    }

    fn number(&self, level: Level) -> usize {
        let findings = self.findings.iter();
        findings.filter(|finding| finding.level == level).count()
    }

    /// What people see.
    fn text(&self) -> String {
        let shown = self.findings.iter().filter(|finding| !finding.is_hidden());
        shown.map(Finding::line).collect()
    }

    fn json(&self) -> String {
        let report = Report {
            version: VERSION,
            ok: self.number(Level::Fail) == 0,
            checks: &self.findings,
        };
        serde_json::to_string_pretty(&report).unwrap_or_default()
    }
}
