//! A cluster of bridges whose network, etcd, broker, clocks and processes fail: whatever happens, at no moment two bridges may
//! write for a shard; and once it is over, each shard has one owner, and all is quiet.

mod bridge;
mod etcd;
mod faults;
mod network;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use bridge::UnitState;
use faults::{Fault, Incident, incidents};
use lantime2mqtt::cluster::entries::{BridgeId, ShardId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use world::World;

use super::config;

const SECOND: u64 = 1_000;
/// Until then something may begin to fail.
const FAULTS: u64 = 120 * SECOND;
/// From then on no shard is without an owner for longer than it takes to claim it.
const OWNED: u64 = FAULTS + 45 * SECOND;
/// From then on nothing moves: new members are no longer new, and shards have moved one after the other.
const SETTLED: u64 = FAULTS + 240 * SECOND;

/// A case is minutes of a cluster: fewer than of other properties are enough for each run, and where nobody wants to wait fewer
/// still. `PROPTEST_CASES` makes more.
fn few() -> ProptestConfig {
    let config = config();
    let share = if cfg!(feature = "stress") { 4 } else { 16 };
    ProptestConfig {
        cases: config.cases.div_ceil(share),
        ..config
    }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn nobody_writes_who_must_not_and_all_is_well_afterwards(
        starts in vec(0..5_000_u64, 1..=5),
        shards in 1..=8_u16,
        ttl in select(vec![3 * SECOND, 5 * SECOND, 10 * SECOND]),
        seed in any::<u64>(),
        incidents in incidents(FAULTS),
    ) {
        let mut world = World::new(&starts, shards, ttl, seed);
        incidents.iter().for_each(|incident| faults::plan(&mut world, *incident));
        world.run_until(OWNED);
        let has_members = !suited(&world).is_empty();
        for second in OWNED / SECOND..SETTLED / SECOND {
            world.run_until(second * SECOND);
            prop_assert!(!has_members || world.longest_unowned() < SECOND, "unowned at {} s", second);
        }
        assert_settled(&world);
        let moves = (world.etcd.moves(), world.starts, world.stops.len());
        world.run_until(SETTLED + 100 * SECOND);
        prop_assert_eq!((world.etcd.moves(), world.starts, world.stops.len()), moves, "it does not end");
        assert_settled(&world);
    }

    #[test]
    fn bridges_that_start_together_share_without_a_move(
        starts in vec(0..1_500_u64, 1..=5),
        shards in 1..=8_u16,
        seed in any::<u64>(),
    ) {
        let mut world = World::new(&starts, shards, 5 * SECOND, seed);
        world.run_until(10 * SECOND);
        assert_settled(&world);
        world.run_until(200 * SECOND);
        prop_assert_eq!((world.starts, world.stops.len()), (usize::from(shards), 0));
    }

    /// One shard after the other, no sooner than after a minute, and no more than needed.
    #[test]
    fn bridges_that_join_get_their_shares_slowly(
        others in vec(10_000..60_000_u64, 1..=4),
        shards in 1..=8_u16,
        seed in any::<u64>(),
    ) {
        let joined = others.iter().min().copied().unwrap_or_default();
        let starts = [vec![0], others].concat();
        let (shards_count, bridges) = (usize::from(shards), starts.len());
        let mut world = World::new(&starts, shards, 5 * SECOND, seed);
        world.run_until(300 * SECOND);
        assert_settled(&world);
        let kept = shards_count.div_ceil(bridges);
        prop_assert_eq!(world.stops.len(), shards_count - kept);
        prop_assert!(world.stops.iter().all(|at| *at > joined + 57 * SECOND), "{:?}", world.stops);
        let is_slow = |two: &[u64]| two[1] - two[0] > 9 * SECOND;
        prop_assert!(world.stops.windows(2).all(is_slow), "{:?}", world.stops);
    }

    /// However long it lasts, and whether leases survive it or not.
    #[test]
    fn an_outage_of_etcd_stops_nothing(
        starts in vec(0..1_500_u64, 1..=5),
        shards in 1..=8_u16,
        seed in any::<u64>(),
        is_with_new_leader in any::<bool>(),
        length in 1..60 * SECOND,
    ) {
        let mut world = World::new(&starts, shards, 5 * SECOND, seed);
        let fault = Fault::Outage(is_with_new_leader);
        faults::plan(&mut world, Incident { fault, at: 20 * SECOND, length: Some(length) });
        world.run_until(20 * SECOND + length);
        world.run_until(world.now + 15 * SECOND);
        assert_settled(&world);
        prop_assert_eq!((world.starts, world.stops.len()), (usize::from(shards), 0));
    }

    #[test]
    fn an_outage_of_the_broker_moves_nothing(
        starts in vec(0..1_500_u64, 1..=5),
        shards in 1..=8_u16,
        seed in any::<u64>(),
        length in 1..60 * SECOND,
    ) {
        let mut world = World::new(&starts, shards, 5 * SECOND, seed);
        faults::plan(&mut world, Incident { fault: Fault::BrokerDown, at: 20 * SECOND, length: Some(length) });
        world.run_until(120 * SECOND);
        assert_settled(&world);
        prop_assert_eq!((world.starts, world.stops.len()), (usize::from(shards), 0));
    }

    /// What was written after the backup is lost, and revisions are given again. Nobody knows of that before it has read all;
    /// from then on everything is as ever.
    #[test]
    fn a_restored_etcd_is_one_in_which_all_is_well_again(
        starts in vec(0..5_000_u64, 1..=5),
        shards in 1..=8_u16,
        ttl in select(vec![3 * SECOND, 5 * SECOND, 10 * SECOND]),
        seed in any::<u64>(),
        incidents in incidents(FAULTS / 2),
        backup_at in prop_oneof![Just(0), 0..FAULTS / 2],
    ) {
        let mut world = World::new(&starts, shards, ttl, seed);
        incidents.iter().for_each(|incident| faults::plan(&mut world, *incident));
        world.run_until(backup_at);
        let backup = world.etcd.clone();
        world.run_until(FAULTS / 2 + 10 * SECOND);
        world.restore(backup);
        world.run_until(SETTLED);
        assert_settled(&world);
    }

    /// Shards go to and fro, while claims and releases are lost, or come when they are no longer wanted.
    #[test]
    fn late_claims_and_releases_let_nobody_write_who_must_not(
        shards in 1..=8_u16,
        seed in any::<u64>(),
        drains in vec((0..2_usize, 10_000..FAULTS, 100..4_000_u64), 20..60),
    ) {
        let mut world = World::new(&[0, 0], shards, 5 * SECOND, seed);
        faults::plan(&mut world, Incident { fault: Fault::BadNetwork, at: 10 * SECOND, length: Some(FAULTS) });
        for (bridge, at, length) in drains {
            faults::plan(&mut world, Incident { fault: Fault::Drain(bridge), at, length: Some(length) });
        }
        world.run_until(SETTLED);
        assert_settled(&world);
    }

    /// As long as others can: the next one in the order does it.
    #[test]
    fn a_member_that_cannot_claim_holds_up_no_shard(
        starts in vec(0..1_500_u64, 3..=5),
        shards in 1..=8_u16,
        seed in any::<u64>(),
    ) {
        let mut world = World::new(&starts, shards, 5 * SECOND, seed);
        world.bridges[0].faults.cannot_claim = true;
        faults::plan(&mut world, Incident { fault: Fault::Kill(1), at: 20 * SECOND, length: None });
        world.run_until(10 * SECOND);
        prop_assert_eq!(world.etcd.owners.len(), usize::from(shards));
        world.run_until(30 * SECOND);
        prop_assert_eq!(world.etcd.owners.len(), usize::from(shards));
    }

    /// The next owner does not wait until the lease ends.
    #[test]
    fn who_stops_in_good_order_leaves_no_shard_behind(
        others in vec(0..1_500_u64, 1..=4),
        shards in 1..=8_u16,
        seed in any::<u64>(),
    ) {
        let starts = [vec![0], others].concat();
        let mut world = World::new(&starts, shards, 10 * SECOND, seed);
        faults::plan(&mut world, Incident { fault: Fault::Stop(0), at: 20 * SECOND, length: None });
        for tenth in 200..240 {
            world.run_until(tenth * 100);
            prop_assert!(world.longest_unowned() < 200);
        }
        assert_settled_but_for_shares(&world);
    }

    /// However many shards it has: its units get the time to stop, and each release the time of one request.
    #[test]
    fn who_stops_while_etcd_does_not_answer_ends_all_the_same(
        starts in vec(0..1_500_u64, 1..=3),
        shards in 1..=8_u16,
        seed in any::<u64>(),
    ) {
        let mut world = World::new(&starts, shards, 10 * SECOND, seed);
        for (fault, at) in [(Fault::BadNetwork, 20), (Fault::Outage(false), 20), (Fault::Stop(0), 21)] {
            faults::plan(&mut world, Incident { fault, at: at * SECOND, length: None });
        }
        world.run_until(24 * SECOND);
        prop_assert!(world.bridges[0].election.is_none());
    }

    /// At the latest the TTL after its last renewal; then it takes no longer than a request.
    #[test]
    fn who_is_killed_is_replaced_when_its_lease_ends(
        others in vec(0..1_500_u64, 1..=4),
        shards in 1..=8_u16,
        seed in any::<u64>(),
    ) {
        let starts = [vec![0], others].concat();
        let mut world = World::new(&starts, shards, 5 * SECOND, seed);
        faults::plan(&mut world, Incident { fault: Fault::Kill(0), at: 20 * SECOND, length: None });
        world.run_until(25 * SECOND + 500);
        assert_settled_but_for_shares(&world);
    }
}

/// Each shard has one owner, with the only unit, and nobody has too many.
fn assert_settled(world: &World) {
    assert_settled_but_for_shares(world);
    let suited = suited(world);
    let mut shares: BTreeMap<_, usize> = suited.iter().map(|bridge| (*bridge, 0)).collect();
    for owner in world.etcd.owners.values() {
        *shares.get_mut(&owner.bridge).expect("an owner that is suited") += 1;
    }
    let (most, fewest) = (shares.values().max(), shares.values().min());
    assert!(
        most <= fewest.map(|fewest| fewest + 1).as_ref(),
        "shares differ: {shares:?}"
    );
}

fn assert_settled_but_for_shares(world: &World) {
    let suited = suited(world);
    for shard in ShardId::all(world.shards) {
        let units = world.bridges.iter().filter(|bridge| {
            let state = bridge.state(shard);
            state.is_some_and(|state| state != UnitState::Stopped)
        });
        let units: Vec<_> = units.map(|bridge| (&bridge.id, bridge.state(shard))).collect();
        let owner = world.etcd.owners.get(&shard).map(|owner| &owner.bridge);
        let expected: Vec<_> = owner
            .iter()
            .map(|owner| (*owner, Some(UnitState::Running)))
            .collect();
        assert_eq!(units, expected, "units of shard {shard}");
        assert_eq!(owner.is_some(), !suited.is_empty(), "shard {shard}");
        assert!(
            owner.is_none_or(|owner| suited.contains(owner)),
            "shard {shard} is at {owner:?}"
        );
        let writer = world
            .bridges
            .iter()
            .find(|bridge| bridge.may_write(shard, world.now).is_some());
        assert_eq!(
            writer.map(|bridge| &bridge.id),
            owner,
            "who may write for shard {shard}"
        );
    }
}

/// Who is to own shards, by what is wrong with each: with a broker rather than without, and rather not drained.
fn suited(world: &World) -> BTreeSet<&BridgeId> {
    let running = world.bridges.iter().filter(|bridge| bridge.faults.down == 0);
    let defects = running.map(|bridge| {
        let (without_broker, drained) = (bridge.faults.without_broker > 0, bridge.faults.drained > 0);
        ((without_broker, drained), &bridge.id)
    });
    let defects: Vec<_> = defects.collect();
    let least = defects.iter().map(|(defects, _)| *defects).min();
    let suited = defects.into_iter().filter(|(defects, _)| Some(*defects) == least);
    suited.map(|(_, bridge)| bridge).collect()
}
