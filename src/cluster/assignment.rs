//! Which bridge is to own which shard: plain functions of what all bridges see, so all of them come to the same result.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::entries::{BridgeId, Intent, MemberState, ShardId};
use super::hashing::score;

/// The owner of each shard of the cluster.
pub type Owners<'a> = BTreeMap<ShardId, Option<&'a BridgeId>>;

/// A shard that is to be handed over, so that the shares become equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move<'a> {
    /// The shard.
    pub shard: ShardId,
    /// Its owner, who has the most shards.
    pub from: &'a BridgeId,
    /// Who will take it, since it has the fewest.
    pub to: &'a BridgeId,
}

/// The members that may take shards: those that suit best. A member without a broker is better than none, and so is one that
/// is being drained; one that is stopping is not.
pub fn eligible<'a>(
    members: impl IntoIterator<Item = (&'a BridgeId, MemberState)>,
) -> BTreeSet<&'a BridgeId> {
    let ranked = members
        .into_iter()
        .filter_map(|(bridge, state)| Some((rank(state)?, bridge)));
    let ranked: Vec<_> = ranked.collect();
    let best = ranked.iter().map(|(rank, _)| *rank).min();
    let suiting = ranked.into_iter().filter(|(rank, _)| Some(*rank) == best);
    suiting.map(|(_, bridge)| bridge).collect()
}

/// The lower, the better. That state is published counts more than that a bridge is drained.
fn rank(state: MemberState) -> Option<u8> {
    match (state.intent, state.reaches_broker) {
        (Intent::Stay, true) => Some(0),
        (Intent::Drain, true) => Some(1),
        (Intent::Stay, false) => Some(2),
        (Intent::Drain, false) => Some(3),
        (Intent::Leave, _) => None,
    }
}

/// Who is to claim the shards that have no owner.
///
/// The plan for a shard stands until the shard has an owner, or other members are eligible. Otherwise each claim that is won
/// would change the plan for the others, and bridges that hear of it at different times would take more than their share.
#[derive(Debug, Default)]
pub struct Plan {
    eligible: BTreeSet<BridgeId>,
    /// For each shard, the members in the order in which they are to claim it.
    orders: BTreeMap<ShardId, Vec<BridgeId>>,
}

impl Plan {
    /// Plans for what is new. The first to claim a shard is the member with the fewest, counting those that it is the first
    /// for; if several have as few, the one with the highest score.
    pub fn update(&mut self, eligible: &BTreeSet<&BridgeId>, owners: &Owners<'_>) {
        if !self.eligible.iter().eq(eligible.iter().copied()) {
            self.eligible = eligible.iter().map(|bridge| (*bridge).clone()).collect();
            self.orders.clear();
        }
        let is_owned = |shard: &ShardId| owners.get(shard).is_none_or(Option::is_some);
        self.orders.retain(|shard, _| !is_owned(shard));
        let mut shares = shares(eligible, owners);
        for first in self.orders.values().filter_map(|order| order.first()) {
            if let Some(share) = shares.get_mut(first) {
                *share += 1;
            }
        }
        for shard in owners.keys().filter(|shard| !is_owned(shard)) {
            if !self.orders.contains_key(shard) {
                self.orders.insert(*shard, order(*shard, &mut shares));
            }
        }
    }

    /// How many members are to claim a shard before this one. `None` if it is not to claim it.
    pub fn position(&self, shard: ShardId, bridge: &BridgeId) -> Option<usize> {
        self.orders.get(&shard)?.iter().position(|other| other == bridge)
    }
}

/// The order in which the members that have these shares are to claim a shard. It counts as the first one's.
fn order(shard: ShardId, shares: &mut BTreeMap<&BridgeId, usize>) -> Vec<BridgeId> {
    let mut order: Vec<_> = shares.keys().copied().collect();
    order.sort_by_cached_key(|bridge| (shares.get(bridge).copied(), Reverse(score(bridge, shard))));
    if let Some(share) = order.first().and_then(|first| shares.get_mut(first)) {
        *share += 1;
    }
    order.into_iter().cloned().collect()
}

