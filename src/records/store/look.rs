//! What can be said of the store of a bridge that does not run, without a change in it.

use std::path::Path;

use redb::DatabaseError;

use super::file::FILE_NAME;
use super::store_file::try_read;

/// How the store of a state directory is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// There is none.
    Missing,
    /// It can be opened.
    Usable,
    /// Whoever had it open has not closed it: it is checked when it is opened for writing.
    NotClosed,
    /// A process has it open.
    InUse,
    /// It cannot be opened, for that reason.
    Unusable(String),
}

/// Looks at the store in `directory`. Nothing is written, and none is made.
pub fn look(directory: &Path) -> Look {
    let path = directory.join(FILE_NAME);
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Look::Missing,
        Err(error) => return Look::Unusable(error.to_string()),
    }
    match try_read(&path) {
        Ok(()) => Look::Usable,
        Err(DatabaseError::DatabaseAlreadyOpen) => Look::InUse,
        Err(DatabaseError::RepairAborted) => Look::NotClosed,
        Err(error) => Look::Unusable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::DeviceId;
    use crate::records::store::{Options, Store};

    #[test]
    fn a_store_is_looked_at_without_a_change() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(look(directory.path()), Look::Missing);
        let options = Options::new(DeviceId::new("bridge").unwrap());
        let store = Store::open(directory.path(), options).unwrap();
        assert_eq!(look(directory.path()), Look::InUse);
        drop(store);
        assert_eq!(look(directory.path()), Look::Usable);
        let path = directory.path().join(FILE_NAME);
        fs::write(&path, "something else").unwrap();
        assert!(matches!(look(directory.path()), Look::Unusable(_)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "something else");
    }
}
