//! What is written where, for whom, and that nothing is overwritten.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::config::Secret;

/// Where the Debian package and the unit have the configuration.
const OF_SYSTEM: &str = "/etc/lantime2mqtt";
/// The user of the service: `deploy/systemd`.
const SERVICE_USER: &str = "lantime2mqtt";
/// What the Debian package brings: nobody has written anything into it.
const EXAMPLE: &str = include_str!("../../../config/lantime2mqtt.toml");
const UNITS: [&str; 3] = [
    "/etc/systemd/system/lantime2mqtt.service",
    "/usr/lib/systemd/system/lantime2mqtt.service",
    "/lib/systemd/system/lantime2mqtt.service",
];

/// Where the files are.
pub(super) struct Layout {
    pub(super) directory: PathBuf,
    /// Whether the unit finds the configuration there.
    pub(super) is_of_system: bool,
    /// Who reads them, where that is not who writes them.
    owner: Option<(u32, u32)>,
}

impl Layout {
    /// In that directory; without one, where the service looks for root, and here for anybody else.
    pub(super) fn new(directory: Option<&Path>) -> Layout {
        let is_root = rustix::process::geteuid().is_root();
        let is_of_system = is_root && directory.is_none_or(|directory| directory == Path::new(OF_SYSTEM));
        let usual = if is_root { OF_SYSTEM } else { "." };
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Layout {
            directory: directory.unwrap_or(Path::new(usual)).to_owned(),
            is_of_system,
            owner: is_root.then(|| user(&users, SERVICE_USER)).flatten(),
        }
    }

    pub(super) fn config(&self) -> PathBuf {
        self.directory.join("lantime2mqtt.toml")
    }

    /// The state directory, as the configuration names it.
    pub(super) fn state(&self) -> &'static str {
        match self.is_of_system {
            true => "/var/lib/lantime2mqtt",
            false => "state",
        }
    }

    /// Whether the unit is there that runs with this configuration.
    pub(super) fn has_unit(&self) -> bool {
        self.is_of_system && UNITS.iter().any(|unit| Path::new(unit).exists())
    }

    /// That there is no configuration yet, but for the example that the package brings, and none of these files.
    ///
    /// # Errors
    /// When somebody has written one.
    pub(super) fn refuse_existing(&self, secrets: &[&str]) -> anyhow::Result<()> {
        let config = self.config();
        let is_example = fs::read_to_string(&config).is_ok_and(|text| text == EXAMPLE);
        if !is_example && config.exists() {
            let config = config.display();
            bail!(
                "{config} is there already: nothing is written; add devices to it with probe --append {config}, name another \
                 --directory, or overwrite it with --force"
            );
        }
        let mut secrets = secrets.iter().map(|name| self.directory.join(name));
        match secrets.find(|secret| secret.exists()) {
            None => Ok(()),
            Some(secret) => bail!(
                "{} is there already: nothing is written; name another --directory, or overwrite it with --force",
                secret.display()
            ),
        }
    }

    /// The directories and files, in the order in which they are written: the configuration last.
    pub(super) fn write(&self, secrets: &[(String, Secret)], config: &str) -> anyhow::Result<()> {
        self.make_directory(&self.directory, 0o750, false)?;
        self.make_directory(&self.directory.join("secrets"), 0o700, true)?;
        for (name, secret) in secrets {
            let text = format!("{}\n", secret.expose());
            self.write_file(&self.directory.join(name), &text, 0o600, true)?;
        }
        let mode = if self.owner.is_some() { 0o640 } else { 0o600 };
        self.write_file(&self.config(), config, mode, false)
    }

    /// Makes it where it is missing; what is there keeps its mode.
    fn make_directory(&self, path: &Path, mode: u32, is_secret: bool) -> anyhow::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let made = DirBuilder::new().recursive(true).mode(mode).create(path);
        made.and_then(|()| self.give(path, is_secret))
            .with_context(|| format!("cannot create {}", path.display()))
    }

    /// Whole or not at all, and never readable by others.
    fn write_file(&self, path: &Path, text: &str, mode: u32, is_secret: bool) -> anyhow::Result<()> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&partial)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            self.give(&partial, is_secret)?;
            fs::set_permissions(&partial, Permissions::from_mode(mode))?;
            fs::rename(&partial, path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Gives a secret to the user of the service, and anything else to its group.
    fn give(&self, path: &Path, is_secret: bool) -> io::Result<()> {
        match self.owner {
            Some((user, group)) => chown(path, is_secret.then_some(user), Some(group)),
            None => Ok(()),
        }
    }
}

/// User and group of that name in the text of `passwd`.
fn user(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2).map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_user_of_the_service_is_found() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\nlantime2mqtt2:x:1:2::/:\nlantime2mqtt:x:998:997:a:/var:/bin/false\n";
        assert_eq!(user(passwd, SERVICE_USER), Some((998, 997)));
        assert_eq!(user("lantime2mqtt:x:a:1\n", SERVICE_USER), None);
    }

    #[test]
    fn only_the_example_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(directory.path()));
        let refused = || {
            layout
                .refuse_existing(&["a", "b"])
                .map_err(|error| error.to_string())
        };
        assert_eq!(refused(), Ok(()));
        fs::write(layout.config(), EXAMPLE).unwrap();
        assert_eq!(refused(), Ok(()));
        fs::write(directory.path().join("b"), "").unwrap();
        assert!(refused().is_err_and(|error| error.contains("/b is there already")));
        fs::write(layout.config(), format!("{EXAMPLE}\n")).unwrap();
        assert!(refused().is_err_and(|error| error.contains(".toml is there already")));
    }

    #[test]
    fn nobody_else_may_read_what_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let owner = fs::metadata(directory.path()).unwrap();
        let layout = Layout {
            directory: directory.path().join("bridge"),
            is_of_system: false,
            owner: Some((owner.uid(), owner.gid())),
        };
        let secrets = [("secrets/a".to_owned(), Secret::new("hidden"))];
        layout.write(&secrets, "[mqtt]\n").unwrap();
        let mode = |name: &str| {
            let file = fs::metadata(layout.directory.join(name)).unwrap();
            file.mode() & 0o777
        };
        assert_eq!(
            ["", "secrets", "secrets/a", "lantime2mqtt.toml"].map(mode),
            [0o750, 0o700, 0o600, 0o640]
        );
        let left = fs::read_dir(layout.directory.join("secrets")).unwrap().count();
        assert_eq!(left, 1, "no partial file stays");
    }
}
