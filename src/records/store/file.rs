//! Where the database is: a file, or another backend. Opens it, and begins a new one where it is damaged.

use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use redb::{Database, StorageBackend};

use super::StoreError;
use super::options::CACHE_BYTES;
use super::store_file::{StoreFile, builder};
use super::tables::{Levels, Unusable, prepare};

/// The file in the state directory.
pub const FILE_NAME: &str = "lantime2mqtt.redb";

/// Where the database is. It can be opened again and again, once at a time.
pub(super) enum Source {
    File(StoreFile),
    Backend(Box<dyn Fn() -> Result<Database, redb::Error> + Send>),
}

/// A database that is ready for use.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) levels: Levels,
    pub(super) damage: Option<Damage>,
    /// Where another file is that had taken its place.
    pub(super) displaced: Option<PathBuf>,
}

/// A file that could not be used, and is out of the way.
#[derive(Debug)]
pub(super) struct Damage {
    pub(super) aside: PathBuf,
    pub(super) error: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(file) => write!(f, "File({})", file.path.display()),
            Source::Backend(_) => f.write_str("Backend"),
        }
    }
}

impl Source {
    /// The file in `directory`, which is made if missing.
    pub(super) fn in_directory(directory: &Path, cache_bytes: usize) -> Result<Source, StoreError> {
        let failed = |error: io::Error| StoreError::Open {
            path: directory.to_owned(),
            reason: error.to_string(),
        };
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(directory);
        made.map_err(failed)?;
        let file = StoreFile::new(directory.join(FILE_NAME), cache_bytes);
        file.take_up_copy().map_err(failed)?;
        Ok(Source::File(file))
    }

    /// What `make` gives.
    pub(super) fn backend<B: StorageBackend>(make: impl Fn() -> B + Send + 'static) -> Source {
        Source::Backend(Box::new(move || {
            Ok(builder(CACHE_BYTES).create_with_backend(make())?)
        }))
    }

    /// Whether what was opened last is still where it was.
    ///
    /// # Errors
    /// With what has happened to it.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Source::File(file) => file.check(),
            Source::Backend(_) => Ok(()),
        }
    }

    /// Opens the database. A damaged file is set aside and a new one begun.
    pub(super) fn open(&mut self) -> Result<Opened, StoreError> {
        match (self.open_as_it_is(), &mut *self) {
            (Err(Unusable::Database(error)), Source::File(file)) if is_damage(&error) => {
                let aside = file.set_aside()?;
                let error = error.to_string();
                tracing::error!(
                    file = %file.path.display(), set_aside_as = %aside.display(), %error,
                    "the durable store is damaged: a new one is begun; what it held is lost, and topics of earlier \
                     configurations may stay at the broker"
                );
                let (database, levels) = self.open_as_it_is().map_err(|error| self.error(error))?;
                if let Source::File(file) = self {
                    file.keep_owner(&aside);
                }
                let damage = Some(Damage { aside, error });
                Ok(Opened {
                    database,
                    levels,
                    damage,
                    displaced: self.take_displaced(),
                })
            }
            (result, _) => {
                let (database, levels) = result.map_err(|error| self.error(error))?;
                Ok(Opened {
                    database,
                    levels,
                    damage: None,
                    displaced: self.take_displaced(),
                })
            }
        }
    }

    fn take_displaced(&mut self) -> Option<PathBuf> {
        match self {
            Source::File(file) => file.take_displaced(),
            Source::Backend(_) => None,
        }
    }

    fn open_as_it_is(&mut self) -> Result<(Database, Levels), Unusable> {
        let database = match self {
            Source::File(file) => file.open()?,
            Source::Backend(make) => make()?,
        };
        let levels = prepare(&database)?;
        Ok((database, levels))
    }

    fn error(&self, error: Unusable) -> StoreError {
        let path = match self {
            Source::File(file) => file.path.clone(),
            Source::Backend(_) => PathBuf::from("the store's backend"),
        };
        match error {
            Unusable::Later(format) => StoreError::Later { path, format },
            Unusable::Database(redb::Error::DatabaseAlreadyOpen) => StoreError::InUse(path),
            Unusable::Database(error) => StoreError::Open {
                path,
                reason: error.to_string(),
            },
        }
    }
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
