//! Several bridges as one: which of them works for which devices, and how it is made sure that no two do.
//!
//! Devices belong to shards for ever ([`shard_of`]); shards belong to bridges. Who owns a shard is a key in etcd, written under
//! the lease of its owner. Its `create_revision` is the *token*: each owner has a higher one than those before it. What works for
//! a shard is its *unit*: device tasks, publisher, commands. A unit asks its [`WriteGuard`](write_guard::WriteGuard) before each
//! write to a device, which asks the [`fence`], and its transactions compare the token.
//!
//! - [`entries`]: what etcd has, typed.
//! - [`assignment`]: which bridge is to own which shard: functions of what all bridges see.
//! - [`election`]: the state machine of one bridge. Pure; time is passed in.
//! - [`fence`]: whether a unit may write at this moment.
//! - [`write_guard`]: what it asks right before each write to a device: etcd, then the fence.
//! - [`ledger`]: the commands of a shard, and their replies.
//! - [`edge_node_sessions`]: the number of the last session of a shard's edge node.
//! - [`coordinator`]: the task that carries out at etcd what the election wants, and shows what is known of the cluster.
//! - [`devices_digest`]: by what bridges see whether they have the same devices, and publish them in the same form.
//! - [`incidents`]: what of all that is reported as an incident.
//! - [`dead_letters`]: the dead letters of commands, as any bridge reads them. `registry`, `keys`: what stands where.
//! - [`etcd`]: a client of etcd, which knows nothing of all that.
//! - [`BootTime`](crate::boot_time::BootTime): the clock of all of them, which counts suspension.
//!
//! # Why no two write
//!
//! 1. A key is created only if there is none, and only under a lease that lives. So at each revision a shard has one owner.
//! 2. An owner writes until 0.8 of the TTL after its last successful renewal was *sent*. etcd lets the lease end no sooner than
//!    the TTL after it has *processed* that. Both clocks may differ in rate by a fifth, and a pause of the process does not
//!    matter: who writes compares the moment with the clock, and needs to hear nothing.
//! 3. A key goes before its lease only if its owner releases it; and that is requested after the unit has stopped and its
//!    permit was taken back. A release names the token, so that one that is late deletes no other key; and a key
//!    whose release was requested is not used again.
//! 4. What comes late, twice or never makes no difference: answers carry the revision at which they are true, and older ones do
//!    not count. A claim without an answer may have been won, at that time or later: any key under one's own lease is one's own.
//!    Each start of a unit has a number, and reports of an earlier one do not count.
//!
//! This rests on a clock that counts all the time that passes. It counts the time for which a machine is suspended, but perhaps not that
//! for which a virtual machine is paused, migrated, or was restored from a snapshot of it: then a permit outlives its lease. So
//! the permit alone is not enough: right before each write to a device, its unit makes a transaction that compares the token,
//! and writes only if that has succeeded, and the permit still stands: [`WriteGuard`](write_guard::WriteGuard).
//!
//! A write may outlive the lease under which it began: a device may need two minutes to apply. So the same transaction puts a
//! mark at the device, under a lease that lasts longer than the write can, and no other token writes there while it stands.
//! It is removed once the device has answered. If its writer was killed, it ends by etcd's clock.
//!
//! What remains is a machine that stands still between this transaction and the write itself, until lease and mark have ended: a
//! device checks no token. Reading back what was written shows that.
//!
//! If etcd is restored from a backup, or created again, it forgets the last owners. Leases and keys of the backup live again, each
//! lease for its full TTL, and revisions are given again. Until a bridge has read the next snapshot, which takes about a
//! second after its watch has ended, it may hold a permit for a shard that another one owns. The transaction refuses such a writer,
//! unless the key was created again at the very revision of its token. Restoring with `--bump-revision` and `--mark-compacted`
//! (of `etcdutl`, not in 3.4) excludes that.
//!
//! # What happens when
//!
//! "Unit" is that of one shard. What etcd has is what the bridge last heard, by a snapshot, the watch, or an answer.
//!
//! | unit | the key in etcd | and | what is done |
//! |---|---|---|---|
//! | stopped | absent | valid lease, entry shown, time to claim (below) | claim |
//! | stopped | own | valid lease, watch open | permit, start |
//! | stopped | own | to be handed over, or its release was requested | release; retry until it is answered |
//! | stopped | another's, or own under an earlier lease | | nothing |
//! | running | own | renewed | permit until the new deadline |
//! | running | own | deadline reached | nothing: the permit has ended by itself; state is published on |
//! | running | own | to be handed over (below) | stop for a hand-over; the permit stands until the unit has stopped |
//! | running | absent, as the lease was lost | new lease, entry written | claim at once; if it is won, the unit gets the new token |
//! | running | own under an earlier lease | | permit taken back; etcd will remove the key |
//! | running, or stopping for a hand-over | another's | watch open | permit taken back, stop as lost |
//! | running, or stopping for a hand-over | any | connection taken over or lost, no valid lease | the same; starts again only after a new snapshot |
//! | any | | the process is to end | stop for a hand-over; release, once; when all have: revoke the lease |
//! | any | | the cluster was created again with other settings | permit taken back, stop as lost; then as if the process is to end |
//!
//! The lease is renewed every third of its TTL, and every 0.5 s after a failure; a renewal takes a fifth of the TTL at most, so
//! that after one that hangs another one is sent before the deadline. It is always the same lease, until etcd answers that it
//! no longer exists. A lease that was renewed after its deadline is valid again, and so are the keys under it. Snapshot and
//! watch begin again 0.5 s after they have failed.
//!
//! **Who claims.** Eligible are the members that suit best: with a broker and not drained; else with a broker; else not drained;
//! else all but those that are stopping. The first to claim a shard is the one with the fewest shards, counting those that it is the
//! first for; if several have as few, the one with the highest score ([`score`]). It claims at once, the second 3 s later, and so
//! on: if one hangs, the next does it. For 2 s after a snapshot a bridge claims only what it runs already: when a cluster starts,
//! or etcd comes back, all members get time to show themselves, and what runs stays where it is.
//!
//! **Who hands over.** A bridge that is drained, at once; one that has not reached its broker for 4 s, if for 5 s a member that does
//! has been seen. All shards at once, the unit first, then the key. If no other member suits better, nothing moves.
//!
//! **Equal shares.** If all shards are owned by eligible members, and none has moved for 10 s, the member with the most shards hands
//! over one, if another has two less or fewer, and has been as it is for 60 s. So a new bridge waits for a minute, then one shard
//! follows the other, each 10 s after the one before has its new owner.
//!
//! **An entry of a member** is written only if there is none, or one with the same lease. So a second process with the same id owns
//! nothing while the first one lives, and one that was killed and started again waits until its earlier lease has ended.

pub mod assignment;
pub mod coordinator;
pub mod dead_letters;
pub mod devices_digest;
pub mod edge_node_sessions;
pub mod election;
pub mod entries;
pub mod etcd;
pub mod fence;
mod hashing;
pub mod incidents;
mod keys;
pub mod ledger;
mod registry;
pub mod write_guard;

pub use hashing::{score, shard_of};
