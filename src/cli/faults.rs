//! `faults`: relays that were in NC, and devices and slots that were offline, with causes and durations. The bridge that
//! runs is asked by its API.

use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use super::client::{self, Client, ClientError};
use super::history::text::{length, time};
use super::history::window;
use super::table::{plain, table};
use super::{ConfigFile, Failure, block_on, output};
use crate::config;

/// How long the bridge may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Faults at most: as many as the bridge gives.
const MOST: &str = "10000";

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// Only of this device.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// From then on: how long ago, such as 24h or 7d, or a time in RFC 3339.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: String,
    /// Until then, likewise.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Times in UTC, not in the time zone of this machine. JSON and CSV are in UTC anyway.
    #[arg(long)]
    utc: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people, the newest fault first.
    Text,
    /// A JSON object a line.
    Json,
    /// For spreadsheets.
    Csv,
}

/// What the bridge has found.
#[derive(Debug, Deserialize)]
struct Found {
    kept_since: Option<String>,
    faults: Vec<Value>,
    has_more: bool,
    #[serde(default)]
    too_many: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    device: String,
    slot: Option<String>,
    relay: Option<String>,
    value: String,
    at: String,
    until: Option<String>,
    duration_s: f64,
    #[serde(default)]
    began_before: bool,
    #[serde(default)]
    causes: Vec<String>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let config = config::load_store(&options.file.config, std::env::vars_os())?;
    let [from, to] = window(&options.since, options.until.as_deref(), Timestamp::now())?;
    block_on(async {
        let bridge = Client::new(&config.state.directory, PATIENCE).map_err(ClientError::from)?;
        let query = client::query([
            ("device", options.device.as_deref()),
            ("from", from.as_deref()),
            ("to", to.as_deref()),
            ("limit", Some(MOST)),
        ]);
        let path = format!("/api/faults?{query}");
        if options.format == Format::Csv {
            output::print(&bridge.csv(&path).await?.accepted()?)?;
            return Ok(());
        }
        let answer = bridge.get(&path).await?.accepted()?;
        let found: Found = serde_json::from_str(&answer).context("the bridge's answer")?;
        output::print(&written(options, &found)?)?;
        match found.has_more || !found.too_many.is_empty() {
            true => Err(anyhow!(
                "these are not all: give a shorter time with --since and --until, or one device with --device"
            )),
            false => Ok(()),
        }
    })
}

fn written(options: &Options, found: &Found) -> anyhow::Result<String> {
    if options.format == Format::Json {
        return Ok(found.faults.iter().map(|fault| format!("{fault}\n")).collect());
    }
    if found.faults.is_empty() {
        return Ok(nothing(found));
    }
    let zone = match options.utc {
        true => TimeZone::UTC,
        false => TimeZone::system(),
    };
    let mut rows = vec![["SINCE", "DEVICE", "WHAT", "VALUE", "LASTED", "CAUSES"].map(str::to_owned)];
    for fault in &found.faults {
        let fault = Fault::deserialize(fault).context("the bridge's answer")?;
        rows.push(row(&fault, &zone));
    }
    Ok(table(&rows))
}

/// Nobody is to take "nothing is kept" for "nothing has happened".
fn nothing(found: &Found) -> String {
    match &found.kept_since {
        Some(since) => format!("no faults; the history begins at {}\n", plain(since)),
        None => "no faults are known: no history is kept\n".to_owned(),
    }
}

fn row(fault: &Fault, zone: &TimeZone) -> [String; 6] {
    let what = match (&fault.slot, &fault.relay) {
        (Some(slot), Some(relay)) => format!("{slot} relay {relay}"),
        (Some(slot), None) => format!("slot {slot}"),
        (None, _) => "device".to_owned(),
    };
    let since = time(&fault.at, zone);
    [
        if fault.began_before {
            format!("{since} or before")
        } else {
            since
        },
        plain(&fault.device),
        plain(&what),
        plain(&fault.value),
        lasted(fault),
        plain(&fault.causes.join(", ")),
    ]
}

fn lasted(fault: &Fault) -> String {
    let length = length(fault.duration_s);
    match fault.until {
        Some(_) => length,
        None => format!("{length}, still"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_line_with_its_time_length_and_causes() {
        let json = r#"[
            {"device":"m1","slot":"io3","relay":"a","value":"NC","at":"2026-02-10T09:45:48.123Z","until":"2026-02-10T11:46:00.500Z","duration_s":7212.377,"causes":["clock-not-sync","ntp-not-sync"]},
            {"device":"m1","value":"offline","at":"2026-02-10T09:00:00.000Z","duration_s":0.5,"began_before":true}]"#;
        let faults: Vec<Fault> = serde_json::from_str(json).unwrap();
        let rows: Vec<_> = faults.iter().map(|fault| row(fault, &TimeZone::UTC)).collect();
        assert_eq!(
            rows,
            [
                [
                    "2026-02-10 09:45:48+00:00",
                    "m1",
                    "io3 relay a",
                    "NC",
                    "2h 12s",
                    "clock-not-sync, ntp-not-sync"
                ],
                [
                    "2026-02-10 09:00:00+00:00 or before",
                    "m1",
                    "device",
                    "offline",
                    "0.5s, still",
                    ""
                ],
            ]
        );
    }
}
