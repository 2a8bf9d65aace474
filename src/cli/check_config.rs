//! `check-config`: shows every problem of a configuration, or says that there is none.

use std::path::Path;

use super::Failure;

pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let loaded = super::check_config(file)?;
    for warning in &loaded.warnings {
        println!("warning: {warning}");
    }
    let devices = loaded.config.devices.len();
    println!(
        "{}: no errors, {} warnings, {devices} devices",
        file.display(),
        loaded.warnings.len()
    );
    Ok(())
}
