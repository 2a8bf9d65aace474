//! The bridge as an SNMP agent, for managers and control systems without MQTT: what is published, as tables of
//! `deploy/mibs/LANTIME2MQTT-MIB.txt`, and notifications of what changes. Nothing is writable.
//!
//! ```text
//! hub --Fleet---------> tables --> objects --> GET, GETNEXT, GETBULK
//! hub --DeviceUpdate--> agent ---> notices --> sinks
//! ```
//!
//! Not here: the engine of SNMP v3, which this process has one of ([`crate::snmp::engine`]).

mod access;
mod columns;
mod notice;
mod objects;
mod tables;
mod values;
mod walk;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_snmp::agent::{AgentBuilder, NotificationSinkId, SinkStatus};
use async_snmp::client::Auth;
use async_snmp::v3::{AuthoritativeEngine, CryptoError};
use async_snmp::{Oid, VarBind, oid};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Secret, SnmpAgent, SnmpSinkAccess};
use crate::hub::{DeviceUpdate, Fleet};
use crate::model::DeviceId;
use crate::records::store::StoreStatus;
use crate::snmp::{cannot_listen, inbound, outbound};
use notice::Notice;
use objects::{Handler, Objects};
use tables::Numbers;

/// Updates that wait to be sent as notifications: those of a thousand devices that go offline at once, and some. More are
/// merged, device by device, and keep their transitions.
pub const UPDATES_WAITING: usize = 4096;

/// Least time between two log lines about requests that were not taken, or notifications that were not sent.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// What lies below the root: objects, and the bridge as a product (its sysObjectID).
const OBJECTS: u32 = 1;
const PRODUCT: u32 = 3;

/// Why there is no agent.
#[derive(Debug, Error)]
pub enum AgentError {
    /// Its address cannot be listened at.
    #[error("{0}")]
    Listen(String),
    /// No keys can be made of a user's passwords.
    #[error("the keys of an SNMP user cannot be made: {0}")]
    Keys(#[from] CryptoError),
    /// Anything else.
    #[error("the SNMP agent cannot be made: {0}")]
    Other(Box<async_snmp::Error>),
}

/// What an agent is made of.
#[derive(Debug)]
pub struct Setup {
    /// Where it listens, who may read, who is notified.
    pub config: SnmpAgent,
    /// The bridge's id: its sysName.
    pub bridge: DeviceId,
    /// The configured devices, which get their numbers in this order.
    pub devices: Vec<DeviceId>,
    /// All devices.
    pub fleet: watch::Receiver<Fleet>,
    /// Each change of a device.
    pub changes: mpsc::Receiver<DeviceUpdate>,
    /// The engine of this process.
    pub engine: AuthoritativeEngine,
    /// What the store says of itself.
    pub store: watch::Receiver<StoreStatus>,
}

/// An agent that listens already.
pub struct Agent {
    agent: async_snmp::agent::Agent,
    root: Oid,
    started: Instant,
    numbers: watch::Sender<Numbers>,
    changes: mpsc::Receiver<DeviceUpdate>,
    /// Of each sink, whether the last notification could not be sent there.
    failing: Vec<bool>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("listen", &self.agent.local_addr())
            .finish_non_exhaustive()
    }
}

impl Agent {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.agent.local_addr()
    }

    /// Listens.
    ///
    /// # Errors
    /// When the address cannot be listened at; the error says what to do.
    pub async fn bind(setup: Setup) -> Result<Agent, AgentError> {
        let Setup {
            config,
            store,
            fleet,
            changes,
            ..
        } = setup;
        let started = Instant::now();
        let root = Oid::from_slice(&config.root);
        let (numbers, watched) = watch::channel(Numbers::new(&setup.devices));
        let system = Objects::System {
            name: setup.bridge,
            product: root.child(PRODUCT),
            started,
        };
        let published = Objects::Published {
            numbers: watched,
            fleet,
            store,
        };
        let builder = async_snmp::agent::Agent::builder()
            .bind(config.listen.to_string())
            .authoritative_engine(setup.engine)
            .vacm(|vacm| access::permit(vacm, &config, &root));
        let builder = with_handler(builder, oid!(1, 3, 6, 1, 2, 1, 1), system);
        let builder = with_handler(builder, root.child(OBJECTS), published);
        let builder = with_readers(builder, &config)?;
        let builder = with_sinks(builder, &config)?;
        let agent = builder.build().await.map_err(|error| match *error {
            async_snmp::Error::Network { source, .. } => {
                AgentError::Listen(cannot_listen("snmp.agent.listen", config.listen, &source))
            }
            other => AgentError::Other(Box::new(other)),
        })?;
        tracing::info!(listen = %agent.local_addr(), sinks = config.sinks.len(), "SNMP agent");
        Ok(Agent {
            agent,
            root,
            started,
            numbers,
            changes,
            failing: vec![false; config.sinks.len()],
        })
    }

    /// Answers, and sends notifications, until `stop`.
    ///
    /// # Errors
    /// When its socket cannot be used any more.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), AgentError> {
        let agent = &self.agent;
        let served = async { agent.run().await.map_err(AgentError::Other) };
        let (numbers, changes) = (&self.numbers, &mut self.changes);
        let (root, started, failing) = (&self.root, self.started, &mut self.failing);
        let lost = AtomicUsize::new(0);
        let reported = async {
            while let Some(update) = changes.recv().await {
                numbers.send_if_modified(|numbers| numbers.add(&update.device));
                if failing.is_empty() {
                    continue;
                }
                lost.fetch_add(update.lost_transitions, Ordering::Relaxed);
                let notices = tables::notices(&numbers.borrow(), &update);
                for notice in notices {
                    send(agent, root, started, notice, failing).await;
                }
            }
            // Nothing more will change; what there is can still be asked for.
            std::future::pending().await
        };
        let stopped = async {
            stop.cancelled().await;
            // Lets what is being answered come to its end.
            agent.cancel();
            std::future::pending().await
        };
        tokio::select! {
            served = served => served,
            () = reported => Ok(()),
            () = report_refused(agent) => Ok(()),
            () = report_lost(&lost) => Ok(()),
            () = stopped => Ok(()),
        }
    }
}

