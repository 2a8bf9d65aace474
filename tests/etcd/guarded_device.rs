//! The task of a device whose shard is one of several bridges: it writes to the device only while it owns the shard.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::mpsc as channel;
use lantime2mqtt::cluster::etcd::{Change, Client, Keys};
use lantime2mqtt::config;
use lantime2mqtt::lantime::device::{DeviceTask, Handles, Job, Prior, TrapInbox};
use lantime2mqtt::lantime::rest::{HttpClients, Profiles, RestClient};
use lantime2mqtt::lantime::schedule::Schedule;
use lantime2mqtt::model::{
    DeviceCommand, ErrorKind, ErrorReport, EventsChange, Outcome, Relay, SlotId, Update, Via,
};
use lantime2mqtt::simulator::{ApiGeneration, Fault, Fleet, FleetOptions, SimulatedDevice, SnmpOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::support::etcd::Etcd;
use super::support::scene::Setup;
use super::support::site::{Entry, Site};
use super::support::{PATIENCE, wait};
use super::write_guard::{Owner, claim};
use super::{client, put, value};

const MARKS: &str = "/lantime2mqtt/test/writes/00/";

type Answer = oneshot::Receiver<Result<Outcome, ErrorReport>>;

/// A simulated device, and its task, which asks an owner of its shard.
struct Scene {
    _etcd: Etcd,
    _fleet: Fleet,
    client: Client,
    device: Arc<SimulatedDevice>,
    owner: Owner,
    jobs: channel::Sender<Box<Job>>,
}

impl Scene {
    /// With a device whose events are selected over REST or over SNMP.
    async fn start(via: Via) -> Scene {
        let etcd = Etcd::start();
        let client = client(etcd.endpoints()).within(Duration::from_secs(2));
        let owner = Owner::new(&client).await;
        let snmp = |options| FleetOptions {
            snmp: Some(SnmpOptions::default()),
            ..options
        };
        let fleet = Setup::redundant(&[ApiGeneration::V16])
            .options(snmp)
            .fleet()
            .await;
        let device = Arc::clone(&fleet.devices()[0]);
        let jobs = run(&configured(&device, via), &owner);
        Scene {
            _etcd: etcd,
            _fleet: fleet,
            client,
            device,
            owner,
            jobs,
        }
    }

    /// Gives the command to select an event.
    async fn select(&self, event: &str, within: Duration) -> Answer {
        let (answer, received) = oneshot::channel();
        let job = Job {
            command: DeviceCommand::RelayEvents {
                slot: SlotId::new("io4").unwrap(),
                relay: Relay::A,
                change: EventsChange::Replace(vec![event.to_owned()]),
            },
            attempt: 1,
            deadline: Instant::now() + within,
            fail_fast: false,
            answer,
        };
        self.jobs.clone().try_send(Box::new(job)).unwrap();
        received
    }

    /// How often the device was written to, and its changes were applied.
    fn writes(&self) -> (u64, u64) {
        let counters = self.device.counters();
        let writes = counters.configuration_writes + counters.snmp_sets - counters.snmp_executes;
        (writes, counters.applies)
    }

    /// Waits for so many polls. There is one before each attempt of a command.
    async fn polled(&self, times: u64) {
        let documents = || self.device.counters().documents;
        let before = documents();
        wait::until("polls", async || documents() >= before + times).await;
    }

    /// How many marks were put, ever.
    async fn marks(&self) -> u64 {
        const END: &str = "/lantime2mqtt/test/writes/00/~";
        let write = [put(END, "", None)];
        let now = self.client.transact(&[], &write, &[]).await.unwrap().revision;
        let mut watch = self.client.watch(&Keys::prefix(MARKS), 1).await.unwrap();
        let mut marks = 0;
        loop {
            for change in watch.next().await.unwrap() {
                match change {
                    Change::Put(entry) if entry.mod_revision == now => return marks,
                    Change::Put(entry) if entry.key != END.as_bytes() => marks += 1,
                    _ => {}
                }
            }
        }
    }
}

fn configured(device: &SimulatedDevice, via: Via) -> config::Device {
    let entry = Entry::writable(device).with("poll", "1h").with("timeout", "2s");
    let entry = match via {
        Via::Rest => entry,
        Via::Snmp => entry
            .with("snmp.address", device.snmp_address().unwrap().to_string())
            .with("snmp.community", "public")
            .with("snmp.write_community", "private"),
    };
    let site = Site::new(([127, 0, 0, 1], 9).into(), &[entry]);
    let loaded = config::load(&site.config(), std::iter::empty()).unwrap();
    Arc::unwrap_or_clone(loaded.config.devices.into_iter().next().unwrap())
}

/// Runs its task; nobody looks at what it publishes.
fn run(device: &config::Device, owner: &Owner) -> channel::Sender<Box<Job>> {
    let (updates, mut published) = mpsc::channel::<Update>(64);
    tokio::spawn(async move { while published.recv().await.is_some() {} });
    let (jobs, received) = channel::channel(0);
    let handles = Handles {
        updates,
        jobs: received,
        traps: TrapInbox::new(None),
        repeat: Duration::from_secs(900),
        write_guard: Some(owner.guard.clone()),
    };
    let schedule = Schedule::new(Instant::now(), device.poll, device.jitter, 0, 1);
    let client = RestClient::new(HttpClients::default().for_device(device).unwrap(), device);
    let (profiles, prior) = (Profiles::built_in(), Prior::default());
    let task = DeviceTask::new(device, client, profiles, schedule, prior, handles);
    tokio::spawn(Box::new(task).run(CancellationToken::new()));
    jobs
}

async fn answered(answer: Answer) -> Result<Outcome, ErrorReport> {
    timeout(PATIENCE, answer).await.expect("no answer").unwrap()
}

#[tokio::test]
async fn the_cluster_is_asked_before_each_request_that_changes_something() {
    for (via, writes) in [(Via::Rest, 1), (Via::Snmp, 5)] {
        let scene = Scene::start(via).await;
        let answer = scene.select("network-link-down", PATIENCE).await;
        answered(answer).await.unwrap();
        assert_eq!((scene.writes(), scene.marks().await), ((writes, 1), writes + 1));
        // Nothing is to be changed.
        let answer = scene.select("network-link-down", PATIENCE).await;
        answered(answer).await.unwrap();
        assert_eq!((scene.writes(), scene.marks().await), ((writes, 1), writes + 1));
    }
}

#[tokio::test]
async fn without_its_shard_a_bridge_writes_nothing_and_retries_until_it_owns_the_shard_again() {
    for via in [Via::Rest, Via::Snmp] {
        let scene = Scene::start(via).await;
        claim(&scene.client).await;
        let answer = scene.select("network-link-down", PATIENCE).await;
        scene.polled(3).await;
        assert_eq!((scene.writes(), scene.marks().await), ((0, 0), 0), "{via:?}");
        scene.owner.permit(claim(&scene.client).await);
        answered(answer).await.unwrap();
        assert_eq!(scene.writes().1, 1);
    }
}

#[tokio::test]
async fn what_another_bridge_is_to_write_is_given_up_at_the_deadline_as_unwritten() {
    for via in [Via::Rest, Via::Snmp] {
        let scene = Scene::start(via).await;
        claim(&scene.client).await;
        let answer = scene.select("network-link-down", Duration::from_secs(3)).await;
        let report = answered(answer).await.unwrap_err();
        assert_eq!(report.kind, ErrorKind::Busy);
        let message =
            "given up at the deadline, nothing was changed: shard 00 no longer belongs to this bridge";
        assert!(report.message.starts_with(message), "{report:?}");
        assert_eq!(scene.writes(), (0, 0));
    }
}

#[tokio::test]
async fn a_device_to_which_an_earlier_owner_may_be_writing_is_left_alone_until_that_has_ended() {
    for via in [Via::Rest, Via::Snmp] {
        let scene = Scene::start(via).await;
        let id = lantime2mqtt::model::DeviceId::new(scene.device.id()).unwrap();
        let long = Duration::from_secs(3600);
        let old = &scene.owner;
        let mark = old.guard.before_write(&id, old.token, long).await.unwrap();
        scene.owner.permit(claim(&scene.client).await);
        let answer = scene.select("network-link-down", PATIENCE).await;
        scene.polled(3).await;
        assert_eq!(scene.writes(), (0, 0), "{via:?}");
        mark.remove();
        answered(answer).await.unwrap();
        assert_eq!(scene.writes().1, 1);
    }
}

#[tokio::test]
async fn a_write_without_an_answer_keeps_others_from_writing_until_its_mark_has_ended() {
    let scene = Scene::start(Via::Rest).await;
    scene.device.set_fault(Some(Fault::HangOnWrite));
    let _answer = scene.select("network-link-down", PATIENCE).await;
    wait::until("the mark of the write", async || scene.marks().await > 0).await;
    // So that it is not retried.
    scene.owner.gate.set(None);
    scene.polled(1).await;
    let mark = format!("{MARKS}{}", scene.device.id());
    assert!(value(&scene.client, &mark).await.is_some());
    scene.device.set_fault(None);
    wait::until("the mark has ended", async || {
        value(&scene.client, &mark).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn what_was_written_is_not_applied_once_the_shard_is_lost() {
    let scene = Scene::start(Via::Rest).await;
    scene.device.set_fault(Some(Fault::HangOnWrite));
    let answer = scene.select("network-link-down", PATIENCE).await;
    wait::until("the mark of the write", async || scene.marks().await > 0).await;
    claim(&scene.client).await;
    scene.device.set_fault(None);
    wait::until("the write", async || scene.writes().0 > 0).await;
    scene.polled(3).await;
    assert_eq!((scene.writes(), scene.marks().await), ((1, 0), 1));
    scene.owner.permit(claim(&scene.client).await);
    answered(answer).await.unwrap();
    assert_eq!(scene.writes(), (1, 1));
}
