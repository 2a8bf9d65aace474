//! A host name with two addresses, of which the first swallows everything: it keeps the bridge out nowhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use lantime2mqtt::mqtt::embedded::EmbeddedBroker;
use lantime2mqtt::simulator::{ApiGeneration, Fault, Fleet, FleetOptions, SnmpOptions};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::mosquitto::Mosquitto;
use crate::support::program::{PROGRAM, Program};
use crate::support::scene::Setup;
use crate::support::site::{Entry, Site};
use crate::support::tls_front::Authority;
use crate::support::{PATIENCE, Seen, Watcher};

/// The name that has both addresses.
const NAME: &str = "two.example";
/// Listed first. Nothing else uses these two addresses, so what is free at one is free at the other.
const DEAD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const ALIVE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// A TCP port that answers nothing, as one behind a firewall does: its queue is full, so that the kernel drops what comes.
struct Blackhole {
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl Blackhole {
    fn at(address: SocketAddr) -> Blackhole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
            queued.push(stream);
        }
        Blackhole {
            _listener: listener,
            _queued: queued,
        }
    }
}

/// Passes on what comes to the address that is alive, on a port of which the other one's is a black hole. Gives the port.
async fn forward(target: SocketAddr) -> (u16, Blackhole) {
    let listener = TcpListener::bind((ALIVE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(target).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    (port, Blackhole::at((DEAD, port).into()))
}

/// Where the name has its two addresses: a mount namespace with a file of its own for /etc/hosts.
struct Namespace(TempDir);

impl Namespace {
    fn new() -> Namespace {
        let directory = TempDir::new().unwrap();
        let hosts = format!("127.0.0.1 localhost\n{DEAD} {NAME}\n{ALIVE} {NAME}\n");
        std::fs::write(directory.path().join("hosts"), hosts).unwrap();
        Namespace(directory)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        let hosts = self.0.path().join("hosts");
        let script = r#"mount --bind "$0" /etc/hosts && exec "$@""#;
        command
            .args(["--map-root-user", "--mount", "sh", "-c", script])
            .arg(hosts)
            .arg(program);
        command
    }

    fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Program {
        Program::start_by(self.command(PROGRAM), arguments, variables)
    }

    /// Panics where the dead address is not the first.
    fn check(&self) {
        let output = self.command("getent").args(["ahosts", NAME]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(
            text.starts_with(&DEAD.to_string()) && text.contains(&ALIVE.to_string()),
            "{text} {log}"
        );
    }
}

#[tokio::test]
async fn devices_are_reached_at_their_second_address() {
    let namespace = Namespace::new();
    namespace.check();
    let options = |options| FleetOptions {
        listen: ALIVE,
        snmp: Some(SnmpOptions::default()),
        ..options
    };
    let setup = Setup::single(&[ApiGeneration::V20; 2]).options(options);
    let fleet = setup.fleet().await;
    let [by_rest, by_snmp] = fleet.devices() else {
        panic!("two devices")
    };
    by_snmp.set_fault(Some(Fault::NotFound));
    let url = format!("http://{NAME}:{}", by_rest.address().port());
    let agent = by_snmp.snmp_address().unwrap();
    let _dead = Blackhole::at((DEAD, by_rest.address().port()).into());
    let _silent = UdpSocket::bind((DEAD, agent.port())).unwrap();
    let entries = [
        Entry::new("by-rest", &url).with("connect_timeout", "1s"),
        Entry::of(by_snmp)
            .listed(by_snmp)
            .with("snmp.address", format!("{NAME}:{}", agent.port()))
            .with("snmp.community", "public")
            .with("snmp.timeout", "300ms")
            .with("snmp.retries", 0)
            .with("snmp.read", "fallback")
            .with("snmp.events", "rest"),
    ];
    let stage = Setup::at(&entries).watched().await;
    let (mut watcher, _broker, site) = (stage.client, stage.broker, stage.site);
    let config = site.config().display().to_string();
    let _bridge = namespace.start(&["run", "--config", &config], &[]);
    watcher
        .until("both devices", |seen| {
            seen.is_online("by-rest") && seen.is_online(by_snmp.id())
        })
        .await;

    let password = site.file("password", "simulated");
    let arguments = [
        "probe",
        &url,
        "--username",
        "bridge",
        "--password-file",
        &password,
    ];
    let end = namespace.start(&arguments, &[]).end(PATIENCE).await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
}

#[tokio::test]
async fn a_certificate_is_probed_at_the_second_address() {
    let namespace = Namespace::new();
    let fleet = Fleet::start(FleetOptions {
        devices: 1,
        listen: ALIVE,
        https: true,
        ..FleetOptions::default()
    })
    .await
    .unwrap();
    let port = fleet.devices()[0].address().port();
    let _dead = Blackhole::at((DEAD, port).into());
    let pin = fleet.certificate().unwrap().fingerprint();
    let arguments = [
        "probe",
        &format!("https://{NAME}:{port}"),
        "--username",
        "bridge",
        "--fingerprint",
        &pin,
        "--timeout",
        "4",
    ];
    let variables = [("LANTIME2MQTT_PROBE_PASSWORD", "simulated")];
    let end = namespace.start(&arguments, &variables).end(PATIENCE).await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
}

#[tokio::test]
async fn the_broker_is_reached_at_its_second_address() {
    let namespace = Namespace::new();
    let plain = Mosquitto::start();
    // Debian's mosquitto is built without websockets.
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let embedded = EmbeddedBroker::bind(any, Some(any)).await.unwrap();
    let (websocket, embedded_address) = (embedded.websocket_address().unwrap(), embedded.address());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(embedded.run(stop.clone()));
    let authority = Authority::new();
    let (tls, wss) = (
        authority.front(NAME, plain.address()).await,
        authority.front(NAME, websocket).await,
    );
    let ways = [
        ("mqtt", plain.address()),
        ("mqtts", tls.address()),
        ("ws", websocket),
        ("wss", wss.address()),
    ];
    let mut bridges = Vec::new();
    for (scheme, target) in ways {
        for version in ["5", "3.1.1"] {
            let (port, dead) = forward(target).await;
            let id = format!("{scheme}-{}", version.len());
            let site = Site::new(any, &[])
                .with("bridge.id", id.clone())
                .with("mqtt.url", format!("{scheme}://{NAME}:{port}"))
                .with("mqtt.version", version);
            let ca = site.file("ca.pem", &authority.pem());
            let site = if ["mqtts", "wss"].contains(&scheme) {
                site.with("mqtt.ca", ca)
            } else {
                site
            };
            let config = site.config().display().to_string();
            let bridge = namespace.start(&["run", "--config", &config], &[]);
            bridges.push((id, bridge, site, dead));
        }
    }
    let is_there = |seen: &Seen, id: &str| seen.is(&format!("lantime/bridge/{id}/state"), "online");
    let mut watcher = Watcher::connect(plain.address()).await;
    let mut websockets = Watcher::connect(embedded_address).await;
    for (id, ..) in &bridges {
        let watcher = if id.starts_with('w') {
            &mut websockets
        } else {
            &mut watcher
        };
        watcher.until(id, |seen| is_there(seen, id)).await;
    }
    for (id, bridge, ..) in bridges {
        let end = bridge.stop("TERM").await;
        assert_eq!(end.code, Some(0), "{id}: {:?}", end.output);
    }
    stop.cancel();
    let _ = serving.await;
}
