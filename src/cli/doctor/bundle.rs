//! `--bundle`: what a bug report needs, without secrets. Names and addresses of hosts are in it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow, bail};

use super::bridge::Bridge;
use super::host::output;
use crate::cli::VERSION;
use crate::config::Loaded;

/// Lines of the journal that are taken.
const JOURNAL_LINES: &str = "2000";

/// What the API has to say, and the file that it gets.
const ANSWERS: [(&str, &str); 7] = [
    ("/healthz", "health.json"),
    ("/readyz", "ready.json"),
    ("/api/bridge", "bridge.json"),
    ("/api/devices", "devices.json"),
    ("/api/incidents", "incidents.json"),
    ("/api/cluster", "cluster.json"),
    ("/api/dead-letters?limit=1000", "dead-letters.json"),
];

/// Where it is written.
pub(super) struct Bundle {
    directory: PathBuf,
    /// What the directory becomes, where an archive was asked for.
    archive: Option<PathBuf>,
}

impl Bundle {
    /// Makes the directory, or that of an archive `.tar.gz` or `.tgz`.
    ///
    /// # Errors
    /// When it is there already, or cannot be made.
    pub(super) fn new(path: &Path) -> anyhow::Result<Bundle> {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let stem = name.strip_suffix(".tar.gz").or(name.strip_suffix(".tgz"));
        let (directory, archive) = match stem {
            Some(stem) => (path.with_file_name(stem), Some(path.to_owned())),
            None => (path.to_owned(), None),
        };
        if archive.as_deref().is_some_and(Path::exists) {
            bail!("{} is there already: name another --bundle", path.display());
        }
        let made = DirBuilder::new().mode(0o700).create(&directory);
        made.with_context(|| format!("cannot create {}; name another --bundle", directory.display()))?;
        Ok(Bundle { directory, archive })
    }

    /// Writes all there is; gives what to send.
    ///
    /// # Errors
    /// When a file cannot be written, or tar fails.
    pub(super) async fn write(
        self,
        loaded: Option<&Loaded>,
        bridge: &Bridge,
        text: &str,
        json: &str,
    ) -> anyhow::Result<PathBuf> {
        self.file("version.txt", &format!("lantime2mqtt {VERSION}\n"))?;
        self.file("doctor.txt", text)?;
        self.file("doctor.json", json)?;
        if let Some(loaded) = loaded {
            self.file("configuration.toml", &loaded.print())?;
        }
        if let Bridge::Runs(client) = bridge {
            for (path, name) in ANSWERS {
                if let Ok(answer) = client.get(path).await {
                    self.file(name, &answer.json)?;
                }
            }
            if let Ok(metrics) = client.text("/metrics").await {
                self.file("metrics.txt", &metrics)?;
            }
        }
        let arguments = [
            "-u",
            "lantime2mqtt",
            "--no-pager",
            "-o",
            "short-iso",
            "-n",
            JOURNAL_LINES,
        ];
        if let Some(journal) = output("journalctl", &arguments) {
            self.file("journal.txt", &journal)?;
        }
        self.pack()
    }

    fn file(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.directory.join(name);
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(text.as_bytes())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    fn pack(self) -> anyhow::Result<PathBuf> {
        let Some(archive) = self.archive else {
            return Ok(self.directory);
        };
        let above = self
            .directory
            .parent()
            .filter(|above| !above.as_os_str().is_empty());
        let name = self.directory.file_name().unwrap_or_default();
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(&archive);
        tar.arg("-C").arg(above.unwrap_or(Path::new("."))).arg(name);
        let status = tar.status();
        if !status.as_ref().is_ok_and(|status| status.success()) {
            let reason = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            return Err(anyhow!(
                "tar cannot make {}: {reason}; pack {} by other means",
                archive.display(),
                self.directory.display()
            ));
        }
        fs::remove_dir_all(&self.directory)
            .with_context(|| format!("cannot remove {}", self.directory.display()))?;
        Ok(archive)
    }
}
