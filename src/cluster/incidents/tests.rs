//! When what is wrong with a cluster is reported, again, and as over. Time is paused: it passes while all wait.

use tokio::task::JoinHandle;

use super::*;
use crate::cluster::coordinator::{Disagreement, MemberStatus};
use crate::cluster::devices_digest::DevicesDigest;
use crate::cluster::entries::{BridgeId, Details, Intent, MemberState, ShardId};
use crate::cluster::etcd::{Client, LeaseId, Settings};
use crate::model::Incident;
use crate::records::store::Options;
use crate::tls::ClientTls;

const TTL: Duration = Duration::from_secs(5);
const REPEAT: Duration = Duration::from_secs(900);
const SECOND: Duration = Duration::from_secs(1);

/// The task, with a status that is set by hand.
struct Scene {
    status: watch::Sender<Status>,
    store: Store,
    start: Instant,
    _task: JoinHandle<()>,
}

fn id(name: &str) -> BridgeId {
    BridgeId::new(name).unwrap()
}

fn digest(text: &str) -> DevicesDigest {
    serde_json::from_value(text.into()).unwrap()
}

impl Scene {
    fn start() -> Scene {
        let (status, watched) = watch::channel(Status::new(id("a"), digest("1-aa")));
        let store = Store::in_memory(Options::new(id("a")));
        let reporter = Reporter::new(watched, store.clone(), TTL, REPEAT);
        Scene {
            status,
            store,
            start: Instant::now(),
            _task: tokio::spawn(reporter.run(CancellationToken::new())),
        }
    }

    /// The member `b` has these devices.
    fn has_devices(&self, devices: &str) {
        let state = MemberState {
            reaches_broker: true,
            intent: Intent::Stay,
        };
        let details = Details::new(String::new(), digest(devices), None);
        self.status.send_modify(|status| {
            let member = MemberStatus { state, details };
            status.members.insert(id("b"), member);
        });
    }

    /// Waits for that to be the only open incident, or for none. Gives it, and the seconds until then.
    async fn open(&self, expected: Option<(&str, u64)>) -> (Option<Incident>, u64) {
        let mut open = self.store.incidents();
        let found = open.wait_for(|open| {
            assert!(self.start.elapsed() < 4 * REPEAT, "{expected:?}: never seen");
            let open: Vec<_> = open
                .values()
                .map(|incident| (incident.key.subject.as_deref().unwrap(), incident.count))
                .collect();
            open == expected.as_slice()
        });
        let found = found.await.unwrap().values().next().cloned();
        (found, self.start.elapsed().as_secs())
    }

    /// Of each dead letter: whether it reports an end, and the number of repeats.
    async fn dead_letters(&self) -> Vec<(bool, u64)> {
        let records = self.store.outbox(0, 100, 1 << 20).await.unwrap();
        let dead_letter = |(_, record): &(u64, crate::records::Record)| {
            let json: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
            assert_eq!(json["operation"], "cluster");
            (json["recovered"] == true, json["repeats"].as_u64().unwrap_or(1))
        };
        records.iter().map(dead_letter).collect()
    }
}

/// One whose etcd is not there.
async fn error() -> Error {
    let settings = Settings {
        endpoints: vec!["http://127.0.0.1:9".to_owned()],
        tls: ClientTls::default(),
        login: None,
        timeout: TTL,
        watch_idle: TTL,
    };
    let client = Client::new(&settings).unwrap();
    client.revoke(LeaseId(1)).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn other_devices_are_an_incident_once_they_have_lasted() {
    let scene = Scene::start();
    scene.has_devices("1-bb");
    let (incident, after) = scene.open(Some(("devices", 1))).await;
    assert_eq!(after, 60);
    let error = incident.unwrap().error;
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.ends_with(": b"), "{}", error.message);
    assert_eq!(scene.open(Some(("devices", 2))).await.1, 60 + 900);
    scene.has_devices("1-aa");
    assert_eq!(scene.open(None).await.1, 60 + 900);
    assert_eq!(scene.dead_letters().await, [(false, 1), (false, 2), (true, 2)]);
}

#[tokio::test(start_paused = true)]
async fn devices_that_differ_while_a_configuration_is_rolled_out_are_none() {
    let scene = Scene::start();
    for _ in 0..3 {
        scene.has_devices("1-bb");
        tokio::time::sleep(59 * SECOND).await;
        scene.has_devices("1-aa");
        tokio::time::sleep(SECOND).await;
    }
    assert!(scene.store.incidents().borrow().is_empty());
    assert_eq!(scene.dead_letters().await, []);
}

#[tokio::test]
async fn etcd_that_fails_for_a_ttl_is_one_incident_until_it_has_worked_for_a_minute() {
    let error = error().await;
    tokio::time::pause();
    let scene = Scene::start();
    let fail = |is_failing: bool| {
        scene.status.send_modify(|status| match is_failing {
            true => drop(status.errors.insert(Activity::Lease, error.clone())),
            false => status.errors.clear(),
        });
    };
    fail(true);
    let (incident, after) = scene.open(Some(("etcd", 1))).await;
    assert_eq!(after, TTL.as_secs());
    assert_eq!(incident.unwrap().error.kind, ErrorKind::Connect);
    fail(false);
    tokio::time::sleep(30 * SECOND).await;
    fail(true);
    tokio::time::sleep(SECOND).await;
    fail(false);
    let (_, end) = scene.open(None).await;
    assert_eq!(end, after + 31 + 60);
    assert_eq!(scene.dead_letters().await, [(false, 1), (true, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_disagreement_is_reported_at_once_and_also_after_the_coordinator_has_ended() {
    let Scene {
        status,
        store,
        start,
        _task,
    } = Scene::start();
    let disagreement = Disagreement::Shards { ours: 1, theirs: 4 };
    status.send_modify(|status| status.disagreement = Some(disagreement));
    drop(status);
    let mut open = store.incidents();
    let found = open
        .wait_for(|open| open.values().any(|incident| incident.count == 2))
        .await;
    let error = found.unwrap().values().next().unwrap().error.clone();
    assert_eq!(start.elapsed(), REPEAT);
    assert!(error.remedy.starts_with("set it to 4"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_id_that_another_process_has_is_an_incident_once_an_earlier_lease_has_ended() {
    let scene = Scene::start();
    scene.status.send_modify(|status| status.is_id_taken = true);
    assert_eq!(scene.open(Some(("id", 1))).await.1, 2 * TTL.as_secs());
    scene.status.send_modify(|status| status.is_id_taken = false);
    scene.open(None).await;
    assert_eq!(scene.dead_letters().await, [(false, 1), (true, 1)]);
}

#[tokio::test]
async fn commands_that_cannot_be_kept_are_an_incident_unless_all_of_etcd_fails() {
    let error = error().await;
    tokio::time::pause();
    let scene = Scene::start();
    let full = "cannot keep the commands of shard 00: no space".to_owned();
    scene.status.send_modify(|status| {
        status.errors.insert(Activity::Lease, error);
        status.unkept.insert(ShardId(0), full);
    });
    scene.open(Some(("etcd", 1))).await;
    scene.status.send_modify(|status| status.errors.clear());
    tokio::time::sleep(60 * SECOND).await;
    let (incident, _) = scene.open(Some(("commands", 1))).await;
    let message = incident.unwrap().error.message;
    assert!(
        message.contains("no space; commands stay at the broker"),
        "{message}"
    );
    scene.status.send_modify(|status| status.unkept.clear());
    scene.open(None).await;
}
