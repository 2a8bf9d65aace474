//! The file of the database at its path: opened, missed when somebody deletes or replaces it, and written again with what
//! it held. A damaged file, and another one that took its place, are set aside.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use redb::{Database, DatabaseError};

use super::StoreError;

/// The suffix of a copy that is to take the file's place.
const PARTIAL: &str = ".partial";

/// A path, and the file that was opened there.
#[derive(Debug)]
pub(super) struct StoreFile {
    pub(super) path: PathBuf,
    cache_bytes: usize,
    /// Beside the database's own handle, which ends with the database: what a deleted file held can still be read.
    opened: Option<File>,
    /// Where another file is that took its place, until that is reported.
    displaced: Option<PathBuf>,
}

impl StoreFile {
    pub(super) fn new(path: PathBuf, cache_bytes: usize) -> StoreFile {
        StoreFile {
            path,
            cache_bytes,
            opened: None,
            displaced: None,
        }
    }

    /// Takes up the copy that a process has left which died while it wrote a replaced file again: once the other file was
    /// set aside, that copy was all there is. One that was not finished is damaged.
    pub(super) fn take_up_copy(&self) -> io::Result<()> {
        let partial = with_suffix(&self.path, PARTIAL);
        if self.path.try_exists()? || !partial.try_exists()? {
            return Ok(());
        }
        let file = self.path.display();
        tracing::warn!(%file, "the durable store is missing: the copy beside it, which an earlier run wrote, is used");
        fs::rename(&partial, &self.path)?;
        self.sync_directory()
    }

    /// Opens the database, which is not open. A file that was deleted or replaced is written again, with what it held,
    /// where its directory is there.
    pub(super) fn open(&mut self) -> Result<Database, redb::Error> {
        self.restore()?;
        // Made here for its mode; the database takes an empty file for a new one.
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path)
        {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::metadata(&self.path)?.len() == 0 {
                    return Err(redb::Error::Corrupted("the file is empty".to_owned()));
                }
            }
            Err(error) => return Err(error.into()),
        }
        let database = builder(self.cache_bytes).create(&self.path)?;
        self.opened = Some(File::open(&self.path)?);
        Ok(database)
    }

    /// Whether the file that was opened last is still the one at the path.
    ///
    /// # Errors
    /// With what has happened to it.
    pub(super) fn check(&self) -> Result<(), String> {
        let Some(opened) = &self.opened else { return Ok(()) };
        let path = self.path.display();
        let there = fs::metadata(&self.path).map_err(|error| {
            format!("{path} cannot be found any more, it or its directory was removed: {error}")
        })?;
        let opened = opened.metadata().map_err(|error| error.to_string())?;
        if !is_same(&there, &opened) {
            return Err(format!(
                "{path} is another file than the one that was opened, it or its directory was replaced"
            ));
        }
        if there.len() == 0 {
            return Err(format!("{path} was emptied"));
        }
        Ok(())
    }

    /// Where another file is now that had taken its place; once.
    pub(super) fn take_displaced(&mut self) -> Option<PathBuf> {
        self.displaced.take()
    }

    /// Writes the file again that was opened last, where it is not at its path any more. What is there instead is set
    /// aside: numbers of records and commands are good for one file only.
    fn restore(&mut self) -> Result<(), redb::Error> {
        let Some(opened) = &mut self.opened else {
            return Ok(());
        };
        let is_free = !self.path.try_exists()?;
        if !is_free {
            let (there, opened) = (fs::metadata(&self.path)?, opened.metadata()?);
            if is_same(&there, &opened) {
                return Ok(());
            }
        }
        if !self.path.parent().is_some_and(Path::is_dir) {
            return Ok(());
        }
        // Another process that writes it would set ours aside in turn.
        if !is_free && is_in_use(&self.path) {
            return Err(redb::Error::DatabaseAlreadyOpen);
        }
        let partial = with_suffix(&self.path, PARTIAL);
        copy(opened, &partial)?;
        let copied = File::open(&partial)?;
        let file = self.path.display();
        if is_free {
            tracing::warn!(%file, "the durable store was deleted, and is written again with all that it held");
        } else {
            let aside = self.rename_aside("foreign")?;
            tracing::error!(
                %file, set_aside_as = %aside.display(),
                "another file took the place of the durable store: it is set aside, and the store is written again with \
                 all that it held"
            );
            self.displaced = Some(aside);
        }
        fs::rename(&partial, &self.path)?;
        self.opened = Some(copied);
        Ok(self.sync_directory()?)
    }

    /// What was renamed stays so when the power fails.
    fn sync_directory(&self) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }

    /// Puts a damaged file out of the way; gives where it is.
    pub(super) fn set_aside(&mut self) -> Result<PathBuf, StoreError> {
        let aside = self.rename_aside("damaged").map_err(|error| StoreError::Open {
            path: self.path.clone(),
            reason: format!("it is damaged and cannot be set aside: {error}"),
        })?;
        self.opened = None;
        Ok(aside)
    }

    fn rename_aside(&self, what: &str) -> io::Result<PathBuf> {
        let at = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let aside = with_suffix(&self.path, &format!(".{what}-{at}"));
        fs::rename(&self.path, &aside)?;
        Ok(aside)
    }

    /// Gives the file to the owner of an earlier one: root, who only looks at dead letters, must not lock the bridge
    /// out. Anybody else is the owner already.
    pub(super) fn keep_owner(&self, of: &Path) {
        let kept = fs::metadata(of)
            .and_then(|of| std::os::unix::fs::chown(&self.path, Some(of.uid()), Some(of.gid())));
        if let Err(error) = kept {
            let file = self.path.display();
            tracing::warn!(%file, %error, "the durable store may have another owner than before");
        }
    }
}

/// What every database is made by.
pub(super) fn builder(cache_bytes: usize) -> redb::Builder {
    let mut builder = redb::Builder::new();
    // Without the check a damaged page shows up at any later time, or as a panic.
    builder
        .set_cache_size(cache_bytes)
        .set_check_integrity_on_open(true);
    builder
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Opens it for reading alone, and closes it again.
pub(super) fn try_read(path: &Path) -> Result<(), DatabaseError> {
    redb::Builder::new().open_read_only(path).map(drop)
}

/// Whether a process has that database open. Changes nothing in it.
fn is_in_use(path: &Path) -> bool {
    matches!(try_read(path), Err(DatabaseError::DatabaseAlreadyOpen))
}

/// All of `from`, on disk.
fn copy(from: &mut File, to: &Path) -> io::Result<()> {
    let mut copy = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(to)?;
    from.rewind()?;
    io::copy(from, &mut copy)?;
    copy.sync_all()
}
