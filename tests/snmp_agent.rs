//! The bridge as an SNMP agent, as net-snmp's tools see it: tables by name, nothing writable, nothing for others,
//! and notifications of what changes.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use lantime2mqtt::simulator::{Action, ApiGeneration, Chassis, Clock, Fault};
use support::mosquitto::Mosquitto;
use support::net_snmp::{Login, Manager, TrapDaemon, free_address, lint, own_mibs};
use support::scene::{self, Setup};
use support::site::{Entry, Site};
use support::{Seen, Watcher};
use tokio::task::JoinSet;
use toml::{Table, Value};

const COMMUNITY: &str = "to-read";
const PASSWORDS: [&str; 2] = ["to-authenticate", "to-encrypt"];
const V2C: Login<'static> = Login::Community(COMMUNITY);
const V3: Login<'static> = Login::User("authPriv", "operator", PASSWORDS);
const ROOT: &str = "LANTIME2MQTT-MIB::lantime2mqttMIB";

/// What the agent of a test is asked by: one community, one user.
const READERS: &str = r#"
    communities = ["to-read"]
    [[users]]
    name = "operator"
    auth_password = "to-authenticate"
    priv_password = "to-encrypt"
"#;

/// A redundant device, `sim-1`, and one with a single clock, `sim-2`, with a bridge that has seen both.
type Scene = scene::Scene<Watcher>;

impl Scene {
    async fn start() -> Scene {
        Scene::with("").await
    }

    /// With more lines of `[snmp.agent]`.
    async fn with(lines: &str) -> Scene {
        let kinds = [Chassis::M3000, Chassis::M500].map(|chassis| (chassis, ApiGeneration::V20));
        let agent = settings(free_address(), lines);
        let setup = Setup::of(&kinds).site(|site| site.with("snmp.agent", agent));
        let mut scene = setup.start().await;
        scene.until("all devices", are_all_seen).await;
        scene
    }

    fn agent(&self) -> SocketAddr {
        self.site.address("snmp.agent.listen")
    }

    fn manager(&self) -> Manager {
        Manager::of(self.agent())
    }

    /// Everything below the root, by name.
    async fn walk(&self, login: Login<'_>) -> String {
        self.manager().output("snmpwalk", login, &[ROOT]).await
    }
}

fn settings(agent: SocketAddr, lines: &str) -> Table {
    let mut settings: Table = format!("{lines}\n{READERS}").parse().unwrap();
    settings.insert("listen".to_owned(), Value::String(agent.to_string()));
    settings
}

