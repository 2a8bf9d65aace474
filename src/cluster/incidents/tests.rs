//! When what is wrong with a cluster is reported, again, and as over.

use super::*;
use crate::cluster::coordinator::{Disagreement, MemberStatus};
use crate::cluster::devices_digest::DevicesDigest;
use crate::cluster::entries::{BridgeId, Details, Intent, MemberState, ShardId};
use crate::cluster::etcd::{Client, LeaseId, Settings};
use crate::records::store::Options;
use crate::tls::ClientTls;

const TTL: Duration = Duration::from_secs(5);
const REPEAT: Duration = Duration::from_secs(900);
const SECOND: Duration = Duration::from_secs(1);

/// What is reported: after how many seconds, of what, which stage, and how often it was seen.
type Reported = (u64, &'static str, Stage, u64);

/// The conditions, with a status that is set by hand, and a clock.
struct Scene {
    status: Status,
    conditions: Conditions,
    start: Instant,
    /// Seconds since then.
    now: u64,
    reported: Vec<IncidentReport>,
}

fn id(name: &str) -> BridgeId {
    BridgeId::new(name).unwrap()
}

fn digest(text: &str) -> DevicesDigest {
    serde_json::from_value(text.into()).unwrap()
}

fn reporter(status: watch::Receiver<Status>, store: Store) -> Reporter {
    Reporter::new(status, store, TTL, REPEAT)
}

impl Scene {
    fn new() -> Scene {
        let status = Status::new(id("a"), digest("1-aa"));
        let store = Store::in_memory(Options::new(id("a")));
        let Reporter { conditions, .. } = reporter(watch::channel(status.clone()).1, store);
        Scene {
            status,
            conditions,
            start: Instant::now(),
            now: 0,
            reported: Vec::new(),
        }
    }

    /// The member `b` has these devices.
    fn has_devices(&mut self, devices: &str) {
        let state = MemberState {
            reaches_broker: true,
            intent: Intent::Stay,
        };
        let details = Details::new(String::new(), digest(devices), None);
        let member = MemberStatus { state, details };
        self.status.members.insert(id("b"), member);
    }

    /// What is reported while so much time passes, from now on.
    fn pass(&mut self, seconds: u64) -> Vec<Reported> {
        let end = self.now + seconds;
        let mut reported = Vec::new();
        loop {
            let now = self.start + SECOND * u32::try_from(self.now).unwrap();
            let reports = self.conditions.look(&self.status, Timestamp::UNIX_EPOCH, now);
            for report in &reports {
                let subject = Condition::ALL.into_iter().map(Condition::subject);
                let is_it = |subject: &&str| report.incident.key.subject.as_deref() == Some(*subject);
                let subject = subject.into_iter().find(is_it).unwrap();
                reported.push((self.now, subject, report.stage, report.incident.count));
            }
            self.reported.extend(reports);
            let next = self.conditions.next();
            let next = next.map(|next| {
                next.saturating_duration_since(self.start)
                    .as_secs()
                    .max(self.now + 1)
            });
            match next.filter(|next| *next <= end) {
                Some(next) => self.now = next,
                None => break,
            }
        }
        self.now = end;
        reported
    }

    /// The error that was reported last.
    fn error(&self) -> &ErrorReport {
        &self.reported.last().unwrap().incident.error
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

#[test]
fn other_devices_are_an_incident_once_they_have_lasted() {
    let mut scene = Scene::new();
    scene.has_devices("1-bb");
    assert_eq!(scene.pass(59), []);
    assert_eq!(scene.pass(1), [(60, "devices", Stage::Begun, 1)]);
    let error = scene.error();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.ends_with(": b"), "{}", error.message);
    assert_eq!(scene.pass(900), [(960, "devices", Stage::Lasting, 2)]);
    scene.has_devices("1-aa");
    assert_eq!(scene.pass(0), [(960, "devices", Stage::Over, 2)]);
}

#[test]
fn devices_that_differ_while_a_configuration_is_rolled_out_are_none() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        scene.has_devices("1-bb");
        assert_eq!(scene.pass(59), []);
        scene.has_devices("1-aa");
        assert_eq!(scene.pass(1), []);
    }
}

#[tokio::test]
async fn etcd_that_fails_for_a_ttl_is_one_incident_until_it_has_worked_for_a_minute() {
    let (mut scene, error) = (Scene::new(), error().await);
    scene.status.errors.insert(Activity::Lease, error.clone());
    assert_eq!(scene.pass(4), []);
    assert_eq!(scene.pass(1), [(5, "etcd", Stage::Begun, 1)]);
    assert_eq!(scene.error().kind, ErrorKind::Connect);
    scene.status.errors.clear();
    assert_eq!(scene.pass(30), []);
    scene.status.errors.insert(Activity::Lease, error);
    assert_eq!(scene.pass(1), []);
    scene.status.errors.clear();
    assert_eq!(scene.pass(59), []);
    assert_eq!(scene.pass(1), [(96, "etcd", Stage::Over, 2)]);
}

#[test]
fn an_id_that_another_process_has_is_an_incident_once_an_earlier_lease_has_ended() {
    let mut scene = Scene::new();
    scene.status.is_id_taken = true;
    assert_eq!(scene.pass(10), [(10, "id", Stage::Begun, 1)]);
    scene.status.is_id_taken = false;
    assert_eq!(scene.pass(0), [(10, "id", Stage::Over, 1)]);
}

#[tokio::test]
async fn commands_that_cannot_be_kept_are_an_incident_unless_all_of_etcd_fails() {
    let mut scene = Scene::new();
    let full = "cannot keep the commands of shard 00: no space".to_owned();
    scene.status.errors.insert(Activity::Lease, error().await);
    scene.status.unkept.insert(ShardId(0), full);
    assert_eq!(scene.pass(10), [(5, "etcd", Stage::Begun, 1)]);
    scene.status.errors.clear();
    let reported = scene.pass(60);
    assert_eq!(reported[0], (15, "commands", Stage::Begun, 1));
    let begun = scene.reported[1].incident.error.message.as_str();
    assert!(begun.contains("no space; commands stay at the broker"), "{begun}");
    assert_eq!(reported[1..], [(70, "etcd", Stage::Over, 1)]);
    scene.status.unkept.clear();
    assert_eq!(scene.pass(60), [(130, "commands", Stage::Over, 1)]);
}

#[tokio::test]
async fn a_disagreement_is_in_the_store_at_once_and_also_after_the_coordinator_has_ended() {
    let (status, watched) = watch::channel(Status::new(id("a"), digest("1-aa")));
    let store = Store::in_memory(Options::new(id("a")));
    let disagreement = Disagreement::Shards { ours: 1, theirs: 4 };
    status.send_modify(|status| status.disagreement = Some(disagreement));
    drop(status);
    let stop = CancellationToken::new();
    let task = tokio::spawn(reporter(watched, store.clone()).run(stop.clone()));
    let mut open = store.incidents();
    let found = open.wait_for(|open| !open.is_empty()).await;
    let error = found.unwrap().values().next().unwrap().error.clone();
    assert!(error.remedy.starts_with("set it to 4"), "{error:?}");
    let records = store.outbox(0, 100, 1 << 20).await.unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&records[0].1.payload).unwrap();
    assert_eq!((records.len(), &payload["operation"]), (1, &"cluster".into()));
    stop.cancel();
    task.await.unwrap();
}
