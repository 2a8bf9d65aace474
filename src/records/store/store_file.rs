//! The file of the database at its path: opened, missed when somebody deletes or replaces it, written again with what
//! it held, and set aside when it is damaged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use redb::Database;

use super::StoreError;
use super::file::builder;

/// A path, and the file that was opened there.
#[derive(Debug)]
pub(super) struct StoreFile {
    pub(super) path: PathBuf,
    /// Beside the database's own handle, which ends with the database: what a deleted file held can still be read.
    opened: Option<File>,
}

impl StoreFile {
    pub(super) fn new(path: PathBuf) -> StoreFile {
        StoreFile { path, opened: None }
    }

    /// Opens the database, which is not open. A file that was deleted is written again, with what it held, where its
    /// directory is there; another file that has taken its place is used.
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
        let database = builder().create(&self.path)?;
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
            format!("{path} cannot be found any more, it or its directory was taken away: {error}")
        })?;
        let opened = opened.metadata().map_err(|error| error.to_string())?;
        if (there.dev(), there.ino()) != (opened.dev(), opened.ino()) {
            return Err(format!(
                "{path} is another file than the one that was opened, it or its directory was replaced"
            ));
        }
        if there.len() == 0 {
            return Err(format!("{path} was emptied"));
        }
        Ok(())
    }

    /// Writes the file again that was opened last, where nothing is at its path now.
    fn restore(&self) -> io::Result<()> {
        let Some(mut opened) = self.opened.as_ref() else {
            return Ok(());
        };
        if self.path.try_exists()? || !self.path.parent().is_some_and(Path::is_dir) {
            return Ok(());
        }
        let mut partial = self.path.clone().into_os_string();
        partial.push(".partial");
        let mut copy = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        opened.rewind()?;
        io::copy(&mut opened, &mut copy)?;
        copy.sync_all()?;
        fs::rename(&partial, &self.path)?;
        tracing::warn!(file = %self.path.display(), "the durable store was deleted, and is written again with all that it held");
        Ok(())
    }

    /// Puts the file out of the way; gives where it is.
    pub(super) fn set_aside(&mut self) -> Result<PathBuf, StoreError> {
        let at = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let mut aside = self.path.as_os_str().to_owned();
        aside.push(format!(".damaged-{at}"));
        let aside = PathBuf::from(aside);
        fs::rename(&self.path, &aside).map_err(|error| StoreError::Open {
            path: self.path.clone(),
            reason: format!("it is damaged and cannot be set aside: {error}"),
        })?;
        self.opened = None;
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
