//! A real etcd for tests: one node, or three that are a cluster, on free ports of the loopback, with everything that can
//! happen to a node.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

use super::openssl::Issued;
use super::wait;

/// How long a node may take to start.
const START: Duration = Duration::from_secs(20);

/// What to start.
#[derive(Default)]
pub struct Options {
    /// With TLS towards clients.
    pub tls: Option<Tls>,
    /// More arguments of each node.
    pub arguments: Vec<&'static str>,
}

/// The certificates of a node's side for clients.
pub struct Tls {
    pub server: Issued,
    /// The CA of those clients that may connect; all may without it.
    pub clients: Option<PathBuf>,
}

/// The nodes; killed on drop.
pub struct Etcd {
    directory: TempDir,
    options: Options,
    nodes: Vec<Node>,
}

struct Node {
    client_port: u16,
    peer_port: u16,
    child: Option<Child>,
}

impl Etcd {
    /// Starts one node.
    pub fn start() -> Etcd {
        Etcd::start_with(1, Options::default())
    }

    /// Starts a cluster of three.
    pub fn cluster() -> Etcd {
        Etcd::start_with(3, Options::default())
    }

    /// Starts so many nodes; they serve requests when this returns.
    pub fn start_with(nodes: usize, options: Options) -> Etcd {
        // It syncs each write to its disk: in memory, since it may be killed here, but no power is cut.
        let in_memory = TempDir::new_in("/dev/shm").ok();
        let mut etcd = Etcd {
            directory: in_memory.unwrap_or_else(|| TempDir::new().unwrap()),
            options,
            nodes: Vec::new(),
        };
        // Another process may take a port between the probe and the start: then take others.
        let mut log = String::new();
        for _ in 0..5 {
            etcd.nodes = ports(nodes);
            match etcd.run(&(0..nodes).collect::<Vec<_>>()) {
                Ok(()) => return etcd,
                Err(reason) => log = reason,
            }
            etcd.kill_all();
            (0..nodes).for_each(|node| drop(std::fs::remove_dir_all(etcd.data(node))));
        }
        panic!("etcd does not start: {log}");
    }

    /// The URLs of all nodes.
    pub fn endpoints(&self) -> Vec<String> {
        self.nodes.iter().map(|node| self.url(node.client_port)).collect()
    }

    /// The URL of one.
    pub fn endpoint(&self, node: usize) -> String {
        self.url(self.nodes[node].client_port)
    }

    /// Ends a node at once, as a power cut does.
    pub fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts a node again, with its data.
    pub fn restart(&mut self, node: usize) {
        self.kill(node);
        let ran = self.run(&[node]);
        ran.unwrap_or_else(|log| panic!("etcd does not start again: {log}"));
    }

    /// Starts nodes again, with their data: all at once, since one alone has no majority.
    pub fn start_again(&mut self, nodes: &[usize]) {
        let ran = self.run(nodes);
        ran.unwrap_or_else(|log| panic!("etcd does not start again: {log}"));
    }

    /// Stops a node from running, while its sockets stay open. None of its threads runs when this returns.
    pub async fn freeze(&self, node: usize) {
        self.signal(node, "-STOP");
        let threads = format!("/proc/{}/task", self.pid(node));
        wait::until("a frozen node", async || {
            let threads = std::fs::read_dir(&threads).unwrap();
            threads.flatten().all(|thread| is_stopped(&thread.path()))
        })
        .await;
    }

    /// Lets it run again.
    pub fn thaw(&self, node: usize) {
        self.signal(node, "-CONT");
    }

