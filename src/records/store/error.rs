//! Why the store could not be opened or used.

use std::path::PathBuf;

use crate::model::ShardId;

/// Why the store could not be opened or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("{0} is already in use by another lantime2mqtt; stop that one, or set another state.directory")]
    InUse(PathBuf),
    /// The directory or file cannot be made or opened.
    #[error("cannot open {path}: {reason}; check that state.directory exists and may be written")]
    Open {
        /// What was to be opened.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A later version of this program has written it.
    #[error(
        "{path} was written by a later lantime2mqtt (format {format}); use that version, or set another \
         state.directory"
    )]
    Later {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// Reading or writing failed.
    #[error("cannot use the durable store: {0}; check the disk of state.directory")]
    Io(String),
    /// No room for another command.
    #[error("{0} commands wait for their answer already; send this one again later")]
    InboxFull(usize),
    /// etcd has not taken a command of a shard, or what became of one; it says why, and the remedy.
    #[error("cannot keep the commands of shard {shard}: {reason}")]
    Etcd {
        /// The shard.
        shard: ShardId,
        /// Why not, and what to do.
        reason: String,
    },
    /// This bridge has not renewed its lease in time, so it may not write for this shard at this moment.
    #[error(
        "this bridge has no valid lease for shard {0}, so it takes none of its commands now; check that etcd runs and that \
         this host reaches it, and send the command again"
    )]
    NoLease(ShardId),
    /// This bridge owns this shard no longer, or not by the key for which the commands were read.
    #[error("this bridge does not own shard {0} any more; send the command again, and its owner takes it")]
    NotOwner(ShardId),
    /// There is no such command in the inbox (any more).
    #[error("command {0} is no longer in the inbox")]
    Finished(u64),
}
