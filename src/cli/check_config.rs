//! `check-config`: shows every problem of a configuration, or says that there is none.

use std::path::Path;

use super::Failure;
use crate::wording::count;

pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let loaded = super::check_config(file)?;
    for warning in &loaded.warnings {
        println!("warning: {warning}");
    }
    println!(
        "{}: no errors, {}, {}",
        file.display(),
        count(loaded.warnings.len(), "warning"),
        count(loaded.config.devices.len(), "device")
    );
    Ok(())
}
