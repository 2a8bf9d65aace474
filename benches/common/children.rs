//! The other processes of a run; each is killed when it is dropped.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// A process that ends with its owner.
pub(crate) struct Running(Child);

impl Running {
    /// For `/proc`.
    pub(crate) fn id(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// mosquitto on a free port of loopback.
pub(crate) fn mosquitto(directory: &Path) -> anyhow::Result<(Running, u16)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let file = directory.join("mosquitto.conf");
    let mut config = std::fs::File::create(&file)?;
    writeln!(
        config,
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error"
    )?;
    let child =
        spawn(Command::new("mosquitto").arg("-c").arg(&file)).context("mosquitto must be installed")?;
    let until = Instant::now() + Duration::from_secs(5);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > until {
            bail!("mosquitto does not listen");
        }
        std::thread::yield_now();
    }
    Ok((child, port))
}

/// The bridge.
pub(crate) fn bridge(config: &Path) -> anyhow::Result<Running> {
    spawn(
        Command::new(env!("CARGO_BIN_EXE_lantime2mqtt"))
            .args(["run", "--log-level", "error", "--config"])
            .arg(config),
    )
}

/// This program again, as the floor.
pub(crate) fn floor(config: &Path) -> anyhow::Result<Running> {
    spawn(Command::new(std::env::current_exe()?).arg("--floor").arg(config))
}

fn spawn(command: &mut Command) -> anyhow::Result<Running> {
    Ok(Running(
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?,
    ))
}
