//! The Unix socket of the API, by which the command line of this machine reaches a bridge: a file in the state
//! directory, for the bridge's user (and root) alone.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::time::timeout;

/// The socket's name in the state directory.
pub const FILE_NAME: &str = "control.sock";
/// Longest path of a socket: `sun_path` of Linux without the zero at its end.
pub(crate) const MAX_PATH: usize = 107;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 16;
/// How often is looked whether the socket is still there, while nobody connects.
const LOOK_EVERY: Duration = Duration::from_secs(20);

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

/// A socket that listens. It is made again where its file is deleted, and the file is removed on drop.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    file: FileId,
    listener: UnixListener,
    /// Whether it was logged that the file is missing.
    is_reported: bool,
}

/// Device and inode. A socket that listens keeps its inode, so that no other file gets the same.
type FileId = (u64, u64);

impl Socket {
    /// Listens in `directory`, for this user alone. The caller has the store of that directory open: a socket that is
    /// there already was left by a bridge that was killed, and is replaced.
    pub(super) fn bind(directory: &Path) -> Result<Socket, SocketError> {
        let path = path_in(directory)?;
        match listen(&path) {
            Ok((listener, file)) => Ok(Socket {
                path,
                file,
                listener,
                is_reported: false,
            }),
            Err(error) => Err(SocketError::Bind {
                path,
                reason: error.to_string(),
            }),
        }
    }

    pub(super) async fn accept(&mut self) -> io::Result<UnixStream> {
        loop {
            match timeout(LOOK_EVERY, self.listener.accept()).await {
                Ok(accepted) => return Ok(accepted?.0),
                Err(_) => self.restore().await,
            }
        }
    }

    /// Makes the socket again if its file is missing, unless another bridge listens there now. A failure is retried
    /// at the next look: the directory may be missing.
    async fn restore(&mut self) {
        if self.is_there() {
            return;
        }
        let made = match UnixStream::connect(&self.path).await {
            Ok(_) => return,
            Err(error) if is_unused(&error) => listen(&self.path),
            Err(error) => Err(error),
        };
        match made {
            Ok((listener, file)) => {
                (self.listener, self.file, self.is_reported) = (listener, file, false);
                tracing::info!(socket = %self.path.display(), "control socket made again: its file was missing");
            }
            Err(error) if !std::mem::replace(&mut self.is_reported, true) => tracing::warn!(
                socket = %self.path.display(),
                %error,
                "control socket missing, so healthcheck and dead-letters find no bridge; it cannot be made again yet, and this \
                 is retried until state.directory can be written"
            ),
            Err(_) => {}
        }
    }

    fn is_there(&self) -> bool {
        file_id(&self.path).is_ok_and(|file| file == self.file)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if !self.is_there() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(socket = %self.path.display(), %error, "the control socket stays");
        }
    }
}

/// Whether nobody listens where a connection failed so.
fn is_unused(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn file_id(path: &Path) -> io::Result<FileId> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

fn listen(path: &Path) -> io::Result<(UnixListener, FileId)> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => fs::remove_file(path)?,
        _ => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    // Before it listens, so that nobody else can ever connect.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let file = file_id(path)?;
    Ok((socket.listen(BACKLOG)?, file))
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

    #[tokio::test(start_paused = true)]
    async fn it_is_made_again_when_the_directory_is_there_again() {
        let directory = TempDir::new().unwrap();
        let path = path_in(directory.path()).unwrap();
        let mut socket = Socket::bind(directory.path()).unwrap();
        fs::remove_dir_all(directory.path()).unwrap();
        socket.restore().await;
        assert!(!directory.path().exists(), "it may be a disk that is not mounted");
        fs::create_dir(directory.path()).unwrap();
        let (accepted, client) = tokio::join!(socket.accept(), async {
            while !path.exists() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            UnixStream::connect(&path).await
        });
        assert!(accepted.is_ok() && client.is_ok());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_socket_of_another_bridge_stays() {
        let directory = TempDir::new().unwrap();
        let path = path_in(directory.path()).unwrap();
        let mut socket = Socket::bind(directory.path()).unwrap();
        fs::remove_file(&path).unwrap();
        let other = LeftListener::bind(&path).unwrap();
        let file = file_id(&path).unwrap();
        socket.restore().await;
        assert_eq!(file_id(&path).unwrap(), file);
        // Its end leaves the file, to which nobody listens.
        drop(other);
        socket.restore().await;
        assert!(socket.is_there());
        fs::remove_file(&path).unwrap();
        let _other = LeftListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_reported_with_the_key_that_changes_it() {
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
