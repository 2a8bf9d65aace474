//! The history as CSV (RFC 4180): all that was asked for, a page at a time.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;

use super::json::Row;
use super::query::OfEntries;
use crate::records::store::{HistoryQuery, Store, StoreError};

/// Entries that are read at a time.
const AT_A_TIME: usize = 1000;
/// Parts that wait for the client.
const WAITING: usize = 2;

/// What is in the columns.
pub(crate) const HEAD: &str = "id,at,device,slot,relay,signal,event,old,new,cause,provenance,driven_by,takeover,not_observed_since,until,duration_s\r\n";

/// An entry as a line.
pub(crate) fn line(row: &Row) -> String {
    let or_none = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
    let lasted = row.duration_s.map(|seconds| seconds.to_string());
    let cells = [
        cell(&row.id),
        cell(&row.at),
        cell(&row.device),
        or_none(&row.slot),
        or_none(&row.relay),
        or_none(&row.signal),
        or_none(&row.event),
        cell(&row.old),
        cell(&row.new),
        or_none(&row.cause),
        or_none(&row.provenance),
        or_none(&row.driven_by),
        cell(if row.takeover { "true" } else { "" }),
        or_none(&row.not_observed_since),
        or_none(&row.until),
        or_none(&lasted),
    ];
    cells.join(",") + "\r\n"
}

/// A spreadsheet takes what begins so for a formula: not with an apostrophe before it.
pub(super) fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// The answer, which goes on as the client takes it.
pub(super) fn answer(store: Store, asked: OfEntries) -> Response {
    let (sender, parts) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        if let Err(error) = write(&store, asked, &sender).await {
            tracing::warn!(%error, "the history cannot be read to its end");
            // The connection ends without the end of the answer, so that nobody takes it for whole.
            let _ = sender.send(Err(error)).await;
        }
    });
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    (kind, Body::new(Parts(parts))).into_response()
}

/// Until there are no more, or nobody reads them.
async fn write(
    store: &Store,
    asked: OfEntries,
    to: &mpsc::Sender<Result<Bytes, StoreError>>,
) -> Result<(), StoreError> {
    let mut left = asked.limit.unwrap_or(usize::MAX);
    let mut query = HistoryQuery {
        limit: AT_A_TIME,
        ..asked.query()
    };
    let mut text = HEAD.to_owned();
    while left > 0 {
        query.limit = left.min(AT_A_TIME);
        let page = store.history(query.clone()).await?;
        left -= page.entries.len().min(left);
        query.before = page.entries.last().map(|found| found.number);
        text.extend(page.entries.iter().map(|found| line(&Row::from(found))));
        let part = Bytes::from(std::mem::take(&mut text));
        if to.send(Ok(part)).await.is_err() || !page.has_more {
            break;
        }
    }
    Ok(())
}

/// The parts as a body.
struct Parts(mpsc::Receiver<Result<Bytes, StoreError>>);

impl HttpBody for Parts {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        let next = self.0.poll_recv(context);
        next.map(|part| part.map(|part| part.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_columns_of_the_head_and_no_formula() {
        let row = Row {
            id: "1".to_owned(),
            at: "2026-02-10T09:45:48.123Z".to_owned(),
            device: "-m1".to_owned(),
            slot: Some("io3".to_owned()),
            relay: Some("a".to_owned()),
            signal: None,
            event: None,
            old: "NO".to_owned(),
            new: "NC".to_owned(),
            cause: Some("=a,\"b\"".to_owned()),
            provenance: None,
            driven_by: None,
            takeover: true,
            not_observed_since: None,
            until: None,
            duration_s: Some(1.5),
        };
        let line = line(&row);
        assert_eq!(
            line,
            "1,2026-02-10T09:45:48.123Z,'-m1,io3,a,,,NO,NC,\"'=a,\"\"b\"\"\",,,true,,,1.5\r\n"
        );
        let plain = line.replace("\"'=a,\"\"b\"\"\"", "");
        assert_eq!(plain.matches(',').count(), HEAD.matches(',').count());
    }
}
