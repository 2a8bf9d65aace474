//! The state directory, and the store of a bridge that does not run.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use super::finding::Finding;
use crate::records::store::{self, Look};

const STATE: &str = "state";
const STORE: &str = "store";

const MIB: u64 = 1024 * 1024;
/// Below it nothing more can be kept for long; below the other one it is time to act.
const LEAST_FREE: u64 = 16 * MIB;
const LITTLE_FREE: u64 = 256 * MIB;

/// The directory: whether it is there, writable, private, and has room.
pub(super) fn directory(directory: &Path, is_bridge_running: bool) -> Vec<Finding> {
    let shown = directory.display();
    let found = match fs::metadata(directory) {
        Ok(found) if found.is_dir() => found,
        Ok(_) => {
            let message = format!("{shown} is no directory");
            return vec![Finding::fail(
                STATE,
                message,
                "set another state.directory, or remove the file",
            )];
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_bridge_running => {
            return vec![missing(directory)];
        }
        Err(error) => {
            let message = format!("cannot look at {shown}: {error}");
            return vec![Finding::fail(
                STATE,
                message,
                "create it for the user of the bridge",
            )];
        }
    };
    let mut findings = Vec::new();
    if access(directory, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let message = format!("{shown} belongs to user {}, and cannot be written", found.uid());
        let remedy = "run doctor and the bridge as that user, or give the directory to who runs the bridge";
        findings.push(Finding::fail(STATE, message, remedy));
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        let message =
            format!("{shown} can be read by others (mode {mode:03o}); commands and records are in it");
        findings.push(Finding::warn(STATE, message, format!("run chmod 700 {shown}")));
    }
    findings.extend(room(directory, found.uid()));
    findings
}

/// The bridge makes it, where it may.
fn missing(directory: &Path) -> Finding {
    let shown = directory.display();
    let above = directory.ancestors().skip(1).find(|above| above.is_dir());
    match above {
        Some(above) if access(above, Access::WRITE_OK).is_err() => {
            let message = format!("{shown} is missing, and cannot be made in {}", above.display());
            Finding::fail(STATE, message, "create it for the user of the bridge")
        }
        _ => Finding::ok(STATE, format!("{shown} is made by the bridge when it starts")),
    }
}

fn room(directory: &Path, owner: u32) -> Option<Finding> {
    let shown = directory.display();
    let disk = statvfs(directory).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let message = format!("{shown} belongs to user {owner}; {} MiB are free", free / MIB);
    let remedy = "make room on its disk, or set state.directory to a larger one";
    Some(match free {
        LITTLE_FREE.. => Finding::ok(STATE, message),
        LEAST_FREE.. => Finding::warn(STATE, message, remedy),
        _ => Finding::fail(STATE, message, remedy),
    })
}

/// The store of a bridge that does not run; it is only read.
pub(super) fn store(directory: &Path) -> Finding {
    let shown = directory.join(store::FILE_NAME).display().to_string();
    match store::look(directory) {
        Look::Missing => Finding::ok(STORE, "none yet: the bridge makes it when it starts"),
        Look::Usable => Finding::ok(STORE, format!("{shown} can be opened")),
        Look::NotClosed => Finding::ok(
            STORE,
            format!("{shown} was not closed; the bridge checks it when it starts"),
        ),
        Look::InUse => {
            let message = format!(
                "{shown} is in use, and no bridge listens in {}",
                directory.display()
            );
            Finding::fail(
                STORE,
                message,
                "wait if one starts or stops; else end that process",
            )
        }
        Look::Unusable(reason) => {
            let message = format!("{shown} cannot be opened: {reason}");
            let remedy = "check who may read it, and restore a copy if it is damaged: the bridge sets a damaged file aside";
            Finding::fail(STORE, message, remedy)
        }
    }
}
