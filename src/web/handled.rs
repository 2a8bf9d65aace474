//! Marking dead letters as handled. The command line does the same in the store of a bridge that does not run.

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
use crate::contract::dead_letter_marks::Handled;
use crate::contract::{Time, to_json};
use crate::model::ErrorKind;
use crate::records::store::{Store, StoreError};
use crate::wording::{MAX_NAME, is_name, quoted};

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/api/dead-letters/handled", post(handled))
}

/// Which dead letters are to be marked, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToMark {
    pub(crate) ids: Vec<Uuid>,
    /// Whether they are handled from now on; they are not any more, if it is `false`.
    #[serde(default = "yes")]
    pub(crate) handled: bool,
    /// Who has handled them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

fn yes() -> bool {
    true
}

/// What came of marking.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marked {
    /// How many dead letters are marked so now.
    pub(crate) marked: usize,
    /// Those that were not in the archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing: Vec<Uuid>,
}

impl Marked {
    /// The same of other dead letters.
    pub(crate) fn add(&mut self, other: Marked) {
        self.marked += other.marked;
        self.missing.extend(other.missing);
    }
}

async fn handled(State(app): State<Shared>, request: Request) -> Answer {
    let payload = admit(&app, request).await?;
    let to_mark: ToMark = serde_json::from_slice(&payload).map_err(malformed)?;
    if let Some(by) = to_mark.by.as_deref().filter(|by| !is_name(by)) {
        return Err(no_name(by));
    }
    let marked = mark_in(&app.shown.store, to_mark).await.map_err(no_store)?;
    Ok(written(StatusCode::OK, to_json(&marked)))
}

fn malformed(error: serde_json::Error) -> Refusal {
    let message = format!("which dead letters are handled cannot be understood: {error}");
    let remedy =
        r#"send {"ids":[..],"by":"name"}, or {"ids":[..],"handled":false} where they are not any more"#;
    Refusal::new(StatusCode::BAD_REQUEST, ErrorKind::Decode, message, remedy)
}

fn no_name(by: &str) -> Refusal {
    let message = format!("{} cannot stand in \"by\"", quoted(by));
    let remedy = format!("write a name of 1 to {MAX_NAME} characters without control characters");
    Refusal::new(StatusCode::BAD_REQUEST, ErrorKind::Rejected, message, remedy)
}

/// Marks dead letters, now.
///
/// # Errors
/// When the store fails.
pub(crate) async fn mark_in(store: &Store, to_mark: ToMark) -> Result<Marked, StoreError> {
    let ToMark { mut ids, handled, by } = to_mark;
    ids.sort();
    ids.dedup();
    let at = Time(Timestamp::now());
    let mark = handled.then_some(Handled { at, by });
    let found = store.mark_handled(ids.clone(), mark).await?;
    ids.retain(|id| !found.contains(id));
    Ok(Marked {
        marked: found.len(),
        missing: ids,
    })
}