    /// Runs `etcdctl` with these arguments, with TLS as a node, and gives what it writes.
    pub fn control(&self, arguments: &[&str]) -> String {
        let output = self
            .etcdctl(arguments)
            .output()
            .unwrap_or_else(|error| panic!("these tests need etcdctl ({HOW_TO_GET}): {error}"));
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdctl {arguments:?}: {log}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn etcdctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("etcdctl"));
        command
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.endpoints().join(",")])
            .args(self.certificates())
            .args(arguments);
        command
    }

    /// Lets only users in: `root`, who may do everything, and `guest`, who may do nothing.
    pub fn require_login(&self, password: &str) {
        for user in ["root", "guest"] {
            self.control(&["user", "add", &format!("{user}:{password}")]);
        }
        self.control(&["user", "grant-role", "root", "root"]);
        self.control(&["auth", "enable"]);
    }

    /// Those of a node, for `etcdctl`.
    fn certificates(&self) -> Vec<String> {
        let Some(Tls {
            server,
            clients: Some(ca),
        }) = &self.options.tls
        else {
            return Vec::new();
        };
        let files = [
            ("cacert", ca),
            ("cert", &server.certificate),
            ("key", &server.key),
        ];
        let files = files.iter();
        files
            .map(|(name, file)| format!("--{name}={}", file.display()))
            .collect()
    }

    /// Gives `root` another password.
    pub fn change_password(&self, from: &str, to: &str) {
        let user = format!("root:{from}");
        let mut changed = self.etcdctl(&["--user", &user, "user", "passwd", "root", "--interactive=false"]);
        let mut child = changed
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().expect("it is piped");
        std::io::Write::write_all(&mut stdin, format!("{to}\n").as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }

    fn url(&self, port: u16) -> String {
        let scheme = if self.options.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://127.0.0.1:{port}")
    }

    fn data(&self, node: usize) -> PathBuf {
        self.directory.path().join(format!("node{node}"))
    }

    /// Starts these nodes, and waits until they serve requests. The error is what one has written.
    fn run(&mut self, nodes: &[usize]) -> Result<(), String> {
        let mut logs = Vec::new();
        for &node in nodes {
            let mut child = self
                .command(node)
                .spawn()
                .unwrap_or_else(|error| panic!("these tests need etcd ({HOW_TO_GET}): {error}"));
            logs.push(lines(&mut child));
            self.nodes[node].child = Some(child);
        }
        logs.into_iter().try_for_each(|lines| until_ready(&lines))
    }

    fn command(&self, node: usize) -> Command {
        let peer = |node: &Node| format!("http://127.0.0.1:{}", node.peer_port);
        let named = self.nodes.iter().enumerate();
        let cluster: Vec<_> = named
            .map(|(node, ports)| format!("node{node}={}", peer(ports)))
            .collect();
        let (client, peer) = (self.endpoint(node), peer(&self.nodes[node]));
        let mut command = Command::new(program("etcd"));
        command
            .args([
                "--name",
                &format!("node{node}"),
                "--initial-cluster",
                &cluster.join(","),
            ])
            .args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ])
            .args(["--heartbeat-interval", "50", "--election-timeout", "500"])
            .args(["--logger", "zap", "--log-outputs", "stderr", "--bcrypt-cost", "4"])
            .arg("--data-dir")
            .arg(self.data(node))
            .args(&self.options.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(tls) = &self.options.tls {
            command.arg("--cert-file").arg(&tls.server.certificate);
            command.arg("--key-file").arg(&tls.server.key);
            if let Some(ca) = &tls.clients {
                command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(ca);
            }
        }
        command
    }

    fn kill_all(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.kill(node));
    }

    fn pid(&self, node: usize) -> String {
        let child = self.nodes[node].child.as_ref();
        child.expect("it runs").id().to_string()
    }

    fn signal(&self, node: usize, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid(node)]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill_all();
    }
}

const HOW_TO_GET: &str = "tests/run fetches it, or Debian's packages etcd-server and etcd-client have it";

/// Where `tests/run` puts it, or else wherever it is installed.
fn program(name: &str) -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/peers/etcd/usr/bin")
        .join(name);
    if fetched.exists() { fetched } else { name.into() }
}

/// `PATH` with that directory before the others.
pub fn path() -> String {
    let own = program("etcd");
    let directory = own.parent().unwrap_or(Path::new("")).display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    match directory.is_empty() {
        true => path,
        false => format!("{directory}:{path}"),
    }
}

fn ports(nodes: usize) -> Vec<Node> {
    // All are open at the same time, so that none is given twice.
    let listeners: Vec<_> = (0..2 * nodes)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let ports: Vec<_> = listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap().port())
        .collect();
    let pairs = ports.chunks(2);
    pairs
        .map(|pair| Node {
            client_port: pair[0],
            peer_port: pair[1],
            child: None,
        })
        .collect()
}

/// What it writes. It is read on to the end, so that a full pipe never stops the node.
fn lines(child: &mut Child) -> mpsc::Receiver<String> {
    let log = BufReader::new(child.stderr.take().expect("its stderr is piped"));
    let (lines, received) = mpsc::channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    received
}

/// Whether a thread is stopped by a signal, as `/proc` has it; one that has ended runs no more, either.
fn is_stopped(thread: &Path) -> bool {
    let status = std::fs::read_to_string(thread.join("status")).unwrap_or_default();
    !status.contains("State:") || status.contains("State:\tT")
}

fn until_ready(lines: &mpsc::Receiver<String>) -> Result<(), String> {
    let mut seen = String::new();
    while let Ok(line) = lines.recv_timeout(START) {
        if line.contains("serving client traffic") {
            return Ok(());
        }
        let _ = writeln!(seen, "{line}");
    }
    Err(seen)
}
