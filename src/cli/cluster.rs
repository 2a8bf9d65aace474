//! `cluster`: who owns what in the cluster of the bridge that runs with this configuration, and draining that bridge.

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::client::{Answer, Client};
use super::table::{plain, table};
use super::{ConfigFile, Failure, block_on, output};
use crate::config;
use crate::contract::to_json;
use crate::model::ErrorReport;
use crate::web::cluster::{Broker, Drain, Member, MemberIntent, Shard, View};

/// How long the bridge may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long other bridges may take to own the shards.
const MOVED_WITHIN: Duration = Duration::from_secs(60);
/// Until the bridge is asked again.
const AGAIN: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows which bridge owns which shard. Exit status 0 if etcd answers and each shard has an owner, else 1.
    Status {
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Hands the shards of this bridge over, and waits until other bridges own them, for 60 s at most. Exit status 1 if they
    /// do not, or if there is no other bridge: then nothing moves.
    ///
    /// The bridge owns no shard then until it is restarted, unless no other bridge can.
    Drain {
        /// Let the bridge own shards again.
        #[arg(long)]
        undo: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For machines: what GET /api/cluster answers.
    Json,
}

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let config = config::load_store(&options.file.config, std::env::vars_os())?;
    block_on(async {
        let bridge = Client::new(&config.state.directory, PATIENCE)?;
        match options.what {
            What::Status { format } => status(&bridge, format).await,
            What::Drain { undo } => drain(&bridge, undo).await,
        }
    })
}

async fn status(bridge: &Client, format: Format) -> anyhow::Result<()> {
    let answer = bridge.get("/api/cluster").await?;
    let view = view(&answer)?;
    output::print(&match format {
        Format::Text => text(&view),
        Format::Json => format!("{}\n", answer.json),
    })?;
    let wrong: Vec<_> = match view.etcd.connected {
        true => ownerless(&view)
            .map(|shard| format!("shard {} has no owner", shard.shard))
            .collect(),
        false => vec!["etcd does not answer".to_owned()],
    };
    match wrong.is_empty() {
        true => Ok(()),
        false => bail!("{}; see docs/cluster.md", wrong.join(", ")),
    }
}

async fn drain(bridge: &Client, undo: bool) -> anyhow::Result<()> {
    let wish = Drain { drain: !undo };
    let wish = String::from_utf8_lossy(&to_json(&wish)).into_owned();
    let mut view = view(&bridge.post("/api/cluster/drain", wish).await?)?;
    if undo {
        output::print(&format!("{} may own shards again\n", view.bridge))?;
        return Ok(());
    }
    let until = Instant::now() + MOVED_WITHIN;
    let mut reported = String::new();
    loop {
        let left = not_elsewhere(&view);
        if left.is_empty() {
            output::print(&format!("{} owns no shard; other bridges own all\n", view.bridge))?;
            return Ok(());
        }
        let left = left.join(", ");
        if !view.members.iter().any(|member| can_take_over(member, &view)) {
            bail!(
                "nothing moves, since no other bridge can take over: {} stays drained and goes on with {left}; start another \
                 bridge, or undo it by: lantime2mqtt cluster drain --undo",
                view.bridge
            );
        }
        if Instant::now() >= until {
            bail!(
                "no other bridge owns {left} after {} s; see lantime2mqtt cluster status, and the logs of the other bridges",
                MOVED_WITHIN.as_secs()
            );
        }
        if reported != left {
            output::print(&format!("waiting until another bridge owns {left}\n"))?;
            reported = left;
        }
        sleep(AGAIN).await;
        view = self::view(&bridge.get("/api/cluster").await?)?;
    }
}

/// The shards that no other bridge owns.
fn not_elsewhere(view: &View) -> Vec<String> {
    let left = view
        .shards
        .iter()
        .filter(|shard| shard.own || shard.owner.is_none());
    left.map(|shard| format!("shard {}", shard.shard)).collect()
}

fn can_take_over(member: &Member, view: &View) -> bool {
    member.id != view.bridge && member.intent == MemberIntent::Stay
}

fn ownerless(view: &View) -> impl Iterator<Item = &Shard> {
    view.shards.iter().filter(|shard| shard.owner.is_none())
}

fn view(answer: &Answer) -> anyhow::Result<View> {
    #[derive(Deserialize)]
    struct Refusal {
        error: ErrorReport,
    }
    if answer.is_success {
        return Ok(serde_json::from_str(&answer.json)?);
    }
    let Refusal { error } = serde_json::from_str(&answer.json)?;
    Err(anyhow!("{}; {}", error.message, error.remedy))
}

fn text(view: &View) -> String {
    let (word, note) = match view.etcd.connected {
        true => ("connected", ""),
        false => ("NOT CONNECTED", "; what follows is as it was heard last"),
    };
    let mut text = format!(
        "cluster {}, as {} sees it\netcd: {word} since {}{note}\n\n",
        view.name, view.bridge, view.etcd.since.0
    );
    let head = ["SHARD", "OWNER", "SINCE", "DEVICES", ""].map(str::to_owned);
    let shards = view.shards.iter().map(|known| shard(known, view));
    text += &table(&std::iter::once(head).chain(shards).collect::<Vec<_>>());
    let head = [
        "BRIDGE",
        "SHARDS",
        "INTENT",
        "BROKER",
        "CONFIGURED",
        "VERSION",
        "PAGE",
    ]
    .map(str::to_owned);
    let members = view.members.iter().map(|known| member(known, view));
    text += "\n";
    text += &table(&std::iter::once(head).chain(members).collect::<Vec<_>>());
    for problem in &view.problems {
        let ErrorReport { message, remedy, .. } = &problem.error;
        text += &format!("\nproblem: {}; {}\n", plain(message), plain(remedy));
    }
    text
}

fn shard(shard: &Shard, view: &View) -> [String; 5] {
    let none = || "-".to_owned();
    [
        shard.shard.clone(),
        shard.owner.clone().unwrap_or_else(none),
        shard.since.map_or_else(none, |since| since.0.to_string()),
        shard.devices.to_string(),
        match &shard.owner {
            Some(_) if shard.own => "this bridge".to_owned(),
            Some(_) => String::new(),
            None if view.etcd.connected => "NO OWNER: nobody polls these devices".to_owned(),
            None => "not known".to_owned(),
        },
    ]
}

fn member(member: &Member, view: &View) -> [String; 7] {
    let owns = |shard: &&Shard| shard.owner.as_ref() == Some(&member.id);
    let shards = view.shards.iter().filter(owns).count();
    [
        member.id.clone(),
        shards.to_string(),
        match member.intent {
            MemberIntent::Stay => "stay",
            MemberIntent::Drain => "drain",
            MemberIntent::Leave => "leave",
        }
        .to_owned(),
        match member.broker {
            Broker::Connected => "connected",
            Broker::Disconnected => "DISCONNECTED",
        }
        .to_owned(),
        match member.other_devices {
            true => "OTHER DEVICES",
            false => "same devices",
        }
        .to_owned(),
        plain(&member.version),
        member.url.as_deref().map(plain).unwrap_or_default(),
    ]
}
