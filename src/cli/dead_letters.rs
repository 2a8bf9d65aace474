//! `dead-letters`: lists, shows and drops the dead letters of a bridge, and runs their commands again.
//!
//! A bridge that runs is asked by its API, since the store is its own; the store of one that does not run is opened here.

mod arguments;
mod ask;
mod ids;
mod report;
mod request;
mod text;

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use uuid::Uuid;

use super::client::Answer;
use super::{Failure, block_on, output};
use crate::config::{self, StoreConfig};
use crate::contract::dead_letter::Summary;
use crate::contract::to_json;
use crate::web::dead_letters::Dropped;
use crate::web::handled::ToMark;
use crate::wording::is_name;
pub(super) use arguments::Options;
use arguments::What;
use ask::{ask, success};
use ids::ShortId;
use report::{both, refusal, report};
use request::{Listed, Request};

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let Options { what, file, json } = options;
    if let What::Handled { by: Some(by), .. } = &what
        && !is_name(by)
    {
        return Err(Failure::Usage(format!(
            "--by {by:?} is no name; write 1 to 100 characters without control characters"
        )));
    }
    let config = config::load_store(&file.config, std::env::vars_os())?;
    block_on(async {
        let request = request(&config, what).await?;
        let mut dropped = Dropped::default();
        let answer = ask(&config, &request, &mut dropped).await;
        let print = |answer: &Answer| -> anyhow::Result<()> {
            let (text, end) = report(&request, answer, json).context("the bridge's answer")?;
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

/// What the command line asks for.
async fn request(config: &StoreConfig, what: What) -> anyhow::Result<Request> {
    Ok(match what {
        What::List { limit, device, since } => Request::List(Listed {
            limit,
            device,
            from: since.and_then(|since| Timestamp::now().checked_sub(since).ok()),
        }),
        What::Show { id } => Request::Show(whole(config, &id).await?),
        What::Replay { id } => Request::Replay(whole(config, &id).await?),
        What::Handled { ids, by, undo } => Request::Handled(ToMark {
            ids: all_whole(config, &ids).await?,
            handled: !undo,
            by: by.or_else(user).filter(|_| !undo),
        }),
        What::Drop { ids, all, yes } => {
            if all && !yes && io::stdin().is_terminal() {
                confirm(all_known(config).await?.len())?;
            }
            let ids = all_whole(config, &ids).await?;
            Request::Drop { ids, all }
        }
    })
}

/// Who runs this.
fn user() -> Option<String> {
    let names = ["SUDO_USER", "USER", "LOGNAME"].into_iter();
    names.flat_map(std::env::var).find(|name| is_name(name))
}

async fn whole(config: &StoreConfig, id: &ShortId) -> anyhow::Result<Uuid> {
    match id.whole() {
        Some(id) => Ok(id),
        None => id.among(&all_known(config).await?),
    }
}

async fn all_whole(config: &StoreConfig, ids: &[ShortId]) -> anyhow::Result<Vec<Uuid>> {
    let known = match ids.iter().all(|id| id.whole().is_some()) {
        true => Vec::new(),
        false => all_known(config).await?,
    };
    ids.iter().map(|id| id.among(&known)).collect()
}

/// The ids of the archive.
async fn all_known(config: &StoreConfig) -> anyhow::Result<Vec<Uuid>> {
    let all = Request::List(Listed::default());
    let answer = ask(config, &all, &mut Dropped::default()).await?;
    if !answer.is_success {
        refusal(&answer.json)?;
    }
    let summaries: Vec<Summary> = serde_json::from_str(&answer.json)?;
    Ok(summaries.iter().map(|summary| summary.id).collect())
}

/// Asks whoever sits at the terminal.
fn confirm(count: usize) -> anyhow::Result<()> {
    let mut line = String::new();
    write!(io::stderr(), "Drop all {count} dead letters? [y/N] ")?;
    io::stdin().read_line(&mut line)?;
    match is_yes(&line) {
        true => Ok(()),
        false => Err(anyhow!(
            "nothing was dropped; answer y, or give --yes, to drop all"
        )),
    }
}

fn is_yes(line: &str) -> bool {
    ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str())
}
