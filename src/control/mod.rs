//! The control socket: what the command line of this machine asks of a running bridge.
//!
//! A Unix socket in the state directory, for the bridge's user (and root) alone. Each line is a JSON object:
//! a [`Request`] one way, `{"ok":true,"result":..}` or `{"ok":false,"error":{..}}` the other. [`server`] is the
//! bridge's end and [`client`] the command line's; [`answer`](answer()) is what is done, so that the command
//! line can do it itself where no bridge runs.

mod answer;
pub mod client;
pub mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::model::{ErrorKind, ErrorReport};
use crate::records::store::StoreError;

pub(crate) use answer::unknown;
pub use answer::{Dropped, answer};

/// The socket's name in the state directory.
pub const FILE_NAME: &str = "control.sock";

/// Longest path of a socket: `sun_path` of Linux without the zero at its end.
pub(crate) const MAX_PATH: usize = 107;
/// Longest request: the ids of some twenty thousand dead letters.
const MAX_REQUEST: usize = 1024 * 1024;
/// How long either end waits for the other, where that has nothing to wait for itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Summaries of the dead letters in the archive, the newest first.
    List {
        /// At most so many.
        limit: usize,
    },
    /// A dead letter, as it was published.
    Show {
        /// Which one.
        id: Uuid,
    },
    /// Drop these dead letters.
    Drop {
        /// Which ones.
        ids: Vec<Uuid>,
    },
    /// Drop all dead letters.
    DropAll {},
    /// Run the command of a dead letter once more; the result is its reply.
    Replay {
        /// Which one.
        id: Uuid,
    },
}

/// What comes of a request: a JSON value.
pub type Answer = Result<Box<RawValue>, Fault>;

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Stable short name, as in replies to commands.
    pub kind: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Fault {
    fn new(kind: ErrorKind, message: impl Into<String>, remedy: impl Into<String>) -> Fault {
        ErrorReport::new(kind, message, remedy).into()
    }
}

impl From<ErrorReport> for Fault {
    fn from(report: ErrorReport) -> Fault {
        Fault {
            kind: report.kind.as_str().to_owned(),
            message: report.message,
            remedy: report.remedy,
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        // What it says ends in a remedy already.
        Fault::new(
            ErrorKind::Storage,
            error.to_string(),
            "ask again when the store works",
        )
    }
}

/// An answer as a line.
#[derive(Serialize, Deserialize)]
struct Line {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
}

/// Why the socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The system takes no such path.
    #[error(
        "the path of the control socket has {length} bytes, and the system takes at most {MAX_PATH}: {path}; set a shorter state.directory"
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// The socket cannot be made.
    #[error(
        "cannot listen at {path}: {reason}; check that nothing else is there, and that state.directory may be written"
    )]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No bridge runs, as far as the socket tells.
    #[error(
        "no bridge listens at {0}; one that is starting or stopping does not yet or no longer: try again"
    )]
    NobodyThere(PathBuf),
    /// The socket is there, and not for us.
    #[error("cannot connect to {path}: {reason}; run this as the user of the bridge, or as root")]
    Connect {
        /// Where.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No answer in time.
    #[error("the bridge at {0} does not answer; see its log")]
    Timeout(PathBuf),
    /// The connection ended without an answer.
    #[error("the bridge at {0} has ended the connection without an answer; see its log")]
    Ended(PathBuf),
    /// An answer that makes no sense.
    #[error("the answer from {0} cannot be understood; is the bridge of another version?")]
    Answer(PathBuf),
}

/// Where the socket of a state directory is.
///
/// # Errors
/// When the system takes no path that long.
pub fn socket(directory: &Path) -> Result<PathBuf, ControlError> {
    let path = directory.join(FILE_NAME);
    match path.as_os_str().len() {
        0..=MAX_PATH => Ok(path),
        length => Err(ControlError::PathTooLong { path, length }),
    }
}

#[cfg(test)]
mod tests;
