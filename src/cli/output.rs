//! What commands write to standard output. Whoever reads it may have seen enough, as `head` has: that is no failure.

use std::io::{self, Write};

use anyhow::Context;

/// Writes `text`; gives whether anybody still reads.
pub(super) fn print(text: &str) -> anyhow::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}
