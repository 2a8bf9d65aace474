//! Bridges that share a cluster by a real etcd: who runs which unit, and which of them may write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lantime2mqtt::boot_time::BootTime;
use lantime2mqtt::cluster::coordinator::{Coordinator, Disagreement, Handles, Orders, Report, Setup, Status};
use lantime2mqtt::cluster::devices_digest::DevicesDigest;
use lantime2mqtt::cluster::election::Run;
use lantime2mqtt::cluster::entries::{BridgeId, Intent, ShardId, Token};
use lantime2mqtt::cluster::fence::Fence;
use lantime2mqtt::config::from_table;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::support::etcd::Etcd;
use super::support::{PATIENCE, wait};
use super::{client, value};

const SHARDS: u16 = 4;
/// No lease ends by itself within a test.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_secs(3);

type Units = BTreeMap<ShardId, Fence>;
/// Who has started (true) or stopped a unit, in order.
type Log = Arc<Mutex<Vec<(BridgeId, ShardId, bool)>>>;

/// Starts and stops the unit of one shard, which does nothing.
struct Unit {
    me: BridgeId,
    shard: ShardId,
    orders: watch::Receiver<Orders>,
    reports: mpsc::Sender<Report>,
    running: watch::Sender<Units>,
    log: Log,
}

impl Unit {
    /// Until the coordinator has ended.
    async fn run(mut self) {
        let mut last = Run::default();
        while let Some((run, fence)) = self.start_after(last).await {
            last = run;
            self.note(true);
            self.running
                .send_modify(|units| drop(units.insert(self.shard, fence)));
            let shard = self.shard;
            let is_stop = |orders: &Orders| orders[&shard].stop.is_some();
            let stopped = self.orders.wait_for(is_stop).await.is_ok();
            if !stopped {
                return;
            }
            self.note(false);
            self.running.send_modify(|units| drop(units.remove(&shard)));
            let _ = self.reports.send(Report::Stopped(shard, run)).await;
        }
    }

    /// Waits for the next run.
    async fn start_after(&mut self, last: Run) -> Option<(Run, Fence)> {
        let shard = self.shard;
        let is_next = |orders: &Orders| orders.get(&shard).is_some_and(|order| order.run > last);
        let orders = self.orders.wait_for(is_next).await.ok()?;
        orders.get(&shard).map(|order| (order.run, order.fence.clone()))
    }

    fn note(&self, is_start: bool) {
        let entry = (self.me.clone(), self.shard, is_start);
        self.log.lock().unwrap().push(entry);
    }
}

/// A bridge, whose units do nothing.
struct Bridge {
    units: watch::Receiver<Units>,
    status: watch::Receiver<Status>,
    reports: mpsc::Sender<Report>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Disagreement>>,
}

fn coordinator(etcd: &Etcd, name: &str, shards: u16, ttl: Duration) -> (Coordinator, Handles) {
    Coordinator::new(Setup {
        me: BridgeId::new(name).unwrap(),
        cluster: "test".to_owned(),
        shards,
        ttl,
        devices: digest(&["a", "b"]),
        url: Some(format!("http://{name}.example/")),
        client: client(etcd.endpoints()).within(Duration::from_secs(2)),
    })
}

/// The digest of devices with these ids.
fn digest(ids: &[&str]) -> DevicesDigest {
    let device = |id: &&str| {
        format!(
            "[[devices]]\nid = \"{id}\"\nurl = \"https://{id}.example\"\nusername = \"info\"\npassword = \"hunter2\"\n"
        )
    };
    let devices: String = ids.iter().map(device).collect();
    let table = toml::from_str(&format!("mqtt.url = \"embedded\"\n{devices}")).unwrap();
    let config = from_table("test", table).unwrap().config;
    DevicesDigest::of(&config, &config.devices)
}

impl Bridge {
    fn start(etcd: &Etcd, name: &str, ttl: Duration, log: &Log) -> Bridge {
        let (coordinator, handles) = coordinator(etcd, name, SHARDS, ttl);
        let Handles {
            orders,
            reports,
            status,
        } = handles;
        let (running, units) = watch::channel(Units::new());
        for shard in ShardId::all(SHARDS) {
            let unit = Unit {
                me: BridgeId::new(name).unwrap(),
                shard,
                orders: orders.clone(),
                reports: reports.clone(),
                running: running.clone(),
                log: Arc::clone(log),
            };
            tokio::spawn(unit.run());
        }
        let stop = CancellationToken::new();
        Bridge {
            units,
            status,
            reports,
            task: tokio::spawn(coordinator.run(stop.clone())),
            stop,
        }
    }

