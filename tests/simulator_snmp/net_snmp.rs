//! net-snmp's tools, as a user runs them, without any MIB: everything is by number.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long anything may take that is not measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const READER: &[&str] = &["-v2c", "-cpublic"];
pub(crate) const WRITER: &[&str] = &["-v2c", "-cprivate"];
/// The default user of the simulated devices.
pub(crate) const USER: &[&str] = &[
    "-v3",
    "-lauthPriv",
    "-usimulator",
    "-aSHA-256",
    "-Asimulated-auth",
    "-xAES",
    "-Xsimulated-priv",
];

/// Without any MIB, and without what the machine's own configuration says.
const ALONE: [(&str, &str); 2] = [("MIBS", ""), ("SNMPCONFPATH", "/nonexistent")];

/// What a tool has said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) done: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `snmpget`, `snmpwalk`, `snmpbulkwalk` or `snmpset` without repeats, with values as bare as they come.
pub(crate) async fn run(tool: &str, who: &[&str], agent: SocketAddr, arguments: &[&str]) -> Answer {
    run_for(tool, who, agent, arguments, "20").await
}

/// The same, with a patience in seconds.
pub(crate) async fn run_for(
    tool: &str,
    who: &[&str],
    agent: SocketAddr,
    arguments: &[&str],
    seconds: &str,
) -> Answer {
    let mut command = Command::new(tool);
    command.args(who).args(["-Onq", "-r0", "-t", seconds]);
    command.arg(agent.to_string()).args(arguments).envs(ALONE);
    let name = tool.to_owned();
    let ended = spawn_blocking(move || command.output()).await.unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = ended
        .unwrap_or_else(|error| panic!("these tests need {name} (Debian: apt-get install snmp): {error}"));
    Answer {
        done: status.success(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// One value, without quotes.
pub(crate) async fn get(who: &[&str], agent: SocketAddr, oid: &str) -> String {
    let answer = run("snmpget", who, agent, &["-Ov", oid]).await;
    assert!(answer.done, "{oid}: {answer:?}");
    answer.stdout.trim().trim_matches('"').to_owned()
}

/// A `snmptrapd` that runs; ended on drop.
pub(crate) struct TrapDaemon {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
}

impl TrapDaemon {
    /// Starts it at that address with that configuration; it listens when this returns.
    pub(crate) async fn start(at: SocketAddr, configuration: &str, directory: &Path) -> Self {
        let file = directory.join("snmptrapd.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new("snmptrapd");
        command
            .args(["-f", "-Lo", "-On", "-t", "-C", "-c"])
            .arg(&file)
            .args(["-F", "TRAP %N %W %w%q %v\n"])
            .arg(format!("udp:{at}"))
            .envs(ALONE)
            // Debian keeps it in /usr/sbin.
            .env(
                "PATH",
                format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()),
            )
            .env("SNMP_PERSISTENT_DIR", directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("these tests need snmptrapd (Debian: apt-get install snmptrapd): {error}")
        });
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, seen) = watch::channel(Vec::new());
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sender.send_modify(|lines| lines.push(line));
            }
        });
        let mut daemon = Self { child, lines: seen };
        daemon
            .until("its start", |lines| {
                lines.iter().any(|line| line.starts_with("NET-SNMP version"))
            })
            .await;
        daemon
    }

    /// Waits until what it has written fulfils `condition`; panics with `what` when it never does.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        mut condition: impl FnMut(&[String]) -> bool,
    ) -> Vec<String> {
        let seen = self.lines.wait_for(|lines| condition(lines));
        let found = timeout(PATIENCE, seen).await.is_ok_and(|seen| seen.is_ok());
        let lines = self.lines.borrow().clone();
        assert!(found, "snmptrapd, {what}: {lines:#?}");
        lines
    }
}

impl Drop for TrapDaemon {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A UDP port that nobody has.
pub(crate) fn free_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
