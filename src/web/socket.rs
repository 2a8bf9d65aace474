//! The Unix socket of the API, by which the command line of this machine reaches a bridge: a file in the state
//! directory, for the bridge's user (and root) alone.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// The socket's name in the state directory.
pub const FILE_NAME: &str = "control.sock";
/// Longest path of a socket: `sun_path` of Linux without the zero at its end.
pub(crate) const MAX_PATH: usize = 107;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 16;

/// Why there can be no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
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
}

/// Where the socket of a state directory is.
///
/// # Errors
/// When the system takes no path that long.
pub fn path_in(directory: &Path) -> Result<PathBuf, SocketError> {
    let path = directory.join(FILE_NAME);
    match path.as_os_str().len() {
        0..=MAX_PATH => Ok(path),
        length => Err(SocketError::PathTooLong { path, length }),
    }
}

/// A socket that listens; its file is removed on drop.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    /// Listens in `directory`, for this user alone. The caller has the store of that directory open: a socket that is
    /// there already was left by a bridge that was killed, and is replaced.
    pub(super) fn bind(directory: &Path) -> Result<Socket, SocketError> {
        let path = path_in(directory)?;
        match listen(&path) {
            Ok(listener) => Ok(Socket { path, listener }),
            Err(error) => Err(SocketError::Bind {
                path,
                reason: error.to_string(),
            }),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(socket = %self.path.display(), %error, "the control socket stays");
        }
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => fs::remove_file(path)?,
        _ => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    // Before it listens, so that nobody else can ever connect.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener as LeftListener;

    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn only_this_user_may_connect_and_what_a_killed_bridge_left_is_replaced() {
        let directory = TempDir::new().unwrap();
        let path = path_in(directory.path()).unwrap();
        // Its end leaves the file.
        drop(LeftListener::bind(&path).unwrap());
        let socket = Socket::bind(directory.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(UnixStream::connect(&path).await.is_ok());
        drop(socket);
        assert!(!path.exists());

        fs::write(&path, "not ours").unwrap();
        let error = Socket::bind(directory.path()).unwrap_err().to_string();
        assert!(
            error.contains("cannot listen") && error.contains(FILE_NAME),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "not ours");
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_told_with_the_key_that_changes_it() {
        let directory = TempDir::new().unwrap();
        let room = MAX_PATH - FILE_NAME.len() - 1;
        let mut path = directory.path().to_owned();
        while path.as_os_str().len() < room - 1 {
            path.push("d");
        }
        fs::create_dir_all(&path).unwrap();
        assert!(Socket::bind(&path).is_ok(), "{}", path.display());
        let error = Socket::bind(&path.join("dd")).unwrap_err();
        assert!(matches!(error, SocketError::PathTooLong { .. }), "{error}");
        assert!(error.to_string().contains("shorter state.directory"), "{error}");
    }
}
