//! The socket: a thread of its own with the library's receiver, which checks community or user, and hands on.
//!
//! The library acknowledges an inform as soon as its policy has accepted it. So the policy waits until the inform's
//! record is on disk, and nothing else may run on the thread that waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use async_snmp::notification::{
    NotificationAcceptance, NotificationEnvelope, NotificationPduClass, NotificationReceiver,
};
use async_snmp::v3::AuthoritativeEngine;
use async_snmp::{SecurityLevel, Version};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::counts::{Counts, socket_drops};
use super::receipt::Receipt;
use super::trap::{Received, inform_id};
use crate::config;
use crate::snmp;

/// How long an inform waits for its record to be on disk; its sender asks again after a second or more.
const STORE_WITHIN: Duration = Duration::from_secs(2);
/// How often the library's counters are looked at.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// Pause after the socket could not be read or bound.
const PAUSE: Duration = Duration::from_millis(500);

/// A notification that has passed all checks.
#[derive(Debug)]
pub(super) struct Taken {
    /// The notification.
    pub(super) received: Received,
    /// How often the receiver had been replaced by then: what it knows of senders' clocks is lost each time.
    pub(super) generation: u64,
    /// What is owed for it.
    pub(super) receipt: Receipt,
}

/// Everything that the thread needs.
pub(super) struct Receiver {
    pub(super) traps: config::Traps,
    pub(super) engine: AuthoritativeEngine,
    pub(super) taken: mpsc::Sender<Taken>,
    /// A place for each that waits, here or on its further way.
    pub(super) places: Arc<Semaphore>,
    pub(super) counts: watch::Sender<Counts>,
    /// How often it is to be replaced.
    pub(super) generation: watch::Receiver<u64>,
    /// When it may begin to receive: what comes before waits in the socket.
    pub(super) begin: oneshot::Receiver<()>,
}

