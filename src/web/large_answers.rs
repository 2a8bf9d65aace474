//! Answers that are large where there are many devices: written beside the thread that serves all others, and so many at a
//! time, until they have been read.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::answer::Refusal;
use crate::model::ErrorKind;

/// Of a thousand devices the metrics are megabytes: so many answers at a time, whoever asks.
const AT_A_TIME: usize = 4;
/// How long the others wait for their turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// Places for large answers.
#[derive(Debug)]
pub(super) struct LargeAnswers(Arc<Semaphore>);

impl Default for LargeAnswers {
    fn default() -> LargeAnswers {
        LargeAnswers(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

impl LargeAnswers {
    /// A place for the work on an answer.
    ///
    /// # Errors
    /// When all are taken, and stay so.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = Arc::clone(&self.0).acquire_owned();
        match timeout(TURN_WITHIN, turn).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// The answer of that content type that `write` gives.
    pub(super) async fn answer<T>(
        &self,
        kind: &'static str,
        write: impl FnOnce() -> T + Send + 'static,
    ) -> Response
    where
        T: AsRef<[u8]> + Send + 'static,
    {
        let place = match self.place().await {
            Ok(place) => place,
            Err(refusal) => return refusal.into_response(),
        };
        let write = move || Held {
            content: write(),
            _place: place,
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(held) => ([(CONTENT_TYPE, kind)], Bytes::from_owner(held)).into_response(),
            Err(error) => {
                tracing::error!("response cannot be written: {error}");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                let (message, remedy) = ("the response cannot be written", "read the log of the bridge");
                Refusal::new(status, ErrorKind::Internal, message, remedy).into_response()
            }
        }
    }
}

fn busy() -> Refusal {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let message = format!("{AT_A_TIME} large answers are being read, and none was taken in time");
    Refusal::new(status, ErrorKind::Busy, message, "ask again, and less often")
}

/// An answer, with its place until it has been read.
struct Held<T> {
    content: T,
    _place: OwnedSemaphorePermit,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        self.content.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[tokio::test]
    async fn an_answer_has_its_place_until_it_has_been_read() {
        let large = LargeAnswers::default();
        let answer = async || large.answer("text/plain", || "x").await;
        let mut unread = Vec::new();
        for _ in 0..AT_A_TIME {
            unread.push(answer().await);
        }
        tokio::time::pause();
        let refused = answer().await;
        tokio::time::resume();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
        unread.pop();
        assert_eq!(answer().await.status(), StatusCode::OK);
    }
}
