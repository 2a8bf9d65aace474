//! `dead-letters`: lists, shows and drops the dead letters of a bridge, and runs their commands once more.
//!
//! A bridge that runs is asked through its control socket, since the store is its own; the store of one that
//! does not run is opened here.

mod text;

use std::io::{self, IsTerminal};

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{ConfigFile, Failure, block_on, output};
use crate::command::{Incoming, command_of};
use crate::config::{self, StoreConfig};
use crate::contract::dead_letter::Summary;
use crate::contract::topics::Topics;
use crate::control::{self, Answer, ControlError, Dropped, Fault, Request, client};
use crate::records::store::{FILE_NAME, Options as StoreOptions, Store, StoreError};

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
        /// Only the newest ones, so many.
        #[arg(long, value_name = "NUMBER", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
        limit: Option<usize>,
    },
    /// Shows one with all that is known.
    Show {
        /// Its id.
        id: Uuid,
    },
    /// Runs its command once more.
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

impl What {
    fn request(&self) -> Request {
        match self {
            What::List { limit } => Request::List {
                limit: limit.unwrap_or(usize::MAX),
            },
            What::Show { id } => Request::Show { id: *id },
            What::Replay { id } => Request::Replay { id: *id },
            What::Drop { all: true, .. } => Request::DropAll {},
            What::Drop { ids, .. } => Request::Drop { ids: ids.clone() },
        }
    }
}

/// What is printed, and what is said of it if it is no success.
type Told = (String, anyhow::Result<()>);

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let config = config::load_store(&options.file.config, std::env::vars_os())?;
    block_on(async {
        let answer = ask(&config, options.what.request()).await?;
        let result = answer.map_err(|fault| anyhow!("{}; {}", fault.message, fault.remedy))?;
        let (text, end) = tell(&options.what, &result, options.json).context("the bridge's answer")?;
        output::print(&text)?;
        end
    })
}

/// The running bridge, else the store itself.
async fn ask(config: &StoreConfig, request: Request) -> anyhow::Result<Answer> {
    let directory = &config.state.directory;
    let unreachable = match control::socket(directory) {
        Ok(path) => match client::ask(&path, &request).await {
            Err(error @ ControlError::NobodyThere(_)) => error,
            answered => return Ok(answered?),
        },
        Err(error) => error,
    };
    // Made by the bridge alone: a store of another user, such as root, would lock it out.
    let file = directory.join(FILE_NAME);
    match file.try_exists() {
        Ok(true) => {}
        Ok(false) => bail!(
            "no store in {}: no bridge with this configuration has run yet; name its configuration with --config",
            directory.display()
        ),
        Err(error) => bail!(
            "cannot look for {}: {error}; run this as the user of the bridge, or as root",
            file.display()
        ),
    }
    let options = StoreOptions {
        keep: config.dead_letter.keep,
        ..StoreOptions::new(config.bridge.id.clone())
    };
    let store = match Store::open(directory, options) {
        Err(StoreError::InUse(_)) => {
            bail!("a bridge has the durable store in use, and it cannot be asked: {unreachable}")
        }
        opened => opened?,
    };
    let topics = Topics::new(config.prefix.clone(), config.bridge.id.clone());
    Ok(control::answer(&store, &topics, request, |id| queue(&store, &topics, id)).await)
}

/// Puts a replay into the inbox of a bridge that does not run.
async fn queue(store: &Store, topics: &Topics, id: Uuid) -> Result<Bytes, Fault> {
    let letter = store.dead_letter(id).await?;
    let letter = letter.ok_or_else(|| control::unknown(id))?;
    command_of(&letter)?;
    let command = Incoming::replay(topics, id);
    store.receive(vec![command.message]).await?;
    Ok(Bytes::from_static(br#"{"queued":true}"#))
}

/// What is read of an answer to a replay: a reply, or that it has to wait.
#[derive(Deserialize)]
struct Replayed<'a> {
    #[serde(default)]
    queued: bool,
    #[serde(default)]
    ok: bool,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Fault>,
}

fn tell(what: &What, result: &RawValue, json: bool) -> anyhow::Result<Told> {
    let (text, end) = match what {
        What::List { .. } => {
            let mut letters: Vec<Summary> = serde_json::from_str(result.get())?;
            letters.reverse();
            (
                if json {
                    text::lines(&letters)
                } else {
                    text::table(&letters, io::stdout().is_terminal())
                },
                Ok(()),
            )
        }
        What::Show { .. } if json => (format!("{result}\n"), Ok(())),
        What::Show { .. } => (text::pretty(result.get()), Ok(())),
        What::Drop { ids, .. } => {
            let Dropped { dropped, waiting } = serde_json::from_str(result.get())?;
            let text = if json {
                format!("{result}\n")
            } else {
                format!("{dropped} dropped\n")
            };
            (text, all_dropped(ids, dropped, &waiting))
        }
        What::Replay { .. } => {
            let reply: Replayed<'_> = serde_json::from_str(result.get())?;
            let text = if json { format!("{result}\n") } else { told(&reply) };
            (text, carried_out(&reply))
        }
    };
    Ok((text, end))
}

fn all_dropped(ids: &[Uuid], dropped: usize, waiting: &[Uuid]) -> anyhow::Result<()> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids.dedup();
    let mut complaints = Vec::new();
    if !waiting.is_empty() {
        let waiting: Vec<_> = waiting.iter().map(Uuid::to_string).collect();
        complaints.push(format!(
            "not dropped, since the replay waits in the inbox: {}; drop it when the bridge has carried the replay out, \
             and start the bridge if none runs",
            waiting.join(", ")
        ));
    }
    let missing = ids.len().saturating_sub(dropped + waiting.len());
    if missing > 0 {
        complaints.push(format!(
            "{missing} of them were not in the archive; lantime2mqtt dead-letters list shows those that are"
        ));
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(anyhow!(complaints.join("\n")))
}

fn told(reply: &Replayed<'_>) -> String {
    match reply {
        Replayed { queued: true, .. } => {
            "no bridge runs, so the command waits in the inbox: it is carried out at the next start, and a failure is a new dead letter\n".to_owned()
        }
        Replayed { ok: true, result: Some(result), .. } => {
            format!("carried out:\n{}", text::pretty(result.get()))
        }
        _ => String::new(),
    }
}

fn carried_out(reply: &Replayed<'_>) -> anyhow::Result<()> {
    match reply {
        Replayed { queued: true, .. } | Replayed { ok: true, .. } => Ok(()),
        Replayed {
            error: Some(error), ..
        } => Err(anyhow!(
            "the command was not carried out: {}; {}",
            error.message,
            error.remedy
        )),
        _ => Err(anyhow!("the command was not carried out")),
    }
}
