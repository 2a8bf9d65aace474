//! `dead-letters`: lists, shows and drops the dead letters of a bridge, and runs their commands again.
//!
//! A bridge that runs is asked by its API, since the store is its own; the store of one that does not run is opened here.

mod text;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::mem::take;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::client::{Answer, Client, ClientError};
use super::{ConfigFile, Failure, block_on, output, stopped};
use crate::command::{Incoming, command_of};
use crate::config::{self, StoreConfig};
use crate::contract::dead_letter::Summary;
use crate::contract::to_json;
use crate::contract::topics::Topics;
use crate::model::ErrorReport;
use crate::records::store::Store;
use crate::web::api::{MAX_DEAD_LETTERS_OF_OWNER, unknown_dead_letter};
use crate::web::dead_letters::{Dropped, ToDrop, drop_from};

/// How long the bridge may take to answer where it need not wait for a device.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ids in one request: the body of a request has a bound.
const IDS_AT_A_TIME: usize = 1000;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    file: ConfigFile,
    /// JSON for machines instead of text for people.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists them, the oldest first.
    List {
        /// Show only so many, the newest ones.
        #[arg(long, value_name = "NUMBER", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
        limit: Option<usize>,
    },
    /// Shows one with all that is known.
    Show {
        /// Its id.
        id: Uuid,
    },
    /// Runs its command again.
    Replay {
        /// Its id.
        id: Uuid,
    },
    /// Drops them from the archive.
    Drop {
        /// Their ids.
        #[arg(required_unless_present = "all")]
        ids: Vec<Uuid>,
        /// All of them.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

/// What is printed, and the error if it is no success.
type Report = (String, anyhow::Result<()>);

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let config = config::load_store(&options.file.config, std::env::vars_os())?;
    block_on(async {
        let mut dropped = Dropped::default();
        let answer = match ask_bridge(&config, &options.what, &mut dropped).await {
            Err(no_bridge @ (ClientError::NoBridge(_) | ClientError::Socket(_)))
                if dropped == Dropped::default() =>
            {
                ask_store(&config, &options.what, &no_bridge, &mut dropped).await
            }
            answered => answered.map_err(anyhow::Error::from),
        };
        let print = |answer: &Answer| -> anyhow::Result<()> {
            let (text, end) = report(&options.what, answer, options.json).context("the bridge's answer")?;
            output::print(&text)?;
            end
        };
        // In the order in which it came about.
        let before = match dropped == Dropped::default() {
            true => Ok(()),
            false => print(&success(&to_json(&dropped))),
        };
        both(before, answer.and_then(|answer| print(&answer)))
    })
}

/// What went wrong before and in the end.
fn both(first: anyhow::Result<()>, last: anyhow::Result<()>) -> anyhow::Result<()> {
    match (first, last) {
        (Err(first), Err(last)) => Err(anyhow!("{first:#}\n{last:#}")),
        (first, last) => first.and(last),
    }
}

/// What is dropped in parts is added to `dropped`, and taken from there when all of them are: what is left there was
/// dropped before another part failed.
async fn ask_bridge(config: &StoreConfig, what: &What, dropped: &mut Dropped) -> Result<Answer, ClientError> {
    let bridge = Client::new(&config.state.directory, PATIENCE)?;
    match what {
        What::List { limit } => {
            let limit = limit.unwrap_or(usize::MAX).min(MAX_DEAD_LETTERS_OF_OWNER);
            bridge.get(&format!("/api/dead-letters?limit={limit}")).await
        }
        What::Show { id } => bridge.get(&format!("/api/dead-letters/{id}")).await,
        What::Replay { id } => {
            let path = format!("/api/dead-letters/{id}/replay");
            bridge.command(&path, "{}".to_owned()).await
        }
        What::Drop { ids, all } => {
            for to_drop in to_drop(ids, *all) {
                let body = String::from_utf8_lossy(&to_json(&to_drop)).into_owned();
                let answer = bridge.post("/api/dead-letters/drop", body).await?;
                match serde_json::from_str(&answer.json) {
                    Ok(part) => *dropped += part,
                    Err(_) => return Ok(answer),
                }
            }
            Ok(success(&to_json(&take(dropped))))
        }
    }
}

/// What to ask for, in parts.
fn to_drop(ids: &[Uuid], all: bool) -> Vec<ToDrop> {
    if all {
        return vec![ToDrop::All(true)];
    }
    let ids: Vec<_> = BTreeSet::from_iter(ids).into_iter().copied().collect();
    ids.chunks(IDS_AT_A_TIME)
        .map(|ids| ToDrop::Ids(ids.to_vec()))
        .collect()
}

