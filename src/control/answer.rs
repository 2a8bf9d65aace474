//! What is done for a request: the archive of the store is listed, shown, thinned out. How a replay is done
//! is the caller's; a letter whose replay still waits is not dropped.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::{Answer, Fault, Request};
use crate::command::letter_of;
use crate::contract::topics::Topics;
use crate::model::ErrorKind;
use crate::records::store::{Letters, Store, StoreError};

/// What came of dropping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// How many dead letters there were, and are no longer.
    pub dropped: usize,
    /// Those that were to be dropped and stay: their commands wait in the inbox to be run once more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Uuid>,
}

/// Carries `request` out; `replay` gives the JSON of a reply. By its `topics` the bridge knows a replay that waits.
///
/// # Errors
/// When there is no such dead letter, or the store fails.
pub async fn answer<R>(
    store: &Store,
    topics: &Topics,
    request: Request,
    replay: impl FnOnce(Uuid) -> R,
) -> Answer
where
    R: Future<Output = Result<Bytes, Fault>>,
{
    match request {
        Request::List { limit } => to_json(&store.dead_letters(limit).await?),
        Request::Show { id } => match store.dead_letter(id).await? {
            Some(letter) => as_json(&letter),
            None => Err(unknown(id)),
        },
        Request::Drop { ids } => drop_letters(store, topics, Some(ids)).await,
        Request::DropAll {} => drop_letters(store, topics, None).await,
        Request::Replay { id } => as_json(&replay(id).await?),
    }
}

/// Drops these letters, or all, but for those whose replay waits.
async fn drop_letters(store: &Store, topics: &Topics, ids: Option<Vec<Uuid>>) -> Answer {
    let mut waiting = waiting(store, topics).await?;
    if let Some(ids) = &ids {
        waiting.retain(|id| ids.contains(id));
    }
    let which = match ids {
        None => Letters::AllBut(waiting.clone()),
        Some(mut ids) => {
            ids.retain(|id| !waiting.contains(id));
            Letters::These(ids)
        }
    };
    let dropped = store.drop_dead_letters(which).await?;
    to_json(&Dropped { dropped, waiting })
}

/// The letters whose command waits in the inbox to be run once more. It is taken from the letter when its turn comes.
async fn waiting(store: &Store, topics: &Topics) -> Result<Vec<Uuid>, StoreError> {
    let now = Timestamp::now();
    let inbox = store.inbox().await?;
    let mut ids: Vec<_> = inbox
        .iter()
        .filter_map(|waiting| letter_of(topics, &waiting.command, now))
        .collect();
    ids.sort();
    ids.dedup();
    let mut there = Vec::new();
    for id in ids {
        if store.dead_letter(id).await?.is_some() {
            there.push(id);
        }
    }
    Ok(there)
}

/// What is said of an id that no dead letter has.
pub(crate) fn unknown(id: Uuid) -> Fault {
    let remedy = "lantime2mqtt dead-letters list shows those that are there; the oldest go when there are more than dead_letter.keep";
    Fault::new(
        ErrorKind::NotFound,
        format!("no dead letter {id} in the archive"),
        remedy,
    )
}

fn to_json(value: &impl Serialize) -> Answer {
    Ok(to_raw_value(value).expect("texts and numbers can be written as JSON"))
}

fn as_json(bytes: &Bytes) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    RawValue::from_string(text).map_err(|error| {
        let what = format!("what is there is not JSON: {error}");
        Fault::new(
            ErrorKind::Internal,
            what,
            "report this as a fault of lantime2mqtt",
        )
    })
}
