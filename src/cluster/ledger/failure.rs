//! Why nothing was written.

use crate::cluster::entries::ShardId;
use crate::cluster::etcd::{Cause, Error};
use crate::records::store::StoreError;

/// Why nothing was written, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// etcd has not carried it out, or not answered.
    Etcd(Error),
    /// The permit has ended; it may be renewed.
    NoLease,
    /// The shard's key is another one, or another ledger writes with the same: for good.
    NotOwner,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Etcd(error)
    }
}

impl Failure {
    /// Whether it may have been written all the same.
    pub(super) fn is_outcome_unknown(&self) -> bool {
        matches!(self, Failure::Etcd(error) if error.is_outcome_unknown())
    }

    /// Whether a lease that was to be written with is no more.
    pub(super) fn is_lease_lost(&self) -> bool {
        matches!(self, Failure::Etcd(error) if *error.cause() == Cause::LeaseNotFound)
    }

    /// What whoever asked gets.
    pub(super) fn of_shard(&self, shard: ShardId) -> StoreError {
        match self {
            Failure::Etcd(error) => StoreError::Etcd {
                shard,
                reason: error.to_string(),
            },
            Failure::NoLease => StoreError::NoLease(shard),
            Failure::NotOwner => StoreError::NotOwner(shard),
        }
    }
}
