//! `check-config`: shows every problem of a configuration, or says that there is none.

use std::path::Path;

use super::{Failure, output};
use crate::config;
use crate::wording::count;

pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let loaded = super::check_config(file)?;
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