fn with_handler(builder: AgentBuilder, prefix: Oid, objects: Objects) -> AgentBuilder {
    builder.handler(prefix.clone(), Arc::new(Handler { prefix, objects }))
}

fn with_readers(builder: AgentBuilder, config: &SnmpAgent) -> Result<AgentBuilder, CryptoError> {
    let communities = config.communities.iter().map(Secret::expose);
    let mut users = config.users.iter();
    users.try_fold(builder.communities(communities), |builder, user| {
        builder.usm_user(user.name.clone(), |known| inbound(user, known))
    })
}

fn with_sinks(builder: AgentBuilder, config: &SnmpAgent) -> Result<AgentBuilder, CryptoError> {
    let mut sinks = config.sinks.iter().enumerate();
    sinks.try_fold(builder, |builder, (number, sink)| {
        let auth = match &sink.access {
            SnmpSinkAccess::Community(community) => Auth::v2c(community.expose()),
            SnmpSinkAccess::User(user) => Auth::from(outbound(user)?),
        };
        let id = NotificationSinkId::new(format!("sinks[{number}]")).expect("at most 32 octets");
        Ok(builder.trap_sink(id, sink.address.to_string(), auth))
    })
}

/// Logs now and then how many requests were not taken: who sends many must not fill the log.
async fn report_refused(agent: &async_snmp::agent::Agent) {
    let mut before = 0_u32;
    loop {
        tokio::time::sleep(REPORT_EVERY).await;
        let refused = [
            agent.snmp_in_asn_parse_errs(),
            agent.usm_unknown_usernames(),
            agent.usm_wrong_digests(),
            agent.usm_unsupported_sec_levels(),
            agent.usm_decryption_errors(),
        ];
        let refused = refused.into_iter().fold(0, u32::wrapping_add);
        let more = refused.wrapping_sub(before);
        if more > 0 {
            tracing::warn!(
                requests = more,
                "SNMP requests refused since the last such line: wrong users or keys, or no SNMP"
            );
        }
        before = refused;
    }
}

/// Logs now and then how many notifications were not sent, for the same reason.
async fn report_lost(lost: &AtomicUsize) {
    loop {
        tokio::time::sleep(REPORT_EVERY).await;
        let notifications = lost.swap(0, Ordering::Relaxed);
        if notifications > 0 {
            tracing::warn!(
                notifications,
                "SNMP notifications dropped since the last such line: changes come faster than they can be sent"
            );
        }
    }
}

async fn send(
    agent: &async_snmp::agent::Agent,
    root: &Oid,
    started: Instant,
    notice: Notice,
    failing: &mut [bool],
) {
    let below = |arcs: &[u32]| Oid::new(root.arcs().iter().chain(arcs).copied());
    let varbinds = notice.objects.into_iter();
    let varbinds = varbinds.map(|(arcs, value)| VarBind::new(below(&arcs), value));
    let trap = below(&[0, notice.number]);
    let outcome = agent
        .send_trap(&trap, values::centiseconds(started), varbinds.collect())
        .await;
    for (sink, was_failing) in outcome.sinks().iter().zip(failing) {
        let error = match &sink.status {
            SinkStatus::Succeeded => None,
            SinkStatus::Failed(error) => Some(error.to_string()),
            SinkStatus::Skipped(reason) => Some(reason.to_string()),
        };
        let address = sink.sink.dest();
        match &error {
            Some(error) if !*was_failing => {
                tracing::warn!(sink = %address, "SNMP notifications cannot be sent: {error}");
            }
            None if *was_failing => tracing::info!(sink = %address, "SNMP notifications can be sent again"),
            _ => {}
        }
        *was_failing = error.is_some();
    }
}
