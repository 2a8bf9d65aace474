//! What a restart does to the agent and its engine.

use std::time::Duration;

use lantime2mqtt::simulator::{ApiGeneration, Fault, Scenario, SimulatedDevice, SnmpOptions};
use tokio_util::sync::CancellationToken;

use crate::net_snmp::{READER, USER, get};
use crate::{one, soon};

/// `snmpEngineBoots.0`, as the library serves it, and `sysUpTime.0` in hundredths of a second.
const BOOTS: &str = ".1.3.6.1.6.3.10.2.1.2.0";
const UP_TIME: &str = ".1.3.6.1.2.1.1.3.0";
const DOWN: Duration = Duration::from_millis(10);

async fn restarted(device: &SimulatedDevice, fault: Fault) {
    device.set_fault(Some(fault));
    soon(device.wait_answering(false)).await;
    soon(device.wait_listening(true)).await;
    soon(device.wait_answering(true)).await;
    assert_eq!(device.fault(), None);
}

#[tokio::test]
async fn a_restart_counts_the_boots_up_and_begins_the_uptime_again() {
    let (_fleet, device, agent) = one(ApiGeneration::V16, SnmpOptions::default()).await;
    let engine_id = device.snmp_engine_id().map(<[u8]>::to_vec);
    assert_eq!(get(USER, agent, BOOTS).await, "7");
    assert!(get(READER, agent, UP_TIME).await.starts_with("11:"), "11 days");
    restarted(&device, Fault::Restart { down: DOWN }).await;
    assert_eq!(get(USER, agent, BOOTS).await, "8");
    assert!(get(READER, agent, UP_TIME).await.starts_with("0:0:00:"));
    assert_eq!(device.snmp_engine_id().map(<[u8]>::to_vec), engine_id);
    assert_eq!(device.snmp_address(), Some(agent));
}

#[tokio::test]
async fn wrong_boots_go_back_and_not_forward() {
    let (_fleet, device, agent) = one(ApiGeneration::V16, SnmpOptions::default()).await;
    for boots in ["6", "5", "4", "3", "2", "2"] {
        restarted(&device, Fault::WrongBoots { down: DOWN }).await;
        assert_eq!(get(READER, agent, BOOTS).await, boots);
    }
    assert!(get(READER, agent, UP_TIME).await.starts_with("0:0:00:"));
}

#[tokio::test]
async fn a_scenario_has_the_faults_of_snmp() {
    let (fleet, device, agent) = one(ApiGeneration::V16, SnmpOptions::default()).await;
    let scenario = "[[step]]\nat = \"0s\"\ndevice = \"all\"\nfault = { wrong-boots = { down = \"10ms\" } }\n\
        [[step]]\nat = \"20ms\"\ndevice = \"sim-1\"\nfault = { late-apply = { by = \"60s\" } }\n\
        [[step]]\nat = \"30ms\"\ndevice = \"sim-1\"\nfault = \"snmp-silence\"\nfor = \"10ms\"\n";
    let scenario = Scenario::parse(scenario).unwrap();
    soon(fleet.play(&scenario, CancellationToken::new())).await;
    soon(device.wait_listening(true)).await;
    soon(device.wait_answering(true)).await;
    assert_eq!(
        (get(READER, agent, BOOTS).await.as_str(), device.fault()),
        ("6", None)
    );
}
