//! The composition root: every task and channel of the bridge is made here, and stopped here.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Broker, Config, ProfileChoice};
use crate::lantime::device::DeviceTask;
use crate::lantime::rest::{HttpClients, Profile, Profiles, RestClient};
use crate::lantime::schedule::Schedule;
use crate::model::{DeviceId, SlotId, SlotView, Update};
use crate::mqtt::embedded::Embedded;
use crate::mqtt::{BrokerStatus, Publisher, remembered};
use crate::records::Store;
use crate::web;

/// How long a stop may take before the tasks that have not ended are named and left.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// How long the publisher may take of that to flush and say goodbye.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);
/// Updates on their way from the devices to the publisher. When it is full a device waits with its next
/// poll; the publisher drains it whatever the broker does.
const UPDATES_WAITING: usize = 1024;
/// Pause before a device task that has ended by a fault is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// A running bridge.
#[derive(Debug)]
pub struct Bridge {
    config: Config,
    devices: Devices,
    publisher: JoinHandle<()>,
    broker: watch::Receiver<BrokerStatus>,
    embedded: Option<Embedded>,
    http: Option<(SocketAddr, JoinHandle<()>)>,
    stop: CancellationToken,
}
