//! The configuration as it is set over SNMP: who may, what is refused, and when a relay moves.

use std::time::Duration;

use lantime2mqtt::simulator::{Action, ApiGeneration, Fault, Position, Relay, SimulatedDevice, SnmpOptions};

use crate::net_snmp::{READER, USER, WRITER, get, run, run_for};
use crate::{EXECUTE, NTP_STOPPED, one, soon};

const ANTENNA_FAULTY: &str = ".1.3.6.1.4.1.5597.30.1.1.6.12.0";

/// The relays on notification that have fallen.
fn fallen(device: &SimulatedDevice) -> Vec<Relay> {
    let both = [Relay::A, Relay::C].into_iter();
    both.filter(|relay| device.world().relay("io4", *relay) == Some(Position::Nc))
        .collect()
}

#[tokio::test]
async fn only_who_may_reads_and_writes() {
    let (_fleet, device, agent) = one(ApiGeneration::V16, SnmpOptions::default()).await;
    let set = [NTP_STOPPED, "s", "email"];
    for (who, error) in [
        (READER, "noAccess"),
        (&["-v2c", "-cguessed"][..], "Timeout"),
        (
            &[
                "-v3",
                "-lauthPriv",
                "-usimulator",
                "-aSHA-256",
                "-Aguessed-auth",
                "-xAES",
                "-Xsimulated-priv",
            ],
            "Authentication failure",
        ),
        (
            &[
                "-v3",
                "-lauthNoPriv",
                "-usimulator",
                "-aSHA-256",
                "-Asimulated-auth",
            ],
            "authorizationError",
        ),
        (&["-v3", "-lnoAuthNoPriv", "-usimulator"], "authorizationError"),
        (&["-v3", "-lnoAuthNoPriv", "-unobody"], "Unknown user name"),
    ] {
        let refused = run_for("snmpset", who, agent, &set, "1").await;
        assert!(
            !refused.done && refused.stderr.contains(error),
            "{who:?}: {refused:?}"
        );
    }
    assert_eq!(
        (device.world().pending_changes(), device.counters().snmp_sets),
        (0, 0)
    );
    for who in [WRITER, USER] {
        assert!(run("snmpset", who, agent, &set).await.done);
    }
    assert_eq!(
        (device.world().pending_changes(), device.counters().snmp_sets),
        (1, 2)
    );
}

#[tokio::test]
async fn a_relay_moves_when_a_change_is_executed() {
    let (_fleet, device, agent) = one(ApiGeneration::V16, SnmpOptions::default()).await;
    device
        .apply(&Action::FireEvent("ntp-stopped".to_owned()))
        .unwrap();
    for (execute, actions, relays) in [
        ("1", "email,relais", &[Relay::A, Relay::C][..]),
        ("3", "email", &[]),
    ] {
        let before = fallen(&device);
        assert!(
            run("snmpset", WRITER, agent, &[NTP_STOPPED, "s", actions])
                .await
                .done
        );
        assert_eq!(get(READER, agent, NTP_STOPPED).await, actions);
        assert!(
            run("snmpset", WRITER, agent, &[EXECUTE, "i", "2"]).await.done,
            "it saves only"
        );
        assert_eq!((fallen(&device), device.world().pending_changes()), (before, 1));
        assert!(run("snmpset", USER, agent, &[EXECUTE, "i", execute]).await.done);
        assert_eq!(
            (fallen(&device), device.world().pending_changes()),
            (relays.to_vec(), 0)
        );
    }
    let counters = device.counters();
    assert_eq!(
        (counters.snmp_sets, counters.snmp_executes, counters.applies),
        (6, 4, 2)
    );
}

#[tokio::test]
async fn a_request_that_is_refused_changes_nothing() {
    let (_fleet, device, agent) = one(ApiGeneration::V20, SnmpOptions::default()).await;
    let long = "email,".repeat(50);
    let normal_operation = ".1.3.6.1.4.1.5597.30.1.1.6.1.0";
    let unknown = ".1.3.6.1.4.1.5597.30.1.1.6.77.0";
    let firmware = ".1.3.6.1.4.1.5597.30.0.0.2.0";
    let cases: [(&[&str], &str); 10] = [
        (&[NTP_STOPPED, "s", "email,siren"], "wrongValue"),
        (&[NTP_STOPPED, "s", "io4-relay-a"], "wrongValue"),
        (&[normal_operation, "s", "relais"], "wrongValue"),
        (&[NTP_STOPPED, "s", &long], "wrongLength"),
        (&[NTP_STOPPED, "i", "1"], "wrongType"),
        (&[EXECUTE, "i", "9"], "wrongValue"),
        (&[EXECUTE, "s", "1"], "wrongType"),
        (&[firmware, "s", "fw_8"], "notWritable"),
        (&[unknown, "s", "email"], "noCreation"),
        (
            &[NTP_STOPPED, "s", "email", ANTENNA_FAULTY, "s", "siren"],
            "wrongValue",
        ),
    ];
    for (arguments, error) in cases {
        let refused = run("snmpset", WRITER, agent, arguments).await;
        assert!(
            !refused.done && refused.stderr.contains(error),
            "{arguments:?}: {refused:?}"
        );
    }
    assert_eq!(device.world().pending_changes(), 0);
    assert_eq!(
        (device.counters().snmp_sets, device.counters().snmp_executes),
        (0, 0)
    );
}

#[tokio::test]
async fn one_request_may_change_and_execute() {
    let (_fleet, device, agent) = one(ApiGeneration::V20, SnmpOptions::default()).await;
    let all = [
        NTP_STOPPED,
        "s",
        "relais",
        ANTENNA_FAULTY,
        "s",
        "snmp,led",
        EXECUTE,
        "i",
        "1",
    ];
    assert!(run("snmpset", WRITER, agent, &all).await.done);
    let world = device.world();
    let selected = |relay| world.relay_events("io4", relay).contains("ntp-stopped");
    assert!(
        selected(Relay::A) && selected(Relay::C),
        "one word stands for both"
    );
    assert!(
        world.relay_events("io4", Relay::C) == ["ntp-stopped"].into(),
        "antenna-faulty is cleared"
    );
    assert_eq!(get(READER, agent, ANTENNA_FAULTY).await, "snmp,led");
    assert_eq!((world.pending_changes(), device.counters().snmp_executes), (0, 1));
}

#[tokio::test]
async fn a_late_answer_is_of_what_was_done_once() {
    let (_fleet, device, agent) = one(ApiGeneration::V16, SnmpOptions::default()).await;
    device
        .apply(&Action::FireEvent("ntp-stopped".to_owned()))
        .unwrap();
    assert!(
        run("snmpset", WRITER, agent, &[NTP_STOPPED, "s", "relais"])
            .await
            .done
    );
    device.set_fault(Some(Fault::LateApply {
        by: Duration::from_secs(60),
    }));
    let execute = tokio::spawn(run("snmpset", WRITER, agent, &[EXECUTE, "i", "1"]));
    soon(async {
        while device.counters().snmp_executes == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(fallen(&device), [Relay::A, Relay::C]);
    assert_eq!(get(READER, agent, EXECUTE).await, "0", "others are answered");
    assert!(!execute.is_finished());
    device.set_fault(None);
    assert!(soon(execute).await.unwrap().done);
    device.set_fault(Some(Fault::LateApply {
        by: Duration::from_millis(10),
    }));
    assert!(run("snmpset", WRITER, agent, &[EXECUTE, "i", "1"]).await.done);
    assert_eq!(
        (device.counters().snmp_executes, device.counters().applies),
        (2, 2)
    );
}
