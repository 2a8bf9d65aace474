//! The SNMP side of simulated devices as net-snmp's tools see it. What is set, restarts and
//! notifications have files of their own.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests; the lint only sees functions marked so"
)]

#[path = "simulator_snmp/net_snmp.rs"]
mod net_snmp;
#[path = "simulator_snmp/notifications.rs"]
mod notifications;
#[allow(dead_code, unreachable_pub, reason = "each test uses a part of it only")]
#[path = "support/program.rs"]
mod program;
#[path = "simulator_snmp/restarts.rs"]
mod restarts;
#[path = "simulator_snmp/setting.rs"]
mod setting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lantime2mqtt::simulator::{
    Action, ApiGeneration, Chassis, Clock, DeviceKind, Fault, Fleet, FleetOptions, SimulatedDevice,
    SimulatorError, SnmpOptions,
};
use net_snmp::{PATIENCE, READER, USER, WRITER, get, run, run_for};
use tokio::time::timeout;

const VENDOR: &str = ".1.3.6.1.4.1.5597.30";
/// The actions of ntp-stopped, and the command.
const NTP_STOPPED: &str = ".1.3.6.1.4.1.5597.30.1.1.6.4.0";
const EXECUTE: &str = ".1.3.6.1.4.1.5597.30.2.1.0";