/// Does in the store of a bridge that does not run what that would do.
async fn ask_store(
    config: &StoreConfig,
    what: &What,
    no_bridge: &ClientError,
    dropped: &mut Dropped,
) -> anyhow::Result<Answer> {
    let store = stopped::open(config, no_bridge)?;
    let topics = Topics::new(config.prefix.clone(), config.bridge.id.clone());
    let json = match what {
        What::List { limit } => to_json(&store.dead_letters(limit.unwrap_or(usize::MAX)).await?),
        What::Show { id } => find(&store, *id).await?,
        What::Replay { id } => {
            command_of(&find(&store, *id).await?).map_err(refused)?;
            store
                .receive(vec![Incoming::replay(&topics, *id).message])
                .await?;
            Bytes::from_static(br#"{"queued":true}"#)
        }
        What::Drop { ids, all } => {
            for to_drop in to_drop(ids, *all) {
                *dropped += drop_from(&store, &topics, to_drop).await?;
            }
            to_json(&take(dropped))
        }
    };
    Ok(success(&json))
}

async fn find(store: &Store, id: Uuid) -> anyhow::Result<Bytes> {
    let dead_letter = store.dead_letter(id).await?;
    dead_letter.ok_or_else(|| refused(unknown_dead_letter(&id.to_string())))
}

fn success(json: &[u8]) -> Answer {
    Answer {
        is_success: true,
        json: String::from_utf8_lossy(json).into_owned(),
    }
}

fn refused(error: ErrorReport) -> anyhow::Error {
    anyhow!("{}; {}", error.message, error.remedy)
}

/// What is read of a refusal, and of the answer to a replay: a reply, or that it has to wait.
#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    queued: bool,
    #[serde(default)]
    ok: bool,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    message: String,
    remedy: String,
}

fn report(what: &What, answer: &Answer, json: bool) -> anyhow::Result<Report> {
    let result = answer.json.as_str();
    let or_json = |text: String| if json { format!("{result}\n") } else { text };
    Ok(match what {
        What::Replay { .. } => {
            let reply: Reply<'_> = serde_json::from_str(result)?;
            let end = carried_out(&reply).map_err(|error| error.context("the command was not carried out"));
            (or_json(result_of(&reply)), end)
        }
        _ if !answer.is_success => (String::new(), carried_out(&serde_json::from_str(result)?)),
        What::List { .. } => {
            let mut dead_letters: Vec<Summary> = serde_json::from_str(result)?;
            dead_letters.reverse();
            let text = match json {
                true => text::lines(&dead_letters),
                false => text::table(&dead_letters, io::stdout().is_terminal()),
            };
            (text, Ok(()))
        }
        What::Show { .. } => (or_json(text::pretty(result)), Ok(())),
        What::Drop { .. } => {
            let dropped: Dropped = serde_json::from_str(result)?;
            let text = format!("{} dropped\n", dropped.dropped);
            (or_json(text), all_dropped(&dropped))
        }
    })
}

fn all_dropped(dropped: &Dropped) -> anyhow::Result<()> {
    let listed = |ids: &[Uuid]| ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(", ");
    let mut problems = Vec::new();
    if !dropped.waiting.is_empty() {
        problems.push(format!(
            "not dropped, since the replay waits in the inbox: {}; drop it when the bridge has carried the replay out, \
             and start the bridge if none runs",
            listed(&dropped.waiting)
        ));
    }
    if !dropped.missing.is_empty() {
        problems.push(format!(
            "not in the archive: {}; lantime2mqtt dead-letters list shows those that are",
            listed(&dropped.missing)
        ));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(anyhow!(problems.join("\n"))),
    }
}

fn result_of(reply: &Reply<'_>) -> String {
    match reply {
        Reply { queued: true, .. } => {
            "no bridge runs, so the command waits in the inbox: it is carried out at the next start, and a failure is a new dead letter\n".to_owned()
        }
        Reply { ok: true, result: Some(result), .. } => {
            format!("carried out:\n{}", text::pretty(result.get()))
        }
        _ => String::new(),
    }
}

fn carried_out(reply: &Reply<'_>) -> anyhow::Result<()> {
    match &reply.error {
        _ if reply.queued || reply.ok => Ok(()),
        Some(error) => Err(anyhow!("{}; {}", error.message, error.remedy)),
        None => Err(anyhow!("the bridge does not say why; see its log")),
    }
}
