//! The task of a bridge in its cluster: carries out at etcd what the [`Election`] wants, and passes on which units are to run.

mod follow;
mod handles;
mod shown;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::pending;
use std::mem::discriminant;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::election::{Claimed, Effect, Election, Input, MemberWritten, renewal_timeout};
use super::entries::{BridgeId, Details, LeaseId, ShardId};
use super::etcd::Error;
use super::fence::Gate;
use super::registry::{Meta, Registry};
use crate::boot_time::BootTime;

use self::follow::{Following, heard};
pub use self::handles::{Activity, Disagreement, Handles, Order, Orders, Report, Setup};
pub use self::status::{MemberStatus, OwnerStatus, Status};

/// How long etcd may take to end the lease of a bridge that leaves.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);
/// Until etcd is asked again what the cluster has agreed on.
const RETRY: Duration = Duration::from_secs(1);
/// Reports of units that wait.
const REPORTS: usize = 64;

/// How a request has ended: with what, and why if it has failed.
type Ended = (Input, Option<Failure>);

/// Why something has failed.
#[derive(Debug)]
enum Failure {
    Etcd(Error),
    Disagreement(Disagreement),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Etcd(error)
    }
}

impl From<Disagreement> for Failure {
    fn from(disagreement: Disagreement) -> Failure {
        Failure::Disagreement(disagreement)
    }
}

/// The task.
#[derive(Debug)]
pub struct Coordinator {
    me: BridgeId,
    meta: Meta,
    ttl: Duration,
    /// What the entry of this bridge is to show beside what the election wants.
    own_details: Details,
    /// What all entries show beside that.
    details: BTreeMap<BridgeId, Details>,
    registry: Arc<Registry>,
    gates: Vec<Gate>,
    requests: JoinSet<Ended>,
    following: Option<Following>,
    /// When the timer is due, if one is.
    wake_at: Option<BootTime>,
    orders: watch::Sender<Orders>,
    reports: mpsc::Receiver<Report>,
    /// What was reported before the bridge takes part.
    early: Vec<Report>,
    status: watch::Sender<Status>,
    /// Why this bridge no longer takes part.
    disagreement: Option<Disagreement>,
}

impl Coordinator {
    /// A bridge that has just started, and no unit runs.
    pub fn new(setup: Setup) -> (Coordinator, Handles) {
        let Setup {
            me,
            cluster,
            shards,
            ttl,
            devices,
            url,
            client,
        } = setup;
        let (orders, to_units) = watch::channel(Orders::new());
        let (from_units, reports) = mpsc::channel(REPORTS);
        let (status, shown) = watch::channel(Status::new(me.clone(), devices.clone()));
        let coordinator = Coordinator {
            registry: Arc::new(Registry::new(client, &cluster, me.clone())),
            me,
            meta: Meta::new(shards),
            ttl,
            own_details: Details::new(env!("CARGO_PKG_VERSION").to_owned(), devices, url),
            details: BTreeMap::new(),
            gates: ShardId::all(shards).map(|_| Gate::closed()).collect(),
            requests: JoinSet::new(),
            following: None,
            wake_at: None,
            orders,
            reports,
            early: Vec::new(),
            status,
            disagreement: None,
        };
        let handles = Handles {
            orders: to_units,
            reports: from_units,
            status: shown,
        };
        (coordinator, handles)
    }

