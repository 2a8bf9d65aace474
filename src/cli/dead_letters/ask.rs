//! Asks the bridge; does in the store of one that does not run what that would do.

use std::collections::BTreeSet;
use std::mem::take;
use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use uuid::Uuid;

use super::request::Request;
use crate::cli::client::{Answer, Client, ClientError};
use crate::cli::stopped;
use crate::command::{Incoming, command_of};
use crate::config::StoreConfig;
use crate::contract::to_json;
use crate::contract::topics::Topics;
use crate::model::ErrorReport;
use crate::records::store::Store;
use crate::web::api::{MAX_DEAD_LETTERS_OF_OWNER, unknown_dead_letter};
use crate::web::dead_letters::{Dropped, ToDrop, drop_from};
use crate::web::handled::{Marked, ToMark, mark_in};

/// How long the bridge may take to answer where it need not wait for a device.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ids in one request: the body of a request has a bound.
const IDS_AT_A_TIME: usize = 1000;

/// Asks the bridge, or the store of one that does not run.
pub(super) async fn ask(
    config: &StoreConfig,
    request: &Request,
    dropped: &mut Dropped,
) -> anyhow::Result<Answer> {
    match ask_bridge(config, request, dropped).await {
        Err(no_bridge @ (ClientError::NoBridge(_) | ClientError::Socket(_)))
            if *dropped == Dropped::default() =>
        {
            ask_store(config, request, &no_bridge, dropped).await
        }
        answered => answered.map_err(anyhow::Error::from),
    }
}

/// What is dropped in parts is added to `dropped`, and taken from there when all of them are: what is left there was
/// dropped before another part failed.
async fn ask_bridge(
    config: &StoreConfig,
    request: &Request,
    dropped: &mut Dropped,
) -> Result<Answer, ClientError> {
    let bridge = Client::new(&config.state.directory, PATIENCE)?;
    match request {
        Request::List(listed) => {
            let limit = listed.most().min(MAX_DEAD_LETTERS_OF_OWNER);
            bridge.get(&format!("/api/dead-letters?limit={limit}")).await
        }
        Request::Show(id) => bridge.get(&format!("/api/dead-letters/{id}")).await,
        Request::Replay(id) => {
            let path = format!("/api/dead-letters/{id}/replay");
            bridge.command(&path, "{}".to_owned()).await
        }
        Request::Handled(to_mark) => {
            let mut marked = Marked::default();
            for ids in to_mark.ids.chunks(IDS_AT_A_TIME) {
                let part = ToMark {
                    ids: ids.to_vec(),
                    ..to_mark.clone()
                };
                let body = String::from_utf8_lossy(&to_json(&part)).into_owned();
                let answer = bridge.post("/api/dead-letters/handled", body).await?;
                match serde_json::from_str::<Marked>(&answer.json) {
                    Ok(part) => marked.add(part),
                    Err(_) => return Ok(answer),
                }
            }
            Ok(success(&to_json(&marked)))
        }
        Request::Drop { ids, all } => {
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
    request: &Request,
    no_bridge: &ClientError,
    dropped: &mut Dropped,
) -> anyhow::Result<Answer> {
    let store = stopped::open(config, no_bridge)?;
    let topics = Topics::new(config.prefix.clone(), config.bridge.id.clone());
    let json = match request {
        Request::List(listed) => to_json(&store.dead_letters(listed.most()).await?),
        Request::Show(id) => find(&store, *id).await?,
        Request::Handled(to_mark) => to_json(&mark_in(&store, to_mark.clone()).await?),
        Request::Replay(id) => {
            command_of(&find(&store, *id).await?).map_err(refused)?;
            store
                .receive(vec![Incoming::replay(&topics, *id).message])
                .await?;
            Bytes::from_static(br#"{"queued":true}"#)
        }
        Request::Drop { ids, all } => {
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

pub(super) fn success(json: &[u8]) -> Answer {
    Answer {
        is_success: true,
        json: String::from_utf8_lossy(json).into_owned(),
    }
}

fn refused(error: ErrorReport) -> anyhow::Error {
    anyhow!("{}; {}", error.message, error.remedy)
}
