//! The number of a session (`bdSeq`), by which a host knows to which birth a death belongs. Kept over restarts: a death
//! that comes late, of the process before, must not be taken for one of this.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Where the number of the last session is kept.
#[derive(Debug)]
pub enum LastSession {
    /// In a file of that directory.
    In(PathBuf),
    /// Others keep it: what is put there, they write. It begins with what was kept so far.
    Elsewhere(watch::Sender<Option<u8>>),
}

/// The file in the state directory.
fn file(directory: &Path) -> PathBuf {
    directory.join("sparkplug.json")
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Of the last connection that the broker has accepted.
    bd_seq: u8,
}

/// Gives the numbers.
#[derive(Debug)]
pub(super) struct Sessions {
    place: LastSession,
    last: Option<u8>,
}

impl Sessions {
    /// Goes on after what an earlier run has left there. What cannot be read is logged, and counts as nothing.
    pub(super) fn open(place: LastSession) -> Sessions {
        let last = match &place {
            LastSession::In(directory) => read_or_none(&file(directory)),
            LastSession::Elsewhere(last) => *last.borrow(),
        };
        Sessions { place, last }
    }

    /// The number of the next connection: 0 to 255, and round again. An attempt that fails does not use it up.
    pub(super) fn next(&self) -> u8 {
        self.last.map_or(0, |last| last.wrapping_add(1))
    }

    /// The broker has accepted the connection of that number. Blocks for a moment.
    pub(super) fn connected(&mut self) {
        let bd_seq = self.next();
        self.last = Some(bd_seq);
        match &self.place {
            LastSession::In(directory) => write_or_warn(&file(directory), bd_seq),
            LastSession::Elsewhere(last) => drop(last.send_replace(self.last)),
        }
    }
}

fn read_or_none(path: &Path) -> Option<u8> {
    read(path).unwrap_or_else(|error| {
        tracing::warn!(
            "{} cannot be read, so sessions are numbered from 0 again: {error}",
            path.display()
        );
        None
    })
}

fn write_or_warn(path: &Path, bd_seq: u8) {
    if let Err(error) = write(path, bd_seq) {
        tracing::warn!(
            "{} cannot be written: {error}; let the user of this process write there, or the next run uses session numbers again",
            path.display()
        );
    }
}

fn read(path: &Path) -> io::Result<Option<u8>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice::<Kept>(&bytes)?.bd_seq)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whole, or not at all. Not synced: each connection writes it, and after a power cut the broker has published the
/// deaths of earlier sessions long ago.
fn write(path: &Path, bd_seq: u8) -> io::Result<()> {
    let next = path.with_extension("json.next");
    std::fs::write(&next, serde_json::to_vec(&Kept { bd_seq })?)?;
    std::fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(sessions: &mut Sessions) -> u8 {
        let bd_seq = sessions.next();
        sessions.connected();
        bd_seq
    }

    fn of_file(directory: &tempfile::TempDir) -> Sessions {
        Sessions::open(LastSession::In(directory.path().to_owned()))
    }

    #[test]
    fn numbers_go_on_over_restarts_and_come_round() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = of_file(&directory);
        assert_eq!([connect(&mut first), connect(&mut first)], [0, 1]);
        let mut second = of_file(&directory);
        assert_eq!(connect(&mut second), 2);
        for _ in 3..=255 {
            connect(&mut second);
        }
        assert_eq!(of_file(&directory).next(), 0);
    }

    #[test]
    fn an_attempt_that_fails_uses_no_number_up() {
        let directory = tempfile::tempdir().unwrap();
        let mut sessions = of_file(&directory);
        assert_eq!([sessions.next(), sessions.next()], [0, 0]);
        assert_eq!(of_file(&directory).next(), 0);
        sessions.connected();
        assert_eq!(sessions.next(), 1);
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        for damaged in ["", "{}", r#"{"bd_seq":256}"#] {
            std::fs::write(file(directory.path()), damaged).unwrap();
            assert_eq!(of_file(&directory).next(), 0, "{damaged}");
        }
    }

    #[test]
    fn where_others_keep_the_number_each_is_given_to_them() {
        let (kept, mut watched) = watch::channel(Some(6));
        let mut sessions = Sessions::open(LastSession::Elsewhere(kept));
        assert_eq!(sessions.next(), 7);
        assert!(!watched.has_changed().unwrap(), "it is not connected");
        sessions.connected();
        assert_eq!((*watched.borrow_and_update(), sessions.next()), (Some(7), 8));
    }
}
