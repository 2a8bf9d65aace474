//! Traps and informs of every version, as `snmptrap` and `snmpinform` send them to a running bridge.

use std::net::UdpSocket;

use lantime2mqtt::model::DeviceId;
use lantime2mqtt::records::store::{Options as StoreOptions, Store};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::scene::{ENGINE, MESSAGE, NOT_SYNC, Scene, USERS, dead_letters, records, v3};
use crate::support::mosquitto::Mosquitto;
use crate::support::site::Site;
use crate::support::{PATIENCE, Seen};
use crate::tools::{run, succeeds};

#[tokio::test]
async fn traps_of_every_version_give_a_record_and_a_poll() {
    let mut scene = Scene::start().await;
    let to = scene.receiver();
    let to = to.as_str();
    let polls = scene.polls();
    let v1 = [
        "-v",
        "1",
        "-c",
        "public",
        to,
        "1.3.6.1.4.1.5597.30.3",
        "127.0.0.1",
        "6",
        "1",
        "",
    ];
    let v1 = [&v1[..], &[MESSAGE, "s", "NTP not synchronized"]].concat();
    let record = scene.sends("snmptrap", &v1).await;
    assert_eq!(record["event"], "ntp-not-sync");
    assert_eq!(
        (&record["source"], &record["version"]),
        (&"snmp".into(), &"1".into())
    );
    assert_eq!(record["message"], "NTP not synchronized");
    assert_eq!(record["oid"], NOT_SYNC);

    let what = [to, "", NOT_SYNC, MESSAGE, "s", "NTP not synchronized"];
    scene.clears().await;
    let v2c = [&["-v", "2c", "-c", "meinberg"], &what[..]].concat();
    let record = scene.sends("snmptrap", &v2c).await;
    assert_eq!(
        (&record["version"], &record["confirmed"]),
        (&"2c".into(), &false.into())
    );
    assert_eq!(record["varbinds"][0]["oid"], MESSAGE);
    assert_eq!(record["varbinds"][0]["type"], "OCTET STRING");
    scene.clears().await;
    let record = scene.sends("snmpinform", &v2c).await;
    assert_eq!(
        (&record["version"], &record["confirmed"]),
        (&"2c".into(), &true.into())
    );

    for user in USERS {
        scene.clears().await;
        let trap = [&v3(user), &["-e", ENGINE][..], &what].concat();
        let record = scene.sends("snmptrap", &trap).await;
        assert_eq!(
            (&record["version"], &record["confirmed"]),
            (&"3".into(), &false.into())
        );
        scene.clears().await;
        let inform = [&v3(user), &what[..]].concat();
        let record = scene.sends("snmpinform", &inform).await;
        assert_eq!(
            (&record["version"], &record["confirmed"]),
            (&"3".into(), &true.into())
        );
        assert_eq!(record["event"], "ntp-not-sync");
    }
    assert!(scene.polls() > polls, "it was polled once an hour");
    assert_eq!(dead_letters(&scene.client.now()), Vec::<Value>::new());
}

#[tokio::test]
async fn what_a_trap_reports_stands_until_a_second_poll_shows_otherwise() {
    let mut scene = Scene::start().await;
    let to = scene.receiver();
    let polls = scene.polls();
    let trap = ["-v", "2c", "-c", "public", to.as_str(), "", NOT_SYNC];
    scene.sends("snmptrap", &trap).await;
    let stands = |seen: &Seen| -> Vec<bool> {
        let log = seen.log.iter();
        log.filter(|(topic, _)| topic == "lantime/sim-1/event/ntp-not-sync")
            .map(|(_, payload)| payload.contains("\"triggered\":true"))
            .collect()
    };
    let seen = scene
        .until("what was expected", |seen| stands(seen).ends_with(&[true]))
        .await;
    let reported = stands(&seen).len();
    let seen = scene
        .until("what was expected", |seen| stands(seen).len() > reported)
        .await;
    let stands = stands(&seen);
    assert!(stands.ends_with(&[true, false]), "{stands:?}");
    assert_eq!(
        scene.polls() - polls,
        2,
        "at once, and when the device has settled"
    );
}

