//! Several operations at once, carried out only if what they rest on still holds.

use super::keys::{Entry, Keys, LeaseId};
use super::wire::{
    Comparison, PutRequest, RangeRequest, Relation, RequestOp, ResponseOp, Target, TransactionAnswer,
    TransactionRequest,
};

/// What is to hold of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// There is no such key.
    Absent(Vec<u8>),
    /// There is such a key.
    Present(Vec<u8>),
    /// It was created by the transaction of that revision, and not deleted since.
    CreatedAt(Vec<u8>, i64),
    /// It was last written by the transaction of that revision.
    ModifiedAt(Vec<u8>, i64),
    /// It has that value.
    Value(Vec<u8>, Vec<u8>),
    /// It belongs to that lease.
    Lease(Vec<u8>, LeaseId),
}

/// One step of a transaction. A transaction has 128 at most, and writes no key twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Writes a key.
    Put {
        /// The key.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
        /// The lease with which it goes; none for a key that stays.
        lease: Option<LeaseId>,
    },
    /// Deletes keys.
    Delete(Keys),
    /// Reads keys, all in one answer.
    Range(Keys),
}

/// What has become of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transacted {
    /// Whether what was to hold did hold.
    pub succeeded: bool,
    /// The revision of etcd right after it; that of what it has written.
    pub revision: i64,
    /// One for each operation of those that were carried out.
    pub answers: Vec<Answer>,
}

/// What one operation gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The key is written.
    Put,
    /// So many keys are deleted.
    Deleted(u64),
    /// What is there, in order of the keys.
    Range(Vec<Entry>),
}

pub(super) fn request<'a>(
    compares: &'a [Compare],
    on_success: &'a [Operation],
    on_failure: &'a [Operation],
) -> TransactionRequest<'a> {
    TransactionRequest {
        compare: compares.iter().map(Compare::wire).collect(),
        success: on_success.iter().map(Operation::wire).collect(),
        failure: on_failure.iter().map(Operation::wire).collect(),
    }
}

impl Transacted {
    /// From the answer to that request, which is to have an answer for each operation. The error says what is wrong.
    pub(super) fn read(
        answer: TransactionAnswer,
        request: &TransactionRequest<'_>,
    ) -> Result<Transacted, String> {
        let operations = match answer.succeeded {
            true => &request.success,
            false => &request.failure,
        };
        let found = answer.responses.len();
        if found != operations.len() {
            let wanted = operations.len();
            return Err(format!("the answer has {found} results for {wanted} operations"));
        }
        Ok(Transacted {
            succeeded: answer.succeeded,
            revision: answer.header.revision,
            answers: answer.responses.into_iter().map(Answer::of).collect(),
        })
    }
}

impl Compare {
    fn wire(&self) -> Comparison<'_> {
        let created = |create_revision| Target::Create { create_revision };
        let (key, result, target) = match self {
            Compare::Absent(key) => (key, Relation::Equal, created(0)),
            Compare::Present(key) => (key, Relation::Greater, created(0)),
            Compare::CreatedAt(key, revision) => (key, Relation::Equal, created(*revision)),
            Compare::ModifiedAt(key, revision) => {
                let mod_revision = *revision;
                (key, Relation::Equal, Target::Mod { mod_revision })
            }
            Compare::Value(key, value) => (key, Relation::Equal, Target::Value { value }),
            Compare::Lease(key, lease) => (key, Relation::Equal, Target::Lease { lease: lease.0 }),
        };
        Comparison { key, result, target }
    }
}

impl Operation {
    pub(super) fn is_write(&self) -> bool {
        !matches!(self, Operation::Range(_))
    }

    fn wire(&self) -> RequestOp<'_> {
        match self {
            Operation::Put { key, value, lease } => RequestOp::Put(PutRequest {
                key,
                value,
                lease: lease.map_or(0, |lease| lease.0),
            }),
            Operation::Delete(keys) => RequestOp::DeleteRange(keys.range()),
            Operation::Range(keys) => RequestOp::Range(RangeRequest {
                keys: keys.range(),
                limit: 0,
                revision: 0,
                count_only: false,
            }),
        }
    }
}

impl Answer {
    fn of(response: ResponseOp) -> Answer {
        match response {
            ResponseOp::Put(_) => Answer::Put,
            ResponseOp::DeleteRange(answer) => Answer::Deleted(answer.deleted),
            ResponseOp::Range(answer) => Answer::Range(answer.kvs.into_iter().map(Entry::from).collect()),
        }
    }
}
