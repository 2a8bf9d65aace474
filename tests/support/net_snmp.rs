//! net-snmp's command line tools, as a user runs them, with the bridge's MIB; and where the base MIBs are.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::PATIENCE;

/// Where distributions keep the base MIBs that net-snmp, `snmp-mibs-downloader` or libsmi bring.
const MIB_DIRECTORIES: [&str; 7] = [
    "/usr/share/snmp/mibs",
    "/usr/share/snmp/mibs/ietf",
    "/usr/local/share/snmp/mibs",
    "/var/lib/mibs/ietf",
    "/var/lib/snmp/mibs/ietf",
    "/usr/share/mibs/ietf",
    "/usr/share/smi/mibs/ietf",
];

/// The directory of the base MIBs: what `BASE_MIBS` names, what `tests/run` has fetched, or the system's.
pub fn base_mibs() -> PathBuf {
    let named = std::env::var_os("BASE_MIBS").map(PathBuf::from);
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/base-mibs");
    let system = MIB_DIRECTORIES.map(PathBuf::from);
    let mut known = named.into_iter().chain([fetched]).chain(system);
    let has_them = |directory: &PathBuf| {
        let is_there = |end| directory.join(format!("SNMPv2-TC{end}")).exists();
        ["", ".txt", ".mib", ".my"].into_iter().any(is_there)
    };
    known.find(has_them).expect(
        "these tests need the base MIBs (SNMPv2-SMI and others), which Debian does not carry: tests/run fetches them; \
         or name a directory that has them, in BASE_MIBS",
    )
}

/// The directory of the bridge's own MIB.
pub fn own_mibs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/mibs")
}

/// A UDP port of the loopback that was free a moment ago.
pub fn free_address() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("it is bound")
}

/// How a manager logs in.
#[derive(Debug, Clone, Copy)]
pub enum Login<'a> {
    /// SNMP v2c, with a community.
    Community(&'a str),
    /// SNMP v3 with SHA-256 and AES-128: level, user, and the passwords for authentication and encryption.
    User(&'a str, &'a str, [&'a str; 2]),
}

impl<'a> Login<'a> {
    fn arguments(self) -> Vec<&'a str> {
        match self {
            Login::Community(community) => vec!["-v2c", "-c", community],
            Login::User(level, user, [auth, privacy]) => vec![
                "-v3", "-l", level, "-u", user, "-a", "SHA-256", "-A", auth, "-x", "AES", "-X", privacy,
            ],
        }
    }
}

/// Runs net-snmp's tools at one agent, with the bridge's MIB.
pub struct Manager {
    agent: SocketAddr,
    /// Instead of the directories where they would find and keep settings.
    home: TempDir,
    mibs: PathBuf,
}

/// What a tool has answered.
#[derive(Debug)]
pub struct Answer {
    /// Whether it says that all went well.
    pub is_fine: bool,
    /// What it has found.
    pub stdout: String,
    /// What it complains of.
    pub stderr: String,
}

impl Manager {
    /// A manager of that agent.
    pub fn of(agent: SocketAddr) -> Manager {
        Manager::with_mibs(agent, own_mibs())
    }

    /// A manager of that agent that finds the bridge's MIB in another directory.
    pub fn with_mibs(agent: SocketAddr, mibs: PathBuf) -> Manager {
        let home = home();
        Manager { agent, home, mibs }
    }

    /// Runs a tool once; what comes late is asked for again, and not for long.
    pub async fn ask(&self, tool: &str, login: Login<'_>, arguments: &[&str]) -> Answer {
        let mut command = command(tool, self.home.path(), &self.mibs);
        command.args(login.arguments()).args(["-t", "2", "-r", "1"]);
        command.arg(self.agent.to_string()).args(arguments);
        let tool = tool.to_owned();
        let ran = spawn_blocking(move || command.output())
            .await
            .expect("it does not panic");
        answer(&tool, ran)
    }

    /// What a tool has found that has to succeed.
    pub async fn output(&self, tool: &str, login: Login<'_>, arguments: &[&str]) -> String {
        let answer = self.ask(tool, login, arguments).await;
        assert!(
            answer.is_fine && answer.stderr.is_empty(),
            "{tool} {arguments:?}: {answer:?}"
        );
        answer.stdout
    }
}

/// A `snmptrapd` that runs; ended on drop.
pub struct TrapDaemon {
    child: Child,
    lines: watch::Receiver<String>,
    _home: TempDir,
}

impl TrapDaemon {
    /// Starts one with these lines of configuration; it listens when this returns.
    pub async fn start(address: SocketAddr, configuration: &str) -> TrapDaemon {
        let home = home();
        let file = home.path().join("of-the-test.conf");
        std::fs::write(&file, configuration).expect("the directory is ours");
        let mut child = command("snmptrapd", home.path(), &own_mibs())
            .args(["-f", "-n", "-Lo", "-C", "-c"])
            .arg(&file)
            .arg(format!("udp:{address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", needs("snmptrapd")));
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = watch::channel(String::new());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                sender.send_modify(|text| {
                    text.push_str(&line);
                    text.push('\n');
                });
            }
        });
        let mut daemon = TrapDaemon {
            child,
            lines,
            _home: home,
        };
        daemon
            .until("a start", |text| text.contains("NET-SNMP version"))
            .await;
        daemon
    }

    /// Waits until what it has written fulfils `condition`.
    pub async fn until(&mut self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let fulfilled = self.lines.wait_for(|text| condition(text));
        if let Ok(Ok(text)) = timeout(PATIENCE, fulfilled).await {
            return text.clone();
        }
        panic!("{what}: never seen by snmptrapd; {}", *self.lines.borrow());
    }
}

impl Drop for TrapDaemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `smilint` finds in a MIB at its strictest; it exits with 0 whatever it finds, even nothing to look at.
pub fn lint(mib: &Path) -> String {
    let ran = Command::new("smilint")
        .args(["-c", "/dev/null", "-l", "6"])
        .arg(mib)
        .env("SMIPATH", base_mibs())
        .output();
    let answer = answer("smilint", ran);
    answer.stdout + &answer.stderr
}

/// What the tools take for the user's home, with the one directory that they would otherwise report as made.
fn home() -> TempDir {
    let home = TempDir::new().expect("a temporary directory");
    std::fs::create_dir(home.path().join("cert_indexes")).expect("the directory is ours");
    home
}

fn command(tool: &str, home: &Path, mibs: &Path) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(tool);
    command
        .env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"))
        .env("HOME", home)
        .env("SNMPCONFPATH", home)
        .env("SNMP_PERSISTENT_DIR", home)
        .arg("-M")
        .arg(format!("{}:{}", base_mibs().display(), mibs.display()))
        .args(["-m", "SNMPv2-MIB:LANTIME2MQTT-MIB"]);
    command
}

fn answer(tool: &str, ran: std::io::Result<Output>) -> Answer {
    let output = ran.unwrap_or_else(|error| panic!("{}: {error}", needs(tool)));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Answer {
        is_fine: output.status.success(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

fn needs(tool: &str) -> String {
    format!("these tests need {tool} (Debian: apt-get install snmp snmptrapd smitools)")
}
