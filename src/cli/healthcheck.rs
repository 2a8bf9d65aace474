//! `healthcheck`: asks the bridge that runs with the same configuration whether it answers. For containers, in which
//! there is no other program to ask with.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;

use super::client::Client;
use super::{Failure, block_on, output};
use crate::config;

/// How long the bridge may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);

pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let config = config::load_store(file, std::env::vars_os())?;
    block_on(async {
        let answer = Client::new(&config.state.directory, PATIENCE)?
            .get("/healthz")
            .await?;
        if !answer.is_success {
            bail!(
                "the bridge answers that it is not well; see its log: {}",
                answer.json
            );
        }
        output::print(&format!("{}\n", answer.json))?;
        Ok(())
    })
}