/// A sink that is notified by v2c, and one by v3.
fn sinks(plain: SocketAddr, secure: SocketAddr) -> String {
    let [auth, privacy] = PASSWORDS;
    let user = format!(r#"{{ name = "notifier", auth_password = "{auth}", priv_password = "{privacy}" }}"#);
    format!(
        r#"sinks = [{{ address = "{plain}", community = "to-be-notified" }}, {{ address = "{secure}", user = {user} }}]"#
    )
}

fn are_all_seen(seen: &Seen) -> bool {
    let stands = |topic: &str| seen.json(topic)["position"] == "NO";
    let statistics = |device: &str| seen.json(&format!("{device}/http/stats")).is_object();
    stands("sim-1/io3/relay/a") && stands("sim-2/io1/relay/a") && statistics("sim-1") && statistics("sim-2")
}

/// `NAME = TYPE: VALUE` as lines; the names alone.
fn names(walked: &str) -> BTreeSet<&str> {
    let names = walked.lines().filter_map(|line| Some(line.split_once(" = ")?.0));
    names.collect()
}

#[test]
fn the_mib_is_clean_at_the_strictest_level() {
    let found = lint(&own_mibs().join("LANTIME2MQTT-MIB.txt"));
    assert_eq!(found, "");
}

#[tokio::test]
async fn managers_read_the_tables_by_name() {
    let scene = Scene::start().await;
    let walked = scene.walk(V2C).await;
    for line in [
        r#"l2mDeviceId.1 = STRING: sim-1"#,
        r#"l2mDeviceId.2 = STRING: sim-2"#,
        r#"l2mDeviceState.1 = INTEGER: online(1)"#,
        r#"l2mDeviceError.2 = INTEGER: none(1)"#,
        r#"l2mDeviceFirmware.1 = STRING: fw_7.10.008"#,
        r#"l2mRelayName.1."io3".a = STRING: sim-1/io3/a"#,
        r#"l2mRelayPosition.1."io3".a = INTEGER: no(1)"#,
        r#"l2mRelayFault.1."io3".b = INTEGER: false(2)"#,
        r#"l2mRelayDrivenBy.1."io3".c = INTEGER: rsc(3)"#,
        r#"l2mRelayDrivenBy.2."io1".c = INTEGER: tenMhz(5)"#,
        r#"l2mSignalStatus.1."io3".clk2 = INTEGER: ok(1)"#,
        r#"l2mSignalProvenance.1."io3".clk1 = INTEGER: reported(1)"#,
        r#"l2mCommandsWaiting.0 = Gauge32: 0"#,
    ] {
        let line = format!("LANTIME2MQTT-MIB::{line}\n");
        assert!(walked.contains(&line), "{line} is not in\n{walked}");
    }
    // A name for every object and every word: a bare number would be one that the MIB does not know.
    for line in walked.lines() {
        let (name, value) = line.split_once(" = ").unwrap();
        assert!(!name.contains("MIB::lantime2mqttMIB"), "{line}");
        assert!(
            value
                .strip_prefix("INTEGER: ")
                .is_none_or(|word| word.contains('(')),
            "{line}"
        );
    }
    let since = walked
        .lines()
        .find(|line| line.contains("l2mRelaySince"))
        .unwrap();
    assert!(
        since.contains("STRING: 20") && since.ends_with(",+0:0"),
        "{since}"
    );

    // All ways of asking find the same.
    let v3 = scene.walk(V3).await;
    assert_eq!(names(&v3), names(&walked));
    for login in [V2C, V3] {
        let few = scene
            .manager()
            .output("snmpbulkwalk", login, &["-Cr3", ROOT])
            .await;
        assert_eq!(names(&few), names(&walked));
        let many = scene
            .manager()
            .output("snmpbulkwalk", login, &["-Cr2000", ROOT])
            .await;
        assert_eq!(names(&many), names(&walked));
        let table = scene
            .manager()
            .output(
                "snmptable",
                login,
                &["-Ci", "-Cf", ";", "LANTIME2MQTT-MIB::l2mRelayTable"],
            )
            .await;
        assert!(
            table.contains("index;l2mRelayName;l2mRelayPosition;l2mRelayFault"),
            "{table}"
        );
        assert!(
            table.contains(r#"2."io1".a;sim-2/io1/a;no;false;reported;clk1;"#),
            "{table}"
        );
        assert_eq!(
            table.lines().filter(|line| line.contains("/io")).count(),
            9,
            "{table}"
        );
    }
    assert_eq!(scene.bridge.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn the_system_group_says_what_it_is() {
    let scene = Scene::start().await;
    let walked = scene.manager().output("snmpwalk", V3, &["system"]).await;
    for part in [
        "sysDescr.0 = STRING: lantime2mqtt ",
        "sysObjectID.0 = OID: LANTIME2MQTT-MIB::l2mBridge\n",
        "sysUpTime.0 = Timeticks: (",
        "sysContact.0 = STRING: \n",
        "sysName.0 = STRING: test\n",
        "sysLocation.0 = STRING: \n",
        "sysServices.0 = INTEGER: 72\n",
    ] {
        assert!(walked.contains(part), "{part} is not in\n{walked}");
    }
    // The tools ask for it first where nothing is named, and go on to all the rest.
    let everything = scene.manager().output("snmpwalk", V2C, &[".1"]).await;
    assert!(everything.contains("l2mCommandsWaiting.0"), "{everything}");
}

#[tokio::test]
async fn nothing_is_writable() {
    let scene = Scene::start().await;
    let objects = [
        ("SNMPv2-MIB::sysName.0", "s", "other"),
        ("SNMPv2-MIB::sysLocation.0", "s", "other"),
        ("LANTIME2MQTT-MIB::l2mDeviceId.1", "s", "other"),
        (r#"LANTIME2MQTT-MIB::l2mRelayPosition.1."io3".a"#, "i", "2"),
        ("LANTIME2MQTT-MIB::l2mRecordsWaiting.0", "u", "0"),
        ("1.3.6.1.4.1.8072.9999.9999.1883.9.1.0", "i", "1"),
    ];
    let before = scene.walk(V2C).await;
    for login in [V2C, V3] {
        for (object, kind, value) in objects {
            let answer = scene
                .manager()
                .ask("snmpset", login, &[object, kind, value])
                .await;
            let is_refused = ["noAccess", "notWritable", "authorizationError"]
                .iter()
                .any(|word| answer.stderr.contains(word));
            assert!(!answer.is_fine && is_refused, "{object}: {answer:?}");
        }
    }
    let relays = |walked: &str| -> Vec<String> {
        let lines = walked.lines().filter(|line| line.contains("l2mRelay"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(relays(&scene.walk(V3).await), relays(&before));
}

#[tokio::test]
async fn unknown_managers_get_nothing() {
    let sinks = sinks(free_address(), free_address());
    let scene = Scene::with(&sinks).await;
    let [auth, privacy] = PASSWORDS;
    let manager = Arc::new(Manager::of(scene.agent()));
    let mut asking = JoinSet::new();
    for login in [
        Login::Community("public"),
        Login::Community("to-rea"),
        // Those who are notified need not ask.
        Login::Community("to-be-notified"),
        Login::User("authPriv", "notifier", PASSWORDS),
        Login::User("authPriv", "operator", ["wrong-password", privacy]),
        Login::User("authPriv", "operator", [auth, "wrong-password"]),
        Login::User("authPriv", "nobody", PASSWORDS),
        Login::User("authNoPriv", "operator", PASSWORDS),
        Login::User("noAuthNoPriv", "operator", PASSWORDS),
    ] {
        let manager = Arc::clone(&manager);
        asking.spawn(async move {
            let objects = ["SNMPv2-MIB::sysDescr.0", "LANTIME2MQTT-MIB::l2mDeviceId.1"];
            let answer = manager.ask("snmpget", login, &objects).await;
            let is_shown = [&answer.stdout, &answer.stderr]
                .iter()
                .any(|text| text.contains(" = "));
            assert!(!answer.is_fine && !is_shown, "{login:?}: {answer:?}");
        });
    }
    asking.join_all().await;
    // And the agent goes on.
    assert!(!scene.walk(V3).await.is_empty());
}

#[tokio::test]
async fn malformed_requests_do_no_harm_and_fills_no_log() {
    let scene = Scene::start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let request = [
        0x30, 0x29, 0x02, 0x01, 0x01, 0x04, 0x07, b't', b'o', b'-', b'r', b'e', b'a', b'd',
    ];
    let before = scene.bridge.output().stderr.lines().count();
    for number in 0..2000_u32 {
        let mut datagram = request.to_vec();
        datagram.extend(number.to_be_bytes());
        datagram[number as usize % request.len()] ^= number.to_le_bytes()[0];
        socket.send_to(&datagram, scene.agent()).unwrap();
    }
    assert!(!scene.walk(V3).await.is_empty());
    let lines = scene.bridge.output().stderr.lines().count() - before;
    assert!(lines < 10, "{lines} lines for 2000 datagrams");
}

#[tokio::test]
async fn changes_are_notified_by_name_over_a_restart_too() {
    let [plain, secure] = [free_address(), free_address()];
    let mut scene = Scene::with(&sinks(plain, secure)).await;
    let engine = fs::read_to_string(scene.site.state().join("snmp-engine.json")).unwrap();
    let engine: serde_json::Value = serde_json::from_str(&engine).unwrap();
    let engine = engine["engine_id"].as_str().unwrap();
    let mut daemons = [
        TrapDaemon::start(plain, "authCommunity log to-be-notified").await,
        TrapDaemon::start(
            secure,
            &format!(
                "createUser -e 0x{engine} notifier SHA-256 to-authenticate AES to-encrypt\nauthUser log notifier priv"
            ),
        )
        .await,
    ];
    let device = scene.fleet.devices()[0].clone();
    device.apply(&Action::LoseSync(Clock::Clk1)).unwrap();
    for daemon in &mut daemons {
        let notified = daemon
            .until("a clock's failure", |text| {
                text.contains("l2mSignalChanged") && text.contains("l2mRelayChanged")
            })
            .await;
        let relay = notified
            .lines()
            .find(|line| line.contains("l2mRelayChanged"))
            .unwrap();
        for part in [
            r#"l2mRelayName.1."io3".a = STRING: sim-1/io3/a"#,
            "l2mOldPosition.0 = INTEGER: no(1)",
            r#"l2mRelayPosition.1."io3".a = INTEGER: nc(2)"#,
            r#"l2mRelayFault.1."io3".a = INTEGER: true(1)"#,
            r#"l2mRelayDrivenBy.1."io3".a = INTEGER: clk1(1)"#,
            r#"l2mRelayCause.1."io3".a = STRING: "#,
        ] {
            assert!(relay.contains(part), "{part} is not in {relay}");
        }
        assert!(notified.contains("l2mOldStatus.0 = INTEGER: ok(1)"), "{notified}");
        assert!(
            !notified.contains("l2mDeviceChanged"),
            "a first sight is no change: {notified}"
        );
    }

    // A receiver of v3 drops what comes with boots that it has seen before.
    assert_eq!(scene.bridge.stop("TERM").await.code, Some(0));
    let offline = |seen: &Seen| seen.is("lantime/bridge/test/state", "offline");
    let before = scene.client.until("a stop", offline).await.log.len();
    scene.bridge = scene.site.start();
    // Once the devices have been polled.
    let online = ("lantime/bridge/test/state".to_owned(), "online".to_owned());
    let has_polled = |seen: &Seen| seen.log[before..].contains(&online);
    scene.client.until("the second run", has_polled).await;
    device.set_fault(Some(Fault::ServerError));
    for daemon in &mut daemons {
        let notified = daemon
            .until("an unreachable device", |text| text.contains("l2mDeviceChanged"))
            .await;
        let device = notified
            .lines()
            .find(|line| line.contains("l2mDeviceChanged"))
            .unwrap();
        for part in [
            "l2mDeviceId.1 = STRING: sim-1",
            "l2mOldDeviceState.0 = INTEGER: online(1)",
            "l2mDeviceState.1 = INTEGER: offline(2)",
            "l2mDeviceError.1 = INTEGER: httpStatus(8)",
        ] {
            assert!(device.contains(part), "{part} is not in {device}");
        }
    }
}

#[tokio::test]
async fn a_number_is_never_given_to_another_device() {
    let mut scene = Scene::start().await;
    let [first, second] = [&scene.fleet.devices()[0], &scene.fleet.devices()[1]];
    let entries = [Entry::of(second), Entry::of(first).with("id", "another")];
    scene.reload(&entries);
    scene
        .client
        .until("the other device", |seen| {
            seen.is("lantime/another/state", "online")
        })
        .await;
    let walked = scene.walk(V2C).await;
    assert!(walked.contains("l2mDeviceId.2 = STRING: sim-2\n"), "{walked}");
    assert!(walked.contains("l2mDeviceId.3 = STRING: another\n"), "{walked}");
    assert!(
        walked.contains(r#"l2mRelayName.3."io3".a = STRING: another/io3/a"#),
        "{walked}"
    );
    assert!(!walked.contains("sim-1"), "{walked}");
    assert!(
        !names(&walked)
            .iter()
            .any(|name| name.contains("l2mRelayPosition.1.")),
        "{walked}"
    );
}

#[tokio::test]
async fn the_root_can_be_moved_as_the_mib_says() {
    let scene = Scene::with(r#"root = "1.3.6.1.4.1.12345.7""#).await;
    let directory = tempfile::TempDir::new().unwrap();
    let mib = fs::read_to_string(own_mibs().join("LANTIME2MQTT-MIB.txt")).unwrap();
    let moved = mib.replace("::= { netSnmpPlaypen 1883 }", "::= { enterprises 12345 7 }");
    assert_ne!(moved, mib);
    fs::write(directory.path().join("LANTIME2MQTT-MIB.txt"), moved).unwrap();
    let manager = Manager::with_mibs(scene.agent(), directory.path().to_owned());
    let walked = manager.output("snmpwalk", V3, &[ROOT]).await;
    assert!(walked.contains("l2mDeviceId.1 = STRING: sim-1\n"), "{walked}");
    let nothing = scene.walk(V3).await;
    assert!(!nothing.contains("sim-1"), "{nothing}");
}

#[tokio::test]
async fn a_port_that_is_taken_ends_the_start_with_its_remedy() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let agent = socket.local_addr().unwrap();
    let site = Site::new(
        SocketAddr::from(([127, 0, 0, 1], 1)),
        &[Entry::new("a", "http://127.0.0.1:1")],
    );
    let site = site.with("snmp.agent", settings(agent, ""));
    let end = site.start().end(Duration::from_secs(20)).await;
    assert_eq!(end.code, Some(1), "{end:?}");
    for part in [
        &agent.to_string(),
        "another program has port",
        "snmp.agent.listen",
    ] {
        assert!(end.output.stderr.contains(part), "{part} is not in {end:?}");
    }
}

#[tokio::test]
async fn without_its_configuration_nothing_of_it_runs() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let site = Site::new(broker.address(), &[Entry::new("a", "http://127.0.0.1:1")]);
    let bridge = site.start();
    watcher
        .until("a start", |seen| seen.is("lantime/bridge/test/state", "online"))
        .await;
    assert!(!site.state().join("snmp-engine.json").exists());
    let sockets = fs::read_dir(format!("/proc/{}/fd", bridge.pid())).unwrap();
    let inodes: BTreeSet<String> = sockets
        .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    assert!(!inodes.is_empty());
    for table in ["udp", "udp6"] {
        let table = fs::read_to_string(format!("/proc/{}/net/{table}", bridge.pid())).unwrap();
        let is_ours = |line: &&str| {
            line.split_whitespace()
                .nth(9)
                .is_some_and(|inode| inodes.contains(inode))
        };
        assert_eq!(table.lines().skip(1).find(is_ours), None);
    }
}
