//! `history`: what has changed at the devices of a bridge, when, why and for how long.
//!
//! A bridge that runs is asked by its API; the store of one that does not run is opened here.

pub(in crate::cli) mod text;

use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::client::{self, Client, ClientError};
use super::{ConfigFile, Failure, block_on, output, stopped};
use crate::config::{self, ConfigError, StoreConfig};
use crate::records::store::Store;
use crate::web::history::{Page, TIME_REMEDY, csv, moment, of_store};
use crate::wording::quoted;

/// How long the bridge may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Entries that are asked for at a time.
const AT_A_TIME: &str = "10000";

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// Only of this device.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Only of this slot, with its relays and signals.
    #[arg(long, value_name = "ID")]
    slot: Option<String>,
    /// Only of this relay: a, b or c.
    #[arg(long, value_name = "NAME")]
    relay: Option<String>,
    /// Only of this signal, such as clk1.
    #[arg(long, value_name = "NAME", conflicts_with = "relay")]
    signal: Option<String>,
    /// Only of this notification event.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["relay", "signal", "slot"])]
    event: Option<String>,
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
    /// A table for people, the newest change first.
    Text,
    /// A JSON object a line.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Where the history is.
enum Source {
    Bridge(Client),
    /// The store, and the ids of the devices that are configured.
    Store(Store, Vec<String>),
}

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let config = config::load_store(&options.file.config, std::env::vars_os())?;
    let window = window(&options.since, options.until.as_deref(), Timestamp::now())?;
    block_on(async {
        let bridge = Client::new(&config.state.directory, PATIENCE).map_err(ClientError::from);
        let mut source = bridge.map(Source::Bridge);
        let (mut cursor, mut is_first) = (None, true);
        loop {
            let query = query(&options, &window, cursor.as_deref());
            let (from, page) = page(source, &options, &config, &query).await?;
            if !output::print(&written(&options, &page, is_first)?)? || page.next.is_none() {
                return Ok(());
            }
            (cursor, is_first) = (page.next, false);
            source = Ok(from);
        }
    })
}

/// A part of the history, and where it is from: the next one is from there, too.
async fn page(
    source: Result<Source, ClientError>,
    options: &Options,
    config: &StoreConfig,
    query: &str,
) -> anyhow::Result<(Source, Page)> {
    let asked = match source {
        Ok(Source::Bridge(bridge)) => ask(&bridge, query).await.map(|page| (bridge, page)),
        Ok(Source::Store(store, configured)) => return of(store, configured, query).await,
        Err(error) => Err(error.into()),
    };
    match asked {
        Ok((bridge, page)) => Ok((Source::Bridge(bridge), page)),
        Err(error) => match error.downcast_ref() {
            Some(no_bridge @ (ClientError::NoBridge(_) | ClientError::Socket(_))) => {
                let store = stopped::open(config, no_bridge)?;
                of(store, configured(options)?, query).await
            }
            _ => Err(error),
        },
    }
}

/// The ids of the devices that are configured, where it matters which these are.
fn configured(options: &Options) -> Result<Vec<String>, ConfigError> {
    let devices = match &options.device {
        Some(_) => config::list_devices(&options.file.config)?,
        None => Vec::new(),
    };
    Ok(devices.into_iter().map(|device| device.id).collect())
}

async fn of(store: Store, configured: Vec<String>, query: &str) -> anyhow::Result<(Source, Page)> {
    let page = of_store(&store, &configured, query).await;
    let page = page.map_err(|error| anyhow!("{}; {}", error.message, error.remedy))?;
    Ok((Source::Store(store, configured), page))
}

async fn ask(bridge: &Client, query: &str) -> anyhow::Result<Page> {
    let answer = bridge.get(&format!("/api/history?{query}")).await?.accepted()?;
    serde_json::from_str(&answer).context("the bridge's answer")
}

/// From when to when, as the API takes it: the same for all pages, however long these take.
pub(super) fn window(
    since: &str,
    until: Option<&str>,
    now: Timestamp,
) -> anyhow::Result<[Option<String>; 2]> {
    let time = |option: &str, text: &str| {
        let time = moment(text, now).map(|time| time.to_string());
        time.ok_or_else(|| anyhow!("{option} {} is no time; {TIME_REMEDY}", quoted(text)))
    };
    let since = time("--since", since)?;
    let until = until.map(|text| time("--until", text));
    Ok([Some(since), until.transpose()?])
}

/// What is asked of the API.
fn query(options: &Options, [from, to]: &[Option<String>; 2], cursor: Option<&str>) -> String {
    client::query([
        ("device", options.device.as_deref()),
        ("slot", options.slot.as_deref()),
        ("relay", options.relay.as_deref()),
        ("signal", options.signal.as_deref()),
        ("event", options.event.as_deref()),
        ("from", from.as_deref()),
        ("to", to.as_deref()),
        ("limit", Some(AT_A_TIME)),
        ("cursor", cursor),
    ])
}

fn written(options: &Options, page: &Page, is_first: bool) -> anyhow::Result<String> {
    Ok(match options.format {
        Format::Text => text::table(page, options.utc, is_first),
        Format::Json => {
            let lines = page.entries.iter().map(serde_json::to_string);
            lines
                .map(|line| Ok(line? + "\n"))
                .collect::<anyhow::Result<_>>()?
        }
        Format::Csv => {
            let head = if is_first { csv::HEAD } else { "" };
            let lines = page.entries.iter().map(csv::line);
            std::iter::once(head.to_owned()).chain(lines).collect()
        }
    })
}
