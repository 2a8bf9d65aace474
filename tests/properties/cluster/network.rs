//! The way from bridges to etcd and back, on which requests, answers and what is watched are late or lost.

use std::time::Duration;

use lantime2mqtt::boot_time::BootTime;
use lantime2mqtt::cluster::election::{Claimed, Input, MemberWritten};
use lantime2mqtt::cluster::entries::{BridgeId, LeaseId, MemberState, ShardId, Token};

use super::bridge::Watch;
use super::world::{Event, To, World};

/// After so long a request counts as unanswered; a renewal sooner.
const TIMEOUT: u64 = 900;

#[derive(Debug, Clone)]
pub(super) enum Request {
    Grant,
    Renew(LeaseId),
    Read(u64),
    WriteMember(LeaseId, MemberState),
    Claim(ShardId, LeaseId),
    Release(ShardId, Token),
    Revoke(LeaseId),
}

impl World {
    /// A request begins. What becomes of it is decided here.
    pub(super) fn request(&mut self, bridge: usize, request: Request) {
        let (from, sent) = (self.to(bridge), self.bridges[bridge].clock.at(self.now));
        let is_bad = self.lossy > 0;
        let timeout = match request {
            Request::Renew(_) => self.ttl / 5,
            _ => TIMEOUT,
        };
        // Renewals wait for etcd's disk, or for a process that is paused just then.
        let slowest = match (is_bad, &request) {
            (true, _) => (timeout / 2).min(440),
            (false, Request::Renew(_)) => 300,
            (false, _) => 20,
        };
        let (there, back) = (self.rng.u64(1..=slowest), self.rng.u64(1..=slowest));
        let fate = if is_bad { self.rng.u8(0..100) } else { 100 };
        let unanswered = failure(from, &request);
        match fate {
            _ if self.bridges[bridge].faults.cannot_claim && matches!(request, Request::Claim(..)) => {
                self.at(self.now + timeout, unanswered);
            }
            // It is lost before it has taken effect, or its answer is, or it waits in a queue somewhere.
            0..15 => self.at(self.now + timeout, unanswered),
            15..30 => {
                self.at(self.now + there, Event::Request(from, request, sent, None));
                self.at(self.now + timeout, unanswered);
            }
            30..40 => {
                self.after(timeout, 8_000, Event::Request(from, request, sent, None));
                self.at(self.now + timeout, unanswered);
            }
            _ => self.at(self.now + there, Event::Request(from, request, sent, Some(back))),
        }
    }

    /// A request has come to etcd. Gets an answer after so long, if it gets one.
    pub(super) fn serve(&mut self, from: To, request: Request, sent: BootTime, back: Option<u64>) {
        let id = self.bridges[from.bridge].id.clone();
        let answer = match self.outages > 0 || self.bridges[from.bridge].faults.cut_off > 0 {
            true => failure(from, &request),
            false => self.carry_out(from, &id, request, sent, back),
        };
        if let Some(back) = back {
            self.at(self.now + back, answer);
        }
    }

    fn carry_out(
        &mut self,
        from: To,
        id: &BridgeId,
        request: Request,
        sent: BootTime,
        back: Option<u64>,
    ) -> Event {
        let ttl = Duration::from_millis(self.ttl);
        self.at(self.now + self.ttl, Event::Expire);
        let input = match request {
            Request::Grant => {
                let lease = self.etcd.grant(self.now);
                Input::Granted { lease, ttl, sent }
            }
            Request::Renew(lease) => match self.etcd.renew(lease, self.now) {
                true => Input::Renewed { lease, ttl, sent },
                false => Input::LeaseLost(lease),
            },
            Request::Read(number) => {
                let bridge = &mut self.bridges[from.bridge];
                let last_delivery = self.now + back.unwrap_or_default();
                if back.is_some() && bridge.watch_number == number && bridge.incarnation == from.incarnation {
                    let next = self.etcd.history.len();
                    bridge.watch = Some(Watch { next, last_delivery });
                }
                Input::Snapshot(self.etcd.snapshot())
            }
            Request::WriteMember(lease, state) => {
                Input::MemberWritten(self.etcd.write_member(id, lease, state))
            }
            Request::Claim(shard, lease) => Input::Claimed(shard, self.etcd.claim(id, lease, shard)),
            Request::Release(shard, token) => Input::Released(shard, Some(self.etcd.release(shard, token))),
            Request::Revoke(lease) => {
                self.etcd.revoke(lease);
                Input::Timer
            }
        };
        Event::Input(from, input)
    }

    /// Sends what has changed to those that watch. A watch may end: the connection, or what it needs was compacted.
    pub(super) fn serve_watches(&mut self) {
        for number in 0..self.bridges.len() {
            let to = self.to(number);
            let (slowest, is_bad) = if self.lossy > 0 {
                (2_500, true)
            } else {
                (20, false)
            };
            while let Some(mut watch) = self.bridges[number].watch
                && let Some((revision, changes)) = self.etcd.history.get(watch.next).cloned()
            {
                watch.last_delivery = (self.now + self.rng.u64(1..=slowest)).max(watch.last_delivery);
                watch.next += 1;
                let ends = is_bad && self.rng.u8(0..20) == 0;
                self.bridges[number].watch = Some(watch).filter(|_| !ends);
                let reported = Some((revision, changes)).filter(|_| !ends);
                let watched = Event::Watched(to, self.bridges[number].watch_number, reported);
                self.at(watch.last_delivery, watched);
            }
        }
    }

    /// The connection of a watch hangs, and then it ends.
    pub(super) fn break_watch(&mut self, bridge: usize) {
        if let Some(watch) = self.bridges[bridge].watch.take() {
            let at = (self.now + self.rng.u64(1..=2_000)).max(watch.last_delivery);
            let ended = Event::Watched(self.to(bridge), self.bridges[bridge].watch_number, None);
            self.at(at, ended);
        }
    }
}

/// What a process hears of a request that has failed, or that was not answered.
fn failure(to: To, request: &Request) -> Event {
    let input = match request {
        Request::Grant => Input::GrantFailed,
        Request::Renew(_) => Input::RenewalFailed,
        Request::Read(number) => return Event::Watched(to, *number, None),
        Request::WriteMember(..) => Input::MemberWritten(MemberWritten::Unknown),
        Request::Claim(shard, _) => Input::Claimed(*shard, Claimed::Unknown),
        Request::Release(shard, _) => Input::Released(*shard, None),
        Request::Revoke(_) => Input::Timer,
    };
    Event::Input(to, input)
}
