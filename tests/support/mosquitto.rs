//! A real broker for tests: mosquitto on a free port of the loopback, with everything that can happen to one.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use lantime2mqtt::tls::Fingerprint;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tempfile::TempDir;

/// How long it may take to start.
const START: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// TLS with a certificate for `localhost` and 127.0.0.1 of a CA made for this test.
    pub tls: bool,
    /// With TLS: only clients with a certificate of that CA may connect.
    pub client_certificates: bool,
    /// Only this user and password may connect; without it everyone may.
    pub login: Option<(&'static str, &'static str)>,
    /// What it has acknowledged outlives it, but for what came in the moment before it was killed: it writes after it
    /// has acknowledged.
    pub persistence: bool,
    /// More lines of its configuration.
    pub lines: Vec<String>,
}

/// The broker; killed on drop.
pub struct Mosquitto {
    directory: TempDir,
    port: u16,
    child: Option<Child>,
    fingerprint: Option<Fingerprint>,
}

impl Mosquitto {
    /// Starts one that everyone may use.
    pub fn start() -> Mosquitto {
        Mosquitto::start_with(Options::default())
    }

    /// Starts one; it accepts connections when this returns. Without persistence a restart loses everything.
    pub fn start_with(options: Options) -> Mosquitto {
        // It writes all that it has after each change: in memory, since it may be killed here, but no power is cut.
        let in_memory = options
            .persistence
            .then(|| TempDir::new_in("/dev/shm").ok())
            .flatten();
        let directory = in_memory.unwrap_or_else(|| TempDir::new().unwrap());
        let fingerprint = options.tls.then(|| make_certificates(directory.path()));
        // Another process may take the port between the probe and the start: then take another one.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            write_configuration(directory.path(), port, &options);
            if let Ok(child) = spawn(directory.path()) {
                let child = Some(child);
                return Mosquitto {
                    directory,
                    port,
                    child,
                    fingerprint,
                };
            }
        }
        panic!(
            "mosquitto does not start: {}",
            spawn(directory.path()).unwrap_err()
        );
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The file of its CA's certificate.
    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The files of a certificate that its CA has signed for a client, and of the key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        let file = |name: &str| self.directory.path().join(name);
        (file("client.pem"), file("client.key"))
    }

    /// The fingerprint of its certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint.expect("started with TLS")
    }

    /// Ends it at once, as a power cut does.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again, on the same port.
    pub fn restart(&mut self) {
        self.kill9();
        let child = spawn(self.directory.path());
        self.child = Some(child.unwrap_or_else(|log| panic!("mosquitto does not start again: {log}")));
    }

    /// Stops it from running, while its sockets stay open.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it run again.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// The running process, or what it wrote before it ended.
fn spawn(directory: &Path) -> Result<Child, String> {
    let mut child = Command::new("mosquitto")
        .arg("-c")
        .arg(directory.join("mosquitto.conf"))
        .env("PATH", path_with_sbin())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("these tests need mosquitto (Debian: apt-get install mosquitto): {error}")
        });
    let log = BufReader::new(child.stderr.take().expect("its stderr is piped"));
    let (lines, received) = mpsc::channel();
    // Reads on to the end, so that a full pipe never stops the broker.
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    let mut seen = String::new();
    while let Ok(line) = received.recv_timeout(START) {
        if line.ends_with(" running") {
            return Ok(child);
        }
        let _ = writeln!(seen, "{line}");
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(seen)
}

fn path_with_sbin() -> String {
    format!(
        "{}:/usr/sbin:/usr/local/sbin",
        std::env::var("PATH").unwrap_or_default()
    )
}

fn write_configuration(directory: &Path, port: u16, options: &Options) {
    let file = |name: &str| directory.join(name).display().to_string();
    // As root it would change to a user that cannot read the directory. Subscribers of thousands of
    // topics need a long queue; a limit of 0, for none, would make this version end connections.
    let mut text =
        format!("user root\nlog_dest stderr\nmax_queued_messages 1000000\nlistener {port} 127.0.0.1\n");
    if options.persistence {
        let _ = write!(
            text,
            "persistence true\npersistence_location {}/\nautosave_on_changes true\nautosave_interval 1\n",
            directory.display()
        );
    } else {
        text.push_str("persistence false\n");
    }
    match options.login {
        None => text.push_str("allow_anonymous true\n"),
        Some((user, password)) => {
            let made = Command::new("mosquitto_passwd")
                .args(["-c", "-b", &file("passwords"), user, password])
                .stderr(Stdio::null())
                .status();
            assert!(made.expect("mosquitto_passwd belongs to mosquitto").success());
            let _ = write!(
                text,
                "allow_anonymous false\npassword_file {}\n",
                file("passwords")
            );
        }
    }
    if options.tls {
        let _ = write!(
            text,
            "certfile {}\nkeyfile {}\n",
            file("server.pem"),
            file("server.key")
        );
        if options.client_certificates {
            let _ = write!(text, "require_certificate true\ncafile {}\n", file("ca.pem"));
        }
    }
    for line in &options.lines {
        let _ = writeln!(text, "{line}");
    }
    std::fs::write(directory.join("mosquitto.conf"), text).unwrap();
}

/// Writes `ca.pem`, and `.pem` and `.key` of `server` and `client`; gives the server certificate's fingerprint.
fn make_certificates(directory: &Path) -> Fingerprint {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // With the name of its subjects, OpenSSL would take them for signed by themselves.
    params.distinguished_name.push(DnType::CommonName, "CA of a test");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    let server = params.signed_by(&key, &ca).unwrap();
    std::fs::write(directory.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(directory.join("server.pem"), server.pem()).unwrap();
    std::fs::write(directory.join("server.key"), key.serialize_pem()).unwrap();
    let mut params = CertificateParams::new(vec!["bridge".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let client = params.signed_by(&key, &ca).unwrap();
    std::fs::write(directory.join("client.pem"), client.pem()).unwrap();
    std::fs::write(directory.join("client.key"), key.serialize_pem()).unwrap();
    Fingerprint::of(server.der())
}
