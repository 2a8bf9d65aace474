//! RabbitMQ and NATS as Debian packs them, each with directories and ports of its own; killed on drop.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::wait;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// How long one may take to start: RabbitMQ needs some ten seconds, and a minute where others use the processor.
const START: Duration = Duration::from_secs(240);

/// The server itself; `/usr/sbin/rabbitmq-server` is for its service, and runs as a user of its own.
const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

pub(crate) fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

/// Ends all of a server's processes.
struct Group(Child);

impl Group {
    fn start(command: &mut Command, package: &str) -> Group {
        let child = command.stdin(Stdio::null()).process_group(0).spawn();
        Group(child.unwrap_or_else(|error| {
            panic!("this test needs {package} (Debian: apt-get install {package}): {error}")
        }))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

/// Waits until `address` takes connections.
async fn started(address: SocketAddr, log: &Path) {
    wait::within(START, "it starts", async || {
        let connected = TcpStream::connect(address).await;
        connected.map_err(|_| fs::read_to_string(log).unwrap_or_default())
    })
    .await;
}

pub(crate) struct Nats {
    address: SocketAddr,
    _server: Group,
    _directory: TempDir,
}

impl Nats {
    pub(crate) async fn start() -> Nats {
        let directory = TempDir::new().unwrap();
        let (address, own) = (free_address(), free_address());
        let store = directory.path().display();
        // MQTT needs JetStream, and that a name.
        let configuration = format!(
            "listen: \"{own}\"\nserver_name: test\njetstream {{ store_dir: \"{store}\" }}\nmqtt {{ listen: \"{address}\" }}\n"
        );
        let (file, log) = (directory.path().join("nats.conf"), directory.path().join("log"));
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("nats-server");
        command
            .arg("-c")
            .arg(file)
            .env("PATH", path_with_sbin())
            .stderr(File::create(&log).unwrap());
        let server = Group::start(&mut command, "nats-server");
        started(address, &log).await;
        Nats {
            address,
            _server: server,
            _directory: directory,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

pub(crate) struct RabbitMq {
    address: SocketAddr,
    // Dropped in this order: a server waits for the daemon that knows its name.
    _server: Group,
    _port_mapper: Group,
    _directory: TempDir,
}

impl RabbitMq {
    pub(crate) async fn start() -> RabbitMq {
        let directory = TempDir::new().unwrap();
        let (address, port_mapper, own) = (free_address(), free_address(), free_address());
        let file = |name: &str| directory.path().join(name);
        // Anonymous clients are the user `guest`, which exists from the beginning.
        let configuration = format!(
            "listeners.tcp = none\nmqtt.listeners.tcp.1 = {address}\nmqtt.allow_anonymous = true\nlog.console = true\n\
             log.file = false\n"
        );
        fs::write(file("rabbitmq.conf"), configuration).unwrap();
        fs::write(file("enabled_plugins"), "[rabbitmq_mqtt].").unwrap();
        // Started by the server it would outlive it.
        let mapper_port = port_mapper.port().to_string();
        let mut command = Command::new("epmd");
        command.args(["-address", "127.0.0.1", "-port", &mapper_port]);
        let port_mapper = Group::start(&mut command, "erlang-base");
        let log = file("console");
        let mut command = Command::new(RABBITMQ);
        command
            .env("HOME", directory.path())
            .env("ERL_EPMD_PORT", &mapper_port)
            .env("RABBITMQ_DIST_PORT", own.port().to_string())
            .env("RABBITMQ_NODENAME", format!("test-{}@localhost", own.port()))
            .env("RABBITMQ_CONF_ENV_FILE", file("none.conf"))
            .env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", file("none.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", file("database"))
            .env("RABBITMQ_LOG_BASE", file("log"))
            .stdout(File::create(&log).unwrap())
            .stderr(File::options().append(true).open(&log).unwrap());
        let server = Group::start(&mut command, "rabbitmq-server");
        started(address, &log).await;
        RabbitMq {
            address,
            _server: server,
            _port_mapper: port_mapper,
            _directory: directory,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn path_with_sbin() -> String {
    format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default())
}
