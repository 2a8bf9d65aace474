//! The configuration, and who may read the secrets that it names.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::config::{self, ConfigError, Loaded};
use crate::wording::count;

const CONFIGURATION: &str = "configuration";
const SECRETS: &str = "secrets";

/// Where systemd shows secrets to the service alone.
const CREDENTIALS: &str = "/run/credentials";

/// What `check-config` says.
pub(super) fn of(file: &Path, checked: &Result<Loaded, ConfigError>) -> Vec<Finding> {
    let loaded = match checked {
        Ok(loaded) => loaded,
        Err(error) => {
            let problems = error.problems.iter();
            let failed = problems.map(|problem| {
                let (remedy, mut problem) = (problem.remedy.clone(), problem.clone());
                problem.remedy.clear();
                let message = problem.to_string();
                Finding::fail(CONFIGURATION, message.trim_end_matches("; "), remedy)
            });
            return failed.collect();
        }
    };
    let devices = count(loaded.config.devices.len(), "device");
    let message = format!("{}: no errors, {devices}", file.display());
    let mut findings = vec![Finding::ok(CONFIGURATION, message)];
    for warning in config::grouped(&loaded.warnings) {
        let (message, remedy) = warning.rsplit_once("; ").unwrap_or((&warning, ""));
        findings.push(Finding::warn(CONFIGURATION, message, remedy));
    }
    findings
}

/// Whether nobody else can read the secrets, and the bridge can.
pub(super) fn secrets(file: &Path, loaded: &Loaded) -> Vec<Finding> {
    let printed = loaded.print().parse::<toml::Table>().unwrap_or_default();
    let (mut files, mut is_inline) = (Vec::new(), false);
    collect(&printed, &mut files, &mut is_inline);
    if is_inline {
        files.push(file.to_owned());
    }
    files.sort();
    files.dedup();
    let bridge = fs::metadata(&loaded.config.state.directory).ok();
    let bridge = bridge.map(|directory| (directory.uid(), directory.gid()));
    let failed: Vec<_> = files.iter().filter_map(|file| secret(file, bridge)).collect();
    match failed.is_empty() {
        true => {
            let message = format!("{} that no other user can read", count(files.len(), "file"));
            vec![Finding::ok(SECRETS, message)]
        }
        false => failed,
    }
}

/// The files of secrets that are named in there, as absolute paths, and whether secrets stand there.
fn collect(table: &toml::Table, files: &mut Vec<PathBuf>, is_inline: &mut bool) {
    for (key, value) in table {
        match value {
            toml::Value::Table(table) => collect(table, files, is_inline),
            toml::Value::Array(list) => {
                let tables = list.iter().filter_map(toml::Value::as_table);
                tables.for_each(|table| collect(table, files, is_inline));
                *is_inline |= list.iter().any(|value| value.as_str() == Some("[secret]"));
            }
            toml::Value::String(text) if text == "[secret]" => *is_inline = true,
            toml::Value::String(path) if key.ends_with("_file") || key == "key" => files.push(path.into()),
            _ => {}
        }
    }
}

/// What is wrong with the rights of one; `bridge` is the owner of the state directory, who runs it.
fn secret(file: &Path, bridge: Option<(u32, u32)>) -> Option<Finding> {
    let shown = file.display();
    if file.starts_with(CREDENTIALS) {
        return None;
    }
    let found = match fs::metadata(file) {
        Ok(found) => found,
        Err(error) => {
            let remedy = "run doctor as the user of the bridge, or as root";
            return Some(Finding::fail(
                SECRETS,
                format!("cannot look at {shown}: {error}"),
                remedy,
            ));
        }
    };
    let mode = found.mode() & 0o777;
    if mode & 0o007 != 0 {
        let message = format!("{shown} can be read by every user of this machine (mode {mode:03o})");
        return Some(Finding::fail(SECRETS, message, format!("run chmod o= {shown}")));
    }
    let (user, group) = bridge?;
    let is_readable = match (user, user == found.uid(), group == found.gid()) {
        (0, ..) => true,
        (_, true, _) => mode & 0o400 != 0,
        (_, _, is_member) => is_member && mode & 0o040 != 0,
    };
    (!is_readable).then(|| {
        let message = format!("user {user}, who has the state directory, cannot read {shown}");
        Finding::fail(SECRETS, message, format!("run chown {user} {shown}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_their_files_are_found_wherever_they_stand() {
        let text = "[mqtt]\npassword_file = \"/a\"\nkey = \"/b\"\nca = \"/c\"\n[[devices]]\nsnmp.communities_file = \"/d\"\n";
        let (mut files, mut is_inline) = (Vec::new(), false);
        collect(&text.parse().unwrap(), &mut files, &mut is_inline);
        files.sort();
        assert_eq!(
            (files, is_inline),
            (["/a", "/b", "/d"].map(PathBuf::from).into(), false)
        );
        for text in [
            "snmp.communities = [\"[secret]\"]",
            "mqtt.password = \"[secret]\"",
        ] {
            collect(&text.parse().unwrap(), &mut Vec::new(), &mut is_inline);
            assert!(std::mem::take(&mut is_inline), "{text}");
        }
    }

    #[test]
    fn a_secret_is_for_the_user_of_the_bridge_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        fs::write(&file, "").unwrap();
        let own = fs::metadata(&file).unwrap();
        let (user, group) = (own.uid(), own.gid());
        let (other_user, other_group) = (user + 1, group + 1);
        for (mode, bridge, is_well) in [
            (0o600, None, true),
            (0o604, None, false),
            (0o600, Some((other_user, other_group)), false),
            (0o600, Some((other_user, group)), false),
            (0o640, Some((other_user, group)), true),
            (0o640, Some((other_user, other_group)), false),
            (0o600, Some((user, other_group)), true),
        ] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let found = secret(&file, bridge);
            assert_eq!(found.is_none(), is_well, "{mode:o} {bridge:?}: {found:?}");
        }
    }
}