    /// Waits until so many units run.
    async fn runs(&mut self, count: usize) -> Units {
        let wanted = self.units.wait_for(|units| units.len() == count);
        let wanted = tokio::time::timeout(PATIENCE, wanted).await;
        wanted.expect("so many units never run").unwrap().clone()
    }

    async fn sees(&mut self, what: &str, condition: impl FnMut(&Status) -> bool) {
        let wanted = self.status.wait_for(condition);
        let wanted = tokio::time::timeout(PATIENCE, wanted).await;
        drop(wanted.unwrap_or_else(|_| panic!("{what}: never seen")).unwrap());
    }
}

/// With what a unit may write now.
fn tokens(units: &Units) -> Vec<Token> {
    let now = BootTime::now();
    units.values().filter_map(|fence| fence.may_write(now)).collect()
}

/// Waits until all of these units may write, or none may.
async fn may_write(units: &Units, wanted: bool) {
    for fence in units.values() {
        let mut fence = fence.clone();
        let wait = async {
            while fence.may_write(BootTime::now()).is_some() != wanted {
                // A permit ends without a change.
                let _ = tokio::time::timeout(Duration::from_millis(20), fence.changed()).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("permits change");
    }
}

/// One bridge that runs all units, and another one that stands by.
async fn pair(etcd: &Etcd, ttl: Duration) -> (Bridge, Bridge, Log) {
    let log = Log::default();
    let mut first = Bridge::start(etcd, "first", ttl, &log);
    first.runs(usize::from(SHARDS)).await;
    let second = Bridge::start(etcd, "second", ttl, &log);
    first
        .sees("the second one", |status| status.members.len() == 2)
        .await;
    (first, second, log)
}

#[tokio::test]
async fn what_a_killed_bridge_owned_is_taken_over_once_it_may_no_longer_write() {
    let etcd = Etcd::start();
    let (mut first, mut second, _) = pair(&etcd, SHORT).await;
    let old = first.runs(usize::from(SHARDS)).await;
    may_write(&old, true).await;
    let old_tokens = tokens(&old);
    first.task.abort();
    let new = second.runs(usize::from(SHARDS)).await;
    assert_eq!(tokens(&old), [], "two of them may write");
    may_write(&new, true).await;
    let newest = old_tokens.iter().max().unwrap();
    assert!(
        tokens(&new).iter().all(|token| token > newest),
        "{new:?}, {old_tokens:?}"
    );
}

#[tokio::test]
async fn a_bridge_that_stops_hands_over_at_once_each_unit_after_it_has_stopped() {
    let etcd = Etcd::start();
    let (first, mut second, log) = pair(&etcd, LONG).await;
    first.stop.cancel();
    second.runs(usize::from(SHARDS)).await;
    let left = tokio::time::timeout(PATIENCE, first.task).await;
    assert_eq!(left.expect("it leaves").unwrap(), Ok(()));
    second
        .sees("the other one has left", |status| status.members.len() == 1)
        .await;
    let log = log.lock().unwrap();
    let place = |bridge: &str, shard, is_start| {
        let is_it = |(by, of, start): &(BridgeId, ShardId, bool)| {
            by.as_str() == bridge && *of == shard && *start == is_start
        };
        log.iter().position(is_it).unwrap()
    };
    for shard in ShardId::all(SHARDS) {
        assert!(
            place("first", shard, false) < place("second", shard, true),
            "{log:?}"
        );
    }
}

#[tokio::test]
async fn a_drained_bridge_hands_over_and_stays_a_member() {
    let etcd = Etcd::start();
    let (mut first, mut second, _) = pair(&etcd, LONG).await;
    first.reports.send(Report::Broker(true)).await.unwrap();
    second.reports.send(Report::Broker(true)).await.unwrap();
    first.reports.send(Report::Drain(true)).await.unwrap();
    let units = second.runs(usize::from(SHARDS)).await;
    may_write(&units, true).await;
    first.runs(0).await;
    let is_seen = |status: &Status| {
        status.members.len() == 2
            && status
                .owners
                .values()
                .all(|owner| owner.bridge.as_str() == "second")
    };
    first.sees("the owner", is_seen).await;
}

#[tokio::test]
async fn while_etcd_is_frozen_units_run_on_but_may_not_write() {
    let etcd = Etcd::start();
    let log = Log::default();
    let mut bridge = Bridge::start(&etcd, "only", SHORT, &log);
    let units = bridge.runs(usize::from(SHARDS)).await;
    may_write(&units, true).await;
    let before = tokens(&units);
    etcd.freeze(0).await;
    may_write(&units, false).await;
    bridge.sees("why", |status| !status.errors.is_empty()).await;
    etcd.thaw(0);
    may_write(&units, true).await;
    bridge.sees("the end", |status| status.errors.is_empty()).await;
    assert_eq!(tokens(&units).len(), before.len());
    let log = log.lock().unwrap();
    assert!(
        log.iter().all(|(.., is_start)| *is_start),
        "a unit was stopped: {log:?}"
    );
}

#[tokio::test]
async fn a_bridge_with_several_shards_can_be_stopped_while_etcd_is_frozen() {
    let etcd = Etcd::start();
    let mut bridge = Bridge::start(&etcd, "only", LONG, &Log::default());
    bridge.runs(usize::from(SHARDS)).await;
    etcd.freeze(0).await;
    bridge.stop.cancel();
    let left = tokio::time::timeout(PATIENCE, bridge.task).await;
    assert_eq!(left.expect("it leaves").unwrap(), Ok(()));
}

#[tokio::test]
async fn a_bridge_with_another_number_of_shards_takes_no_part() {
    let etcd = Etcd::start();
    let mut first = Bridge::start(&etcd, "first", LONG, &Log::default());
    first.runs(usize::from(SHARDS)).await;
    let (other, _handles) = coordinator(&etcd, "other", 1, LONG);
    let refused = tokio::time::timeout(PATIENCE, other.run(CancellationToken::new())).await;
    let expected = Disagreement::Shards {
        ours: 1,
        theirs: SHARDS,
    };
    assert_eq!(refused.expect("it is refused"), Err(expected));
}

/// As if etcd was created again, and another bridge has begun a cluster of that name.
#[tokio::test]
async fn a_bridge_that_no_longer_agrees_stops_its_units_and_ends() {
    let mut etcd = Etcd::start();
    let mut bridge = Bridge::start(&etcd, "only", LONG, &Log::default());
    let units = bridge.runs(usize::from(SHARDS)).await;
    may_write(&units, true).await;
    etcd.control(&["put", "/lantime2mqtt/test/meta", r#"{"format":1,"shards":7}"#]);
    etcd.restart(0);
    bridge.runs(0).await;
    may_write(&units, false).await;
    let ended = tokio::time::timeout(PATIENCE, bridge.task).await;
    let expected = Disagreement::Shards {
        ours: SHARDS,
        theirs: 7,
    };
    assert_eq!(ended.expect("it ends").unwrap(), Err(expected));
}

/// As if etcd was created again.
#[tokio::test]
async fn what_was_agreed_on_is_written_again_where_it_was_lost() {
    const META: &str = "/lantime2mqtt/test/meta";
    let mut etcd = Etcd::start();
    let mut bridge = Bridge::start(&etcd, "only", LONG, &Log::default());
    bridge.runs(usize::from(SHARDS)).await;
    etcd.control(&["del", META]);
    etcd.restart(0);
    let client = client(etcd.endpoints());
    wait::until("what was agreed on", async || {
        value(&client, META).await.is_some()
    })
    .await;
    let expected = r#"{"format":1,"shards":4}"#;
    assert_eq!(value(&client, META).await.as_deref(), Some(expected));
}

#[tokio::test]
async fn a_bridge_that_was_killed_and_starts_again_owns_its_shards_again() {
    let etcd = Etcd::start();
    let log = Log::default();
    let mut first = Bridge::start(&etcd, "only", SHORT, &log);
    let old = first.runs(usize::from(SHARDS)).await;
    first.task.abort();
    let mut again = Bridge::start(&etcd, "only", SHORT, &log);
    let new = again.runs(usize::from(SHARDS)).await;
    assert_eq!(tokens(&old), [], "both may write");
    may_write(&new, true).await;
}

#[tokio::test]
async fn a_bridge_that_starts_before_etcd_waits_for_it_and_can_be_stopped_meanwhile() {
    let mut etcd = Etcd::start();
    etcd.kill(0);
    let log = Log::default();
    let mut bridge = Bridge::start(&etcd, "early", LONG, &log);
    let stopped = Bridge::start(&etcd, "stopped", LONG, &log);
    bridge
        .sees("that etcd does not answer", |status| !status.errors.is_empty())
        .await;
    stopped.stop.cancel();
    let left = tokio::time::timeout(PATIENCE, stopped.task).await;
    assert_eq!(left.expect("it leaves").unwrap(), Ok(()));
    etcd.restart(0);
    bridge.runs(usize::from(SHARDS)).await;
}

#[tokio::test]
async fn members_show_their_devices_and_a_change_of_these_moves_nothing() {
    let etcd = Etcd::start();
    let (mut first, mut second, log) = pair(&etcd, LONG).await;
    let name = |name| BridgeId::new(name).unwrap();
    let others = |status: &Status| status.with_other_devices().cloned().collect::<Vec<_>>();
    first
        .sees("the page of the other one", |status| {
            let Some(member) = status.members.get(&name("second")) else {
                return false;
            };
            member.details.url.as_deref() == Some("http://second.example/")
                && member.details.version == env!("CARGO_PKG_VERSION")
                && member.state.intent == Intent::Stay
                && others(status).is_empty()
        })
        .await;

    let changed = digest(&["b", "c"]);
    let report = Report::Devices(changed.clone());
    second.reports.send(report).await.unwrap();
    first
        .sees("other devices", |status| others(status) == [name("second")])
        .await;
    second
        .sees("its own devices", |status| {
            let own = status.members.get(&status.me);
            status.devices == changed && own.is_some_and(|own| own.details.devices == changed)
        })
        .await;
    assert_eq!(others(&second.status.borrow()), [name("first")]);
    let entry = value(
        &client(etcd.endpoints()),
        "/lantime2mqtt/test/election/members/second",
    )
    .await;
    assert!(entry.unwrap().contains(&changed.to_string()));

    let report = Report::Devices(digest(&["b", "a"]));
    second.reports.send(report).await.unwrap();
    first
        .sees("the same devices", |status| others(status).is_empty())
        .await;
    assert!(log.lock().unwrap().iter().all(|(.., is_start)| *is_start));
}

/// As a request that etcd has carried out late, or a backup.
#[tokio::test]
async fn an_entry_that_shows_other_devices_than_it_is_to_is_written_again() {
    const ENTRY: &str = "/lantime2mqtt/test/election/members/only";
    let etcd = Etcd::start();
    let mut bridge = Bridge::start(&etcd, "only", LONG, &Log::default());
    bridge.runs(usize::from(SHARDS)).await;
    let client = client(etcd.endpoints());
    let ours = value(&client, ENTRY).await.unwrap();
    let current = digest(&["a", "b"]).to_string();
    assert!(ours.contains(&current));
    etcd.control(&["put", "--ignore-lease", ENTRY, &ours.replace(&current, "1-old")]);
    wait::until("the entry", async || {
        value(&client, ENTRY).await.as_ref() == Some(&ours)
    })
    .await;
}

#[tokio::test]
async fn a_bridge_shows_whose_each_shard_is_and_how_many_it_has_won() {
    let etcd = Etcd::start();
    let (mut first, mut second, _) = pair(&etcd, LONG).await;
    let units = first.runs(usize::from(SHARDS)).await;
    may_write(&units, true).await;
    let before = first.status.borrow().clone();
    let shown: Vec<_> = before.owners.values().map(|owner| owner.token).collect();
    assert_eq!(shown, tokens(&units));
    assert!(before.is_current);
    assert_eq!((before.won, second.status.borrow().won), (u64::from(SHARDS), 0));

    first.stop.cancel();
    second.runs(usize::from(SHARDS)).await;
    let is_second = |status: &Status| status.owners.values().all(|owner| owner.bridge == status.me);
    second.sees("its shards", is_second).await;
    let after = second.status.borrow().clone();
    assert_eq!(after.won, u64::from(SHARDS));
    for (shard, owner) in &after.owners {
        assert!(owner.since > before.owners[shard].since, "{after:?}");
    }
}
