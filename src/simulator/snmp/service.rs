//! The agent of one device from one restart to the next, and through a fault of silence. What it answers is the
//! handler's.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_snmp::agent::{Agent, SecurityModel, VacmBuilder};
use async_snmp::v3::{AuthoritativeEngine, PersistedAuthoritativeEngine};
use async_snmp::{SecurityLevel, oid};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::endpoint::Endpoint;
use super::handler::Handler;
use super::options::SnmpOptions;
use super::sender::Sender;
use super::{mib, objects};
use crate::simulator::device::SimulatedDevice;
use crate::simulator::fault::Fault;

/// Wait before another try where the system has refused a socket.
const RETRY: Duration = Duration::from_millis(100);
/// Names of views: all objects, and none.
const ALL: &str = "all";
const NONE: &str = "none";

/// Serves the SNMP side of one device.
pub(in crate::simulator) struct Service {
    device: Arc<SimulatedDevice>,
    /// Its port may be 0 before the first agent is bound.
    address: SocketAddr,
}

/// What runs from one restart to the next.
pub(in crate::simulator) struct Life {
    agent: Agent,
    engine: AuthoritativeEngine,
    senders: Vec<Sender>,
}

impl Service {
    /// Of a device that has an SNMP side.
    pub(in crate::simulator) fn new(device: Arc<SimulatedDevice>, address: SocketAddr) -> Self {
        Self { device, address }
    }

    fn side(&self) -> &Endpoint {
        self.device
            .snmp()
            .expect("a service is made for devices with SNMP")
    }

    /// Begins a life: its agent is bound, and receivers are notified of what happens from now on.
    ///
    /// # Errors
    /// When the address cannot be listened on, or a receiver cannot be sent to.
    pub(in crate::simulator) async fn begin(&self) -> async_snmp::Result<Life> {
        let side = self.side();
        let before = PersistedAuthoritativeEngine::new(side.engine_id.clone(), self.device.boots() - 1)?;
        // It counts one up; what is kept of it is the device's, in memory.
        let engine = AuthoritativeEngine::restart(before, |_| Ok::<(), Infallible>(()))?;
        let mut senders = Vec::new();
        for receiver in &side.options.receivers {
            let (device, news) = (Arc::clone(&self.device), side.subscribe());
            let sender = Sender::new(device, &side.options, receiver.clone(), engine.clone(), news);
            senders.push(sender.await?);
        }
        let agent = self.agent(&engine).await?;
        side.address.get_or_init(|| agent.local_addr());
        side.answering.send_replace(true);
        Ok(Life {
            agent,
            engine,
            senders,
        })
    }

    /// Begins the life after a restart, as soon as the system lets it.
    pub(in crate::simulator) async fn begin_again(&self) -> Life {
        let life = until_done(self.device.id(), || self.begin()).await;
        self.device
            .notify(|side, world, now| side.notify("system-reboot", world, now));
        life
    }

    /// Serves until it is dropped.
    pub(in crate::simulator) async fn live(&self, life: Life) {
        let mut senders = JoinSet::new();
        for sender in life.senders {
            senders.spawn(sender.run());
        }
        let mut agent = life.agent;
        loop {
            self.answer(agent).await;
            self.keep_silent().await;
            agent = until_done(self.device.id(), || self.agent(&life.engine)).await;
            self.side().answering.send_replace(true);
        }
    }

    /// Answers until silence is ordered.
    async fn answer(&self, agent: Agent) {
        tokio::select! {
            ended = agent.run() => tracing::warn!(device = self.device.id(), ?ended, "the agent has ended"),
            () = self.device.wait_fault(|fault| fault == Some(&Fault::SnmpSilence)) => (),
        }
        agent.cancel();
        self.side().answering.send_replace(false);
    }

    /// Takes requests in and drops them: the system would report a closed port to the client.
    async fn keep_silent(&self) {
        let socket = until_done(self.device.id(), || UdpSocket::bind(self.bound())).await;
        let mut request = [0; 1];
        let spoken_to = async {
            loop {
                // An error is of one request at most.
                _ = socket.recv_from(&mut request).await;
            }
        };
        tokio::select! {
            () = spoken_to => (),
            () = self.device.wait_fault(|fault| fault != Some(&Fault::SnmpSilence)) => (),
        }
    }

    fn bound(&self) -> SocketAddr {
        self.side().address().unwrap_or(self.address)
    }

    async fn agent(&self, engine: &AuthoritativeEngine) -> async_snmp::Result<Agent> {
        let options = &self.side().options;
        let communities = [&options.read_community, &options.write_community];
        let user = options.user.name().to_owned();
        let handler = |objects| {
            Arc::new(Handler {
                device: Arc::clone(&self.device),
                objects,
            })
        };
        let vendor = self.device.look(|_, world| objects::vendor(world));
        let builder = Agent::builder()
            .bind(self.bound().to_string())
            .recv_buffer_size(None)
            .communities(communities.map(|community| community.as_bytes()))
            .usm_user(user, |known| known.with_master_keys(options.user.keys()))
            .map_err(|error| async_snmp::Error::Config(error.to_string().into()).boxed())?;
        builder
            .authoritative_engine(engine.clone())
            .handler(mib::system(), handler(objects::system()))
            .handler(mib::vendor(), handler(vendor))
            .vacm(|access| rights(access, options))
            .build()
            .await
    }
}

/// Who may do what.
fn rights(access: VacmBuilder, options: &SnmpOptions) -> VacmBuilder {
    use {SecurityLevel as Level, SecurityModel as Model};
    let (read, write) = (options.read_community.clone(), options.write_community.clone());
    access
        .group(read, Model::V2c, "readers")
        .group(write, Model::V2c, "writers")
        .group(options.user.name().to_owned(), Model::Usm, "users")
        .access("readers", Model::V2c, Level::NoAuthNoPriv, |entry| {
            entry.read_view(ALL).write_view(NONE)
        })
        .access("writers", Model::V2c, Level::NoAuthNoPriv, |entry| {
            entry.read_view(ALL).write_view(ALL)
        })
        .access("users", Model::Usm, Level::AuthPriv, |entry| {
            entry.read_view(ALL).write_view(ALL)
        })
        .view(ALL, |view| view.include(oid!(1, 3, 6, 1)))
        .view(NONE, |view| view)
}

/// Tries until it succeeds: a socket that was dropped may still be held for a moment.
async fn until_done<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    device: &str,
    mut attempt: impl FnMut() -> F,
) -> T {
    let mut warned = false;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => {
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(device, %error, "cannot have the SNMP port again yet");
                }
                sleep(RETRY).await;
            }
        }
    }
}
