//! What was recorded from devices. It is no part of this repository: `RECORDINGS` names the directory.

use std::path::PathBuf;

/// A single-clock device with 28 events, and no relay module.
pub const M300: &str = "recordings/m300-api-10.21.016.json";

/// The directory.
pub fn directory() -> PathBuf {
    let named = std::env::var_os("RECORDINGS");
    named
        .expect("RECORDINGS names the directory of the recordings")
        .into()
}

/// A file of it.
pub fn read(path: &str) -> Vec<u8> {
    let path = directory().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