/// The next shard to hand over, so that the shares of eligible members differ by at most one. Of those that have the fewest,
/// only `settled` ones count. `None` also while a shard has no owner, or one that is not eligible: that comes first.
pub fn next_move<'a>(
    eligible: &BTreeSet<&'a BridgeId>,
    settled: &BTreeSet<&'a BridgeId>,
    owners: &Owners<'_>,
) -> Option<Move<'a>> {
    let is_at_rest = |owner: &Option<&BridgeId>| owner.is_some_and(|owner| eligible.contains(owner));
    if !owners.values().all(is_at_rest) {
        return None;
    }
    let shares = shares(eligible, owners);
    let (from, most) = shares.iter().min_by_key(|(_, share)| Reverse(**share))?;
    let receivers = shares.iter().filter(|(bridge, _)| settled.contains(*bridge));
    let fewest = receivers.clone().map(|(_, share)| *share).min()?;
    if *most < fewest + 2 {
        return None;
    }
    let receivers: Vec<_> = receivers
        .filter(|(_, share)| **share == fewest)
        .map(|(bridge, _)| *bridge)
        .collect();
    let of_from = owners.iter().filter(|(_, owner)| **owner == Some(*from));
    let moves = of_from.filter_map(|(shard, _)| {
        let to = best(receivers.iter().copied(), *shard)?;
        let is_at_home = best(eligible.iter().copied(), *shard) == Some(to);
        Some((
            !is_at_home,
            Move {
                shard: *shard,
                from,
                to,
            },
        ))
    });
    moves
        .min_by_key(|(order, found)| (*order, found.shard))
        .map(|(_, found)| found)
}

/// Who has the highest score for a shard.
fn best<'a>(bridges: impl Iterator<Item = &'a BridgeId>, shard: ShardId) -> Option<&'a BridgeId> {
    bridges.max_by_key(|bridge| score(bridge, shard))
}

