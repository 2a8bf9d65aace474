//! Dropping dead letters. The command line does the same in the store of a bridge that does not run.

use std::ops::AddAssign;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Shared;
use super::answer::{Answer, Refusal, written};
use super::api::no_store;
use super::command::admit;
use crate::command::dead_letter_of;
use crate::contract::to_json;
use crate::contract::topics::Topics;
use crate::model::ErrorKind;
use crate::records::store::{DeadLetterSet, Store, StoreError};

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/api/dead-letters/drop", post(drop_dead_letters))
}

/// Which dead letters are to be dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToDrop {
    /// Those of these ids.
    Ids(Vec<Uuid>),
    /// All, or none if it is `false`.
    All(bool),
}

/// What came of dropping.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dropped {
    /// How many dead letters there were, and are no longer.
    pub(crate) dropped: usize,
    /// Those that were to be dropped and stay: their commands wait in the inbox to be run again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) waiting: Vec<Uuid>,
    /// Those that were not in the archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing: Vec<Uuid>,
}

impl AddAssign for Dropped {
    fn add_assign(&mut self, other: Dropped) {
        self.dropped += other.dropped;
        self.waiting.extend(other.waiting);
        self.missing.extend(other.missing);
    }
}

async fn drop_dead_letters(State(app): State<Shared>, request: Request) -> Answer {
    let payload = admit(&app, request).await?;
    let which = serde_json::from_slice(&payload).map_err(malformed)?;
    let dropped = drop_from(&app.shown.store, &app.topics, which).await;
    Ok(written(StatusCode::OK, to_json(&dropped.map_err(no_store)?)))
}

fn malformed(error: serde_json::Error) -> Refusal {
    let message = format!("which dead letters are to be dropped cannot be understood: {error}");
    let remedy = r#"send {"ids":[..]} with the ids of dead letters, or {"all":true}"#;
    Refusal::new(StatusCode::BAD_REQUEST, ErrorKind::Decode, message, remedy)
}

/// Drops dead letters, but for those whose replay waits in the inbox: the command is taken from the dead letter when
/// its turn comes. By its `topics` the bridge knows a replay.
///
/// # Errors
/// When the store fails.
pub(crate) async fn drop_from(store: &Store, topics: &Topics, which: ToDrop) -> Result<Dropped, StoreError> {
    let mut waiting = waiting(store, topics).await?;
    let mut asked = Vec::new();
    let dead_letters = match which {
        ToDrop::All(true) => DeadLetterSet::AllBut(waiting.clone()),
        ToDrop::All(false) => return Ok(Dropped::default()),
        ToDrop::Ids(mut ids) => {
            ids.sort();
            ids.dedup();
            waiting.retain(|id| ids.contains(id));
            ids.retain(|id| !waiting.contains(id));
            asked.clone_from(&ids);
            DeadLetterSet::These(ids)
        }
    };
    let dropped = store.drop_dead_letters(dead_letters).await?;
    asked.retain(|id| !dropped.contains(id));
    Ok(Dropped {
        dropped: dropped.len(),
        waiting,
        missing: asked,
    })
}

/// The dead letters whose command waits in the inbox to be run again.
async fn waiting(store: &Store, topics: &Topics) -> Result<Vec<Uuid>, StoreError> {
    let now = Timestamp::now();
    let inbox = store.inbox().await?;
    let commands = inbox.iter().map(|waiting| &waiting.command);
    let mut ids: Vec<_> = commands
        .filter_map(|command| dead_letter_of(topics, command, now))
        .collect();
    ids.sort();
    ids.dedup();
    let mut waiting = Vec::new();
    for id in ids {
        if store.dead_letter(id).await?.is_some() {
            waiting.push(id);
        }
    }
    Ok(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CommandTopic, DeadLetter, DeviceId, ErrorReport, Operation};
    use crate::records::store::{End, Options};
    use crate::records::{Received, dead_letter};

    fn id(id: u128) -> Uuid {
        Uuid::from_u128(id)
    }

    /// A store with these dead letters, the oldest first.
    async fn store(ids: &[u128], bridge: &DeviceId) -> Store {
        let store = Store::in_memory(Options::new(bridge.clone()));
        let dead_letters = ids.iter().map(|number| {
            let error = ErrorReport::new(ErrorKind::Busy, "eight wait", "wait");
            let dead_letter = DeadLetter {
                id: id(*number),
                ..dead_letter::new(Operation::Refresh, error, Timestamp::now())
            };
            dead_letter::record(&dead_letter, bridge)
        });
        store.append(dead_letters.collect()).await;
        store
    }

    #[tokio::test]
    async fn a_dead_letter_whose_replay_waits_is_not_dropped_and_an_unknown_one_is_named() {
        let bridge = DeviceId::new("site-1").unwrap();
        let topics = Topics::new("lantime", bridge.clone());
        let store = store(&[1, 2, 3], &bridge).await;
        let replay = topics.command(&CommandTopic::Replay);
        let command = |topic: &str, number| {
            Received::local(
                topic.to_owned(),
                serde_json::json!({ "id": id(number) }).to_string(),
            )
        };
        let commands = vec![
            command(&replay, 2),
            command(&replay, 2),
            command(&replay, 9),
            command("lantime/m3000-a/refresh", 3),
        ];
        let numbers = store.receive(commands).await.unwrap();
        let drop = async |which| drop_from(&store, &topics, which).await.unwrap();
        let outcome = |dropped, waiting: &[u128], missing: &[u128]| Dropped {
            dropped,
            waiting: waiting.iter().copied().map(id).collect(),
            missing: missing.iter().copied().map(id).collect(),
        };
        let ids = ToDrop::Ids([1, 2, 1, 9].map(id).to_vec());
        assert_eq!(drop(ids).await, outcome(1, &[2], &[9]));
        assert_eq!(drop(ToDrop::All(false)).await, outcome(0, &[], &[]));
        assert_eq!(drop(ToDrop::All(true)).await, outcome(1, &[2], &[]));
        assert!(store.dead_letter(id(2)).await.unwrap().is_some());
        for number in numbers {
            store.finish(number, End::default()).await;
        }
        assert_eq!(drop(ToDrop::All(true)).await, outcome(1, &[], &[]));
    }
}