impl Receiver {
    /// Starts the thread; when this returns it listens, there. It ends with `stop`.
    pub(super) async fn start(self, stop: CancellationToken) -> anyhow::Result<SocketAddr> {
        let (bound, is_bound) = oneshot::channel();
        let thread = thread::Builder::new().name("traps".to_owned());
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(self.run(bound, stop)),
                Err(error) => drop(bound.send(Err(error.into()))),
            }
        };
        thread.spawn(run).context("cannot start a thread for traps")?;
        is_bound
            .await
            .unwrap_or_else(|_| Err(anyhow!("the thread for traps has ended")))
    }

    async fn run(mut self, bound: oneshot::Sender<anyhow::Result<SocketAddr>>, stop: CancellationToken) {
        let mut receiver = match self.bind(self.traps.listen).await {
            Ok(receiver) => receiver,
            Err(error) => return drop(bound.send(Err(error))),
        };
        let address = receiver.local_addr();
        let _ = bound.send(Ok(address));
        let Some(Ok(())) = stop.run_until_cancelled(&mut self.begin).await else {
            return;
        };
        let at_end = stop.clone();
        let work = async {
            loop {
                self.receive(&receiver).await;
                drop(receiver);
                receiver = self.bind_again(address).await;
            }
        };
        let _: Option<std::convert::Infallible> = at_end.run_until_cancelled(work).await;
    }

    async fn bind(&mut self, listen: SocketAddr) -> anyhow::Result<NotificationReceiver> {
        let mut builder = NotificationReceiver::builder()
            .bind(listen.to_string())
            .authoritative_engine(self.engine.clone())
            .acceptance_policy(self.policy());
        for user in &self.traps.users {
            builder = builder
                .usm_user(user.name.clone(), |known| snmp::inbound(user, known))
                .with_context(|| format!("the keys of the SNMP v3 user {:?}", user.name))?;
        }
        builder.build().await.map_err(|error| match *error {
            async_snmp::Error::Network { source, .. } => {
                anyhow!(snmp::cannot_listen("snmp.traps.listen", listen, &source))
            }
            other => other.into(),
        })
    }

    async fn bind_again(&mut self, address: SocketAddr) -> NotificationReceiver {
        loop {
            match self.bind(address).await {
                Ok(receiver) => return receiver,
                Err(error) => tracing::error!("traps cannot be received: {error:#}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Decides on each notification that the library has found in order, and hands it on.
    fn policy(
        &mut self,
    ) -> impl Fn(&NotificationEnvelope<'_>) -> NotificationAcceptance + Send + Sync + 'static {
        let communities = self.traps.communities.clone();
        let (taken, counts) = (self.taken.clone(), self.counts.clone());
        let places = self.places.clone();
        let generation = *self.generation.borrow_and_update();
        let count = move |what: &dyn Fn(&mut Counts)| {
            counts.send_if_modified(|counts| {
                what(counts);
                false
            });
        };
        let is_known = move |envelope: &NotificationEnvelope<'_>| match envelope.community {
            Some(community) => communities
                .iter()
                .any(|known| community.as_bytes() == known.expose().as_bytes()),
            None => envelope.security_level == Some(SecurityLevel::AuthPriv),
        };
        move |envelope| {
            if !is_known(envelope) {
                let from = Some(envelope.source.ip().to_canonical());
                count(&|counts| {
                    let (refused, last) = match envelope.version {
                        Version::V3 => (&mut counts.unprotected, &mut counts.unprotected_from),
                        _ => (&mut counts.wrong_community, &mut counts.wrong_community_from),
                    };
                    *refused += 1;
                    *last = from;
                });
                return NotificationAcceptance::Reject;
            }
            let (safe, is_safe) = match envelope.pdu_class {
                NotificationPduClass::Inform => Some(sync_channel(1)).unzip(),
                NotificationPduClass::Trap => (None, None),
            };
            let place = places.clone().try_acquire_owned().ok();
            let message = place.map(|place| Taken {
                received: Received::read(envelope),
                generation,
                receipt: Receipt {
                    inform: inform_id(envelope),
                    safe,
                    place: Some(place),
                },
            });
            if message.is_none_or(|message| taken.try_send(message).is_err()) {
                count(&|counts| counts.overrun += 1);
                return NotificationAcceptance::Reject;
            }
            let is_safe = is_safe.is_none_or(|is_safe| is_safe.recv_timeout(STORE_WITHIN) == Ok(true));
            if is_safe {
                NotificationAcceptance::Accept
            } else {
                NotificationAcceptance::Reject
            }
        }
    }

    /// Receives until it is to be replaced.
    async fn receive(&mut self, receiver: &NotificationReceiver) {
        let before = *self.counts.borrow();
        let port = receiver.local_addr().port();
        let mut ticks = tokio::time::interval(COUNT_EVERY);
        loop {
            tokio::select! {
                changed = self.generation.changed() => match changed {
                    Ok(()) => return,
                    Err(_) => std::future::pending().await,
                },
                _ = ticks.tick() => {
                    self.counts.send_modify(|counts| {
                        // An unknown engine id is how a sender of informs asks for ours, and no fault.
                        counts.wrong_credentials = before.wrong_credentials
                            + u64::from(receiver.usm_unknown_usernames())
                            + u64::from(receiver.usm_wrong_digests())
                            + u64::from(receiver.usm_unsupported_sec_levels())
                            + u64::from(receiver.usm_decryption_errors());
                        counts.out_of_time = before.out_of_time + u64::from(receiver.usm_not_in_time_windows());
                        if let Some(drops) = socket_drops(port) {
                            counts.socket_drops = before.socket_drops + drops;
                        }
                    });
                }
                result = receiver.recv() => if let Err(error) = result {
                    tracing::warn!("a trap could not be received: {error}");
                    tokio::time::sleep(PAUSE).await;
                },
            }
        }
    }
}
