//! `completions` and `man`: what shells and man(1) make of the command line, from its own description.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure, output};

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell that completes: `source <(lantime2mqtt completions bash)`.
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// Where the pages are written, one for each command; it is created if it is missing.
    directory: PathBuf,
}

/// Prints the shell's script.
pub(super) fn completions(options: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "lantime2mqtt", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(())
}

/// Writes the manual pages.
pub(super) fn man(options: &Man) -> Result<(), Failure> {
    let directory = &options.directory;
    let written: io::Result<()> =
        fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
    written.with_context(|| format!("cannot write manual pages to {}", directory.display()))?;
    Ok(())
}
