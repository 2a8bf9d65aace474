//! What receivers get: traps of all versions, and informs until they are acknowledged.

use std::net::SocketAddr;
use std::time::Duration;

use lantime2mqtt::simulator::{
    Action, ApiGeneration, Clock, Fault, SimulatedDevice, SnmpOptions, SnmpUser, TrapReceiver, TrapWay, Traps,
};
use tokio::net::UdpSocket;

use crate::net_snmp::{TrapDaemon, WRITER, free_port, run};
use crate::{EXECUTE, one, soon};

const NTP_SYNC: &str = ".1.3.6.1.4.1.5597.30.3.0.36";
/// A notification of nobody.
const MARKER: &str = ".1.3.6.1.4.1.8072.9999.1";
const NTP_NOT_SYNC: &str = ".1.3.6.1.4.1.5597.30.3.0.1";

fn v2c(inform: bool) -> TrapWay {
    TrapWay::V2c {
        community: "public".to_owned(),
        inform,
    }
}

fn v3(inform: bool) -> TrapWay {
    let (sha, aes) = (async_snmp::AuthProtocol::Sha256, async_snmp::PrivProtocol::Aes128);
    let user = SnmpUser::new("trapper", sha, "trapper-auth", aes, "trapper-priv").unwrap();
    TrapWay::V3 { user, inform }
}

fn options(address: SocketAddr, ways: Vec<TrapWay>) -> SnmpOptions {
    let receivers = ways.into_iter().map(|way| TrapReceiver { address, way });
    SnmpOptions {
        receivers: receivers.collect(),
        ..SnmpOptions::default()
    }
}

/// The configuration of a daemon that takes all of them. For traps the device's engine has the keys, for informs the
/// daemon's own.
fn configuration(device: &SimulatedDevice) -> String {
    let engine = device.snmp_engine_id().unwrap();
    let engine: String = engine.iter().map(|octet| format!("{octet:02x}")).collect();
    let keys = "trapper SHA-256 trapper-auth AES trapper-priv";
    format!(
        "authCommunity log public\ncreateUser -e 0x{engine} {keys}\ncreateUser {keys}\nauthUser log trapper\n"
    )
}

async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn fire(device: &SimulatedDevice, event: &str) {
    device.apply(&Action::FireEvent(event.to_owned())).unwrap();
}

#[tokio::test]
async fn snmptrapd_takes_traps_and_informs_of_all_versions() {
    let at = free_port();
    let v1 = TrapWay::V1 {
        community: "public".to_owned(),
    };
    let ways = vec![v1, v2c(false), v3(false), v2c(true), v3(true)];
    let (_fleet, device, _) = one(ApiGeneration::V16, options(at, ways)).await;
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = TrapDaemon::start(at, &configuration(&device), directory.path()).await;
    fire(&device, "ntp-not-sync");
    let message = ".1.3.6.1.4.1.5597.30.3.0.100.0 = STRING: \"ntp not sync\"";
    let enterprise = ".1.3.6.1.6.3.1.1.4.3.0 = OID: .1.3.6.1.4.1.5597.30";
    let name = format!(".1.3.6.1.2.1.1.5.0 = STRING: \"{}\"", device.hostname());
    let lines = daemon
        .until("five notifications", |lines| {
            lines.iter().filter(|line| line.contains(message)).count() == 5
        })
        .await;
    let notified: Vec<_> = lines.iter().filter(|line| line.contains(message)).collect();
    assert!(
        notified
            .iter()
            .all(|line| line.contains(enterprise) && line.contains(&name)),
        "{notified:#?}"
    );
    let oid = format!(".1.3.6.1.6.3.1.1.4.1.0 = OID: {NTP_NOT_SYNC}");
    assert_eq!(
        notified.iter().filter(|line| line.contains(&oid)).count(),
        4,
        "{notified:#?}"
    );
    assert!(
        notified
            .iter()
            .any(|line| line.starts_with("TRAP .1.3.6.1.4.1.5597.30.3 Enterprise Specific 6.1 ")),
        "version 1 has the number in its head: {notified:#?}"
    );
    until(|| device.counters().informs_acknowledged == 2).await;
    let counters = device.counters();
    assert_eq!((counters.traps_sent, counters.informs_sent), (3, 2));
}

#[tokio::test]
async fn boots_that_go_back_have_a_receiver_refuse_what_it_gets() {
    let at = free_port();
    let (_fleet, device, _) = one(ApiGeneration::V16, options(at, vec![v3(false)])).await;
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = TrapDaemon::start(at, &configuration(&device), directory.path()).await;
    let down = Duration::from_millis(10);
    let lives = [
        None,
        Some(Fault::Restart { down }),
        Some(Fault::WrongBoots { down }),
    ];
    for (fault, taken) in lives.into_iter().zip([1, 2, 2]) {
        let before = device.counters().traps_sent;
        if fault.is_some() {
            device.set_fault(fault.clone());
            soon(device.wait_answering(false)).await;
            soon(device.wait_answering(true)).await;
        }
        fire(&device, "ntp-not-sync");
        // A restart is reported as well.
        until(|| device.counters().traps_sent == before + 1 + u64::from(fault.is_some())).await;
        // What comes after it on another way shows that it has had its turn.
        let marker = format!("after life {taken} {fault:?}");
        run(
            "snmptrap",
            &["-v2c", "-cpublic"],
            at,
            &["", MARKER, MARKER, "s", &marker],
        )
        .await;
        let lines = daemon
            .until(&marker, |lines| lines.iter().any(|line| line.contains(&marker)))
            .await;
        let found = lines.iter().filter(|line| line.contains("ntp not sync"));
        assert_eq!(found.count(), taken, "{fault:?}");
    }
}