#[tokio::test]
async fn what_the_vendors_mib_does_not_know_is_passed_on_as_it_is() {
    let mut scene = Scene::start().await;
    let to = scene.receiver();
    let to = to.as_str();
    let trap = [
        "-v",
        "2c",
        "-c",
        "public",
        to,
        "",
        "1.3.6.1.6.3.1.1.5.3",
        "1.3.6.1.2.1.2.2.1.1.2",
        "i",
        "2",
    ];
    let record = scene.sends("snmptrap", &trap).await;
    assert_eq!(record["event"], Value::Null);
    assert_eq!(record["oid"], "1.3.6.1.6.3.1.1.5.3");
    let varbind = serde_json::json!({"oid": "1.3.6.1.2.1.2.2.1.1.2", "type": "Integer32", "value": 2});
    assert_eq!(record["varbinds"][0], varbind);
    // Numbers that make no OID.
    let odd = [
        "-v",
        "1",
        "-c",
        "public",
        to,
        "1.3.6.1.4.1.5597.30.3",
        "127.0.0.1",
        "6",
        "-1",
        "",
    ];
    let record = scene.sends("snmptrap", &odd).await;
    assert_eq!(record["oid"], Value::Null);
    assert_eq!(record["version"], "1");
}

#[tokio::test]
async fn who_is_not_configured_is_reported_once_and_learns_nothing() {
    let mut scene = Scene::start().await;
    let to = scene.receiver();
    let to = to.as_str();
    let what = [to, "", NOT_SYNC];
    for _ in 0..3 {
        let wrong = [&["-v", "2c", "-c", "guessed", "-r", "0", "-t", "0.3"], &what[..]].concat();
        let output = run(scene.site.directory(), "snmpinform", &wrong).await;
        assert!(!output.status.success(), "an inform is not acknowledged");
    }
    let seen = scene
        .until("what was expected", |seen| !dead_letters(seen).is_empty())
        .await;
    let dead_letter = &dead_letters(&seen)[0];
    assert_eq!(dead_letter["operation"], "trap");
    assert_eq!(dead_letter["error"]["kind"], "unauthorized");
    let mut wrong = v3(USERS[1]);
    wrong[9] = "not the right password";
    let wrong = [&wrong, &["-r", "0", "-t", "0.3"][..], &what].concat();
    assert!(
        !run(scene.site.directory(), "snmpinform", &wrong)
            .await
            .status
            .success()
    );
    let unprotected = ["-v", "3", "-u", "sha1-aes128", "-l", "noAuthNoPriv", "-e", ENGINE];
    succeeds(
        scene.site.directory(),
        "snmptrap",
        &[&unprotected, &what[..]].concat(),
    )
    .await;
    // A good one comes through still, and is the only one.
    let good = [&["-v", "2c", "-c", "public"], &what[..]].concat();
    scene.sends("snmptrap", &good).await;
    let seen = scene
        .until("what was expected", |seen| dead_letters(seen).len() >= 3)
        .await;
    let reported: Vec<_> = dead_letters(&seen)
        .into_iter()
        .map(|dead_letter| {
            dead_letter["error"]["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    let expected = [
        "traps with a community that is not configured here, the last of them from 127.0.0.1",
        "SNMP v3 messages of a user that is not configured here, or with another password; from where is not known",
        "SNMP v3 traps without encryption, the last of them from 127.0.0.1",
    ];
    for expected in expected {
        assert!(
            reported.iter().any(|reported| reported == expected),
            "{expected}: {reported:?}"
        );
    }
    assert_eq!((records(&seen).len(), reported.len()), (1, 3));
    let text = dead_letters(&seen)
        .iter()
        .map(Value::to_string)
        .collect::<String>();
    let secrets = ["guessed", "\"public\"", "secret", "right password"];
    assert!(!secrets.iter().any(|secret| text.contains(secret)), "{text}");
}

#[tokio::test]
async fn an_unknown_sender_is_not_acknowledged_and_is_reported() {
    let mut scene = Scene::start().await;
    let port = scene.receiver().rsplit(':').next().expect("a port").to_owned();
    let what = ["-v", "2c", "-c", "public", "-r", "0", "-t", "0.3"];
    let from = ["--clientaddr=127.0.0.77"];
    let to = format!("127.0.0.1:{port}");
    let inform = [&what[..], &from, &[to.as_str(), "", NOT_SYNC]].concat();
    assert!(
        !run(scene.site.directory(), "snmpinform", &inform)
            .await
            .status
            .success()
    );
    let seen = scene
        .until("what was expected", |seen| !dead_letters(seen).is_empty())
        .await;
    let dead_letter = &dead_letters(&seen)[0];
    let message = dead_letter["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("127.0.0.77"), "{message}");
    assert_eq!(records(&seen), Vec::<Value>::new());
}

#[tokio::test]
async fn an_inform_is_acknowledged_only_when_its_record_is_on_disk() {
    let mut scene = Scene::start().await;
    // Without a broker the record stays where it is.
    scene.broker.kill9();
    let to = scene.receiver();
    let inform = ["-v", "2c", "-c", "public", to.as_str(), "", NOT_SYNC];
    succeeds(scene.site.directory(), "snmpinform", &inform).await;
    let Scene { bridge, site, .. } = scene;
    bridge.stop("KILL").await;
    let options = StoreOptions::new(DeviceId::new("test").expect("an id"));
    let store = Store::open(&site.state(), options).expect("nobody uses it");
    let records = store.outbox(0, 100, usize::MAX).await.expect("the disk works");
    let is_its = |payload: &[u8]| {
        String::from_utf8_lossy(payload).contains(r#""source":"snmp","event":"ntp-not-sync""#)
    };
    let count = records
        .iter()
        .filter(|(_, record)| is_its(&record.payload))
        .count();
    assert_eq!(count, 1, "{records:?}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_it() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let broker = Mosquitto::start();
    let site = Site::new(broker.address(), &[])
        .with("snmp.traps.listen", format!("127.0.0.1:{port}"))
        .with("snmp.communities", vec!["public".to_owned()]);
    let end = site.start().end(PATIENCE).await;
    assert_eq!(end.code, Some(1));
    let text = &end.output.stderr;
    assert!(
        text.contains(&format!("UDP 127.0.0.1:{port}")) && text.contains("snmp.traps.listen"),
        "{text}"
    );
}

#[tokio::test]
async fn an_inform_that_is_repeated_is_one_record_and_is_acknowledged_each_time() {
    let mut scene = Scene::start().await;
    // As `snmpinform` sends it, which gives up waiting for an acknowledgement here.
    let catcher = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let to = catcher.local_addr().expect("it is bound").to_string();
    let inform = [
        "-v",
        "2c",
        "-c",
        "public",
        "-r",
        "0",
        "-t",
        "0.1",
        to.as_str(),
        "",
        NOT_SYNC,
    ];
    run(scene.site.directory(), "snmpinform", &inform).await;
    let mut datagram = vec![0; 1472];
    let length = catcher.recv(&mut datagram).expect("it was sent");
    let sender = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let mut answer = [0; 1472];
    for _ in 0..3 {
        sender
            .send_to(&datagram[..length], scene.receiver().as_str())
            .await
            .expect("it goes out");
        let acknowledged = tokio::time::timeout(PATIENCE, sender.recv(&mut answer)).await;
        acknowledged.expect("it is acknowledged").expect("a datagram");
    }
    // What comes after it is the second record.
    let to = scene.receiver();
    let trap = [
        "-v",
        "2c",
        "-c",
        "public",
        to.as_str(),
        "",
        "1.3.6.1.4.1.5597.30.3.0.2",
    ];
    scene.sends("snmptrap", &trap).await;
    let seen = scene
        .until("what was expected", |seen| {
            records(seen)
                .iter()
                .any(|record| record["event"] == "ntp-stopped")
        })
        .await;
    assert_eq!(records(&seen).len(), 2);
}

/// The broker is not there at first. What comes before the bridge has read back waits in the socket, informs unrefused; and
/// the bridge tries again.
#[tokio::test]
async fn an_inform_that_comes_while_the_bridge_waits_for_the_broker_is_taken() {
    let mut scene = Scene::start().await;
    let to = scene.receiver();
    let since = |seen: &Seen| seen.json("sim-1/io3/relay/b")["since"].clone();
    let before = since(&scene.until("a relay", |seen| since(seen).is_string()).await);
    let (broker, mut client) = (scene.broker.address(), scene.client);
    scene.bridge.stop("TERM").await;

    let gate = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = gate.local_addr().expect("it is bound");
    let site = scene.site.with("mqtt.url", format!("mqtt://{address}"));
    let _bridge = site.start();
    let attempt = async || {
        timeout(PATIENCE, gate.accept())
            .await
            .expect("an attempt")
            .unwrap()
            .0
    };
    drop(attempt().await);
    let inform = [
        "-v", "2c", "-c", "public", "-r", "0", "-t", "20", &to, "", NOT_SYNC,
    ];
    let acknowledged = succeeds(site.directory(), "snmpinform", &inform);
    let carry = async {
        let mut first = attempt().await;
        loop {
            let mut broker = TcpStream::connect(broker).await.expect("it listens");
            tokio::spawn(async move { copy_bidirectional(&mut first, &mut broker).await });
            first = gate.accept().await.expect("it listens").0;
        }
    };
    let seen = async {
        acknowledged.await;
        let is_shown = |seen: &Seen| {
            seen.text("bridge/test/state") == "online" && !records(seen).is_empty() && seen.is_online("sim-1")
        };
        client.until("its record", is_shown).await
    };
    let seen = tokio::select! {
        seen = seen => seen,
        never = carry => never,
    };
    assert_eq!(records(&seen)[0]["event"], "ntp-not-sync");
    assert_eq!(since(&seen), before, "another attempt has read it back");
}
