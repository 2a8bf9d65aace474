//! The composition root: every task and channel of the bridge is made here, and stopped here.

mod devices;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Broker, Config};
use crate::model::Update;
use crate::mqtt::embedded::{EmbeddedBroker, EmbeddedError};
use crate::mqtt::payload::BridgeInfo;
use crate::mqtt::publisher::{BrokerStatus, Publisher, Setup};
use crate::mqtt::topics::Topics;
use crate::records::store::Store;
use crate::web;
use devices::Devices;

/// How long a stop may take before the tasks that have not ended are named and left.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// How long answers that are under way may take of that.
const HTTP_DEADLINE: Duration = Duration::from_secs(1);
/// How much of that the publisher may take to flush and say goodbye.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);
/// Updates on their way from the devices to the publisher. When it is full a device waits with its next
/// poll; the publisher drains it whatever the broker does.
const UPDATES_WAITING: usize = 1024;

/// A running bridge.
#[derive(Debug)]
pub struct Bridge {
    config: Config,
    /// Where the publisher finds the broker.
    reached_broker: Broker,
    devices: Devices,
    publisher: JoinHandle<()>,
    broker: watch::Receiver<BrokerStatus>,
    embedded: Option<JoinHandle<Result<(), EmbeddedError>>>,
    http: Option<(SocketAddr, JoinHandle<()>)>,
    /// Ends what is not part of the flow.
    stop: CancellationToken,
}

impl Bridge {
    /// Starts everything; when it returns, whatever listens does. `observer` gets each update as well, and
    /// misses those for which it has no room.
    ///
    /// # Errors
    /// When an address cannot be listened on, or a device's TLS or profile files cannot be read.
    pub async fn start(
        config: Config,
        store: Store,
        observer: Option<mpsc::Sender<Update>>,
    ) -> anyhow::Result<Bridge> {
        let stop = CancellationToken::new();
        // What is configured stays as it is, to be compared at a reload; what is used may differ in the port.
        let mut mqtt = config.mqtt.clone();
        let mut embedded = None;
        if let Broker::Embedded { listen, websocket } = mqtt.broker {
            let broker = EmbeddedBroker::bind(listen, websocket).await?;
            mqtt.broker = broker.for_clients();
            embedded = Some(tokio::spawn(broker.run(stop.clone())));
        }
        let remembered = store.published_topics().await.unwrap_or_else(|error| {
            tracing::error!("topics of earlier runs cannot be read, and so not be cleared: {error}");
            Vec::new()
        });
        let topics = Topics::new(config.mqtt.prefix.clone(), config.bridge.id.clone());
        let published = devices::published_slots(&topics, &remembered);
        let (updates, updates_of_devices) = mpsc::channel(UPDATES_WAITING);
        let setup = Setup {
            mqtt: mqtt.clone(),
            bridge: config.bridge.id.clone(),
            info: BridgeInfo {
                started_at: Timestamp::now(),
                devices: config.devices.len(),
                mqtt_version: config.mqtt.version,
                capabilities: vec!["rest".to_owned()],
            },
            configured: config.devices.iter().map(|device| device.id.clone()).collect(),
            remembered,
            store,
            observer,
            stop_within: FLUSH_DEADLINE,
        };
        let (publisher, broker) = Publisher::new(setup, updates_of_devices);
        let http = match config.http.listen {
            Some(listen) => {
                let server = web::Server::bind(listen, broker.clone()).await.with_context(|| {
                    format!("cannot listen on {listen}; set http.listen to a free address, or to \"off\"")
                })?;
                Some((server.local_addr()?, tokio::spawn(server.run(stop.clone()))))
            }
            None => None,
        };
        let mut devices = Devices::new(updates, published);
        devices.apply(&config.devices).await?;
        let publisher = tokio::spawn(publisher.run());
        Ok(Bridge {
            config,
            reached_broker: mqtt.broker,
            devices,
            publisher,
            broker,
            embedded,
            http,
            stop,
        })
    }

    /// Where the broker is; with an embedded one, where it really listens.
    pub fn broker(&self) -> &Broker {
        &self.reached_broker
    }

    /// Whether there is a connection to the broker.
    pub fn broker_status(&self) -> watch::Receiver<BrokerStatus> {
        self.broker.clone()
    }

    /// Where the bridge's own HTTP server listens.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|(address, _)| *address)
    }

    /// Applies the devices of another configuration: the ones that did not change go on without a gap. What
    /// cannot be changed while running is named, and what cannot be applied changes nothing.
    pub async fn reload(&mut self, config: Config) {
        let rest = self.config.changed_outside_devices(&config);
        if !rest.is_empty() {
            tracing::warn!(
                "reload: changes of [{}] take effect with a restart",
                rest.join("], [")
            );
        }
        match self.devices.apply(&config.devices).await {
            Ok(()) => self.config.devices = config.devices,
            Err(error) => {
                tracing::error!("reload refused, the running configuration stays in force: {error:#}")
            }
        }
    }

    /// Waits until a task ends that should not; device tasks are started again, and not reported here.
    pub async fn failed(&mut self) -> anyhow::Error {
        let http = async {
            match &mut self.http {
                Some((_, task)) => task.await,
                None => std::future::pending().await,
            }
        };
        let embedded = async {
            match &mut self.embedded {
                Some(task) => task.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = &mut self.publisher => anyhow!("the publisher has ended: {}", how(ended)),
            ended = http => anyhow!("the HTTP server has ended: {}", how(ended)),
            ended = embedded => match ended {
                Ok(Err(error)) => anyhow!(error).context("the embedded broker has ended"),
                ended => anyhow!("the embedded broker has ended: {}", how(ended)),
            },
            never = self.devices.supervise() => match never {},
        }
    }

    /// Stops with the flow: devices, then the publisher, which flushes and says `offline`, then the rest.
    ///
    /// # Errors
    /// When something has not stopped in time; it is named.
    pub async fn stop(self) -> anyhow::Result<()> {
        let deadline = Instant::now() + STOP_DEADLINE;
        let Bridge {
            devices,
            publisher,
            embedded,
            http,
            stop,
            ..
        } = self;
        let mut late = Vec::new();
        // With the last device its end of the channel goes, and so the publisher knows that it is over.
        if tokio::time::timeout_at(deadline, devices.stop()).await.is_err() {
            late.push("devices");
        }
        if !ends_by(deadline, publisher).await {
            late.push("publisher");
        }
        stop.cancel();
        if let Some(task) = embedded
            && !ends_by(deadline, task).await
        {
            late.push("embedded broker");
        }
        if let Some((_, task)) = http {
            // Who has sent half a request by now is not waited for.
            ends_by(deadline.min(Instant::now() + HTTP_DEADLINE), task).await;
        }
        if late.is_empty() {
            Ok(())
        } else {
            Err(anyhow!("did not stop within 10 s: {}", late.join(", ")))
        }
    }
}

/// Waits for a task's end, and aborts it when that does not come in time.
async fn ends_by<T>(deadline: Instant, mut task: JoinHandle<T>) -> bool {
    // One whose end has been seen already must not be asked again.
    if task.is_finished() || tokio::time::timeout_at(deadline, &mut task).await.is_ok() {
        return true;
    }
    task.abort();
    false
}

fn how<T>(ended: Result<T, JoinError>) -> String {
    ended
        .err()
        .map_or_else(|| "it returned".to_owned(), |error| error.to_string())
}
