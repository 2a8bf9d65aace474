//! The processes of a demo of several bridges, and their directory: nothing of it is left when it ends.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long one may take to end by itself: a bridge gives up after 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(12);
/// What is shown of the log of one that has ended.
const LINES_SHOWN: usize = 5;

/// A directory that only this user can read. It is removed on drop.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> anyhow::Result<Directory> {
        let path = std::env::temp_dir().join(format!("lantime2mqtt-demo-{}", std::process::id()));
        let what = || format!("cannot make {}: remove it, or set TMPDIR", path.display());
        DirBuilder::new().mode(0o700).create(&path).with_context(what)?;
        Ok(Directory(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and gives its path.
    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that runs, or did. Killed on drop.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts it; what it writes goes to a log in that directory. Ctrl-C in a terminal does not reach it: it is stopped by this
    /// process, in order.
    pub(super) fn start(name: &str, mut command: Command, directory: &Directory) -> anyhow::Result<Process> {
        let log = directory.path().join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Process {
            name: name.to_owned(),
            log,
            child,
        })
    }

    /// Why it has ended, if it has.
    pub(super) fn ended(&mut self) -> Option<anyhow::Error> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(self.end(status))
    }

    fn end(&self, status: ExitStatus) -> anyhow::Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let mut lines: Vec<_> = log.lines().rev().take(LINES_SHOWN).collect();
        lines.reverse();
        anyhow!("{} has ended ({status}):\n{}", self.name, lines.join("\n"))
    }

    /// Ends it as a power cut does.
    pub(super) async fn kill(&mut self) {
        // It fails only where it has ended already.
        let _ = self.child.kill().await;
    }

    /// Asks it to end; kills it if it does not in time.
    pub(super) async fn stop(&mut self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(pid) = pid
            && kill_process(pid, Signal::TERM).is_ok()
            && timeout(STOP_WITHIN, self.child.wait()).await.is_ok()
        {
            return;
        }
        self.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_has_ended_says_why_and_leaves_nothing() {
        let directory = Directory::new().unwrap();
        let path = directory.path().to_owned();
        let mut command = Command::new("sh");
        command.args(["-c", "echo it is broken >&2; exit 3"]);
        let mut process = Process::start("b1", command, &directory).unwrap();
        process.child.wait().await.unwrap();
        let error = process.ended().unwrap().to_string();
        assert!(
            error.contains("b1 has ended") && error.contains("it is broken"),
            "{error}"
        );
        process.stop().await;
        drop(directory);
        assert!(!path.exists());
    }
}