/// One redundant device with an agent.
async fn one(api: ApiGeneration, snmp: SnmpOptions) -> (Fleet, Arc<SimulatedDevice>, SocketAddr) {
    let options = FleetOptions {
        devices: 1,
        kinds: vec![DeviceKind::new(Chassis::M3000, api)],
        snmp: Some(snmp),
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(options).await.unwrap();
    let device = Arc::clone(&fleet.devices()[0]);
    let agent = device.snmp_address().unwrap();
    (fleet, device, agent)
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("this should not take 30 s")
}

#[tokio::test]
async fn a_walk_over_v2c_and_v3_gives_the_same_objects() {
    let (_fleet, device, agent) = one(ApiGeneration::V20, SnmpOptions::default()).await;
    device.apply(&Action::LoseSync(Clock::Clk2)).unwrap();
    let walk = run("snmpwalk", READER, agent, &[VENDOR]).await;
    assert!(walk.done, "{walk:?}");
    for (tool, who) in [
        ("snmpwalk", USER),
        ("snmpbulkwalk", USER),
        ("snmpbulkwalk", READER),
    ] {
        assert_eq!(
            run(tool, who, agent, &[VENDOR]).await.stdout,
            walk.stdout,
            "{tool}"
        );
    }
    let serial = format!("{VENDOR}.0.0.3.0 \"{}\"", device.serial_number());
    for line in [
        &format!("{VENDOR}.0.0.2.0 \"fw_7.10.008\""),
        &serial,
        &format!("{VENDOR}.0.1.2.1.4.1 1"),
        &format!("{VENDOR}.0.1.2.1.4.2 2"),
        &format!("{VENDOR}.0.2.1.0 2"),
        &format!("{VENDOR}.1.1.6.2.0 \"email,snmp,relais\""),
        &format!("{VENDOR}.2.1.0 0"),
    ] {
        assert!(
            walk.stdout.lines().any(|found| found == line),
            "{line}: {}",
            walk.stdout
        );
    }
    let number = |line: &str| line.split('.').nth(12)?.parse::<u32>().ok();
    let actions = walk.stdout.lines().filter(|line| line.contains(".30.1.1.6."));
    let known: Vec<_> = actions.filter_map(number).collect();
    assert_eq!(
        known,
        [
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 23, 24, 28, 37, 38
        ],
        "those of the events that the device has"
    );
    assert_eq!(get(USER, agent, ".1.3.6.1.2.1.1.5.0").await, device.hostname());
    assert!(device.counters().snmp_gets > 100);
}

#[tokio::test]
async fn objects_that_are_not_there_are_reported_as_such() {
    let (_fleet, _device, agent) = one(ApiGeneration::V10, SnmpOptions::default()).await;
    for (oid, missing) in [
        (format!("{VENDOR}.0.0.2"), "No Such Instance"),
        (format!("{VENDOR}.0.0.2.1"), "No Such Instance"),
        (format!("{VENDOR}.0.1.2.1.4.3"), "No Such Instance"),
        (format!("{VENDOR}.1.1.6.77.0"), "No Such Object"),
        (".1.3.6.1.2.1.2.1.0".to_owned(), "No Such Object"),
    ] {
        let answer = run("snmpget", READER, agent, &[&oid]).await;
        assert!(
            answer.done && answer.stdout.contains(missing),
            "{oid}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_silent_agent_answers_nobody_until_it_is_over() {
    let (_fleet, device, agent) = one(ApiGeneration::V16, SnmpOptions::default()).await;
    device.set_fault(Some(Fault::SnmpSilence));
    soon(device.wait_answering(false)).await;
    for who in [READER, USER] {
        let refused = run_for("snmpget", who, agent, &[EXECUTE], "0.2").await;
        assert!(refused.stderr.contains("Timeout"), "{refused:?}");
    }
    device.set_fault(None);
    soon(device.wait_answering(true)).await;
    assert_eq!(get(USER, agent, EXECUTE).await, "0");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let (_fleet, _device, agent) = one(ApiGeneration::V10, SnmpOptions::default()).await;
    let options = |first_port, devices| FleetOptions {
        devices,
        snmp: Some(SnmpOptions {
            first_port,
            ..SnmpOptions::default()
        }),
        ..FleetOptions::default()
    };
    let error = Fleet::start(options(agent.port(), 1)).await.err().unwrap();
    assert!(matches!(error, SimulatorError::Snmp { number: 1, .. }));
    assert!(error.to_string().contains(&agent.to_string()), "{error}");
    let beyond = Fleet::start(options(65_535, 2)).await.err().unwrap();
    assert!(matches!(beyond, SimulatorError::Ports { .. }));
}

#[tokio::test]
async fn a_fleet_that_stops_gives_its_snmp_ports_back() {
    let (fleet, _, agent) = one(ApiGeneration::V10, SnmpOptions::default()).await;
    soon(fleet.stop()).await;
    std::net::UdpSocket::bind(agent).unwrap();
    let (fleet, device, agent) = one(ApiGeneration::V10, SnmpOptions::default()).await;
    device.set_fault(Some(Fault::SnmpSilence));
    soon(device.wait_answering(false)).await;
    soon(fleet.stop()).await;
    std::net::UdpSocket::bind(agent).unwrap();
    let plain = Fleet::start(FleetOptions::default()).await.unwrap();
    assert_eq!(
        plain.devices()[0].snmp_address(),
        None,
        "only where it is asked for"
    );
}

#[tokio::test]
async fn the_command_line_serves_snmp_where_it_is_asked_for() {
    let receiver = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = receiver.local_addr().unwrap().to_string();
    let arguments = [
        "simulate",
        "--port",
        "0",
        "--snmp-port",
        "0",
        "--trap-receiver",
        &at,
    ];
    let mut program = program::Program::start(&arguments);
    let agents = |output: &str| {
        let lines = output.lines().filter_map(|line| line.split("snmp ").nth(1));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let output = program
        .until("both devices", |output| agents(&output.stdout).len() == 2)
        .await;
    let agent = agents(&output.stdout).remove(0);
    assert!(
        run("snmpset", WRITER, agent.parse().unwrap(), &[EXECUTE, "i", "7"])
            .await
            .done
    );
    let mut datagram = [0; 1472];
    let size = soon(receiver.recv(&mut datagram)).await.unwrap();
    assert!(String::from_utf8_lossy(&datagram[..size]).contains("test notification"));
    let alone = program::run(&["simulate", "--trap-receiver", &at]).await;
    assert!(
        alone.code == Some(64) && alone.output.stderr.contains("--snmp-port"),
        "{alone:?}"
    );
    let nowhere = [
        "simulate",
        "--port",
        "0",
        "--snmp-port",
        "0",
        "--trap-receiver",
        "127.0.0.1",
    ];
    let nowhere = program::run(&nowhere).await;
    assert!(
        nowhere.output.stderr.contains("127.0.0.1: write HOST:PORT"),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn the_bridge_is_shown_the_agent() {
    let (fleet, device, agent) = one(ApiGeneration::V10, SnmpOptions::default()).await;
    let config: toml::Table = fleet.bridge_config(Duration::from_secs(1)).parse().unwrap();
    let snmp = &config["devices"][0]["snmp"];
    assert_eq!(snmp["address"].as_str(), Some(agent.to_string().as_str()));
    assert_eq!(snmp["write_community"].as_str(), Some("private"));
    assert_eq!(snmp["sys_name"].as_str(), Some(device.hostname()));
    let engine_id = snmp["engine_id"].as_str().unwrap();
    assert!(engine_id.starts_with("800015dd05") && engine_id.len() == 26);
    lantime2mqtt::config::from_table("the simulator's", with_broker(config)).unwrap();
}

fn with_broker(mut config: toml::Table) -> toml::Table {
    config.insert("mqtt".to_owned(), toml::toml! { url = "embedded" }.into());
    config
}
