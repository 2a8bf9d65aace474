//! The task of a bridge in its cluster: carries out at etcd what the [`Election`] wants, and passes on which units are to run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::boot_time::BootTime;
use super::election::{Claimed, Effect, Election, Input, MemberWritten, StopReason};
use super::entries::{BridgeId, LeaseId, ShardId};
use super::etcd::{Client, Error};
use super::fence::{Fence, Gate};
use super::registry::{Meta, Registry};

/// Until etcd is asked again what the cluster has agreed on.
const RETRY: Duration = Duration::from_secs(1);
/// Changes that wait to be taken in: what is more waits in the connection.
const HEARD: usize = 64;
/// Reports of units that wait.
const REPORTS: usize = 64;

/// What a coordinator is made of.
#[derive(Debug)]
pub struct Setup {
    /// This bridge.
    pub me: BridgeId,
    /// The name of the cluster.
    pub cluster: String,
    /// How many shards it has.
    pub shards: u16,
    /// How long its lease lives after each renewal; in whole seconds.
    pub ttl: Duration,
    /// Where etcd is.
    pub client: Client,
}

/// What is to become of a unit.
#[derive(Debug)]
pub enum Order {
    /// It is to start. It asks the fence before each write.
    Start(ShardId, Fence),
    /// It is to stop, and [`Report::Stopped`] is to follow.
    Stop(ShardId, StopReason),
}

/// What becomes of units, and what an operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// [`Input::UnitStopped`].
    Stopped(ShardId),
    /// [`Input::Disconnected`].
    Disconnected(ShardId),
    /// [`Input::Broker`].
    Broker(bool),
    /// [`Input::Drain`].
    Drain(bool),
}

/// What is known of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Why etcd does not serve this bridge, since it does not.
    pub error: Option<Error>,
    /// The members.
    pub members: Vec<BridgeId>,
    /// The shards that have an owner.
    pub owners: BTreeMap<ShardId, BridgeId>,
}

/// Why a bridge takes no part in its cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The number of shards was settled by the first bridge.
    #[error(
        "this cluster has {theirs} shards, and cluster.shards is {ours}: set it to {theirs}, or choose another cluster.name for \
         a new cluster"
    )]
    Shards {
        /// What is configured.
        ours: u16,
        /// What the cluster has.
        theirs: u16,
    },
    /// A newer version has written what is there.
    #[error(
        "etcd has entries of this cluster that this version cannot read: install the version of the other bridges"
    )]
    Format,
}

/// How a request, or what follows a snapshot, has ended: with what, and why if it has failed.
type Ended = (Input, Option<Error>);

/// The task.
#[derive(Debug)]
pub struct Coordinator {
    me: BridgeId,
    meta: Meta,
    ttl: Duration,
    registry: Arc<Registry>,
    gates: Vec<Gate>,
    requests: JoinSet<Ended>,
    following: Option<Following>,
    wake_at: BootTime,
    orders: mpsc::Sender<Order>,
    reports: mpsc::Receiver<Report>,
    status: watch::Sender<Status>,
}

/// What etcd reports since the last snapshot.
#[derive(Debug)]
struct Following {
    heard: mpsc::Receiver<Ended>,
    _task: AbortOnDropHandle<()>,
}

/// The other ends of a coordinator.
#[derive(Debug)]
pub struct Ends {
    /// What is to become of units.
    pub orders: mpsc::Receiver<Order>,
    /// Takes what becomes of them.
    pub reports: mpsc::Sender<Report>,
    /// What is known of the cluster.
    pub status: watch::Receiver<Status>,
}

impl Coordinator {
    /// A bridge that has just started, and no unit runs.
    pub fn new(setup: Setup) -> (Coordinator, Ends) {
        let Setup {
            me,
            cluster,
            shards,
            ttl,
            client,
        } = setup;
        // Of each shard, a start and the two reasons of a stop: more cannot wait.
        let (orders, to_units) = mpsc::channel(usize::from(shards.max(1)) * 3);
        let (from_units, reports) = mpsc::channel(REPORTS);
        let (status, shown) = watch::channel(Status::default());
        let coordinator = Coordinator {
            registry: Arc::new(Registry::new(client, &cluster, me.clone())),
            me,
            meta: Meta::new(shards),
            ttl,
            gates: ShardId::all(shards).map(|_| Gate::closed()).collect(),
            requests: JoinSet::new(),
            following: None,
            wake_at: BootTime::default(),
            orders,
            reports,
            status,
        };
        let ends = Ends {
            orders: to_units,
            reports: from_units,
            status: shown,
        };
        (coordinator, ends)
    }

