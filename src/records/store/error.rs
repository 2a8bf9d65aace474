//! Why the store could not be opened or used.

use std::path::PathBuf;

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
    /// There is no such command in the inbox (any more).
    #[error("command {0} is no longer in the inbox")]
    Finished(u64),
}
