//! The durable store: one database file in the state directory, owned by one process.
//!
//! Every call blocks, some of them until the disk has the data: call from a blocking thread. For now it
//! holds the list of topics that this bridge has published and not yet cleared again.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

/// The file in the state directory.
pub const FILE_NAME: &str = "lantime2mqtt.redb";

/// The database's page cache. Its default of 1 GiB is for other jobs.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

const PUBLISHED: TableDefinition<'_, &str, ()> = TableDefinition::new("published-topics");

/// Why the store could not be opened or used.
#[derive(Debug, thiserror::Error)]
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
    /// Reading or writing failed.
    #[error("cannot use the durable store: {0}; check the disk of state.directory")]
    Io(String),
}

/// The durable store. Clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// `None` for a store that is not a file.
    path: Option<PathBuf>,
    /// `None` after a failure: the database refuses everything after one, and is opened anew by the next call.
    database: Mutex<Option<Database>>,
}

impl Store {
    /// Opens the store in `directory`, both made if missing. A damaged file is set aside and a new one begun.
    ///
    /// # Errors
    /// When another process uses it, or when it cannot be made or opened.
    pub fn open(directory: &Path) -> Result<Store, StoreError> {
        let failed = |error: io::Error| StoreError::Open {
            path: directory.to_owned(),
            reason: error.to_string(),
        };
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        let path = directory.join(FILE_NAME);
        let database = open_or_begin(&path)?;
        Ok(Store::with(Some(path), database))
    }

    /// A store that lives as long as the process: for a demonstration that leaves nothing behind.
    pub fn in_memory() -> Store {
        Store::with_backend(InMemoryBackend::new()).expect("memory takes a new database")
    }

    /// A store on any storage that the database can use.
    ///
    /// # Errors
    /// When the storage fails or holds something else.
    pub fn with_backend(backend: impl StorageBackend) -> Result<Store, StoreError> {
        let database = redb::Builder::new()
            .create_with_backend(backend)
            .map_err(io_error)?;
        create_tables(&database).map_err(io_error)?;
        Ok(Store::with(None, database))
    }

    fn with(path: Option<PathBuf>, database: Database) -> Store {
        let database = Mutex::new(Some(database));
        Store(Arc::new(Shared { path, database }))
    }

