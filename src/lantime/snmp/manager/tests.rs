//! Requests to agents that answer, that do not, and that do not like who asks.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

use super::*;
use crate::config::{AuthProtocol, EventsWay, PrivProtocol, Secret, SnmpRead, SnmpUser};
use crate::simulator::{ApiGeneration, Chassis, DeviceKind, Fault, Fleet, FleetOptions, SnmpOptions};

fn device(address: SocketAddr, access: SnmpAccess) -> DeviceSnmp {
    DeviceSnmp {
        address: (address.ip().to_string(), address.port()),
        access: Some(access.into()),
        read: SnmpRead::Off,
        events: EventsWay::Snmp,
        timeout: Duration::from_millis(500),
        retries: 1,
        sources: Vec::new(),
        engine_id: None,
        sys_name: None,
    }
}

fn community(read: &str, write: &str) -> SnmpAccess {
    let [read, write] = [read, write].map(|text| Secret::new(text.to_owned()));
    SnmpAccess::Community { read, write }
}

fn user(name: &str, auth_password: &str, priv_password: &str) -> SnmpAccess {
    SnmpAccess::User(SnmpUser {
        name: name.to_owned(),
        auth: AuthProtocol::Sha256,
        auth_password: Secret::new(auth_password.to_owned()),
        privacy: PrivProtocol::Aes128,
        priv_password: Secret::new(priv_password.to_owned()),
    })
}

fn known_user() -> SnmpAccess {
    user("simulator", "simulated-auth", "simulated-priv")
}

async fn fleet() -> (Fleet, SocketAddr) {
    let options = FleetOptions {
        devices: 1,
        kinds: vec![DeviceKind::new(Chassis::M3000, ApiGeneration::V16)],
        snmp: Some(SnmpOptions::default()),
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(options).await.unwrap();
    let address = fleet.devices()[0].snmp_address().unwrap();
    (fleet, address)
}

fn manager(address: SocketAddr, access: SnmpAccess) -> Manager {
    Manager::new(&device(address, access)).unwrap()
}

#[tokio::test]
async fn values_come_in_the_order_in_which_they_were_asked_for() {
    let (_fleet, address) = fleet().await;
    for access in [community("public", "private"), known_user()] {
        let mut manager = manager(address, access);
        // More than fit into one request.
        let mut oids = vec![oids::root().child(99).child(0); 40];
        oids[0] = oids::firmware();
        oids[39] = oids::ntp_state();
        let values = manager.get_many(&oids).await.unwrap();
        assert_eq!(values.len(), 40);
        assert!(values[0].as_ref().is_some_and(|value| value.as_str().is_some()));
        assert_eq!(values[39], Some(Value::Integer(2)));
        assert!(values[1..39].iter().all(Option::is_none));
        let actions = manager.actions(&[2, 4, 99]).await.unwrap();
        assert_eq!(
            actions,
            [(2, "email,snmp,relais".to_owned()), (4, String::new())].into()
        );
        manager.set_actions(4, "email").await.unwrap();
        manager.set_actions(4, "").await.unwrap();
    }
}

#[tokio::test]
async fn a_dead_agent_is_asked_as_often_as_configured_and_no_more() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // A user's engine is looked for first, as often again.
    for (access, most) in [(community("public", "public"), 2), (known_user(), 4)] {
        let mut manager = manager(silent.local_addr().unwrap(), access);
        let failure = manager.actions(&[2]).await.unwrap_err();
        assert_eq!(failure.report.kind, ErrorKind::Timeout);
        assert_eq!(failure.operation, Operation::SnmpGet);
        let asked = std::iter::from_fn(|| silent.try_recv(&mut [0; 2000]).ok());
        assert_eq!(asked.count(), most, "once, and one retry");
    }
}

#[tokio::test]
async fn wrong_credentials_are_distinguished_from_a_dead_agent_where_possible() {
    let (_fleet, address) = fleet().await;
    for (access, kind) in [
        (community("guessed", "guessed"), ErrorKind::Timeout),
        (
            user("nobody", "simulated-auth", "simulated-priv"),
            ErrorKind::Unauthorized,
        ),
        (
            user("simulator", "guessed-auth", "simulated-priv"),
            ErrorKind::Unauthorized,
        ),
        (
            user("simulator", "simulated-auth", "guessed-priv"),
            ErrorKind::Unauthorized,
        ),
    ] {
        let failure = manager(address, access.clone()).actions(&[2]).await.unwrap_err();
        assert_eq!(failure.report.kind, kind, "{access:?}: {failure:?}");
        let reported = format!("{failure:?}");
        assert!(!reported.contains("guessed-"), "{reported}");
        assert_eq!(failure.report.url, Some(format!("udp://{address}")));
    }
}

