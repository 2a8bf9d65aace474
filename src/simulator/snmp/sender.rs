//! Notifies one receiver of what happens on one device: a trap is sent once, an inform until it is acknowledged, a
//! bounded number of times. One after the other, in the order in which things happened.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_snmp::agent::Agent;
use async_snmp::v3::AuthoritativeEngine;
use async_snmp::{NotificationSinkId, Retry, Value, VarBind};
use tokio::sync::broadcast::{self, error::RecvError};

use super::endpoint::News;
use super::mib;
use super::options::{SnmpOptions, TrapReceiver};
use crate::simulator::device::SimulatedDevice;

/// One receiver of one device, for as long as the device runs.
pub(super) struct Sender {
    device: Arc<SimulatedDevice>,
    receiver: TrapReceiver,
    engine: AuthoritativeEngine,
    inform_timeout: Duration,
    inform_retries: u32,
    /// It only sends.
    agent: Agent,
    news: broadcast::Receiver<News>,
}

impl Sender {
    /// Gets ready: what happens from now on is sent once it runs.
    pub(super) async fn new(
        device: Arc<SimulatedDevice>,
        options: &SnmpOptions,
        receiver: TrapReceiver,
        engine: AuthoritativeEngine,
        news: broadcast::Receiver<News>,
    ) -> async_snmp::Result<Self> {
        let (inform_timeout, inform_retries) = (options.inform_timeout, options.inform_retries);
        let from = source(device.address().ip(), receiver.address);
        let agent = agent(&receiver, from, &engine, inform_timeout, inform_retries).await?;
        Ok(Self {
            device,
            receiver,
            engine,
            inform_timeout,
            inform_retries,
            agent,
            news,
        })
    }

    /// Sends what happens, until it is dropped.
    pub(super) async fn run(mut self) {
        loop {
            match self.news.recv().await {
                Ok(news) if self.receiver.way.is_inform() => self.inform(news).await,
                Ok(news) => self.trap(news).await,
                Err(RecvError::Lagged(missed)) => {
                    self.device
                        .count(|counters| counters.notifications_missed += missed);
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn trap(&self, news: News) {
        let reported = self.varbinds(&news);
        let outcome = self.agent.send_trap(&news.trap, news.uptime, reported).await;
        if outcome.all_succeeded() {
            self.device.count(|counters| counters.traps_sent += 1);
        } else {
            tracing::warn!(device = self.device.id(), to = %self.receiver.address, ?outcome, "cannot send a trap");
        }
    }

    async fn inform(&mut self, news: News) {
        let reported = self.varbinds(&news);
        self.device.count(|counters| counters.informs_sent += 1);
        let outcome = self.agent.send_inform(&news.trap, news.uptime, reported).await;
        if outcome.all_succeeded() {
            self.device.count(|counters| counters.informs_acknowledged += 1);
            return;
        }
        tracing::debug!(device = self.device.id(), to = %self.receiver.address, ?outcome, "an inform is not acknowledged");
        // The receiver may have come back as another engine, which the agent's client would never notice.
        let from = source(self.device.address().ip(), self.receiver.address);
        let next = agent(
            &self.receiver,
            from,
            &self.engine,
            self.inform_timeout,
            self.inform_retries,
        )
        .await;
        if let Ok(agent) = next {
            self.agent = agent;
        }
    }

    fn varbinds(&self, news: &News) -> Vec<VarBind> {
        vec![
            VarBind::new(mib::trap_message(), Value::from(news.message.as_str())),
            VarBind::new(mib::trap_enterprise(), Value::ObjectIdentifier(mib::vendor())),
            VarBind::new(mib::sys_name(), Value::from(self.device.hostname())),
        ]
    }
}

async fn agent(
    receiver: &TrapReceiver,
    from: SocketAddr,
    engine: &AuthoritativeEngine,
    inform_timeout: Duration,
    inform_retries: u32,
) -> async_snmp::Result<Agent> {
    let config = |error: &dyn std::error::Error| async_snmp::Error::Config(error.to_string().into()).boxed();
    let id = NotificationSinkId::new("receiver").expect("it has 1 to 32 octets");
    let auth = receiver.way.auth().map_err(|error| config(&error))?;
    let retry = Retry::fixed(inform_retries, Duration::ZERO).map_err(|error| config(&error))?;
    Agent::builder()
        .bind(from.to_string())
        .recv_buffer_size(None)
        .authoritative_engine(engine.clone())
        .allow_all_access()
        .trap_sink(id, receiver.address.to_string(), auth)
        .inform_timeout(inform_timeout)
        .inform_retry(retry)
        .build()
        .await
}

/// Where traps come from: the device's own address, as far as the receiver can be reached from there.
fn source(own: IpAddr, receiver: SocketAddr) -> SocketAddr {
    let is_near = own.is_ipv4() == receiver.is_ipv4() && own.is_loopback() == receiver.ip().is_loopback();
    let from = match receiver {
        _ if is_near => own,
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(from, 0)
}
