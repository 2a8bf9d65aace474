//! `check-config`: shows every problem of a configuration, or says that there is none, or what is in force.

use std::path::Path;

use super::{Failure, output};
use crate::wording::count;
use crate::{config, logging};

pub(super) fn run(file: &Path, is_printed: bool) -> Result<(), Failure> {
    let loaded = super::check_config(file)?;
    let warnings = config::grouped(&loaded.warnings).into_iter();
    let warnings = warnings.map(|warning| format!("warning: {warning}"));
    if is_printed {
        // What stdout takes can be loaded again.
        warnings.for_each(|warning| logging::complain(&warning));
        output::print(&loaded.print())?;
        return Ok(());
    }
    let mut text: String = warnings.map(|warning| warning + "\n").collect();
    text += &format!(
        "{}: no errors, {}, {}\n",
        file.display(),
        count(loaded.warnings.len(), "warning"),
        count(loaded.config.devices.len(), "device")
    );
    output::print(&text)?;
    Ok(())
}