#[tokio::test]
async fn what_the_device_refuses_is_distinguished() {
    let (_fleet, address) = fleet().await;
    let mut reader = manager(address, community("public", "public"));
    let failure = reader.set_actions(4, "email").await.unwrap_err();
    assert_eq!(
        (failure.report.kind, failure.is_refused),
        (ErrorKind::Forbidden, true)
    );
    assert!(failure.report.remedy.contains("write_community"), "{failure:?}");
    let mut writer = manager(address, known_user());
    let failure = writer.set_actions(4, "siren").await.unwrap_err();
    assert_eq!(
        (failure.report.kind, failure.is_refused),
        (ErrorKind::Rejected, true)
    );
    let failure = writer.set_actions(99, "email").await.unwrap_err();
    assert_eq!((failure.report.kind, failure.is_refused), (ErrorKind::Snmp, true));
}

#[tokio::test]
async fn a_device_that_has_restarted_is_read_again() {
    let (fleet, address) = fleet().await;
    let device = &fleet.devices()[0];
    for access in [community("public", "private"), known_user()] {
        let mut manager = manager(address, access);
        manager.actions(&[2]).await.unwrap();
        let down = Duration::from_millis(50);
        // Once its boots count up, as they should; once they go back, which nobody who knew them believes.
        for fault in [Fault::Restart { down }, Fault::WrongBoots { down }] {
            device.set_fault(Some(fault));
            device.wait_answering(false).await;
            device.wait_answering(true).await;
            manager.actions(&[2]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_command_to_apply_is_sent_once_and_waited_for() {
    let (fleet, address) = fleet().await;
    let device = &fleet.devices()[0];
    let by = Duration::from_secs(3);
    device.set_fault(Some(Fault::LateApply { by }));
    // Longer than all the repeats of another request.
    let mut manager = manager(address, known_user());
    let begin = Instant::now();
    let sending = tokio::spawn(manager.apply().await.unwrap());
    manager.actions(&[2]).await.unwrap();
    assert!(!sending.is_finished(), "others are answered meanwhile");
    sending.await.unwrap().unwrap();
    assert!(begin.elapsed() >= by);
    assert_eq!(device.counters().snmp_executes, 1);
}

/// Answers requests of SNMP v2c with the community `public`, after `mangle` has been at them.
async fn agent(mangle: impl Fn(&mut Vec<u8>) + Send + 'static) -> SocketAddr {
    const PDU: usize = 13;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 2000];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let mut answer = buffer[..length].to_vec();
            assert_eq!(answer[PDU], 0xa0, "a GET");
            answer[PDU] = 0xa2;
            mangle(&mut answer);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn an_answer_to_another_question_is_none() {
    // The last arc of the OID, and a NULL after it.
    let address = agent(|answer| {
        let arc = answer.len() - 3;
        answer[arc] += 1;
    })
    .await;
    let mut manager = manager(address, community("public", "public"));
    let failure = manager.actions(&[2]).await.unwrap_err();
    assert_eq!(failure.report.kind, ErrorKind::Snmp, "{failure:?}");
    let nonsense = agent(|answer| answer.truncate(9)).await;
    let mut manager = super::tests::manager(nonsense, community("public", "public"));
    assert_eq!(
        manager.actions(&[2]).await.unwrap_err().report.kind,
        ErrorKind::Timeout
    );
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_reported() {
    let mut device = device(([127, 0, 0, 1], 161).into(), community("public", "public"));
    device.address = ("no-such-host.invalid".to_owned(), 161);
    let failure = Manager::new(&device).unwrap().actions(&[2]).await.unwrap_err();
    assert!(
        matches!(failure.report.kind, ErrorKind::Connect)
            && failure.report.message.contains("no-such-host.invalid"),
        "{failure:?}"
    );
    device.access = None;
    assert!(Manager::new(&device).is_none());
}
