//! What is done for a request: the archive of the store is listed, shown, thinned out. How a replay is done
//! is the caller's.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::{Answer, Fault, Request};
use crate::model::ErrorKind;
use crate::records::store::{Letters, Store};

/// What came of dropping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// How many dead letters there were, and are no longer.
    pub dropped: usize,
}

/// Carries `request` out; `replay` gives the JSON of a reply.
///
/// # Errors
/// When there is no such dead letter, or the store fails.
pub async fn answer<R>(store: &Store, request: Request, replay: impl FnOnce(Uuid) -> R) -> Answer
where
    R: Future<Output = Result<Bytes, Fault>>,
{
    match request {
        Request::List { limit } => to_json(&store.dead_letters(limit).await?),
        Request::Show { id } => match store.dead_letter(id).await? {
            Some(letter) => as_json(&letter),
            None => Err(unknown(id)),
        },
        Request::Drop { ids } => drop_letters(store, Letters::These(ids)).await,
        Request::DropAll {} => drop_letters(store, Letters::All).await,
        Request::Replay { id } => as_json(&replay(id).await?),
    }
}

async fn drop_letters(store: &Store, which: Letters) -> Answer {
    let dropped = store.drop_dead_letters(which).await?;
    to_json(&Dropped { dropped })
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
