//! `check-config`: shows every problem of a configuration, or says that there is none, or what is in force.

use std::path::Path;

use super::{Failure, output};
use crate::config;
use crate::wording::count;

pub(super) fn run(file: &Path, is_printed: bool) -> Result<(), Failure> {
    let loaded = super::check_config(file)?;
    if is_printed {
        output::print(&loaded.print())?;
        return Ok(());
    }
    let warnings = config::grouped(&loaded.warnings);
    let mut text: String = warnings
        .iter()
        .map(|warning| format!("warning: {warning}\n"))
        .collect();
    text += &format!(
        "{}: no errors, {}, {}\n",
        file.display(),
        count(loaded.warnings.len(), "warning"),
        count(loaded.config.devices.len(), "device")
    );
    output::print(&text)?;
    Ok(())
}
