//! What the handles ask of the thread that owns the database.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::tables::Writing;
use super::{AnswerKey, End, Letters, StoreError, Waiting};
use crate::contract::dead_letter::Summary;
use crate::model::DeadLetter;
use crate::records::{Received, Record};

/// Where an answer goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// One call of a handle.
pub(super) enum Job {
    Append(Vec<Record>, oneshot::Sender<()>),
    Sent(Vec<u64>),
    Finish(u64, End, oneshot::Sender<()>),
    Change(Request),
    Read(Read),
}

/// A look at what is stored. It sees every change that was asked for before.
pub(super) enum Read {
    PublishedTopics(Answer<Vec<String>>),
    Outbox {
        after: u64,
        max_entries: usize,
        max_bytes: usize,
        answer: Answer<Vec<(u64, Record)>>,
    },
    Inbox(Answer<Vec<Waiting>>),
    Answer(AnswerKey, Answer<Option<Bytes>>),
    DeadLetters(usize, Answer<Vec<Summary>>),
    DeadLetter(Uuid, Answer<Option<Bytes>>),
    StandingFailures(Answer<Vec<DeadLetter>>),
}

/// A change that is on disk or not done at all.
pub(super) enum Request {
    PublishedTopics {
        add: Vec<Arc<str>>,
        remove: Vec<Arc<str>>,
        reply: Reply<()>,
    },
    Receive(Vec<Received>, Reply<Vec<u64>>),
    Attempt(u64, Reply<u32>),
    DropLetters(Letters, Reply<usize>),
}

/// What came of a request. It is sent when its transaction has ended, well or not.
pub(super) struct Reply<T> {
    answer: Answer<T>,
    result: Option<Result<T, StoreError>>,
}

impl<T> Reply<T> {
    pub(super) fn new(answer: Answer<T>) -> Reply<T> {
        Reply { answer, result: None }
    }

    fn send(self, failure: Option<&StoreError>) {
        let result = match (failure, self.result) {
            (None, Some(result)) => result,
            (Some(failure), _) => Err(failure.clone()),
            (None, None) => Err(StoreError::Io("it was not tried".to_owned())),
        };
        // Who asked may have gone.
        let _ = self.answer.send(result);
    }
}

impl Request {
    /// Does it, within a transaction.
    pub(super) fn run(&mut self, writing: &mut Writing<'_, '_>) -> Result<(), redb::Error> {
        match self {
            Request::PublishedTopics { add, remove, reply } => {
                for topic in remove {
                    writing.tables.published.remove(topic.as_ref())?;
                }
                for topic in add {
                    writing.tables.published.insert(topic.as_ref(), ())?;
                }
                reply.result = Some(Ok(()));
            }
            Request::Receive(commands, reply) => reply.result = Some(writing.receive(commands)?),
            Request::Attempt(number, reply) => reply.result = Some(writing.attempt(*number)?),
            Request::DropLetters(which, reply) => reply.result = Some(Ok(writing.drop_letters(which)?)),
        }
        Ok(())
    }

    /// Sends what came of it.
    pub(super) fn send(self, failure: Option<&StoreError>) {
        match self {
            Request::PublishedTopics { reply, .. } => reply.send(failure),
            Request::Receive(_, reply) => reply.send(failure),
            Request::Attempt(_, reply) => reply.send(failure),
            Request::DropLetters(_, reply) => reply.send(failure),
        }
    }
}