    /// Takes part until `stop`; then hands over what it owns, and leaves.
    ///
    /// # Errors
    /// When this bridge and the cluster do not agree, at once or later. Then its units have stopped.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Disagreement> {
        if let Some(Err(disagreement)) = stop.run_until_cancelled(self.agree()).await {
            self.disagrees(disagreement.clone());
            return Err(disagreement);
        }
        let mut election = Election::new(self.me.clone(), self.meta.shards, BootTime::now());
        for report in std::mem::take(&mut self.early) {
            let input = self.reported(report);
            self.turn(&mut election, input, BootTime::now());
        }
        let mut input = Input::Timer;
        let mut is_stopping = false;
        loop {
            let is_outdated = self.hear(&input);
            let mut left = self.turn(&mut election, input, BootTime::now());
            if is_outdated && left.is_none() {
                left = self.turn(&mut election, Input::Outdated, BootTime::now());
            }
            if let Some(lease) = left {
                self.leave(lease).await;
                return self.disagreement.map_or(Ok(()), Err);
            }
            input = tokio::select! {
                () = stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    Input::Stop
                }
                input = self.next() => input,
            };
        }
    }

    /// Gives an input to the election, and begins what follows. If that is to leave: with which lease.
    fn turn(&mut self, election: &mut Election, input: Input, now: BootTime) -> Option<Option<LeaseId>> {
        self.wake_at = None;
        for effect in election.on(input, now) {
            if let Effect::Leave(lease) = effect {
                return Some(lease);
            }
            self.begin(effect);
        }
        self.show(election);
        None
    }

    /// Waits until etcd has said what the cluster has agreed on. Of what is reported meanwhile, the last of each kind is kept.
    async fn agree(&mut self) -> Result<(), Disagreement> {
        let (registry, meta) = (Arc::clone(&self.registry), self.meta);
        loop {
            let mut asked = pin!(registry.meta(meta));
            let found = loop {
                tokio::select! {
                    found = &mut asked => break found,
                    Some(report) = self.reports.recv() => self.keep_early(report),
                }
            };
            match found {
                Ok(found) => return Disagreement::check(self.meta, found),
                Err(error) => self.note(Activity::Watch, Some(error)),
            }
            sleep(RETRY).await;
        }
    }

    fn keep_early(&mut self, report: Report) {
        let is_other = |other: &Report| discriminant(other) != discriminant(&report);
        self.early.retain(is_other);
        self.early.push(report);
    }

    /// What happens next.
    async fn next(&mut self) -> Input {
        let timer = async {
            match self.wake_at {
                Some(at) => sleep(at.saturating_duration_since(BootTime::now())).await,
                None => pending().await,
            }
        };
        let (input, failure) = tokio::select! {
            biased;
            Some(report) = self.reports.recv() => return self.reported(report),
            Some(ended) = self.requests.join_next() => of_task(ended),
            ended = heard(&mut self.following) => ended,
            () = timer => return Input::Timer,
        };
        let error = match failure {
            Some(Failure::Disagreement(disagreement)) => {
                self.disagrees(disagreement);
                None
            }
            Some(Failure::Etcd(error)) => Some(error),
            None => None,
        };
        if let Input::MemberWritten(written) = input {
            self.note_id(written);
        }
        if let Some(activity) = Activity::of(&input) {
            self.note(activity, error);
        }
        input
    }

    /// Begins an effect. Of a request, the end comes later.
    fn begin(&mut self, effect: Effect) {
        let registry = Arc::clone(&self.registry);
        match effect {
            Effect::GrantLease => {
                let ttl = self.ttl;
                self.request(Input::GrantFailed, async move { registry.grant(ttl).await });
            }
            Effect::RenewLease(lease) => {
                let within = renewal_timeout(self.ttl);
                self.request(Input::RenewalFailed, async move {
                    registry.renew(lease, within).await
                });
            }
            Effect::WriteMember { lease, state } => {
                let unknown = Input::MemberWritten(MemberWritten::Unknown);
                let details = self.own_details.clone();
                self.request(unknown, async move {
                    registry.write_member(lease, state, details).await
                });
            }
            Effect::Claim { shard, lease } => {
                let unknown = Input::Claimed(shard, Claimed::Unknown);
                self.request(unknown, async move { registry.claim(shard, lease).await });
            }
            Effect::Release { shard, token } => {
                let unknown = Input::Released(shard, None);
                self.request(unknown, async move { registry.release(shard, token).await });
            }
            Effect::ReadSnapshot => {
                self.following = Some(Following::start(registry, self.meta));
            }
            Effect::Permit(shard, permit) => {
                if let Some(gate) = self.gate(shard) {
                    gate.set(permit);
                }
            }
            Effect::StartUnit(shard, run) => {
                let fence = self.gate(shard).map(Gate::fence);
                let order = fence.map(|fence| {
                    (
                        shard,
                        Order {
                            run,
                            fence,
                            stop: None,
                        },
                    )
                });
                self.orders.send_modify(|orders| orders.extend(order));
            }
            Effect::StopUnit(shard, reason) => self.orders.send_modify(|orders| {
                if let Some(order) = orders.get_mut(&shard) {
                    order.stop = Some(reason);
                }
            }),
            Effect::WakeAt(at) => self.wake_at = Some(at),
            Effect::Leave(_) => {}
        }
    }

    fn gate(&self, shard: ShardId) -> Option<&Gate> {
        self.gates.get(usize::from(shard.0))
    }

    /// Makes a request; if it fails, that is the input.
    fn request(
        &mut self,
        failed: Input,
        request: impl Future<Output = Result<Input, Error>> + Send + 'static,
    ) {
        self.requests.spawn(async move {
            request
                .await
                .map_or_else(|error| (failed, Some(error.into())), |input| (input, None))
        });
    }

    async fn leave(&self, lease: Option<LeaseId>) {
        let Some(lease) = lease else { return };
        if let Err(error) = self.registry.revoke(lease, LEAVE_WITHIN).await {
            tracing::warn!("the lease of this bridge ends by itself, at the latest after its TTL: {error}");
        }
    }
}

/// What a task gives; a panic of it goes on here.
fn of_task<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
