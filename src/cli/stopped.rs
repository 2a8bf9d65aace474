//! The store of a bridge that does not run: opened for a command that would otherwise ask the bridge.

use anyhow::bail;

use super::client::ClientError;
use crate::config::StoreConfig;
use crate::records::store::options::History;
use crate::records::store::{FILE_NAME, Options, Store, StoreError};

/// The store of a bridge that does not run, and has run.
pub(super) fn open(config: &StoreConfig, no_bridge: &ClientError) -> anyhow::Result<Store> {
    let directory = &config.state.directory;
    // Made by the bridge alone: a store of another user, such as root, would lock it out.
    let file = directory.join(FILE_NAME);
    match file.try_exists() {
        Ok(true) => {}
        Ok(false) => bail!(
            "no bridge runs, and none has run with this configuration: there is no store in {}; name its configuration with --config",
            directory.display()
        ),
        Err(error) => bail!(
            "cannot look for {}: {error}; run this as the user of the bridge, or as root",
            file.display()
        ),
    }
    let options = Options {
        keep: config.dead_letter.keep,
        history: History {
            keep: config.history.keep,
            max_entries: config.history.max_entries,
            by_id: config.is_in_cluster,
        },
        ..Options::new(config.bridge.id.clone())
    };
    match Store::open(directory, options) {
        Err(StoreError::InUse(_)) => match no_bridge {
            ClientError::NoBridge(path) => bail!(
                "a bridge has the store in {} in use and does not listen at {}: it starts or stops, try again in a moment",
                directory.display(),
                path.display()
            ),
            other => bail!("a bridge has the store in use, and it cannot be asked: {other}"),
        },
        opened => Ok(opened?),
    }
}