/// How many shards each eligible member has.
fn shares<'a>(eligible: &BTreeSet<&'a BridgeId>, owners: &Owners<'_>) -> BTreeMap<&'a BridgeId, usize> {
    let share = |bridge: &BridgeId| owners.values().filter(|owner| **owner == Some(bridge)).count();
    eligible.iter().map(|bridge| (*bridge, share(bridge))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKING: MemberState = MemberState {
        reaches_broker: true,
        intent: Intent::Stay,
    };

    fn bridges(names: &[&str]) -> Vec<BridgeId> {
        names.iter().map(|name| BridgeId::new(*name).unwrap()).collect()
    }

    /// The owner of each shard by the position of its name; `-` is none.
    fn owners<'a>(bridges: &'a [BridgeId], owners: &str) -> Owners<'a> {
        let owner = |name: char| bridges.iter().find(|bridge| bridge.as_str() == name.to_string());
        (0..).map(ShardId).zip(owners.chars().map(owner)).collect()
    }

    fn named(bridges: &BTreeSet<&BridgeId>) -> String {
        bridges.iter().map(|bridge| bridge.as_str()).collect()
    }

    #[test]
    fn the_best_members_are_eligible() {
        let all = bridges(&["a", "b", "c"]);
        let drained = MemberState {
            intent: Intent::Drain,
            ..WORKING
        };
        let leaving = MemberState {
            intent: Intent::Leave,
            ..WORKING
        };
        let cut_off = MemberState {
            reaches_broker: false,
            ..WORKING
        };
        let of = |states: [MemberState; 3]| named(&eligible(all.iter().zip(states)));
        assert_eq!(of([WORKING, WORKING, WORKING]), "abc");
        assert_eq!(of([WORKING, drained, cut_off]), "a");
        assert_eq!(of([leaving, drained, cut_off]), "b");
        assert_eq!(of([leaving, cut_off, cut_off]), "bc");
        assert_eq!(of([leaving, leaving, leaving]), "");
    }

    /// The names of those that are to claim a shard, in their order.
    fn names(plan: &Plan, shard: u16) -> String {
        let names = plan.orders[&ShardId(shard)].iter().map(|bridge| bridge.as_str());
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn who_has_the_fewest_shards_takes_the_next() {
        let all = bridges(&["a", "b", "c"]);
        let mut plan = Plan::default();
        plan.update(&all.iter().collect(), &owners(&all, "aab----"));
        let mut shares = BTreeMap::from([("a", 2), ("b", 1), ("c", 0)]);
        plan.orders
            .values()
            .for_each(|order| *shares.get_mut(order[0].as_str()).unwrap() += 1);
        assert_eq!(names(&plan, 3), "c b a");
        assert!(shares.values().all(|share| (2..=3).contains(share)), "{shares:?}");
        let positions = |bridge| {
            (2..4)
                .map(|shard| plan.position(ShardId(shard), bridge))
                .collect::<Vec<_>>()
        };
        assert_eq!(positions(&all[1]), [None, Some(1)]);
    }

    #[test]
    fn if_several_have_as_few_the_score_decides() {
        let all = bridges(&["a", "b", "c"]);
        for shard in ShardId::all(20) {
            let mut plan = Plan::default();
            plan.update(&all.iter().collect(), &BTreeMap::from([(shard, None)]));
            assert_eq!(plan.position(shard, best(all.iter(), shard).unwrap()), Some(0));
        }
    }

    #[test]
    fn a_plan_stands_while_others_carry_it_out() {
        let all = bridges(&["a", "b", "c"]);
        let eligible: BTreeSet<_> = all.iter().collect();
        let mut plan = Plan::default();
        plan.update(&eligible, &owners(&all, "--------"));
        let orders = plan.orders.clone();
        let mut now_owned = owners(&all, "--------");
        for (shard, order) in orders.iter().rev() {
            assert_eq!(plan.orders[shard], *order);
            now_owned.insert(*shard, eligible.get(&order[0]).copied());
            plan.update(&eligible, &now_owned);
        }
        assert!(plan.orders.is_empty());
    }

    #[test]
    fn a_plan_counts_what_was_planned_before() {
        let all = bridges(&["a", "b"]);
        let eligible: BTreeSet<_> = all.iter().collect();
        let mut plan = Plan::default();
        plan.update(&eligible, &owners(&all, "a-"));
        plan.update(&eligible, &owners(&all, "--"));
        assert_eq!(
            (names(&plan, 0), names(&plan, 1)),
            ("a b".to_owned(), "b a".to_owned())
        );
    }

    #[test]
    fn other_members_are_another_plan() {
        let all = bridges(&["a", "b"]);
        let mut plan = Plan::default();
        plan.update(&all[..1].iter().collect(), &owners(&all, "a-"));
        assert_eq!(names(&plan, 1), "a");
        plan.update(&all.iter().collect(), &owners(&all, "a-"));
        assert_eq!(names(&plan, 1), "b a");
    }

    #[test]
    fn a_shard_moves_only_if_shares_differ_by_two() {
        let all = bridges(&["a", "b"]);
        let eligible: BTreeSet<_> = all.iter().collect();
        assert_eq!(next_move(&eligible, &eligible, &owners(&all, "aab")), None);
        let found = next_move(&eligible, &eligible, &owners(&all, "baaa")).unwrap();
        assert_eq!((found.from, found.to), (&all[0], &all[1]));
    }

    #[test]
    fn nothing_moves_while_a_shard_is_to_find_an_owner() {
        let all = bridges(&["a", "b", "c"]);
        let eligible: BTreeSet<_> = all[..2].iter().collect();
        assert_eq!(next_move(&eligible, &eligible, &owners(&all, "aaa-")), None);
        assert_eq!(next_move(&eligible, &eligible, &owners(&all, "aaac")), None);
    }

    #[test]
    fn nothing_moves_to_a_member_that_is_new() {
        let all = bridges(&["a", "b"]);
        let settled = all[..1].iter().collect();
        assert_eq!(
            next_move(&all.iter().collect(), &settled, &owners(&all, "aaaa")),
            None
        );
    }

    /// So fewer shards move when a bridge leaves and comes back.
    #[test]
    fn the_receiver_gets_what_suits_it_best() {
        let all = bridges(&["a", "b"]);
        let eligible: BTreeSet<_> = all.iter().collect();
        let of_b = ShardId::all(100).filter(|shard| best(all.iter(), *shard) == Some(&all[1]));
        let of_b = of_b.last().unwrap();
        let of_a =
            ShardId::all(100).filter(|shard| best(all.iter(), *shard) == Some(&all[0]) && *shard < of_b);
        let owners: Owners<'_> = of_a.chain([of_b]).map(|shard| (shard, Some(&all[0]))).collect();
        assert_eq!(next_move(&eligible, &eligible, &owners).unwrap().shard, of_b);
    }

    /// With whatever shares: it ends, and they differ by one at most.
    #[test]
    fn moves_come_to_an_end() {
        let all = bridges(&["a", "b", "c", "d"]);
        let eligible: BTreeSet<_> = all.iter().collect();
        let mut owners = owners(&all, "aaaaaaaabbbc");
        for _ in 0..5 {
            let found = next_move(&eligible, &eligible, &owners).unwrap();
            owners.insert(found.shard, Some(found.to));
        }
        assert_eq!(next_move(&eligible, &eligible, &owners), None);
        let shares = shares(&eligible, &owners);
        assert!(shares.values().all(|share| *share == 3), "{shares:?}");
    }
}
