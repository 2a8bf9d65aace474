//! Commands, while who owns the devices changes again and again: none is lost, and no two bridges write at once.

use std::time::Duration;

use fastrand::Rng;
use lantime2mqtt::simulator::Fault;

use crate::operator::Scene;
use crate::support::wait;

const DEVICES: usize = 3;

/// What happens to an owner.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// It is killed, and started again.
    Killed,
    /// It stands still for longer than its lease lives.
    Frozen,
    /// It does not reach etcd for so long.
    CutOff,
}

const TROUBLES: [Trouble; 3] = [Trouble::Killed, Trouble::Frozen, Trouble::CutOff];

impl Scene {
    async fn begin(&mut self, trouble: Trouble, member: usize) {
        let member = &mut self.cluster.members[member];
        match trouble {
            Trouble::Killed => member.stop("KILL").await,
            Trouble::Frozen => member.signal("STOP"),
            Trouble::CutOff => member.etcd.hold(true),
        }
    }

    async fn end(&mut self, trouble: Trouble, member: usize) {
        let member = &mut self.cluster.members[member];
        match trouble {
            Trouble::Killed => member.start(),
            Trouble::Frozen => member.signal("CONT"),
            Trouble::CutOff => member.etcd.hold(false),
        }
    }

    /// Commands come while the owner of a device is in trouble, and after another one has taken over.
    async fn take_over(&mut self, trouble: Trouble, random: &mut Rng, commands: usize) {
        let device = random.usize(..DEVICES);
        let owner = self.cluster.owner_of(self.device(device).id());
        let reads = self.device(device).counters().configuration_reads;
        self.select(device, random.usize(..2)).await;
        self.some_commands(random, commands / 2 - 1).await;
        if random.bool() {
            // It is being carried out.
            wait::until("what stands is read", async || {
                self.device(device).counters().configuration_reads > reads
            })
            .await;
        }
        self.begin(trouble, owner).await;
        self.some_commands(random, commands / 4).await;
        self.cluster.taken_over_from(owner).await;
        self.some_commands(random, commands / 4).await;
        self.end(trouble, owner).await;
        self.all_answered().await;
    }

    async fn some_commands(&mut self, random: &mut Rng, commands: usize) {
        for _ in 0..commands {
            self.select(random.usize(..DEVICES), random.usize(..2)).await;
        }
    }
}

/// Each kind of trouble, so often, with so many commands each time.
async fn commands_survive(times: usize, commands: usize) {
    let seed = std::env::var("CLUSTER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(16);
    println!("again with CLUSTER_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let scene = Scene::of(3, DEVICES, |site| site.with("cluster.shards", 2)).await;
    let mut scene = scene.started().await;
    for member in &scene.cluster.members {
        // So that what is asked of etcd is in flight for a while.
        member.etcd.delay(Duration::from_millis(20));
    }
    for device in scene.cluster.fleet.devices() {
        let by = Duration::from_millis(100);
        device.set_fault(Some(Fault::SlowChange { by }));
    }
    for _ in 0..times {
        let mut troubles = TROUBLES;
        random.shuffle(&mut troubles);
        for trouble in troubles {
            scene.take_over(trouble, &mut random, commands).await;
        }
    }
    scene.assert_all_is_well().await;
}

#[tokio::test]
async fn no_command_is_lost_and_no_two_bridges_write_at_once() {
    commands_survive(1, 4).await;
}

#[cfg(feature = "stress")]
#[tokio::test]
async fn the_same_with_two_hundred_commands() {
    commands_survive(9, 8).await;
}