#[tokio::test]
async fn a_failing_clock_and_a_restart_are_notified() {
    let at = free_port();
    let (_fleet, device, agent) = one(ApiGeneration::V10, options(at, vec![v2c(false)])).await;
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = TrapDaemon::start(at, &configuration(&device), directory.path()).await;
    let mut notified = async |number: u32| {
        let oid = format!("= OID: .1.3.6.1.4.1.5597.30.3.0.{number}\t");
        daemon
            .until(&format!("notification {number}"), |lines| {
                lines.iter().any(|line| line.contains(&oid))
            })
            .await;
    };
    device.apply(&Action::LoseSync(Clock::Clk2)).unwrap();
    notified(11).await;
    assert!(run("snmpset", WRITER, agent, &[EXECUTE, "i", "7"]).await.done);
    notified(99).await;
    device.set_fault(Some(Fault::Restart {
        down: Duration::from_millis(10),
    }));
    notified(3).await;
    // What somebody changes takes effect, and that is notified as well.
    let set = [crate::NTP_STOPPED, "s", "email", EXECUTE, "i", "1"];
    assert!(run("snmpset", WRITER, agent, &set).await.done);
    notified(8).await;
    assert_eq!(device.counters().traps_sent, 4);
}

#[tokio::test]
async fn what_stands_is_notified_again_on_request() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    let (_fleet, device, agent) = one(ApiGeneration::V10, options(at, vec![v2c(false)])).await;
    fire(&device, "ntp-stopped");
    fire(&device, "network-link-down");
    until(|| device.counters().traps_sent == 2).await;
    assert!(run("snmpset", WRITER, agent, &[EXECUTE, "i", "6"]).await.done);
    until(|| device.counters().traps_sent == 4).await;
}

#[tokio::test]
async fn only_events_with_the_word_snmp_are_notified_if_asked_for() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let snmp = SnmpOptions {
        traps: Traps::Selected,
        ..options(socket.local_addr().unwrap(), vec![v2c(false)])
    };
    let (_fleet, device, agent) = one(ApiGeneration::V10, snmp).await;
    fire(&device, "network-link-down");
    fire(&device, "antenna-faulty");
    until(|| device.counters().traps_sent == 1).await;
    let mut datagram = [0; 1472];
    let size = soon(socket.recv(&mut datagram)).await.unwrap();
    assert!(String::from_utf8_lossy(&datagram[..size]).contains("antenna faulty"));
    let set = [".1.3.6.1.4.1.5597.30.1.1.6.23.0", "s", "snmp", EXECUTE, "i", "1"];
    assert!(run("snmpset", WRITER, agent, &set).await.done);
    fire(&device, "network-link-down");
    until(|| device.counters().traps_sent == 2).await;
}

#[tokio::test]
async fn an_inform_is_repeated_a_bounded_number_of_times() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let snmp = SnmpOptions {
        inform_timeout: Duration::from_millis(20),
        inform_retries: 2,
        ..options(socket.local_addr().unwrap(), vec![v2c(true)])
    };
    let (_fleet, device, _) = one(ApiGeneration::V10, snmp).await;
    fire(&device, "ntp-not-sync");
    fire(&device, "ntp-sync");
    let mut heard = Vec::new();
    for _ in 0..6 {
        let mut datagram = [0; 1472];
        let size = soon(socket.recv(&mut datagram)).await.unwrap();
        let text = String::from_utf8_lossy(&datagram[..size]).into_owned();
        heard.push(text.contains("ntp not sync"));
    }
    assert_eq!(heard, [true, true, true, false, false, false]);
    let counters = device.counters();
    assert_eq!((counters.informs_sent, counters.informs_acknowledged), (2, 0));
}

#[tokio::test]
async fn an_inform_reaches_a_receiver_that_comes_late() {
    let at = free_port();
    let snmp = SnmpOptions {
        inform_timeout: Duration::from_millis(200),
        inform_retries: 16,
        ..options(at, vec![v3(true)])
    };
    let (_fleet, device, _) = one(ApiGeneration::V20, snmp).await;
    fire(&device, "ntp-sync");
    until(|| device.counters().informs_sent == 1).await;
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = TrapDaemon::start(at, &configuration(&device), directory.path()).await;
    daemon
        .until("the inform", |lines| {
            lines.iter().any(|line| line.contains(NTP_SYNC))
        })
        .await;
    until(|| device.counters().informs_acknowledged == 1).await;
}