    /// Takes part until `stop`; then hands over what it owns, and leaves.
    ///
    /// # Errors
    /// When this bridge and the cluster do not agree.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Disagreement> {
        if let Some(agreed) = stop.run_until_cancelled(self.agree()).await {
            agreed?;
        }
        let mut election = Election::new(self.me.clone(), self.meta.shards, BootTime::now());
        let mut input = Input::Timer;
        let mut is_stopping = false;
        loop {
            for effect in election.on(input, BootTime::now()) {
                if let Effect::Leave(lease) = effect {
                    self.leave(lease).await;
                    return Ok(());
                }
                self.begin(effect);
            }
            self.show(&election);
            input = tokio::select! {
                () = stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    Input::Stop
                }
                input = self.next() => input,
            };
        }
    }

    /// Waits until etcd has said what the cluster has agreed on.
    async fn agree(&self) -> Result<(), Disagreement> {
        loop {
            match self.registry.meta(self.meta).await {
                Ok(meta) if meta == self.meta => return Ok(()),
                Ok(meta) if meta.format == self.meta.format => {
                    return Err(Disagreement::Shards {
                        ours: self.meta.shards,
                        theirs: meta.shards,
                    });
                }
                Ok(_) => return Err(Disagreement::Format),
                Err(error) => self.failed(error),
            }
            sleep(RETRY).await;
        }
    }

    /// What happens next.
    async fn next(&mut self) -> Input {
        let heard = async {
            match &mut self.following {
                Some(following) => following.heard.recv().await,
                None => None,
            }
        };
        let (input, error) = tokio::select! {
            biased;
            Some(report) = self.reports.recv() => return report.into(),
            Some(ended) = self.requests.join_next() => of_task(ended),
            Some(ended) = heard => ended,
            () = sleep(self.wake_at.saturating_duration_since(BootTime::now())) => return Input::Timer,
        };
        match error {
            Some(error) => self.failed(error),
            None if is_served(&input) => {
                self.status
                    .send_if_modified(|status| status.error.take().is_some());
            }
            None => {}
        }
        input
    }

    fn failed(&self, error: Error) {
        self.status.send_if_modified(|status| {
            let is_news = status.error.as_ref() != Some(&error);
            status.error = Some(error);
            is_news
        });
    }

    fn show(&self, election: &Election) {
        let view = election.view();
        let shards = ShardId::all(self.meta.shards);
        let owners = shards.filter_map(|shard| Some((shard, view.owner(shard)?.bridge.clone())));
        let owners = owners.collect();
        let members = view.members().map(|(bridge, _)| bridge.clone()).collect();
        self.status.send_if_modified(|status| {
            let is_news = status.members != members || status.owners != owners;
            (status.members, status.owners) = (members, owners);
            is_news
        });
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
                let within = self.ttl / 3;
                self.request(Input::RenewalFailed, async move {
                    registry.renew(lease, within).await
                });
            }
            Effect::WriteMember { lease, state } => {
                let unknown = Input::MemberWritten(MemberWritten::Unknown);
                self.request(unknown, async move { registry.write_member(lease, state).await });
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
                // What an earlier one hears goes with its channel.
                let (sender, heard) = mpsc::channel(HEARD);
                let task = AbortOnDropHandle::new(tokio::spawn(follow(registry, sender)));
                self.following = Some(Following { heard, _task: task });
            }
            Effect::Permit(shard, permit) => {
                if let Some(gate) = self.gate(shard) {
                    gate.set(permit);
                }
            }
            Effect::StartUnit(shard) => {
                let fence = self.gate(shard).map(Gate::fence);
                if let Some(fence) = fence {
                    self.order(Order::Start(shard, fence));
                }
            }
            Effect::StopUnit(shard, reason) => self.order(Order::Stop(shard, reason)),
            Effect::WakeAt(at) => self.wake_at = at,
            Effect::Leave(_) => {}
        }
    }

    fn gate(&self, shard: ShardId) -> Option<&Gate> {
        self.gates.get(usize::from(shard.0))
    }

    fn order(&self, order: Order) {
        // Nobody takes it only where the process ends.
        let _ = self.orders.try_send(order);
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
                .map_or_else(|error| (failed, Some(error)), |input| (input, None))
        });
    }

    async fn leave(&self, lease: Option<LeaseId>) {
        let Some(lease) = lease else { return };
        if let Err(error) = self.registry.revoke(lease).await {
            tracing::warn!("the lease of this bridge ends by itself, at the latest after its TTL: {error}");
        }
    }
}

impl From<Report> for Input {
    fn from(report: Report) -> Input {
        match report {
            Report::Stopped(shard) => Input::UnitStopped(shard),
            Report::Disconnected(shard) => Input::Disconnected(shard),
            Report::Broker(is_reached) => Input::Broker(is_reached),
            Report::Drain(is_drained) => Input::Drain(is_drained),
        }
    }
}

/// Reads all, then what changes, until that fails or nobody listens.
async fn follow(registry: Arc<Registry>, heard: mpsc::Sender<Ended>) {
    let follow = async {
        let snapshot = registry.snapshot().await?;
        let mut watch = registry.watch(snapshot.revision.next()).await?;
        let mut inputs = vec![Input::Snapshot(snapshot)];
        loop {
            for input in inputs {
                if heard.send((input, None)).await.is_err() {
                    return Ok(());
                }
            }
            inputs = registry.changed(watch.next().await?);
        }
    };
    if let Err(error) = follow.await {
        // The same.
        let _ = heard.send((Input::WatchEnded, Some(error))).await;
    }
}

fn of_task(ended: Result<Ended, JoinError>) -> Ended {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Whether that shows that etcd serves this bridge.
fn is_served(input: &Input) -> bool {
    matches!(
        input,
        Input::Granted { .. } | Input::Renewed { .. } | Input::Snapshot(_)
    )
}