    /// Every topic that was published and not yet cleared again, by this process or an earlier one.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn published_topics(&self) -> Result<Vec<String>, StoreError> {
        self.used(|database| {
            let table = database.begin_read()?.open_table(PUBLISHED)?;
            let topics = table
                .iter()?
                .map(|entry| entry.map(|(topic, _)| topic.value().to_owned()));
            Ok(topics.collect::<Result<_, _>>()?)
        })
    }

    /// Adds and removes published topics in one transaction; when it returns they are on disk.
    ///
    /// # Errors
    /// When the storage fails; then nothing has changed.
    pub fn update_published_topics<T: AsRef<str>>(&self, add: &[T], remove: &[T]) -> Result<(), StoreError> {
        self.used(|database| {
            let transaction = database.begin_write()?;
            {
                let mut table = transaction.open_table(PUBLISHED)?;
                for topic in remove {
                    table.remove(topic.as_ref())?;
                }
                for topic in add {
                    table.insert(topic.as_ref(), ())?;
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }

    /// Runs `work` on the database, which is opened anew if it failed before.
    fn used<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let mut database = self.lock();
        if let (None, Some(path)) = (&*database, &self.0.path) {
            *database = Some(open_or_begin(path)?);
        }
        let Some(open) = &*database else {
            return Err(StoreError::Io("it failed before".to_owned()));
        };
        let result = work(open);
        if result.is_err() && self.0.path.is_some() {
            *database = None;
        }
        result.map_err(io_error)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Database>> {
        // A panic while the lock was held can only come from the database, which checks itself.
        self.0.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn io_error(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io(error.to_string())
}

fn open_or_begin(path: &Path) -> Result<Database, StoreError> {
    match open_file(path) {
        Err(error) if is_damage(&error) => {
            let aside = set_aside(path)?;
            tracing::error!(
                file = %path.display(), set_aside_as = %aside.display(), %error,
                "the durable store is damaged: a new one is begun; topics of earlier configurations may stay at the broker"
            );
            open_file(path)
        }
        result => result,
    }
    .map_err(|error| match error {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse(path.to_owned()),
        error => StoreError::Open {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    })
}

fn open_file(path: &Path) -> Result<Database, redb::Error> {
    // Made here for its mode; the database takes an empty file for a new one.
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    let mut builder = redb::Builder::new();
    // Without the check a damaged page shows up at any later time, or as a panic.
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    let database = builder.create(path)?;
    create_tables(&database)?;
    Ok(database)
}

/// So that a first read finds its table, and a foreign file is found out at once.
fn create_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(PUBLISHED)?;
    transaction.commit()?;
    Ok(())
}

fn is_damage(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. } => true,
        redb::Error::Io(error) => {
            matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            )
        }
        _ => false,
    }
}

fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let at = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".damaged-{at}"));
    let aside = PathBuf::from(aside);
    std::fs::rename(path, &aside).map_err(|error| StoreError::Open {
        path: path.to_owned(),
        reason: format!("it is damaged and cannot be set aside: {error}"),
    })?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn topics_outlive_the_process_and_only_the_owner_may_read_them() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("deeper/state");
        let store = Store::open(&directory).unwrap();
        store.update_published_topics(&["a", "b", "c"], &[]).unwrap();
        store.update_published_topics(&["d"], &["b", "x"]).unwrap();
        drop(store);
        assert_eq!(
            Store::open(&directory).unwrap().published_topics().unwrap(),
            ["a", "c", "d"]
        );
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&directory.join(FILE_NAME)), 0o600);
    }

    #[test]
    fn what_is_removed_and_added_at_once_is_there() {
        let store = Store::in_memory();
        store.update_published_topics(&["a"], &["a"]).unwrap();
        assert_eq!(store.published_topics().unwrap(), ["a"]);
    }

    #[test]
    fn a_second_process_is_told_who_is_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let first = Store::open(directory.path()).unwrap();
        let error = Store::open(directory.path()).unwrap_err();
        assert!(matches!(error, StoreError::InUse(_)), "{error}");
        assert!(error.to_string().contains("another lantime2mqtt"), "{error}");
        first.update_published_topics(&["a"], &[]).unwrap();
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        for damage in [0, 64, 4096, 10_000] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(FILE_NAME);
            let store = Store::open(directory.path()).unwrap();
            let topics: Vec<_> = (0..2_000).map(|n| format!("lantime/d{n}/state")).collect();
            store.update_published_topics(&topics, &[]).unwrap();
            drop(store);
            let mut bytes = std::fs::read(&path).unwrap();
            for byte in &mut bytes[damage..damage + 2_000] {
                *byte ^= 0x5a;
            }
            std::fs::write(&path, &bytes).unwrap();

            let store = Store::open(directory.path()).unwrap();
            let left = store.published_topics().unwrap();
            let aside = std::fs::read_dir(directory.path())
                .unwrap()
                .filter(|entry| {
                    let name = entry.as_ref().unwrap().file_name();
                    name.to_string_lossy()
                        .starts_with(&format!("{FILE_NAME}.damaged-"))
                })
                .count();
            // Damage to what is not in use does not matter.
            assert!(
                (aside, left.len()) == (1, 0) || (aside, left.len()) == (0, 2_000),
                "{damage}: {aside} {}",
                left.len()
            );
            store.update_published_topics(&["a"], &[]).unwrap();
        }
    }

    #[test]
    fn a_foreign_or_cut_file_is_set_aside() {
        for contents in [&b"not a database"[..], &[0; 9000]] {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join(FILE_NAME), contents).unwrap();
            let store = Store::open(directory.path()).unwrap();
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
            drop(store);
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Store::open(&file.join("state")).unwrap_err().to_string();
        assert!(
            error.contains("file/state") && error.contains("state.directory"),
            "{error}"
        );
    }
}
